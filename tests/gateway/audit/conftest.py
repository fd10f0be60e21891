"""Books on a real store: calls in every state, flushed, so that there is something to break."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from typing import Any

import pytest

from gateway.audit.check import Check, Checked
from gateway.audit.differences import Difference
from gateway.audit.survey import survey
from gateway.event import Kind, UsageEvent
from gateway.ledger.requests import new_request_id
from gateway.metering.flusher import Flusher
from gateway.metering.trimmer import Trimmer
from gateway.rating import Rating
from gateway.store.archive import Archive
from gateway.store.keys import Partition
from pricing.book import PriceBook
from tests.support.ledgers import UTC, Bench, bench
from tests.support.stores import server

CUSTOMERS = ("acme", "globex", "initech", "名前")
USD = 10**12

BOOK = PriceBook((), "book-1").overlaid(
    [{"provider": "lab", "model": "small", "base": {"input": "1", "output": "4"}}]
)


@dataclass
class Books:
    """A ledger with a flusher, and shorthands for looking at it."""

    bench: Bench
    flusher: Flusher
    archive: Archive

    async def flush(self) -> None:
        while await self.flusher.step():
            pass

    async def fill(self) -> None:
        """For each customer, one call in every state there is."""
        b = self.bench
        for customer in CUSTOMERS:
            await b.settle(await b.hold(customer, 5 * USD), 3 * USD, 2 * USD)
            await b.settle(await b.hold(customer, 1), 2**60)  # more than held, past 2^53
            await b.release(await b.hold(customer, USD))
            refused = UsageEvent(
                request_id=new_request_id(b.clock.now_ms()),
                kind=Kind.REFUSE,
                at_ms=b.clock.now_ms(),
            )
            await b.ledger.refuse(customer, refused)
            lapsed = await b.hold(customer, 7)
            assert 1 == await b.lapse(lapsed)
            other = await b.hold(customer, 9)
            await b.lapse(other)
            await b.settle(other, 4)
            await b.hold(customer, 11)  # stays open
        await self.flush()

    def partition(self, customer: str) -> Partition:
        return self.bench.directory.partition_of(customer)

    async def number(self, customer: str) -> int:
        return (await self.bench.directory.load(customer)).number

    async def account(self, customer: str) -> str:
        return self.partition(customer).account(await self.number(customer))

    async def counters(self, customer: str) -> str:
        return self.partition(customer).counters(await self.number(customer))

    async def check(
        self, *, deep: bool = True, full: bool = False, of: str | None = None
    ) -> list[Checked]:
        """As `farebox ledger verify` (deep; `full`: with the archive) and as the auditor do it.

        Every partition, or that `of` a customer.
        """
        store = self.bench.store
        check = Check(store)
        if deep:
            archive = self.archive if full else None
            check = Check(store, zone=UTC, rating=Rating(BOOK), archive=archive)
        known = await survey(store, counters=deep)
        partitions = [self.partition(of)] if of else store.keyspace.partitions
        return [await check.run(p, known[p.index]) for p in partitions]

    async def differences(self, **how: Any) -> list[Difference]:
        return [d for checked in await self.check(**how) for d in checked.differences]

    async def trim(self, *, hot_hours: float = 0) -> int:
        """Take everything that is counted and archived out of the streams; how much it was."""
        trimmer = Trimmer(self.bench.store, self.flusher.sinks, hot_hours=hot_hours)
        await asyncio.sleep(0.002)  # what is of this very millisecond stays
        while await trimmer.step():
            pass
        return trimmer.trimmed


@pytest.fixture(scope="session")
def store_server(request: pytest.FixtureRequest) -> Iterator[str]:
    """The embedded Valkey, unless a test asks for another one."""
    kind = getattr(request, "param", "valkey")
    if kind == "redis" and which("redis-server") is None:
        pytest.skip("redis-server is not installed (Debian: apt-get install redis-server)")
    with server(kind) as url:
        yield url


@pytest.fixture
async def books(url: str, tmp_path: Path) -> AsyncIterator[Books]:
    archive = await Archive.open(tmp_path)
    async with bench(url) as b:
        flusher = Flusher(b.store, archive, zone=UTC, clock=b.clock)
        yield Books(b, flusher, archive)
    await archive.close()
