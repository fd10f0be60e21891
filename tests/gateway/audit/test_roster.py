"""The roster is compared with what it follows, and written anew; beside calls that go on."""

import asyncio
import random

import pytest

from gateway.audit import walk
from gateway.audit.check import Check
from gateway.audit.differences import Finding
from gateway.audit.roster import roster_differences, write_roster
from gateway.metering.roster.indexer import Indexer
from gateway.metering.roster.roster import Order, Roster, Wanted
from gateway.metering.roster.rows import Column
from gateway.store.keys import ROSTER_ROWS, roster_order
from tests.gateway.audit.conftest import CUSTOMERS, USD
from tests.support.ledgers import UTC

pytestmark = pytest.mark.anyio


async def written(books) -> Indexer:
    indexer = Indexer(books.bench.store)
    while await indexer.step():
        pass
    return indexer


async def wrong(books) -> list[tuple[str | None, str]]:
    found = await roster_differences(books.bench.store)
    assert {Finding.ROSTER} >= {d.finding for d in found}
    return sorted({(d.customer, d.subject) for d in found}, key=str)


async def test_every_way_to_be_wrong_is_found_and_mended(books) -> None:
    """Another row, none, one of nobody; another place in an order, none."""
    await books.fill()
    command, store = books.bench.command, books.bench.store
    assert [] == await wrong(books)  # nothing was written yet
    await written(books)
    assert [] == await wrong(books)
    members = {c: f"{books.partition(c).index}:{await books.number(c)}" for c in CUSTOMERS}
    row = await command("HGET", ROSTER_ROWS, members["acme"])
    await command("HSET", ROSTER_ROWS, members["acme"], row.replace(b"acme", b"evil"))
    await command("HSET", ROSTER_ROWS, "5:12345", row)
    await command("HDEL", ROSTER_ROWS, members["globex"])
    await command("ZADD", roster_order(Column.CHARGE), 5, members["initech"])
    await command("ZREM", roster_order(Column.IDENTIFIER), "名前\0" + members["名前"])
    await command("ZADD", roster_order(Column.EMAIL), 0, "nobody\x005:4711")

    found = await wrong(books)
    report = await walk.verify(store, Check(store), progress=lambda _: None)
    await walk.rebuild(
        store,
        archive=None,
        zone=UTC,
        chance=random.Random(1),
        dry=False,
        progress=lambda _: None,
    )

    assert set(found) == {
        ("acme", "row"),
        ("globex", "row"),
        ("initech", "order charge"),
        (None, "row"),
        ("名前", "order identifier"),
    }
    assert Finding.ROSTER in {d.finding for d in report.differences}
    assert [] == await wrong(books)
    for order in Column:
        page = await Roster(store).page(Wanted(order=Order(order)))
        assert (4, 4) == (page.count, len(page.rows)), order


@pytest.mark.parametrize("place", ["counters", "profile"])
async def test_what_cannot_be_read_is_a_difference(books, place: str) -> None:
    """A number that is none, in what a row is made of: it is named, and the others are checked."""
    await books.fill()
    await written(books)
    command, store = books.bench.command, books.bench.store
    key = await books.counters("acme")
    if place == "profile":
        key = books.partition("acme").profile(await books.number("acme"))
    await command("HSET", key, "calls" if place == "counters" else "created_ms", "junk")

    report = await walk.verify(store, Check(store), progress=lambda _: None)

    number = await books.number("acme")
    assert {number} == {
        d.customer_number for d in report.differences if d.finding is Finding.ROSTER
    }
    assert not report.ok


async def test_what_follows_by_a_moment_is_no_difference(books) -> None:
    """Beside calls, profile changes and an indexer: no false alarm."""
    await books.fill()
    indexer, ended, chance = await written(books), asyncio.Event(), random.Random(3)

    async def calls() -> None:
        while not ended.is_set():
            customer = chance.choice(CUSTOMERS)
            hold = await books.bench.hold(customer, USD, name=f"n{chance.randrange(99)}")
            await books.bench.settle(hold, chance.randrange(USD))
            await books.flusher.step()

    async def indexing() -> None:
        while not ended.is_set():
            await indexer.step()
            await asyncio.sleep(0)

    tasks = [asyncio.create_task(work()) for work in (calls, indexing)]
    found = [await wrong(books) for _ in range(20)]
    await write_roster(books.bench.store)
    ended.set()
    await asyncio.gather(*tasks)

    assert [[]] * 20 == found


async def test_the_later_state_stays(books) -> None:
    """Of two indexers the one that was overtaken changes nothing, nor brings anybody back."""
    store = books.bench.store
    await books.bench.hold("acme", 1, name="before")
    partition, number = books.partition("acme"), await books.number("acme")
    slow = Indexer(store)
    read, go_on = asyncio.Event(), asyncio.Event()
    index = slow._index

    async def late(changes, rows) -> None:
        read.set()
        await go_on.wait()
        await index(changes, rows)

    slow._index = late  # type: ignore[method-assign]
    overtaken = asyncio.create_task(slow.refresh((partition, number)))
    await read.wait()
    await books.bench.hold("acme", 1, name="after")
    assert 1 == await Indexer(store).refresh((partition, number))
    go_on.set()
    await overtaken
    names = [row.name for row in (await Roster(store).page(Wanted())).rows]

    read.clear()
    go_on.clear()
    await books.bench.hold("acme", 1, name="last")
    overtaken = asyncio.create_task(slow.refresh((partition, number)))
    await read.wait()
    await books.bench.directory.delete("acme")
    await Indexer(store).refresh((partition, number))
    go_on.set()
    await overtaken

    assert ["after"] == names
    assert 0 == (await Roster(store).page(Wanted())).count
    assert [] == await wrong(books)
