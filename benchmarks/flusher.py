"""Measure the flusher: ``python -m benchmarks.flusher``.

Posts realistic events to a store of its own, then flushes them, into the counters alone and into
counters and archive (a row for each event, and the sums over rows), and says what that cost:
processor time of the flusher's process for each event, all its threads included, and of the
store's. Events a second and core is one divided by the former.
"""

import asyncio
import os
import random
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from itertools import islice
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final
from zoneinfo import ZoneInfo

import redis
import uvloop

from benchmarks.measure import cpu_ns
from benchmarks.stores import store_server
from gateway.clock import SystemClock
from gateway.errors import LedgerUnavailable
from gateway.event import Kind, Source, Status, UsageEvent
from gateway.ledger.requests import new_request_id
from gateway.metering.flusher import Flusher
from gateway.store.archive import Archive
from gateway.store.client import Store
from gateway.store.keys import Partition
from pricing.usage import Usage

POSTED_AT_ONCE: Final = 1_000
SPREAD_MS: Final = 6 * 3_600_000
"""Events of the last six hours: a day or two of the reporting zone."""


INTO: Final = {"counters": 1, "counters and archive": 2}
"""What is measured: where events go, and how many of a flusher's sinks that takes."""


def main() -> int:
    options = _options()
    cores = sorted(os.sched_getaffinity(0))
    figures: dict[str, list[tuple[float, float]]] = {name: [] for name in INTO}
    for number in range(options.repeat):
        for name in INTO:
            flusher_us, store_us = _run(name, cores, options)
            figures[name].append((flusher_us, store_us))
            print(
                f"run {number + 1}, {name}: {flusher_us:.1f} µs of the flusher,"
                f" {store_us:.1f} µs of the store an event",
                file=sys.stderr,
            )
    # What others do on the machine only ever adds: the least is nearest to the truth.
    print("| | least | median |\n| --- | --- | --- |")
    for name, runs in figures.items():
        of_flusher, of_store = [own for own, _ in runs], [theirs for _, theirs in runs]
        for whose, column in (("flusher", of_flusher), ("store", of_store)):
            cells = f"{min(column):.1f} µs | {median(column):.1f} µs"
            print(f"| into {name}: processor time an event, {whose} | {cells} |")
        cells = f"{1e6 / min(of_flusher):,.0f} | {1e6 / median(of_flusher):,.0f}"
        print(f"| into {name}: events a second and core of the flusher | {cells} |")
    return 0


def _run(name: str, cores: Sequence[int], options: Namespace) -> tuple[float, float]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="farebox-benchmark-")))
        store = stack.enter_context(store_server(folder, cores[0]))
        os.sched_setaffinity(0, {cores[-1]})
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_measured(folder, store.pid, INTO[name], options))


async def _measured(
    folder: Path, store_pid: int, sinks: int, options: Namespace
) -> tuple[float, float]:
    """Processor time of this process and of the store for each event, µs."""
    url = f"unix://{folder}/s"
    store = Store(url)
    archive = await Archive.open(folder)
    flusher = Flusher(store, archive, zone=ZoneInfo("Europe/Berlin"), clock=SystemClock())
    flusher.sinks = flusher.sinks[:sinks]
    moved = 0
    await store.connect()
    try:
        _post(url, store.keyspace.partitions, options)
        before = cpu_ns([os.getpid()]), cpu_ns([store_pid])
        while step := await _step(flusher):
            moved += step
        after = cpu_ns([os.getpid()]), cpu_ns([store_pid])
    finally:
        await archive.close()
        await store.close()
    if moved != options.events:
        raise RuntimeError(f"{moved} events moved of {options.events}")
    own, theirs = ((b - a) / options.events / 1_000 for a, b in zip(before, after, strict=True))
    return own, theirs


async def _step(flusher: Flusher) -> int:
    """Again, where the store was too busy to answer in time: so does the flusher's loop."""
    while True:
        with suppress(LedgerUnavailable):
            return await flusher.step()


def _post(url: str, partitions: Sequence[Partition], options: Namespace) -> None:
    """As the scripts post them: in time, each customer in its own partition.

    Over a connection of its own: `Store` sends again what a busy machine has not answered
    in time, which its scripts can bear and a plain XADD cannot.
    """
    events = _events(random.Random(1), options)
    with redis.Redis.from_url(url, single_connection_client=True) as client:
        while batch := list(islice(events, POSTED_AT_ONCE)):
            pipeline = client.pipeline(transaction=False)
            for event in batch:
                stream = partitions[event.customer_number % len(partitions)].stream
                pipeline.execute_command(
                    *("XADD", stream, "*", "k", event.kind.value, "id", event.request_id),
                    *("n", event.customer_number, "a", event.charge_pico, "c", event.cost_pico),
                    *("e", event.details()),
                )
            pipeline.execute()


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


def _options() -> Namespace:
    parser = ArgumentParser(prog="python -m benchmarks.flusher", description=__doc__)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--customers", type=int, default=1_000)
    parser.add_argument(
        "--repeat", type=int, default=3, help="so many runs, for the least and the median"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
