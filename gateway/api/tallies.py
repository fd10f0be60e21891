"""What all workers tell the metrics, added up in the store.

    {fb}tallies  hash  <counter>|<label>    what all workers have counted, ever
                       worker:<worker>      JSON: its gauges, and when they were told

A counter that was told twice, because the answer was lost, is a metric off by a few; money
never goes this way.
"""

import asyncio
import secrets
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import orjson

from gateway.clock import Clock
from gateway.errors import LedgerUnavailable
from gateway.store.client import Part, Store
from gateway.store.keys import TALLIES
from gateway.telemetry import Gauge, Telemetry

TELL_SECONDS: Final = 5.0
GONE_MS: Final = 20_000
"""A worker that has not told its gauges for so long has none."""
FORGET_MS: Final = 3_600_000

_WORKER: Final = b"worker:"


@dataclass(frozen=True, slots=True)
class Told:
    """By all workers together."""

    counters: Mapping[tuple[str, str], int]
    gauges: Mapping[str, float]
    workers: int


class Tallies:
    def __init__(self, store: Store, telemetry: Telemetry, clock: Clock) -> None:
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
        mine = orjson.dumps({"at_ms": self._clock.now_ms(), "gauges": gauges})
        counts = self._telemetry.take()
        try:
            told: list[Part] = [self._me, mine]
            for (name, label), count in counts.items():
                told += [f"{name}|{label}", count]
            await self._store.script("tally", [TALLIES], told)
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
        gauges: Counter[str] = Counter()
        for worker in alive:
            gauges.update(worker["gauges"])
        counters = {
            _named(name): int(count) for name, count in fields.items() if name not in workers
        }
        return Told(counters, _floats(gauges), len(alive))


def _named(field: bytes) -> tuple[str, str]:
    name, _, label = field.decode().partition("|")
    return name, label


def _floats(gauges: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in gauges.items()}
