"""Groups and apps in the check: what they hold, and what the groups have spent."""

import asyncio
import random

import pytest

from gateway.audit import walk
from gateway.audit.check import Check
from gateway.audit.differences import Finding
from gateway.metering.retention import Retention
from gateway.rating import Rating
from tests.gateway.audit.conftest import BOOK, USD
from tests.support.ledgers import UTC

pytestmark = pytest.mark.anyio

GROUP = "group:sales team"


@pytest.fixture
async def shared(books):
    """Six customers of a group, in as many partitions; one of their calls is open."""
    for i in range(6):
        name = f"customer-{i}"
        change = {"group_identifier": "sales team"}
        await books.bench.settle(await books.bench.hold(name, 5 * USD, **change), 3 * USD, USD)
        await books.bench.release(await books.bench.hold(name, USD))
        await books.bench.lapse(await books.bench.hold(name, 7))
    await books.bench.hold("customer-0", 11)
    await books.flush()
    return books


def home(books):
    return books.bench.store.keyspace.partition_of(GROUP)


async def verify(books, *, full: bool = False):
    archive = books.archive if full else None
    check = Check(books.bench.store, zone=UTC, rating=Rating(BOOK), archive=archive)
    return await walk.verify(books.bench.store, check, progress=lambda _: None)


async def test_a_groups_account_is_the_sum_of_its_events(shared) -> None:
    """From every partition; and its holds are what it holds."""
    report = await verify(shared)

    assert (True, []) == (report.ok, report.differences)
    account = home(shared).scope_account(GROUP)
    spent, held = await shared.bench.command("HMGET", account, "spent", "held")
    assert (6 * (3 * USD + 7), 11) == (int(spent), int(held))


@pytest.mark.parametrize(
    ("field", "finding"),
    [("spent", Finding.SPENT), ("cost", Finding.SPENT), ("held", Finding.HELD)],
)
async def test_a_wrong_group_is_named(shared, field, finding) -> None:
    await shared.bench.command("HINCRBY", home(shared).scope_account(GROUP), field, 5)

    report = await verify(shared)

    (only,) = report.differences
    assert (finding, f"{GROUP} {field}", 5) == (only.finding, only.subject, only.amount)
    assert (home(shared).index, None) == (only.partition, only.to_json()["customer"])


async def test_a_lost_hold_of_a_group_is_named(shared) -> None:
    """By the auditor too, which knows no group but by its account and its holds."""
    await shared.bench.command("DEL", home(shared).scope_holds)

    for deep in (True, False):
        (only,) = await shared.differences(deep=deep)
        assert (Finding.HELD, f"{GROUP} held", 11) == (only.finding, only.subject, only.amount)


async def test_a_groups_past_is_in_the_archive(shared) -> None:
    """Trimmed, and removed from the archive: its sums are still there."""
    await shared.bench.command("HINCRBY", home(shared).scope_account(GROUP), "spent", 1)
    await shared.trim()
    blind = await verify(shared)
    in_archive = await verify(shared, full=True)
    retention = Retention(shared.bench.store, shared.archive, zone=UTC, days=0)
    await asyncio.sleep(0.002)
    while await retention.step():
        pass
    removed = await verify(shared, full=True)

    assert blind.partial
    assert blind.ok
    for report in (in_archive, removed):
        (only,) = report.differences
        assert (f"{GROUP} spent", 1) == (only.subject, only.amount)


async def test_no_false_alarm_beside_live_calls_of_a_group(shared) -> None:
    """Its account follows its customers by a moment; the check goes by its cursors."""
    ended, chance = asyncio.Event(), random.Random(3)

    async def calls() -> None:
        while not ended.is_set():
            name = f"customer-{chance.randrange(6)}"
            hold = await shared.bench.hold(name, USD)
            await asyncio.sleep(0.003)
            await shared.bench.settle(hold, chance.randrange(USD))

    async def flushing() -> None:
        while not ended.is_set():
            await shared.flusher.step()
            await asyncio.sleep(0.005)

    tasks = [asyncio.create_task(calls()), asyncio.create_task(flushing())]
    found = []
    for full in (False, True):
        found += (await verify(shared, full=full)).differences
    ended.set()
    await asyncio.gather(*tasks)

    assert [] == found
