"""How long the dashboard's pages take on the server: ``python -m benchmarks.dashboard``.

A gateway of its own, with an embedded store and an archive in a temporary folder: customers,
and a month of their events, written to store and archive directly. Pages are asked for through
ASGI, so that no network and no browser is in it. Told are the first view of a gateway that
nobody has looked at for a while; how long until it has all its figures, as a browser asks again
for them; the median of the views that follow; and the least processor time of one, all threads
of the gateway together, which a busy machine hardly changes.
"""

import argparse
import asyncio
import random
import resource
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx

from gateway.app import build_app
from gateway.clock import SystemClock
from gateway.config import Config, parsed
from gateway.customers.profile import Profile
from gateway.event import Kind, Source, Status, UsageEvent
from gateway.ledger.requests import new_request_id
from gateway.metering.totals import Totals, pack
from gateway.parts import Parts, build_parts
from gateway.store.archive import ArchivedEvent
from gateway.store.client import Store
from gateway.store.embedded import EmbeddedStore, store_url
from gateway.store.keys import BACKGROUND_LEASE
from pricing.usage import Usage

ADMIN_KEY: Final = "benchmark-admin-key"
BATCH: Final = 20_000
DAYS: Final = 30
DAY_MS: Final = 86_400_000
GOAL_MS: Final = 50.0
PAUSE_SECONDS: Final = 0.2

