"""Calls that go on without a gateway: only the store knows of them, until one brings their end.

A response that is made in the background is ready long after its call was answered, and
whoever fetches it may come by another gateway, or after a restart. So its hold is given a
long lease, and what is needed to bill it stands in the store under the response's id. If
nobody ever fetches it, the hold lapses as that of a dead gateway does.

The store may come back without its newest writes: what was entrusted lately is remembered
here as well, and put back.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from gateway.clock import Clock
from gateway.event import Kind, UsageEvent
from gateway.ledger.endings import Endings
from gateway.ledger.leases import Leases
from gateway.ledger.results import Hold
from gateway.ledger.wal.log import Log
from gateway.ledger.wal.records import Ending
from gateway.store.client import Store
from gateway.store.keys import BACKGROUND_SECONDS, background

REMEMBERED_SECONDS: Final = 600.0
REMEMBERED_MAX: Final = 10_000


@dataclass(frozen=True, slots=True)
class Entrusted:
    """A call in the store's hands.

    Attributes:
        name: What it is found by.
        record: What is needed to bill it.
        until_ms: When its hold lapses, Unix ms.
    """

    hold: Hold
    name: str
    record: bytes
    until_ms: int
    since: float


class EntrustedCalls:
    def __init__(
        self, store: Store, clock: Clock, leases: Leases, endings: Endings, wal: Log | None
    ) -> None:
        self._store = store
        self._clock = clock
        self._leases = leases
        self._endings = endings
        self._wal = wal
        self._lately: OrderedDict[str, Entrusted] = OrderedDict()

    async def entrust(self, hold: Hold, name: str, record: bytes, until_ms: int) -> None:
        """Leave a call that goes on to the store, for whoever brings its end.

        Args:
            name: By which `find` finds the record.
            until_ms: When it is given up, Unix ms.

        Raises:
            LedgerUnavailable: the store may not have it: it is still to be ended here.
        """
        call = Entrusted(hold, name, record, until_ms, self._clock.monotonic())
        await self._tell(call)
        self._leases.end(hold.request_id)
        if self._wal is not None:
            self._wal.confirm(hold.request_id)
        self._lately[hold.request_id] = call
        if len(self._lately) > REMEMBERED_MAX:
            self._lately.popitem(last=False)

    async def finish(self, customer: str, number: int, window_ids: str, event: UsageEvent) -> None:
        """End such a call; once, whoever brings its end, and however often."""
        ending = Ending(
            request_id=event.request_id,
            customer=customer,
            verb="settle" if event.kind is Kind.SETTLE else "release",
            kind=event.kind,
            number=number,
            window_ids=window_ids,
            charge_pico=event.charge_pico,
            cost_pico=event.cost_pico,
            details=event.details(),
        )
        self._lately.pop(event.request_id, None)
        if self._wal is not None:
            self._wal.end(ending)
            await self._wal.written()
        await self._endings.tell_or_keep(ending)

    async def find(self, name: str) -> bytes | None:
        """The record of that name.

        Raises:
            LedgerUnavailable: nobody knows.
        """
        found: bytes | None = await self._store.command("GET", background(name))
        return found

    async def put_back(self, hold_again: Callable[[Hold], Awaitable[None]]) -> None:
        """Tell a store that came back what it may have lost."""
        oldest = self._clock.monotonic() - REMEMBERED_SECONDS
        while self._lately and next(iter(self._lately.values())).since < oldest:
            self._lately.popitem(last=False)
        for call in list(self._lately.values()):
            await hold_again(call.hold)
            await self._tell(call)

    async def _tell(self, call: Entrusted) -> None:
        """Have the store keep it: the record, and the hold as long as that is of use."""
        hold = call.hold
        await self._store.command(
            "SET", background(call.name), call.record, "EX", BACKGROUND_SECONDS
        )
        lease_ms = max(call.until_ms - self._clock.now_ms(), 1)
        await self._store.script(
            "renew",
            [hold.partition.expiries, hold.partition.holds],
            [lease_ms, hold.request_id, ""],
        )
