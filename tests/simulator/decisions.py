"""What a hold must be granted, worked out again from the events alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.customers.windows import KINDS, Calendar
from gateway.ledger.rules import Rules
from tests.simulator.accounts import Account
from tests.simulator.promises import expect

HELD, EXCEEDED, IN_FLIGHT = 1, 2, 3
DECISIONS = frozenset({HELD, EXCEEDED, IN_FLIGHT})
KIND_OF = {b"daily": "day", b"weekly": "week", b"monthly": "month", b"yearly": "year"}


@dataclass(frozen=True)
class Asked:
    """What a hold asks for, as `hold.lua` is given it."""

    number: int
    wanted: int
    least: int
    share: int
    input: int
    lease_ms: int

    @classmethod
    def of(cls, args: Sequence[bytes]) -> "Asked":
        number, wanted, least, share = (int(args[i]) for i in (1, 3, 4, 5))
        return cls(number, wanted, least, share, int(args[6] or b"0"), int(args[7]))

    def orphaned(self, granted: int, rules: Rules) -> int:
        """What to post, should the call never end."""
        return granted if rules.orphans == "hold" else min(granted, self.input)


def check_decision(
    asked: Asked, outcome: int, granted: int, *, unspent: int | None, held: int
) -> None:
    """As much as there is room for below every limit, and never more.

    Args:
        unspent: What the events leave of the tightest limit; None without one.
        held: For the calls that run, before this one.
    """
    if asked.wanted == 0 or unspent is None:
        decision = HELD, asked.wanted
    elif unspent < asked.least:
        decision = EXCEEDED, 0
    elif unspent - held < asked.least:
        decision = IN_FLIGHT, 0
    else:
        expect(granted <= unspent - held, f"{granted} granted, {unspent} - {held} left")
        allowed = max(asked.least, (unspent - held) // asked.share)
        decision = HELD, min(asked.wanted, allowed)
    expect(
        (outcome, granted) == decision,
        f"{asked} got {(outcome, granted)}, not {decision}: {unspent} - {held} left",
    )


def check_windows(calendar: Calendar, now_ms: int, account: Account, ids: Sequence[int]) -> None:
    """A hold is in the windows of now, or in later ones that have been opened."""
    now = calendar.at(now_ms)
    for kind, window_id in zip(KINDS[:-1], ids, strict=False):
        this = max(now.by_kind[kind].start_ms // 1000, account.opened(kind))
        expect(window_id == this, f"held in {kind} {window_id}, now is {this}")


def unspent_of(
    account: Account, profile: Mapping[bytes, bytes], ids: Sequence[int], rules: Rules
) -> int | None:
    by_cost = rules.count == "cost"
    left = []
    if total := profile.get(b"total_budget"):
        left.append(int(total) - (account.cost if by_cost else account.charge))
    if limit := profile.get(b"period_budget"):
        kind = KIND_OF[profile.get(b"budget_duration", b"monthly")]
        counted = account.cost_in if by_cost else account.charge_in
        left.append(int(limit) - counted[kind, ids[KINDS.index(kind)]])
    return min(left, default=None)
