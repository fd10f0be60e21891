"""Leases: the calls that this process is serving.

A hold lives by its lease, which is renewed while its call runs; without this process it
ends by itself, unless the process' log tells how.
"""

import asyncio
import logging
from collections.abc import Iterable
from typing import Final

from gateway.errors import LedgerUnavailable
from gateway.ledger.requests import hour_of
from gateway.ledger.results import Hold
from gateway.store.client import Part, Store
from gateway.store.keys import Partition

LEASE_MS: Final = 60_000
RENEW_SECONDS: Final = 20.0
RENEWED_AT_ONCE_MAX: Final = 500
"""By one script, so that a renewal of thousands of calls keeps nobody waiting."""

log = logging.getLogger(__name__)


def ending_keys(partition: Partition, number: int, request_id: str) -> list[str]:
    """What ``settle.lua`` and ``release.lua`` take."""
    hour = hour_of(request_id)
    return [
        partition.account(number),
        partition.holds,
        partition.expiries,
        partition.stream,
        partition.tombstones(hour),
        partition.orphans(hour),
    ]


class Leases:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._live: dict[str, Hold] = {}
        self._raised: dict[str, int] = {}

    def begin(self, hold: Hold) -> None:
        self._live[hold.request_id] = hold

    def move(self, hold: Hold) -> None:
        """Its customer has come back as another; an end that came first stays one."""
        if hold.request_id in self._live:
            self._live[hold.request_id] = hold

    def current(self, hold: Hold) -> Hold:
        """As it is held now, if it still is: its customer may have come back as another."""
        return self._live.get(hold.request_id, hold)

    def live(self) -> Iterable[Hold]:
        return list(self._live.values())

    def raise_orphan(self, request_id: str, amount_pico: int) -> None:
        """With the next renewal: what to post should the call never end."""
        if request_id in self._live and amount_pico > self._raised.get(request_id, 0):
            self._raised[request_id] = amount_pico

    def orphan_pico(self, request_id: str) -> int:
        return self._raised.get(request_id, 0)

    def end(self, request_id: str) -> None:
        self._live.pop(request_id, None)
        self._raised.pop(request_id, None)

    async def step(self) -> None:
        """Renew the leases of all calls that run."""
        by_partition: dict[Partition, list[Part]] = {}
        for request_id, hold in self._live.items():
            amount = self._raised.get(request_id)
            pair = (request_id, "" if amount is None else amount)
            by_partition.setdefault(hold.partition, []).extend(pair)
        await asyncio.gather(
            *(
                self._store.script(
                    "renew",
                    [partition.expiries, partition.holds],
                    [LEASE_MS, *pairs[at : at + 2 * RENEWED_AT_ONCE_MAX]],
                )
                for partition, pairs in by_partition.items()
                for at in range(0, len(pairs), 2 * RENEWED_AT_ONCE_MAX)
            )
        )

    async def run(self) -> None:
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            try:
                await self.step()
            except LedgerUnavailable:
                log.warning("leases_not_renewed live=%d", len(self._live))
