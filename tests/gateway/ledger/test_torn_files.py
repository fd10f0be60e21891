"""A store's file torn at any byte is a whole ledger of an earlier moment."""

import asyncio
import random
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from shutil import which
from zoneinfo import ZoneInfo

import pytest
import redis

from gateway.errors import CallerError
from gateway.event import Kind, UsageEvent
from gateway.ledger.requests import new_request_id
from gateway.metering.flusher import Flusher
from gateway.store.archive import Archive
from tests.support.audits import audit
from tests.support.clusters import KINDS
from tests.support.ledgers import Bench, bench
from tests.support.sizes import sized
from tests.support.stores import running

CUSTOMERS = ("ada", "bob", "cyd")
DURABLE = ("--appendonly", "yes", "--appendfsync", "no", "--aof-load-truncated", "yes")
CALLS = 150


@asynccontextmanager
async def flusher_of(b: Bench, folder: Path) -> AsyncIterator[Flusher]:
    archive = await Archive.open(folder)
    try:
        yield Flusher(b.store, archive, zone=ZoneInfo("UTC"), clock=b.clock)
    finally:
        await archive.close()


async def mixed_load(url: str, folder: Path, seed: int) -> None:
    """Calls of every fate, reports, changed limits and a flusher, one after the other."""
    fate = random.Random(seed)
    async with bench(url) as b, flusher_of(b, folder) as flusher:
        for customer in CUSTOMERS:
            await b.directory.create(customer, {"total_budget": fate.randint(200, 2_000)})
        for _ in range(CALLS):
            customer = fate.choice(CUSTOMERS)
            await one_call(b, customer, fate)
            if fate.random() < 0.1:
                await report(b, customer, fate)
            if fate.random() < 0.1:
                await flusher.step()
            if fate.random() < 0.05:
                await b.directory.change(customer, {"total_budget": fate.randint(200, 4_000)})


async def one_call(b: Bench, customer: str, fate: random.Random) -> None:
    try:
        hold = await b.hold(customer, fate.randint(0, 40))
    except CallerError:
        request_id = new_request_id(b.clock.now_ms())
        row = UsageEvent(request_id=request_id, kind=Kind.REFUSE, at_ms=b.clock.now_ms())
        await b.ledger.refuse(customer, row)
        return
    end = fate.choice(("settle", "settle", "release", "lapse", "late", "open"))
    if end in {"lapse", "late"}:
        await b.lapse(hold)
    if end in {"settle", "late"}:
        await b.settle(hold, fate.randint(0, 50))
    if end == "release":
        await b.release(hold)


async def report(b: Bench, customer: str, fate: random.Random) -> None:
    event = UsageEvent(
        request_id=new_request_id(b.clock.now_ms()),
        kind=Kind.EVENT,
        at_ms=b.clock.now_ms(),
        charge_pico=fate.randint(0, 9),
    )
    await b.ledger.record(
        customer, lambda _: event, idempotency_key=fate.choice("abcdef"), fingerprint="f"
    )


def prefixes(kind: str, folder: Path, cuts: int, seed: int) -> Iterator[tuple[int, list[str]]]:
    """Cut the file at random bytes and start a server on each part: (byte, what is wrong)."""
    whole = folder / "whole"
    whole.mkdir()
    with running(kind, whole, *DURABLE) as url:
        asyncio.run(mixed_load(url, folder, seed))
    (log,) = (whole / "appendonlydir").glob("*.incr.aof")
    content = log.read_bytes()
    for at in [len(content), *sorted(random.Random(seed).sample(range(len(content)), cuts))]:
        torn = folder / "torn"
        shutil.copytree(whole / "appendonlydir", torn / "appendonlydir")
        (torn / "appendonlydir" / log.name).write_bytes(content[:at])
        with running(kind, torn, *DURABLE) as url, redis.Redis.from_url(url) as client:
            yield at, list(audit(client))
        shutil.rmtree(torn)


def check_prefixes(kind: str, folder: Path, cuts: int, seed: int) -> None:
    if kind == "redis" and which("redis-server") is None:
        pytest.skip("redis-server is not installed (Debian: apt-get install redis-server)")
    wrong = {at: problems for at, problems in prefixes(kind, folder, cuts, seed) if problems}

    assert {} == wrong


@pytest.mark.parametrize("kind", KINDS[:2])
def test_a_torn_file_is_a_whole_ledger(kind: str, tmp_path: Path) -> None:
    """A script is in the file as a whole or not at all, wherever the file was cut."""
    check_prefixes(kind, tmp_path, cuts=5, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS[:2])
def test_a_file_torn_at_many_bytes_is_a_whole_ledger(kind: str, tmp_path: Path) -> None:
    """As above, thirty times, or a hundred."""
    check_prefixes(kind, tmp_path, cuts=sized(30, full=100), seed=2)
