"""Health: ``/livez`` says that the process runs, ``/readyz`` that it can take calls."""

import asyncio
from typing import Final

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
        reasons = []
        if self._services.draining():
            reasons.append("draining")
        ledger = self._services.ledger
        if not await self._ledger_answers():
            reasons += ledger.troubles() or ["ledger: no answer"]
        elif not ledger.continuity.is_open:
            reasons.append("ledger: being restored")
        if not reasons:
            return answer({"status": "ready", **_degraded(ledger.troubles())})
        if ledger.unheld.passes_all and not self._services.draining():
            return answer({"status": "ready", **_degraded(reasons)})
        return answer({"status": "not ready", "reasons": reasons}, 503)

    async def _ledger_answers(self) -> bool:
        try:
            async with asyncio.timeout(PING_SECONDS_MAX):
                await self._services.store.ping()
        except (LedgerUnavailable, TimeoutError):
            return False
        return True


def _degraded(reasons: list[str]) -> dict[str, list[str]]:
    return {"degraded": reasons} if reasons else {}
