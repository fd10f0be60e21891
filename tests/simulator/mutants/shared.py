"""Errors in what groups and apps hold and spend."""

from tests.simulator.fate import Weather
from tests.simulator.mutations import drop, swap, under

GROUPS = Weather(shared=True)
LOSING = Weather(shared=True, loses=True, turns={"lose": 4.0})
LAGGING = Weather(shared=True, calm=False, turns={"outage": 4.0, "kill_worker": 0.2})
"""Calls outlive their leases, and are corrected."""

SHARED = under(
    GROUPS,
    # Nobody is admitted beyond a limit that many share.
    swap(
        "a scope does not count what it holds",
        "scope_hold",
        "granted = grant(unspent, held, wanted, least, share)",
        "granted = grant(unspent, '0', wanted, least, share)",
    ),
    swap(
        "a scope looks at its total limit only",
        "scope_hold",
        "in_period = spent_in_window(",
        "local _ = spent_in_window(",
    ),
    swap(
        "a scope's hold that is sent again is held again",
        "scope_hold",
        "if record then",
        "if false then",
    ),
    swap(
        "a scope's hold decided before the store changed lands after it",
        "gateway.ledger.scope_holds:ScopeHolds._ask",
        "since=since,",
        "since=None,",
        LOSING,
    ),
    # A call ends once, for each of them.
    swap(
        "a scope holds for a call that has ended",
        "scope_hold",
        "if redis.call('HEXISTS', ended, member) == 1 then",
        "if false then",
    ),
    drop(
        "a scope does not remember what has ended",
        "scope_apply",
        "    remember(ended, member, kind .. ' ' .. charge .. ' ' .. cost .. rest)\n",
    ),
    swap(
        "a scope counts an end again",
        "scope_apply",
        "    if before then",
        "    if false then",
        LOSING,
    ),
    drop(
        "a scope leaves the record of a hold that has ended",
        "scope_apply",
        "        redis.call('HDEL', holds, member)\n",
    ),
    drop(
        "a scope leaves a hold in what it holds",
        "scope_apply",
        "        count_freed(row, changed, held)\n",
    ),
    swap(
        "a scope's charge is in the window of its end",
        "scope_apply",
        "amount, ids = string.match(record, '^(%d+)|(.*)$')",
        "amount = string.match(record, '^(%d+)')",
    ),
    swap(
        "a scope does not count corrections",
        "scope_apply",
        "kind == 'adjust' and count_adjust or count_end",
        "kind == 'adjust' and type or count_end",
        LAGGING,
    ),
    # Each event that names it counts, once.
    swap(
        "scope_apply does not compare the cursor",
        "scope_apply",
        "if (redis.call('HGET', cursors, cursor) or '') == expected then",
        "if true then",
    ),
    drop(
        "scope_apply leaves the cursor",
        "scope_apply",
        "        redis.call('HSET', cursors, cursor, new)\n",
    ),
    swap(
        "a scope is named that nobody has entered",
        "gateway.ledger.scope_registry:ScopeRegistry.ensure",
        "await self._enter(name)",
        "self._known.add(name)",
    ),
    swap(
        "events of an app with a limit are not its own",
        "gateway.metering.scope_entries:entries_of",
        "if event.app in apps:",
        "if False:",
    ),
    # Where one of them has no room, the customer's hold ends.
    swap(
        "a hold that its group refused is forgotten",
        "gateway.ledger.holding:Holding._shared",
        "self._endings.withdraw(\n            attempt.refusal(",
        "str(\n            attempt.refusal(",
    ),
    swap(
        "a hold whose group was not heard of is forgotten",
        "gateway.ledger.holding:Holding._shared",
        "self._endings.withdraw(attempt.withdrawal(Status.ERROR))",
        "pass",
    ),
    swap(
        "a hold that was cancelled while its group was asked is forgotten",
        "gateway.ledger.holding:Holding._shared",
        "self._endings.withdraw(attempt.withdrawal(Status.ABORTED))",
        "pass",
    ),
)
