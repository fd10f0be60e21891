"""What all workers tell the metrics, added up in the store.

    {fb}tallies  hash  <counter>|<label>    what all workers have counted, ever
                       worker:<worker>      JSON: its gauges, what its limits are about, and
                                            when that was told

A counter that was told twice, because the answer was lost, is a metric off by a few; money
never goes this way.
"""

import asyncio
import secrets
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import orjson

from gateway.clock import Clock
from gateway.errors import LedgerUnavailable
from gateway.store.client import Store
from gateway.store.keys import TALLIES
from gateway.telemetry import Gauge, Telemetry

TELL_SECONDS: Final = 5.0
GONE_MS: Final = 20_000
"""A worker that has not told its gauges for so long has none."""
FORGET_MS: Final = 3_600_000

_WORKER: Final = b"worker:"


@dataclass(frozen=True, slots=True)
class Told:
    """By all workers together.

    Attributes:
        counts: `budgets.count` -> how many workers go by it.
    """

    counters: Mapping[tuple[str, str], int]
    gauges: Mapping[str, float]
    workers: int
    counts: Mapping[str, int]


class Tallies:
    """Of this worker.

    Args:
        count: What its limits are about, ``charge`` or ``cost``.
    """

    def __init__(
        self, store: Store, telemetry: Telemetry, clock: Clock, count: str = "charge"
    ) -> None:
        self._count = count
        self._store = store
        self._telemetry = telemetry
        self._clock = clock
        self._me = _WORKER.decode() + secrets.token_hex(8)

    @property
    def gauges(self) -> list[Gauge]:
        return self._telemetry.gauges

    async def run(self) -> None:
        """Tell for ever; cancel it to stop."""
        while True:
            with suppress(LedgerUnavailable):
                await self.tell()
            await asyncio.sleep(TELL_SECONDS)

    async def tell(self) -> None:
        """Add what was counted here, and set this worker's gauges.

        Raises:
            LedgerUnavailable: the store is away; nothing is forgotten.
        """
        gauges = {gauge.name: gauge.read() for gauge in self._telemetry.gauges}
        mine = orjson.dumps({"at_ms": self._clock.now_ms(), "gauges": gauges, "count": self._count})
        counts = self._telemetry.take()
        try:
            counted = (
                part
                for (name, label), count in counts.items()
                for part in (f"{name}|{label}", count)
            )
            await self._store.script("tally", [TALLIES], [self._me, mine, *counted])
        except LedgerUnavailable:
            self._telemetry.give_back(counts)
            raise

    async def leave(self) -> None:
        """Tell for the last time, and take this worker's gauges away."""
        with suppress(LedgerUnavailable):
            await self.tell()
            await self._store.command("HDEL", TALLIES, self._me)

    async def told(self) -> Told:
        """Raises LedgerUnavailable."""
        reply = await self._store.command("HGETALL", TALLIES)
        fields = dict(zip(reply[::2], reply[1::2], strict=True))
        now_ms = self._clock.now_ms()
        workers = {
            name: orjson.loads(text) for name, text in fields.items() if name.startswith(_WORKER)
        }
        forgotten = [n for n, worker in workers.items() if now_ms - worker["at_ms"] > FORGET_MS]
        if forgotten:
            await self._store.command("HDEL", TALLIES, *forgotten)
        alive = [worker for worker in workers.values() if now_ms - worker["at_ms"] <= GONE_MS]
        worst = {gauge.name for gauge in self._telemetry.gauges if gauge.is_worst}
        gauges: dict[str, float] = {}
        for worker in alive:
            for name, value in worker["gauges"].items():
                before = gauges.get(name, 0.0)
                gauges[name] = max(before, value) if name in worst else before + value
        counters = {
            _named(name): int(count) for name, count in fields.items() if name not in workers
        }
        counts = Counter(worker["count"] for worker in alive if "count" in worker)
        return Told(counters, gauges, len(alive), counts)

    async def troubles(self) -> list[str]:
        """Whether the limits of other workers are about something else, in words.

        Raises:
            LedgerUnavailable: the store is away.
        """
        told = await self.told()
        return [
            f"budgets.count: {self._count} here, {other} in {workers} workers of other gateways:"
            " each keeps customers to a limit of its own"
            for other, workers in sorted(told.counts.items())
            if other != self._count
        ]


def _named(field: bytes) -> tuple[str, str]:
    name, _, label = field.decode().partition("|")
    return name, label
