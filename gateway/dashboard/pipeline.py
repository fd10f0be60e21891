"""Whether the machinery is well: what waits, how long, and whether the books add up."""

import asyncio
from dataclasses import dataclass
from typing import Final

from gateway.api.services import Services
from gateway.audit.records import records, summary
from gateway.errors import LedgerUnavailable
from gateway.metering.backlog import backlog

SECONDS_MAX: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How it stands.

    Attributes:
        up: The store answers. Without it the rest is unknown (None).
        waiting: Events that counters or archive do not have yet.
        lag_ms: How long the oldest of them has waited.
        holds: Calls that are running.
        books: Whether the books add up; None until all have been checked.
    """

    up: bool
    waiting: int | None = None
    lag_ms: int | None = None
    holds: int | None = None
    entries: int | None = None
    books: bool | None = None
    differences: int = 0
    troubles: tuple[str, ...] = ()

    @property
    def is_well(self) -> bool:
        late = self.lag_ms is not None and self.lag_ms > 30_000
        return self.up and self.books is not False and not late and not self.troubles


class Pipeline:
    def __init__(self, services: Services) -> None:
        self._services = services

    async def now(self) -> Health:
        store = self._services.store
        troubles = (*self._services.ledger.troubles(), *self._services.price_troubles())
        try:
            async with asyncio.timeout(SECONDS_MAX):
                behind, audited = await asyncio.gather(backlog(store), records(store))
        except (LedgerUnavailable, TimeoutError):
            return Health(up=False, troubles=troubles)
        told = summary(audited, len(store.keyspace.partitions))
        return Health(
            up=True,
            waiting=max(behind.waiting.values(), default=0),
            lag_ms=max(behind.lag_ms.values(), default=0),
            holds=behind.holds,
            entries=behind.entries,
            books=told["ok"],
            differences=len(told["differences"]),
            troubles=troubles,
        )
