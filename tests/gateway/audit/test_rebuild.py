"""A rebuild restores counters exactly, beside a flusher, and touches no balance."""

import asyncio
import random
from contextlib import suppress

import pytest

from gateway.audit import walk
from gateway.audit.differences import Finding
from tests.gateway.audit.conftest import CUSTOMERS, USD
from tests.support.ledgers import UTC

pytestmark = pytest.mark.anyio

REBUILT, BEHIND, MOVED = 1, 2, 3


async def rebuild(books, *, dry: bool = False):
    return await walk.rebuild(
        books.bench.store,
        archive=books.archive,
        zone=UTC,
        chance=random.Random(1),
        dry=dry,
        progress=lambda _: None,
    )


async def state(books, *kinds: str) -> dict[bytes, list[tuple[bytes, bytes]]]:
    """The hashes whose names begin so, below their tag; fields in order."""
    found = {}
    for key in await books.bench.command("KEYS", "{fb*}*"):
        if key.split(b"}")[1].split(b":")[0].decode() in kinds:
            flat = await books.bench.command("HGETALL", key)
            found[key] = sorted(zip(flat[::2], flat[1::2], strict=True))
    return found


async def corrupt(books) -> None:
    """Every way there is: off by one, gone, too much, another day, no number."""
    acme, other = await books.counters("acme"), await books.counters("globex")
    await books.bench.command("HINCRBY", acme, "calls", 1)
    await books.bench.command("HSET", acme, "charge_pico", "junk")
    await books.bench.command("DEL", other)
    partition, number = books.partition("initech"), await books.number("initech")
    (days,) = await books.bench.command("KEYS", partition.days(number, "*"))
    await books.bench.command("HSET", days, "01", "7", "99", "junk")
    await books.bench.command("HSET", partition.days(number, "201901"), "05", "1,2,3")


async def test_counters_are_restored_exactly(books) -> None:
    """As the flusher had written them, days and index too; what is right is left alone."""
    await books.fill()
    before = await state(books, "c", "cd")
    await corrupt(books)

    report = await rebuild(books)

    assert before == await state(books, "c", "cd")
    assert {"acme", "globex", "initech"} == {d.customer for d in report.differences}
    assert {Finding.COUNTER} == {d.finding for d in report.differences}
    assert ([], [], []) == (report.busy, report.partial, report.unread)
    assert [] == await books.differences()
    assert 0 == (await rebuild(books)).found


async def test_balances_are_never_touched(books) -> None:
    """A wrong account stays wrong: it is for people to decide."""
    await books.fill()
    await books.bench.command("HINCRBY", await books.account("acme"), "spent", 5)
    before = await state(books, "a", "h", "ck", "cur")
    await corrupt(books)

    await rebuild(books)

    assert before == await state(books, "a", "h", "ck", "cur")


async def test_a_dry_run_only_says_it(books) -> None:
    await books.fill()
    await corrupt(books)
    before = await state(books, "c", "cd", "a")

    report = await rebuild(books, dry=True)

    assert before == await state(books, "c", "cd", "a")
    assert report.found == (await rebuild(books)).found > 0


async def test_it_works_beside_calls_and_a_flusher(books) -> None:
    """Nothing that is counted meanwhile is lost or doubled."""
    await books.fill()
    ended, chance = asyncio.Event(), random.Random(2)

    await books.bench.command("HSET", await books.counters("acme"), "charge_pico", 7)

    async def calls() -> None:
        while not ended.is_set():
            customer = chance.choice(CUSTOMERS)
            await books.bench.settle(await books.bench.hold(customer, USD), chance.randrange(USD))
            await asyncio.sleep(0.005)

    async def flushing() -> None:
        while not ended.is_set():
            await books.flusher.step()
            await asyncio.sleep(0.002)

    tasks = [asyncio.create_task(calls()), asyncio.create_task(flushing())]
    busy: list[int] = []
    for _ in range(5):
        busy += (await rebuild(books)).busy
        await corrupt_one(books)
    busy += (await rebuild(books)).busy
    ended.set()
    await asyncio.gather(*tasks)
    await books.flush()

    assert [] == busy
    assert [] == await books.differences()


async def corrupt_one(books) -> None:
    await books.bench.command("HINCRBY", await books.counters("acme"), "errors", 1)


async def test_a_batch_on_its_way_undoes_nothing(books) -> None:
    """While an event waits, a flusher may have read the old counters: it must be passed."""
    await books.fill()
    partition = books.partition("acme")
    counters = await books.counters("acme")
    cursor = await books.bench.command("HGET", partition.cursors, "flush")
    keys = [partition.cursors, partition.stream, partition.changed, counters]
    script = books.bench.store.script

    assert MOVED == await script("rebuild", keys, ["1-1", "1-1", 0, 1, "calls", 9])
    assert MOVED == await script("rebuild", keys, [cursor, "99-9", 0, 1, "calls", 9])
    await books.bench.release(await books.bench.hold("acme", 1))
    assert BEHIND == await script("rebuild", keys, [cursor, cursor, 0, 1, "calls", 9])
    assert b"9" != await books.bench.command("HGET", counters, "calls")
    await books.flush()
    cursor = await books.bench.command("HGET", partition.cursors, "flush")
    assert REBUILT == await script("rebuild", keys, [cursor, cursor, 0, 1, "calls", 9])
    assert [b"calls", b"9"] == await books.bench.command("HGETALL", counters)


@pytest.mark.parametrize("damage", ["type", "junk"])
async def test_it_gets_past_a_flusher_that_is_stuck(books, damage) -> None:
    """Counters that the flusher cannot read are the very ones that must be rebuilt."""
    await books.fill()
    counters, partition = await books.counters("acme"), books.partition("acme")
    if damage == "type":
        await books.bench.command("SET", counters, "no hash")
    else:
        await books.bench.command("HSET", counters, "charge_pico", "junk")
    for customer in ("acme", "acme", "globex"):
        for _ in range(30):
            await books.bench.settle(await books.bench.hold(customer, 5), 5)
    with suppress(ValueError):
        await books.flusher.step()

    report = await rebuild(books)
    await books.flush()

    assert report.found
    assert [] == report.busy
    assert [] == await books.differences()
    cursor = await books.bench.command("HGET", partition.cursors, "flush")
    ((last, _),) = await books.bench.command("XREVRANGE", partition.stream, "+", "-", "COUNT", 1)
    assert last == cursor
