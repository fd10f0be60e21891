"""``GET /metrics``: gathered when it is asked for, from the store and from this process."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from gateway.api.endpoint import Endpoint, Handler
from gateway.api.exposition import CONTENT_TYPE, Facts, exposition
from gateway.api.services import Services
from gateway.audit.records import records
from gateway.errors import LedgerUnavailable
from gateway.metering.backlog import backlog
from gateway.store.client import Store
from gateway.store.memory import Memory, memory

STORE_SECONDS_MAX: Final = 5.0


class Metrics:
    def __init__(self, services: Services) -> None:
        self._services = services

    def routes(self, guarded: Callable[[Handler], Handler]) -> list[Endpoint]:
        return [Endpoint("/metrics", {"GET": guarded(self.page)})]

    async def page(self, _: Request) -> Response:
        facts = await self._in_time(
            Facts(
                version=self._services.about.version,
                store=self._services.about.store,
                partitions=len(self._services.store.keyspace.partitions),
                now_ms=self._services.clock.now_ms(),
                gauges=self._services.tallies.gauges,
            )
        )
        headers = {"content-type": CONTENT_TYPE, "cache-control": "no-store"}
        return Response(exposition(facts), headers=headers)

    async def _in_time(self, facts: Facts) -> Facts:
        """With what the store says, where it does so in time."""
        store, tallies = self._services.store, self._services.tallies
        try:
            async with asyncio.timeout(STORE_SECONDS_MAX):
                await tallies.tell()
                waiting, audit, told, admits, room = await asyncio.gather(
                    backlog(store), records(store), tallies.told(), self._admits(), _memory(store)
                )
        except (LedgerUnavailable, TimeoutError):
            return facts
        return replace(facts, backlog=waiting, audit=audit, told=told, admits=admits, memory=room)

    async def _admits(self) -> bool:
        try:
            await self._services.store.admits()
        except LedgerUnavailable:
            return False
        return True


async def _memory(store: Store) -> Memory | None:
    """None where this user may not ask for it: all else is shown all the same."""
    with suppress(LedgerUnavailable):
        return await memory(store)
    return None
