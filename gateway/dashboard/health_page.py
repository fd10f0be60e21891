"""Health and settings: whether all is well, what runs, and how it was told to run."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from starlette.responses import Response

from gateway.api.services import Services
from gateway.dashboard.pipeline import Pipeline
from gateway.dashboard.rendering import Renderer
from gateway.dashboard.visits import Visit
from gateway.errors import LedgerUnavailable
from gateway.store.memory import Memory, memory
from gateway.telemetry import COUNTERS

TOLD_SECONDS_MAX: Final = 1.0


class HealthPage:
    def __init__(self, services: Services, pipeline: Pipeline, renderer: Renderer) -> None:
        self._services = services
        self._pipeline = pipeline
        self._renderer = renderer

    async def page(self, visit: Visit) -> Response:
        health, counters, room = await asyncio.gather(
            self._pipeline.now(), self._counters(), self._memory()
        )
        context: dict[str, Any] = {
            "pipeline": health,
            "counters": counters,
            "memory": room,
            "workers": counters[0] if counters else None,
            "partitions": len(self._services.store.keyspace.partitions),
            "apps": self._services.apps.all,
            "draining": self._services.draining(),
        }
        return self._renderer.page("health.html", visit, context)

    async def _counters(self) -> tuple[int, Sequence[tuple[str, str, int]]] | None:
        """How many workers there are, and what they have counted: name, help, count."""
        try:
            async with asyncio.timeout(TOLD_SECONDS_MAX):
                told = await self._services.tallies.told()
        except (LedgerUnavailable, TimeoutError):
            return None
        found = []
        for spec in COUNTERS:
            by_label = {label: n for (name, label), n in told.counters.items() if name == spec.name}
            parts = [f"{label} {n:,}" for label, n in sorted(by_label.items()) if label and n]
            help_ = spec.help + (f" ({', '.join(parts)})" if parts else "")
            found.append(
                (
                    spec.name.replace("_", " ").capitalize().replace("Wal ", "WAL "),
                    help_,
                    sum(by_label.values()),
                )
            )
        return told.workers, found

    async def _memory(self) -> Memory | None:
        try:
            async with asyncio.timeout(TOLD_SECONDS_MAX):
                return await memory(self._services.store)
        except (LedgerUnavailable, TimeoutError):
            return None
