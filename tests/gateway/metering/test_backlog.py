"""A backlog is folded to its end, whatever becomes of the store and of who was folding it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import redis

from gateway.errors import LedgerUnavailable
from gateway.metering.backlog import backlog
from gateway.metering.counters import Counters
from gateway.metering.flusher import Flusher
from gateway.store.archive import Archive, LogFilter
from gateway.store.client import Store
from tests.gateway.metering.posting import ZONE, StillClock, assert_exact, call, post
from tests.support.ledgers import UTC, Bench, bench
from tests.support.losses import MortalStore, mortal_store
from tests.support.mortals import Mortal, configure
from tests.support.stores import server

pytestmark = pytest.mark.anyio

EVENTS = 500
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def mortal() -> Iterator[MortalStore]:
    with mortal_store() as running:
        yield running


@pytest.fixture
async def store(mortal: MortalStore) -> AsyncIterator[Store]:
    opened = Store(mortal.url)
    await opened.connect()
    yield opened
    await opened.close()


@asynccontextmanager
async def flushing(store: Store, archive: Archive) -> AsyncIterator[None]:
    """Somebody flushes, as the background does: for ever, whatever happens."""
    loop = asyncio.create_task(Flusher(store, archive, zone=ZONE, clock=StillClock()).run())
    try:
        yield
    finally:
        loop.cancel()
        await asyncio.gather(loop, return_exceptions=True)


async def folded(store: Store, seconds_max: float = 30.0) -> None:
    """Until nothing waits to be counted or archived, by the store's word."""
    async with asyncio.timeout(seconds_max):
        while await waiting(store):  # noqa: ASYNC110 - polled like health does
            await asyncio.sleep(0.05)


async def waiting(store: Store) -> int:
    """Events that neither sink has passed; more than any while the store is away."""
    with suppress(LedgerUnavailable):
        return max((await backlog(store)).waiting.values())
    return 10**6


async def test_r28_a_backlog_outlives_a_restart_of_the_store(store, archive, mortal) -> None:
    """It is killed with half of it folded, while a flusher runs; the rest follows by itself."""
    events = [call(i) for i in range(EVENTS)]
    await post(store, *events)
    await Flusher(store, archive, zone=ZONE, clock=StillClock()).step()
    left = await waiting(store)
    await asyncio.to_thread(mortal.save)
    await asyncio.to_thread(mortal.kill)
    async with flushing(store, archive):
        await asyncio.sleep(0.3)
        await asyncio.to_thread(mortal.start)
        await folded(store)

    assert 0 < left < EVENTS
    await assert_exact(store, archive, events)


async def test_r28_a_flusher_outlives_an_emptied_store(store, archive, mortal) -> None:
    """FLUSHALL takes cursors and counters along: what comes then is counted from its start."""
    before, after = ([call(start + i) for i in range(EVENTS)] for start in (0, EVENTS))
    async with flushing(store, archive):
        await post(store, *before)
        await folded(store)
        with redis.Redis.from_url(mortal.url) as client:
            client.flushall()
        await post(store, *after)
        await folded(store)

    await assert_exact(store, archive, after, rows=[*before, *after])


@pytest.mark.slow
async def test_r28_the_backlog_of_a_dead_worker_is_taken_over(tmp_path: Path) -> None:
    """Killed with a batch of 500 events in its hands; the next one has its lease, and all."""
    customers = [f"customer-{i}" for i in range(5)]
    with server() as url:
        configure(tmp_path, url, NOWHERE)
        async with bench(url) as b:
            await asyncio.gather(*(calls(b, c, EVENTS // len(customers)) for c in customers))
            doomed = Mortal(tmp_path, "doomed", ["flush"])
            doomed.environment = {"FAREBOX_CRASH_AT": "flusher_counted"}
            doomed.start()
            assert doomed.process is not None
            assert -9 == await asyncio.to_thread(doomed.process.wait, 60)
            assert 0 < await waiting(b.store) <= EVENTS

            heir = Mortal(tmp_path, "heir", ["flush"])
            heir.start()
            try:
                await folded(b.store, seconds_max=60)
                assert 0 == await asyncio.to_thread(heir.stop)
            finally:
                doomed.kill()
                heir.kill()

            for customer in customers:
                partition = b.directory.partition_of(customer)
                number = (await b.directory.load(customer)).number
                totals = (await Counters(b.store, UTC).lifetime(partition, number)).totals
                assert EVENTS // len(customers) == totals.calls
                assert await b.spent(customer) == totals.charge_pico
    archive = await Archive.open(tmp_path / "data")
    assert EVENTS == (await archive.summary(LogFilter())).requests
    await archive.close()


async def calls(b: Bench, customer: str, count: int) -> None:
    for i in range(count):
        await b.settle(await b.hold(customer, 10), i % 10 + 1)
