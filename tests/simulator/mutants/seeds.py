"""Runs that are known to catch a mutation: its name -> seed. Made by `__main__`."""

from tests.simulator.mutations import Mutation
from tests.simulator.simulation import Outcome, simulate

STEPS = 300
RARE = {
    "expire takes what has been renewed meanwhile": (
        "test_a_lease_renewed_while_it_is_swept_is_not_over"
    ),
    "a late truth counts in the caller's windows": "test_a_late_truth_counts_where_its_orphan_did",
    "trim does not compare where it stands": "test_does_nothing_when_trimming_stands_elsewhere",
    "lost limits decide": "test_limits_that_were_lost_do_not_decide",
    "who waits goes through when the gate closes again": (
        "test_who_waits_at_the_gate_waits_again_when_it_closes_again"
    ),
}
"""Met once in some hundreds of seeds: each has a plain test in its stead, which it fails."""

SEEDS: dict[str, int] = {
    "settle does not ask whether the call has ended": 2,
    "release does not ask whether the call has ended": 2,
    "refuse does not ask whether the call has ended": 4,
    "hold does not ask whether the call has ended": 2,
    "settle leaves no tombstone": 2,
    "release leaves no tombstone": 1,
    "expire leaves no tombstone": 4,
    "a hold that is sent again is held again": 2,
    "a hold that is sent again is measured by its own change": 36,
    "a report leaves no mark under its key": 1,
    "settle leaves the hold in what is held": 1,
    "settle's plain sums leave the hold in what is held": 1,
    "settle leaves the hold's record": 1,
    "expire leaves the hold in what is held": 1,
    "renew revives the lease of a call that has ended": 2,
    "expire releases instead of posting": 4,
    "expire does not remember what it has posted": 4,
    "settle takes an orphan for a duplicate": 8,
    "release takes an orphan for a duplicate": 4,
    "settle corrects an orphan each time": 11,
    "hold does not count what is held": 3,
    "hold checks by what was held a call ago": 3,
    "hold looks at the total limit only": 2,
    "hold gives all that remains to the first": 3,
    "hold grants less than the least": 3,
    "hold grants the least beyond the limit": 3,
    "hold decides by an old profile": 3,
    "hold's plain sums do not count what is held": 2,
    "hold's plain sums give all that remains to the first": 3,
    "hold's plain sums look at the total limit only": 2,
    "hold's plain sums look at the period limit only": 2,
    "money is doubles": 5,
    "money in plain sums is doubles": 5,
    "a charge is doubles": 5,
    "a charge in plain sums is doubles": 5,
    "settle's plain sums are for any window": 2,
    "settle's plain sums do not count what a call cost above its hold": 2,
    "windows move backward": 2,
    "a charge is in the window of its end": 2,
    "a charge is in the windows that its caller believes in": 2,
    "a window begins by the clock of a gateway whose hold was lost": 7,
    "hold believes the caller's clock": 3,
    "a call cancelled while it is held is forgotten": 2,
    "a hold whose reply was lost is forgotten": 9,
    "a withdrawal that did not arrive is not tried again": 9,
    "a settle that did not arrive is not tried again": 9,
    "a lease is not renewed while its call lives": 10,
    "the final amount is not written down": 2,
    "a call that was sent back once is taken for ended": 8,
    "a log that was taken over is forgotten with the store away": 45,
    "a dead gateway's calls are free": 3,
    "apply does not compare the cursor": 1,
    "apply leaves the cursor": 1,
    "the archive's cursor moves though its disk is full": 1,
    "apply counts what the store has lost": 3,
    "trim leaves the checkpoints": 2,
    "a checkpoint forgets what was trimmed before": 2,
    "trim leaves the last entry": 2,
    "trim drops what is not counted or archived": 3,
    "trim drops what a group has not counted": 3,
    "trim drops what is young": 1,
    "a scope does not count what it holds": 3,
    "a scope looks at its total limit only": 4,
    "a scope's hold that is sent again is held again": 2,
    "a scope's hold decided before the store changed lands after it": 16,
    "a scope holds for a call that has ended": 13,
    "a scope does not remember what has ended": 2,
    "a scope counts an end again": 2,
    "a scope leaves the record of a hold that has ended": 2,
    "a scope leaves a hold in what it holds": 2,
    "a scope's charge is in the window of its end": 3,
    "a scope does not count corrections": 8,
    "scope_apply does not compare the cursor": 1,
    "scope_apply leaves the cursor": 1,
    "a scope is named that nobody has entered": 2,
    "events of an app with a limit are not its own": 1,
    "a hold that its group refused is forgotten": 3,
    "a hold whose group was not heard of is forgotten": 14,
    "a hold that was cancelled while its group was asked is forgotten": 3,
    "what has ended is not told again": 1,
    "what runs is not held again": 5,
    "reports are not counted again": 1,
    "an heir does not ask whether the store is another": 1,
    "what an heir has paid is not told again": 5,
    "lost customers come back as others": 11,
    "restore does not ask whether the call has ended": 2,
    "restore holds what is held": 2,
    "holds are granted before all is put back": 7,
    "gateways do not wait for each other": 12,
    "a hold decided before the store changed lands after it": 2,
    "live calls have no time to renew": 19,
    "a checkpoint forgets what was trimmed of a window": 2,
    "an event does not name the window that it opens": 2,
    "a late truth does not name the windows of its orphan": 8,
}


def first_caught(url: str, mutation: Mutation, *, seeds_max: int, steps: int) -> Outcome | None:
    """By the seed that is known to catch it, if it still does; else by the first that does."""
    known = SEEDS.get(mutation.name)
    with mutation.applied():
        for seed in [known] * (known is not None) + [*range(1, seeds_max + 1)]:
            outcome = simulate(url, seed, steps, mutation.edit, mutation.weather)
            if outcome.problem is not None:
                return outcome
    return None
