"""Health: ``/livez`` says that the process runs, ``/readyz`` that it can take calls."""

import asyncio
from typing import Final

from redis.exceptions import ResponseError
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request
from starlette.responses import Response

from gateway.api.answers import answer
from gateway.api.endpoint import Endpoint
from gateway.api.services import Services
from gateway.errors import LedgerUnavailable

PING_SECONDS_MAX: Final = 1.0


class Health:
    def __init__(self, services: Services) -> None:
        self._services = services

    def routes(self) -> list[Endpoint]:
        return [
            Endpoint("/livez", {"GET": self.live}),
            Endpoint("/readyz", {"GET": self.ready}),
        ]

    async def live(self, _: Request) -> Response:
        return answer({"status": "ok"})

    async def ready(self, _: Request) -> Response:
        """200 when calls are taken: all of them, or all that pass while the ledger is away."""
        ledger = self._services.ledger
        away, refuses = await self._ledger()
        if not (away or refuses) and not ledger.continuity.is_open:
            away = ["ledger: being restored"]
        final = [*(["draining"] if self._services.draining() else ()), *refuses]
        if not (final or away):
            troubles = [
                *ledger.troubles(),
                *self._services.price_troubles(),
                *await self._archive(),
                *await self._others(),
            ]
            return answer({"status": "ready", **_degraded(troubles)})
        if not final and ledger.unheld.passes_all:
            return answer({"status": "ready", **_degraded(away)})
        return answer({"status": "not ready", "reasons": [*final, *away]}, 503)

    async def _ledger(self) -> tuple[list[str], list[str]]:
        """Why its store is away; why it is there, and lets no call in (its memory is full)."""
        try:
            async with asyncio.timeout(PING_SECONDS_MAX):
                await self._services.store.admits()
        except (LedgerUnavailable, TimeoutError) as exc:
            if isinstance(exc.__cause__, ResponseError):
                return [], [f"ledger: takes no new calls: {exc.__cause__}"]
            return self._services.ledger.troubles() or ["ledger: no answer"], []
        return [], []

    async def _others(self) -> list[str]:
        """Where other gateways of the store have settings that may not differ."""
        try:
            async with asyncio.timeout(PING_SECONDS_MAX):
                return await self._services.tallies.troubles()
        except (LedgerUnavailable, ResponseError, TimeoutError):
            return []

    async def _archive(self) -> list[str]:
        """Why its server is away: calls are taken without it, and wait in the streams."""
        if not self._services.archive.is_shared:
            return []
        try:
            async with asyncio.timeout(PING_SECONDS_MAX):
                await self._services.archive.ping()
        except SQLAlchemyError as exc:
            return [f"archive: {type(getattr(exc, 'orig', exc)).__name__}"]
        except TimeoutError:
            return ["archive: no answer"]
        return []


def _degraded(reasons: list[str]) -> dict[str, list[str]]:
    return {"degraded": reasons} if reasons else {}
