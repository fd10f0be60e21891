"""Measure the flusher: ``python -m benchmarks.flusher``.

Posts realistic events to a store of its own, then flushes them into counters and archive and
says what that cost: processor time of the flusher's process for each event, all its threads
included, and of the store's. Events a second and core is one divided by the former.
"""

import asyncio
import os
import random
import subprocess
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final
from zoneinfo import ZoneInfo

import uvloop

from benchmarks.measure import cpu_ns
from gateway.clock import SystemClock
from gateway.event import Kind, Source, Status, UsageEvent
from gateway.ledger.requests import new_request_id
from gateway.metering.flusher import Flusher
from gateway.store.archive import Archive
from gateway.store.client import Store
from gateway.store.valkey import binary
from pricing.usage import Usage

POSTED_AT_ONCE: Final = 1_000
READY_SECONDS_MAX: Final = 10.0
SPREAD_MS: Final = 6 * 3_600_000
"""Events of the last six hours: a day or two of the reporting zone."""


def main() -> int:
    options = _options()
    cores = sorted(os.sched_getaffinity(0))
    figures = []
    for number in range(options.repeat):
        with ExitStack() as stack:
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="farebox-benchmark-")))
            store = stack.enter_context(_server(folder, cores[0]))
            os.sched_setaffinity(0, {cores[-1]})
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                figures.append(runner.run(_measured(folder, store.pid, options)))
        flusher_us, store_us = figures[-1]
        print(
            f"run {number + 1}: {flusher_us:.1f} µs of the flusher, {store_us:.1f} µs of the store"
            " an event",
            file=sys.stderr,
        )
    flusher_us, store_us = (median(column) for column in zip(*figures, strict=True))
    print(f"| processor time an event, flusher | {flusher_us:.1f} µs |")
    print(f"| processor time an event, store | {store_us:.1f} µs |")
    print(f"| events a second and core of the flusher | {1e6 / flusher_us:,.0f} |")
    return 0


async def _measured(folder: Path, store_pid: int, options: Namespace) -> tuple[float, float]:
    """Processor time of this process and of the store for each event, µs."""
    store = Store(f"unix://{folder}/s")
    await store.connect()
    await _post(store, options)
    clock = SystemClock()
    archive = await Archive.open(folder)
    flusher = Flusher(store, archive, zone=ZoneInfo("Europe/Berlin"), clock=clock)
    before = cpu_ns([os.getpid()]), cpu_ns([store_pid])
    moved = 0
    while step := await flusher.step():
        moved += step
    after = cpu_ns([os.getpid()]), cpu_ns([store_pid])
    await archive.close()
    await store.close()
    if moved != options.events:
        raise RuntimeError(f"{moved} events moved of {options.events}")
    own, theirs = ((b - a) / options.events / 1_000 for a, b in zip(before, after, strict=True))
    return own, theirs


async def _post(store: Store, options: Namespace) -> None:
    """As the scripts post them: in time, each customer in its own partition."""
    dice = random.Random(1)
    partitions = store.keyspace.partitions
    entries = []
    for event in _events(dice, options):
        stream = partitions[event.customer_number % len(partitions)].stream
        entries.append(
            (
                *("XADD", stream, "*", "k", event.kind, "id", event.request_id),
                *("n", event.customer_number, "a", event.charge_pico, "c", event.cost_pico),
                *("e", event.details()),
            )
        )
        if len(entries) == POSTED_AT_ONCE:
            await store.commands(entries)
            entries.clear()
    await store.commands(entries)


def _events(dice: random.Random, options: Namespace) -> Iterator[UsageEvent]:
    now_ms = SystemClock().now_ms()
    numbers = [dice.getrandbits(62) for _ in range(options.customers)]
    for i in range(options.events):
        at_ms = now_ms - SPREAD_MS + i * SPREAD_MS // options.events
        usage = Usage(
            input_tokens=dice.randrange(50, 4_000),
            cache_read_tokens=dice.choice((0, 0, 1_024)),
            output_tokens=dice.randrange(1, 1_500),
            reasoning_tokens=dice.choice((0, 0, 200)),
        )
        cost_pico = usage.input_total * 150_000 + usage.output_total * 600_000
        yield UsageEvent(
            request_id=new_request_id(at_ms),
            kind=Kind.SETTLE,
            at_ms=at_ms,
            customer_number=dice.choice(numbers),
            charge_pico=cost_pico * 6 // 5,
            cost_pico=cost_pico,
            app="shop",
            group=dice.choice((None, "team-a")),
            markup_ppm=200_000,
            hold_pico=9_600_000_000,
            endpoint="chat/completions",
            model="gpt-4o-mini",
            served_model="gpt-4o-mini-2024-07-18",
            upstream="openai",
            provider="openai",
            price_id="openai/gpt-4o-mini@2024-07-18",
            book_version="3f2a91c04b7d",
            service_tier="default",
            usage=usage,
            source=Source.REPORTED,
            status=dice.choice((Status.OK,) * 19 + (Status.ABORTED,)),
            status_code=200,
            stream=dice.random() < 0.5,
            latency_ms=dice.randrange(200, 9_000),
            first_token_ms=dice.randrange(100, 900),
            finish_reason="stop",
            upstream_request_id=f"req_{dice.getrandbits(128):032x}",
            metadata={"thread_identifier": f"t-{dice.getrandbits(24)}"},
        )


@contextmanager
def _server(folder: Path, core: int) -> Iterator["subprocess.Popen[bytes]"]:
    command = [str(binary()), "--port", "0", "--unixsocket", f"{folder}/s", "--dir", str(folder)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*command, "--save", ""], stdout=log, stderr=log)
    try:
        os.sched_setaffinity(process.pid, {core})
        deadline = time.monotonic() + READY_SECONDS_MAX
        while not (folder / "s").exists():
            if time.monotonic() > deadline:
                raise RuntimeError((folder / "log").read_text())
            time.sleep(0.01)
        yield process
    finally:
        process.kill()
        process.wait()


def _options() -> Namespace:
    parser = ArgumentParser(prog="python -m benchmarks.flusher", description=__doc__)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--customers", type=int, default=1_000)
    parser.add_argument("--repeat", type=int, default=3, help="medians of so many runs")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