PAGES: Final = (
    *("/", "/?range=7d", "/?range=24h", "/?top=tokens", "/users", "/users?sort=-total_cost"),
    *("/users?q=customer_77", "/users?show=near", "/users?user=customer_77", "/users/customer_77"),
    *("/users?model=demo-small", "/users?model=demo-small&sort=name", "/users?tag=order"),
    *("/logs", "/logs?customer=customer_77", "/logs?status=error", "/logs?min_cost=0.5"),
    *("/budgets", "/prices", "/keys", "/health"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=10_000)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--views", type=int, default=15, help="of each page, once it is warm")
    parser.add_argument("--books", type=Path, help="keep them there; if they are, take them")
    asyncio.run(run(parser.parse_args()))


async def run(asked: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory(prefix="fb-") as folder:
        config = parsed(_settings(asked.books or Path(folder)), origin="benchmark")
        there = (config.data_dir / "archive.sqlite3").exists()
        with EmbeddedStore(config.data_dir):
            url = store_url(config.data_dir)
            if not there:
                begun = time.monotonic()
                await fill(config, url, asked.customers, asked.events)
                print(f"filled in {time.monotonic() - begun:.0f} s", flush=True)
            await alone(url)
            async with client(config, url) as browser:
                await measure(browser, asked.views)


def _settings(folder: Path) -> dict[str, Any]:
    upstream = {
        "name": "demo",
        "provider": "demo",
        "base_url": "http://127.0.0.1:1/v1",
        "api_key": "none",
    }
    return {
        "data_dir": folder,
        "admin_key": ADMIN_KEY,
        "upstreams": [upstream],
        "apps": [{"id": "app", "token": "benchmark-token"}],
    }


async def fill(config: Config, url: str, customers: int, events: int) -> None:
    """Customers, every third with a budget, and their events of a month.

    Raises:
        AssertionError: the store has not taken them.
    """
    parts = build_parts(config, store_url=url, clock=SystemClock())
    async with parts.open():
        profiles = []
        for number in range(customers):
            change: dict[str, Any] = {"name": f"Customer {number}"}
            if number % 3 == 0:
                change["period_budget"] = 10**12 * (1 + number % 50)
            profiles.append(await parts.directory.create(f"customer_{number}", change))
        rng = random.Random(7)
        now_ms = parts.clock.now_ms()
        totals = {profile.number: Totals() for profile in profiles}
        days: dict[int, dict[str, Totals]] = {profile.number: {} for profile in profiles}
        for start in range(0, events, BATCH):
            batch = list(
                _events(
                    parts,
                    profiles,
                    rng,
                    now_ms=now_ms,
                    start=start,
                    count=min(BATCH, events - start),
                )
            )
            await parts.archive.add(batch)
            _count(batch, totals, days)
        await _write_counters(parts, profiles, totals, days, now_ms)


def _events(
    parts: Parts,
    profiles: list[Profile],
    rng: random.Random,
    *,
    now_ms: int,
    start: int,
    count: int,
) -> Iterator[ArchivedEvent]:
    for place in range(start, start + count):
        # A few use much, most use little.
        profile = profiles[int(len(profiles) * rng.random() ** 2.5)]
        at_ms = now_ms - int(rng.random() * DAYS * DAY_MS)
        failed = rng.random() < 0.02
        output = 0 if failed else int(rng.lognormvariate(5, 1))
        cost = 0 if failed else output * 600_000 + 1_500 * 150_000
        yield ArchivedEvent(
            parts.directory.partition_of(profile.identifier).index,
            f"{at_ms}-{place}",
            UsageEvent(
                request_id=new_request_id(at_ms),
                kind=Kind.SETTLE,
                at_ms=at_ms,
                customer_number=profile.number,
                charge_pico=cost,
                cost_pico=cost,
                app="app",
                endpoint="chat/completions",
                model=rng.choice(("demo-small", "demo-large", "demo-reasoning")),
                upstream="demo",
                provider="demo",
                price_id="demo/demo-small@2020-01-01",
                usage=Usage() if failed else Usage(input_tokens=1_500, output_tokens=output),
                source=Source.REPORTED,
                status=Status.ERROR if failed else Status.OK,
                status_code=500 if failed else 200,
                latency_ms=int(rng.lognormvariate(7, 0.6)),
                first_token_ms=int(rng.lognormvariate(6, 0.4)),
            ),
        )


def _count(
    batch: list[ArchivedEvent], totals: dict[int, Totals], days: dict[int, dict[str, Totals]]
) -> None:
    for archived in batch:
        event = archived.event
        number = event.customer_number
        more = Totals(
            calls=1,
            errors=int(event.failed),
            input_tokens=event.usage.input_total,
            output_tokens=event.usage.output_total,
            cost_pico=event.cost_pico,
            charge_pico=event.charge_pico,
        )
        totals[number] = Totals(*map(int.__add__, totals[number], more))
        day = time.strftime("%Y%m:%d", time.gmtime(event.at_ms / 1000))
        before = days[number].get(day, Totals())
        days[number][day] = Totals(*map(int.__add__, before, more))


async def _write_counters(
    parts: Parts,
    profiles: list[Profile],
    totals: dict[int, Totals],
    days: dict[int, dict[str, Totals]],
    now_ms: int,
) -> None:
    """What the flusher would have counted, and the roster's rows."""
    for profile in profiles:
        partition = parts.directory.partition_of(profile.identifier)
        total = totals[profile.number]
        seen = now_ms - DAYS * DAY_MS, now_ms
        named = [(n, v) for n, v in zip(Totals._fields, total, strict=True) if v]
        fields = [part for pair in named for part in map(str, pair)]
        fields += ["first_seen_ms", str(seen[0]), "last_seen_ms", str(seen[1])]
        commands: list[tuple[Any, ...]] = [("HSET", partition.counters(profile.number), *fields)]
        for day, sums in days[profile.number].items():
            month, _, of_month = day.partition(":")
            key = partition.days(profile.number, month)
            commands.append(("HSET", key, of_month, pack(sums.of_day)))
        account = partition.account(profile.number)
        commands.append(("HSET", account, "spent", total.charge_pico, "cost", total.cost_pico))
        await parts.store.commands(commands)
    while await parts.indexer.step():
        pass


@asynccontextmanager
async def client(config: Config, url: str) -> AsyncIterator[httpx.AsyncClient]:
    """Signed in."""
    app = build_app(config, store_url=url, admin_key=ADMIN_KEY)
    async with (
        app._rest.router.lifespan_context(app._rest),  # noqa: SLF001 - as a server would
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://127.0.0.1", timeout=300
        ) as browser,
    ):
        entered = await browser.post("/login", data={"key": ADMIN_KEY})
        assert 303 == entered.status_code
        yield browser


async def alone(url: str) -> None:
    """Keep flusher and auditor away: these books were not written by calls, and do not add up."""
    store = Store(url)
    await store.connect()
    await store.command("SET", BACKGROUND_LEASE, "benchmark", "PX", 3_600_000)
    await store.close()


async def measure(browser: httpx.AsyncClient, views: int) -> None:
    print(f"{'page':32} {'first':>9} {'whole':>9} {'then':>9} {'processor':>9}   ms, and kB")
    for path in PAGES:
        first = await _view(browser, path)
        whole, asked = first.wall, first
        while asked.pending:
            await asyncio.sleep(0.5)
            asked = await _view(browser, path)
            whole += 500 + asked.wall
        seen = []
        for _ in range(views):
            await asyncio.sleep(PAUSE_SECONDS)
            seen.append(await _view(browser, path))
        wall = statistics.median(one.wall for one in seen)
        processor = min(one.processor for one in seen)
        mark = "" if processor <= GOAL_MS else f"  above the goal of {GOAL_MS:.0f}"
        print(
            f"{path:32} {first.wall:9.1f} {whole:9.1f} {wall:9.1f} {processor:9.1f} "
            f"{seen[-1].size / 1024:6.0f}{mark}",
            flush=True,
        )
    print(f"memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


class View(NamedTuple):
    """One answer; times in ms, bytes."""

    wall: float
    processor: float
    size: int
    pending: bool


async def _view(browser: httpx.AsyncClient, path: str) -> View:
    begun, used = time.perf_counter(), time.process_time()
    response = await browser.get(path)
    wall, processor = time.perf_counter() - begun, time.process_time() - used
    assert 200 == response.status_code, (path, response.status_code)
    pending = b"data-pending" in response.content
    return View(wall * 1000, processor * 1000, len(response.content), pending)


if __name__ == "__main__":
    main()
