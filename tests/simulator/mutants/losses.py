"""Errors in what a store is told again that came back without its newest writes."""

from tests.simulator.fate import Weather
from tests.simulator.mutations import Change, Mutation, swap, under

LOSING = Weather(logs=True, loses=True, turns={"lose": 4.0})
DYING = Weather(calm=False, logs=True, loses=True, turns={"lose": 4.0, "kill_gateway": 3.0})
QUIETLY = Weather(
    calm=True, logs=True, loses=True, turns={"lose": 4.0, "report": 0.0, "set_limits": 0.0}
)
CONTINUITY = "gateway.ledger.continuity:Continuity."

LOSSES = under(
    LOSING,
    # What it lacks it is told.
    swap(
        "what has ended is not told again",
        CONTINUITY + "_restore",
        "count += await self._tell_again(debts)",
        "pass",
    ),
    swap(
        "what runs is not held again",
        CONTINUITY + "_restore",
        "await self._put_back()",
        "pass",
    ),
    swap(
        "reports are not counted again",
        CONTINUITY + "_tell_again",
        "await self._count_again(debts)",
        "pass",
    ),
    swap(
        "an heir does not ask whether the store is another",
        CONTINUITY + "_take_over",
        "changed = debts.identity != identity",
        "changed = False",
        DYING,
    ),
    swap(
        "what an heir has paid is not told again",
        "gateway.ledger.wal.log:Log.unpin",
        "segments[-1].append(content)",
        "pass",
        DYING,
    ),
    swap(
        "lost customers come back as others",
        "gateway.ledger.endings:Endings.tell_all",
        "if profiles is not None:",
        "if False:",
        QUIETLY,
    ),
    # What it has is not booked twice.
    swap(
        "restore does not ask whether the call has ended",
        "restore",
        "if redis.call('SISMEMBER', ended, request_id) == 1 then",
        "if false then",
    ),
    swap(
        "restore holds what is held",
        "restore",
        "if redis.call('HEXISTS', holds, request_id) == 1 then",
        "if false then",
    ),
    # No room is given away that is taken.
    swap(
        "holds are granted before all is put back",
        CONTINUITY + "wait",
        "while not self.is_open:",
        "while False:",
    ),
    swap(
        "who waits goes through when the gate closes again",
        CONTINUITY + "wait",
        "while not self.is_open:",
        "if not self.is_open:",
    ),
    swap(
        "gateways do not wait for each other",
        CONTINUITY + "_report",
        "while missing := await self._behind(identity):",
        "while missing := []:",
    ),
    Mutation(
        "a hold decided before the store changed lands after it",
        (
            Change(
                "gateway.store.client:Store.script",
                (
                    (" or since not in {None, self._changes.count}", ""),
                    ("-1 if since is None else since", "-1"),
                ),
            ),
        ),
    ),
    swap(
        "lost limits decide",
        "gateway.customers.directory:Directory._distrust",
        "self._cache.clear()",
        "pass",
    ),
    swap(
        "live calls have no time to renew",
        "gateway.ledger.sweeper:Sweeper._wait",
        "self._not_before = asyncio.get_running_loop().time() + LEASE_MS / 1000",
        "pass",
        QUIETLY,
    ),
)
