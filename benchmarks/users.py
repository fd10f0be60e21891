"""Measure the users list: ``python -m benchmarks.users``.

Writes customers with their counters to a store of its own, has the roster written, and asks
a gateway for pages over a socket: of 50, in every order both ways, at the beginning, in the
middle and from a place, and with searches and filters. Processor time is that of the gateway
and of the client that asks, which are one process. Ends with 1 where the 95th percentile of a
plain page is above the goal: on a machine that has nothing else to do.
"""

import asyncio
import random
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import httpx
import redis
import uvicorn

from benchmarks.measure import percentile
from benchmarks.stores import store_server
from gateway.api.user_list import COLUMNS
from gateway.app import build_app
from gateway.config import parsed
from gateway.metering.roster.indexer import Indexer
from gateway.store.client import Store
from gateway.store.keys import Keyspace

GOAL_MS: Final = 100.0
WRITTEN_AT_ONCE: Final = 5_000
BEGAN_MS: Final = 1_760_000_000_000
KEY: Final = "benchmark"
SEARCHES: Final = ("customer 123", "customer 1", "customer", "alice", "mail7", "nobody")
FILTERS: Final[Sequence[tuple[str, dict[str, Any]]]] = (
    ("total_cost > 400", {"total_cost": {"operator": "gt", "value": [400]}}),
    ("number_of_requests = 7", {"number_of_requests": {"operator": "", "value": [7]}}),
    ("customer_identifier in 50", {"customer_identifier": {"operator": "in", "value": []}}),
    ("name contains 'li'", {"name": {"operator": "icontains", "value": ["li"]}}),
    ("email ends in nothing", {"email": {"operator": "endswith", "value": ["?"]}}),
)


def main() -> int:
    options = _options()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="farebox-benchmark-")))
        stack.enter_context(store_server(folder))
        url = f"unix://{folder}/s"
        return asyncio.run(_measured(folder, url, options))


async def _measured(folder: Path, url: str, options: Namespace) -> int:
    with redis.Redis.from_url(url) as client:
        _fill(client, options.customers)
        before = client.info("memory")["used_memory"]
        seconds = await _indexed(url)
        grown = client.info("memory")["used_memory"] - before
    print(
        f"{options.customers:,} customers: the roster was written in {seconds:.1f} s and takes "
        f"{grown / options.customers:,.0f} bytes a customer\n\n"
        "| page of 50 | median | 95 % | longest | processor |\n| --- | ---: | ---: | ---: | ---: |"
    )
    async with _client(folder, url) as client:
        plain = [await _timed(client, name, asked) for name, asked in _pages(options)]
        for name, asked in _searches(options):
            await _timed(client, name, asked)
    worst = max(plain)
    print(f"\nThe worst 95th percentile of a plain page is {worst:.1f} ms; the goal: {GOAL_MS:g}.")
    return int(worst > GOAL_MS)


Ask = dict[str, Any]


def _pages(options: Namespace) -> Iterator[tuple[str, list[Ask]]]:
    chance = random.Random(1)
    for column in COLUMNS:
        asked: list[Ask] = []
        for sort_by in ({"sort_by": sign + column} for sign in ("", "-")):
            pages = [chance.randrange(2, 200) for _ in range(options.requests)]
            asked += [{"params": sort_by}] * options.requests
            asked += [{"params": {**sort_by, "page": page}} for page in pages]
            asked += [{"params": {**sort_by, "page": 201}, "follow": True}] * 10
        chance.shuffle(asked)
        yield column, asked


