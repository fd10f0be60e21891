"""What is measured of one target, and how: each scenario returns its figures."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from time import perf_counter
from typing import Final, Self

from benchmarks import load, measure
from benchmarks.targets import Target
from benchmarks.wire import FOREVER_MS, Plan

SCENARIO_S_MAX: Final = 180.0
IN_FLIGHT: Final = (1, 64, 1_000)
RATE_PER_S: Final = 200.0
UPSTREAM_MS: Final = 50
LATENCY_CONNECTIONS: Final = 64
PACED: Final = Plan(chunks=100, gap_ms=20)
BULK: Final = Plan(chunks=2_000)
CROWDS: Final = (50, 200, 1_000)
CROWDED: Final = Plan(chunks=20)
OPEN: Final = Plan(chunks=2, gap_ms=FOREVER_MS)
SETTLE_S: Final = 1.0
"""What a target still does after an answer (settling, folding) belongs to the call: wait for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How much of everything: bounded in count, and so in time."""

    warm_up_calls: int
    calls: int
    latency_calls: int
    open_streams: int
    paced_streams: int
    bulk_streams: int
    crowded_streams: int


QUICK: Final = Sizes(
    warm_up_calls=500,
    calls=5_000,
    latency_calls=1_000,
    open_streams=300,
    paced_streams=40,
    bulk_streams=16,
    crowded_streams=2_000,
)
FULL: Final = Sizes(
    warm_up_calls=5_000,
    calls=50_000,
    latency_calls=4_000,
    open_streams=1_000,
    paced_streams=100,
    bulk_streams=64,
    crowded_streams=10_000,
)

Figures = dict[str, float]
"""Name (with its unit last) -> value."""


async def measured(target: Target, sizes: Sizes) -> Figures:
    """All scenarios, memory first: a process that has seen load has its memory already."""
    numbers = count(1)
    figures: Figures = {}
    async with asyncio.timeout(SCENARIO_S_MAX), load.connected(target.port, 8) as pool:
        await load.closed_loop(pool, sizes.warm_up_calls, Plan(), numbers)
    for scenario in (_memory, _unary, _latency, _streams, _crowds):
        where = f"{target.name}, {scenario.__name__.removeprefix('_')}"
        try:
            async with asyncio.timeout(SCENARIO_S_MAX):
                figures |= await scenario(target, sizes, numbers)
        except TimeoutError as exc:
            raise RuntimeError(f"{where}: not done within {SCENARIO_S_MAX:g} s") from exc
        except load.WrongAnswer as exc:
            raise RuntimeError(f"{where}: {exc}") from exc
    return figures


async def _memory(target: Target, sizes: Sizes, numbers: Iterator[int]) -> Figures:
    if not target.pids:
        return {}
    await asyncio.sleep(SETTLE_S)
    before = measure.rss_bytes(target.pids)
    async with load.connected(target.port, sizes.open_streams) as pool:
        await load.held_open(pool, OPEN, numbers)
        await asyncio.sleep(SETTLE_S)
        after = measure.rss_bytes(target.pids)
    await asyncio.sleep(SETTLE_S)
    return {
        "idle memory, MB": before / 1e6,
        f"memory per open stream ({sizes.open_streams:,} held), kB": (after - before)
        / sizes.open_streams
        / 1e3,
    }


async def _unary(target: Target, sizes: Sizes, numbers: Iterator[int]) -> Figures:
    """Closed loops: as many calls as the target takes."""
    figures: Figures = {}
    for in_flight in IN_FLIGHT:
        calls = sizes.calls if in_flight > 1 else sizes.calls // 5
        where = f"{in_flight:,} in flight"
        async with load.connected(target.port, in_flight) as pool:
            started_s = perf_counter()
            with Used(target) as used:
                timings = await load.closed_loop(pool, calls, Plan(), numbers)
                elapsed_s = perf_counter() - started_s
                await asyncio.sleep(SETTLE_S)
        figures |= used.per(len(timings), f"call, {where}")
        figures[f"calls per second, {where}"] = len(timings) / elapsed_s
        figures |= _percentiles([t.total_s for t in timings], f"time of a call, {where}")
    return figures


async def _latency(target: Target, sizes: Sizes, numbers: Iterator[int]) -> Figures:
    """An open loop at a rate that every target can take, with an upstream that takes its time."""
    plan = Plan(delay_ms=UPSTREAM_MS)
    async with load.connected(target.port, LATENCY_CONNECTIONS) as pool:
        with Used(target) as used:
            timings = await load.open_loop(pool, sizes.latency_calls, RATE_PER_S, plan, numbers)
    where = f"{RATE_PER_S:g} calls/s, {UPSTREAM_MS} ms upstream"
    beside = [timing.beside_s for timing in timings]
    return used.per(sizes.latency_calls, f"call, {where}") | _percentiles(
        beside, f"time beside the upstream's, {where}"
    )


async def _streams(target: Target, sizes: Sizes, numbers: Iterator[int]) -> Figures:
    figures: Figures = {}
    for kind, plan, streams in (
        ("paced", PACED, sizes.paced_streams),
        ("bulk", BULK, sizes.bulk_streams),
    ):
        async with load.connected(target.port, streams if plan.gap_ms else 4) as pool:
            with Used(target) as used:
                timings = await load.closed_loop(pool, streams, plan, numbers)
                await asyncio.sleep(SETTLE_S)
        figures |= used.per(len(timings) * plan.chunks, f"chunk, {kind}")
        if plan.gap_ms:
            first = [timing.first_s * 1e3 for timing in timings]
            figures["time to first byte of a stream, p50, ms"] = measure.percentile(first, 0.5)
    return figures


async def _crowds(target: Target, sizes: Sizes, numbers: Iterator[int]) -> Figures:
    """The same streams, more and more of them beside each other: none may cost more for that."""
    figures: Figures = {}
    for at_once in CROWDS:
        where = f"{at_once:,} at once"
        async with load.connected(target.port, at_once) as pool:
            started_s = perf_counter()
            with Used(target) as used:
                await load.closed_loop(pool, sizes.crowded_streams, CROWDED, numbers)
                elapsed_s = perf_counter() - started_s
                await asyncio.sleep(SETTLE_S)
        figures |= used.per(sizes.crowded_streams, f"stream of {CROWDED.chunks} chunks, {where}")
        figures[f"streams per second, {where}"] = sizes.crowded_streams / elapsed_s
    return figures


class Used:
    """The processor time that a target used inside a ``with`` block."""

    def __init__(self, target: Target) -> None:
        self._groups = {"CPU": target.pids, "store CPU": target.store_pids}
        self._ns: dict[str, int] = {}

    def __enter__(self) -> Self:
        self._ns = {name: measure.cpu_ns(pids) for name, pids in self._groups.items() if pids}
        return self

    def __exit__(self, *_: object) -> None:
        for name, before in self._ns.items():
            self._ns[name] = measure.cpu_ns(self._groups[name]) - before

    def per(self, count: int, what: str) -> Figures:
        return {f"{name} per {what}, µs": ns / count / 1e3 for name, ns in self._ns.items()}


def _percentiles(seconds: list[float], what: str) -> Figures:
    return {
        f"{what}, p50, ms": measure.percentile(seconds, 0.5) * 1e3,
        f"{what}, p99, ms": measure.percentile(seconds, 0.99) * 1e3,
    }