def _searches(options: Namespace) -> Iterator[tuple[str, list[Ask]]]:
    count = max(options.requests // 4, 1)
    for text in SEARCHES:
        yield f"search {text!r}", [{"params": {"search": text}}] * count
    names = [f"customer {i:06}" for i in range(0, options.customers, options.customers // 50)]
    for name, filters in FILTERS:
        filled = {
            field: {**asked, "value": asked["value"] or names} for field, asked in filters.items()
        }
        params = {"sort_by": "-total_cost"}
        yield name, [{"params": params, "json": {"filters": filled}}] * count


async def _timed(client: httpx.AsyncClient, name: str, asked: Sequence[Ask]) -> float:
    """Ask for each, and print how long it took; the 95th percentile in ms."""
    took: list[float] = []
    busy = time.process_time()
    for ask in asked:
        params = dict(ask["params"])
        if ask.get("follow"):
            page = (await client.get("/api/users/list/", params=params)).json()
            params = {k: v[0] for k, v in parse_qs(urlsplit(page["next"]).query).items()}
        method = "POST" if "json" in ask else "GET"
        begun = time.perf_counter()
        answer = await client.request(
            method, "/api/users/list/", params=params, json=ask.get("json")
        )
        took.append((time.perf_counter() - begun) * 1_000)
        answer.raise_for_status()
    figures = (percentile(took, 0.5), percentile(took, 0.95), max(took))
    own_ms = (time.process_time() - busy) * 1_000 / len(asked)
    print(f"| {name} | " + " | ".join(f"{ms:.1f} ms" for ms in (*figures, own_ms)) + " |")
    return figures[1]


async def _indexed(url: str) -> float:
    """Write the whole roster; how long it took, in seconds."""
    store = Store(url)
    await store.connect()
    begun = time.perf_counter()
    indexer = Indexer(store)
    while await indexer.step():
        pass
    await store.close()
    return time.perf_counter() - begun


@asynccontextmanager
async def _client(folder: Path, url: str) -> AsyncIterator[httpx.AsyncClient]:
    """Of a gateway that serves."""
    settings = {
        "data_dir": folder / "data",
        "admin_key": KEY,
        "upstreams": [
            {
                "name": "demo",
                "provider": "demo",
                "base_url": "http://127.0.0.1:1/v1",
                "api_key": KEY,
                "models": ["demo-*"],
            }
        ],
        "apps": [{"id": "app", "token": f"{KEY}-app", "new_customers_per_day": None}],
    }
    config = parsed(settings, origin="benchmark")
    app = build_app(config, store_url=url, admin_key=KEY)
    socket = str(folder / "http")
    server = uvicorn.Server(uvicorn.Config(app, uds=socket, log_level="error"))
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - it tells nobody
        await asyncio.sleep(0.01)
    async with httpx.AsyncClient(
        transport=httpx.AsyncHTTPTransport(uds=socket),
        base_url="http://localhost",
        headers={"authorization": f"Bearer {KEY}"},
        timeout=60,
    ) as client:
        yield client
    server.should_exit = True
    await serving


def _fill(client: redis.Redis, customers: int) -> None:
    """As hold and apply leave them: mapping, profile, lifetime counters."""
    keyspace, chance = Keyspace(), random.Random(1)
    pipeline = client.pipeline(transaction=False)
    for i in range(customers):
        identifier, number = f"customer {i:06}", chance.getrandbits(62) + 1
        partition, calls = keyspace.partition_of(identifier), chance.randrange(1_000)
        seen_ms = BEGAN_MS + 1_000 * i
        profile: dict[Any, Any] = {"identifier": identifier, "version": 1, "created_ms": seen_ms}
        if i % 2:
            names = {"name": f"{chance.choice(['Alice', 'Bob', 'Zoë'])} {i}"}
            profile |= {**names, "email": f"mail{i}@example.org"}
        pipeline.set(partition.number(identifier), number)
        pipeline.hset(partition.profile(number), mapping=profile)
        counters: dict[Any, Any] = {
            "calls": calls,
            "input_tokens": calls * chance.randrange(1_000),
            "output_tokens": calls * chance.randrange(500),
            "charge_pico": calls * chance.randrange(10**12),
            "cost_pico": calls,
            "latency_ms_sum": calls * chance.randrange(9_000),
            "latency_calls": calls,
            "first_seen_ms": seen_ms,
            "last_seen_ms": BEGAN_MS + chance.randrange(10**10),
            "active_days": min(calls, chance.randrange(1, 365)),
        }
        pipeline.hset(partition.counters(number), mapping=counters)
        if i % WRITTEN_AT_ONCE == WRITTEN_AT_ONCE - 1:
            pipeline.execute()
    pipeline.execute()


def _options() -> Namespace:
    parser = ArgumentParser(prog="python -m benchmarks.users", description=__doc__)
    parser.add_argument("--customers", type=int, default=100_000)
    parser.add_argument("--requests", type=int, default=100, help="of each kind, each way")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
