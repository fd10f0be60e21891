"""What was trimmed is in the archive: check and rebuild go back to the first event."""

import asyncio
import random
import sqlite3
from contextlib import closing

import pytest

from gateway.audit import walk
from gateway.audit.differences import Finding
from gateway.metering.retention import Retention
from gateway.store.archive import FILE_NAME
from tests.gateway.audit.conftest import CUSTOMERS, USD
from tests.support.ledgers import UTC

pytestmark = pytest.mark.anyio


@pytest.fixture
async def trimmed(books):
    """Half of the past is in the archive only; calls that are still open go on."""
    await books.fill()
    assert 7 * len(CUSTOMERS) == await books.trim()
    for customer in CUSTOMERS:
        await books.bench.settle(await books.bench.hold(customer, USD), 5)
    await books.flush()
    return books


@pytest.fixture
def sql(tmp_path):
    def run(statement: str, *values: object) -> int:
        with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection, connection:
            return connection.execute(statement, values).rowcount

    return run


async def rebuild(books, *, archive: bool = True):
    return await walk.rebuild(
        books.bench.store,
        archive=books.archive if archive else None,
        zone=UTC,
        chance=random.Random(1),
        dry=False,
        progress=lambda _: None,
    )


async def test_checkpoints_stand_for_what_was_trimmed(trimmed) -> None:
    """Without the archive balances are exact still; of the counters, charge and cost are."""
    checked = await trimmed.check()

    assert [] == [d for c in checked for d in c.differences]
    partial = {c.partition for c in checked if not c.all_counters}
    assert {trimmed.partition(customer).index for customer in CUSTOMERS} == partial
    await trimmed.bench.command("HINCRBY", await trimmed.account("acme"), "spent", 1)
    await trimmed.bench.command("HINCRBY", await trimmed.counters("globex"), "cost_pico", 1)
    found = {(d.finding, d.customer) for d in await trimmed.differences()}
    assert {(Finding.SPENT, "acme"), (Finding.COUNTER, "globex")} == found


@pytest.mark.parametrize("is_old", [False, True])
async def test_what_was_trimmed_still_counts_in_its_windows(trimmed, is_old) -> None:
    """Unless an older version has trimmed it, which kept nothing of windows."""
    b, partition = trimmed.bench, trimmed.partition("acme")
    number = await trimmed.number("acme")
    checkpoint = await b.command("HGET", partition.checkpoints, number)
    if is_old:
        await b.command("HSET", partition.checkpoints, number, checkpoint.partition(b"|")[0])
    await b.command("HINCRBY", await trimmed.account("acme"), "week.past.cost", 1)

    found = await trimmed.differences()

    assert ([] if is_old else ["week.past.cost"]) == [d.subject for d in found]
    await trimmed.trim()
    assert found == await trimmed.differences()


async def test_the_archive_makes_the_history_whole(trimmed) -> None:
    """Every counter of every customer, from its first event on."""
    checked = await trimmed.check(full=True)
    await trimmed.bench.command("HINCRBY", await trimmed.counters("acme"), "calls", 1)
    (wrong,) = await trimmed.differences(full=True)

    assert [] == [d for c in checked for d in c.differences]
    assert all(c.all_counters for c in checked)
    assert (Finding.COUNTER, "acme", "calls") == (wrong.finding, wrong.customer, wrong.subject)


async def test_a_missing_row_is_named(trimmed, sql) -> None:
    """One beside the stream by its request id, one before it by the customer's sums."""
    number = await trimmed.number("acme")
    of_acme = "WHERE customer_number = ? AND kind = 'settle' ORDER BY stream_ms"
    sql(f"DELETE FROM events WHERE id = (SELECT id FROM events {of_acme} LIMIT 1)", number)
    before = await trimmed.differences(full=True, of="acme")
    sql(f"DELETE FROM events WHERE id = (SELECT id FROM events {of_acme} DESC LIMIT 1)", number)
    both = await trimmed.differences(full=True, of="acme")

    assert "charge of what was trimmed" in {
        d.subject for d in before if d.finding is Finding.ARCHIVE
    }
    (row,) = [d for d in both if d.finding is Finding.ARCHIVE and d.subject.endswith(" row")]
    assert ("acme", 1, 0) == (row.customer, row.expected, row.found)


async def test_a_row_that_was_changed_is_named(trimmed, sql) -> None:
    """As it is after the price of a past call was edited by hand."""
    sql("UPDATE events SET charge_pico = charge_pico + 1 WHERE charge_pico = 5")

    found = await trimmed.differences(full=True)

    assert set(CUSTOMERS) == {d.customer for d in found}
    assert {(Finding.ARCHIVE, 1)} == {(d.finding, d.amount) for d in found}


async def test_rows_that_retention_removed_still_count(trimmed) -> None:
    """Their sums are kept, and stand in for them."""
    await trimmed.trim()
    retention = Retention(trimmed.bench.store, trimmed.archive, zone=UTC, days=0)
    await asyncio.sleep(0.002)
    while await retention.step():
        pass
    assert retention.removed == 8 * len(CUSTOMERS)
    await trimmed.bench.settle(await trimmed.bench.hold("acme", USD), 5)
    await trimmed.flush()

    assert [] == await trimmed.differences(full=True)
    await trimmed.bench.command("HDEL", await trimmed.counters("acme"), "calls")
    assert 1 == (await rebuild(trimmed)).found
    assert [] == await trimmed.differences(full=True)


async def test_counters_are_rebuilt_from_the_archive(trimmed) -> None:
    """Exactly; without the archive they are left alone, and the report says so."""
    keys = [await trimmed.counters(customer) for customer in CUSTOMERS]
    read = [("HGETALL", key) for key in keys]
    before = [sorted(flat) for flat in await trimmed.bench.store.commands(read)]
    await trimmed.bench.command("DEL", *keys[:1])
    await trimmed.bench.command("HSET", keys[1], "output_tokens", 10**9, "calls", 0)

    blind = await rebuild(trimmed, archive=False)
    assert (0, len({trimmed.partition(c).index for c in CUSTOMERS})) == (
        blind.found,
        len(blind.partial),
    )
    seeing = await rebuild(trimmed)

    assert {CUSTOMERS[0], CUSTOMERS[1]} == {d.customer for d in seeing.differences}
    assert before == [sorted(flat) for flat in await trimmed.bench.store.commands(read)]


async def test_no_false_alarm_while_streams_are_trimmed(books) -> None:
    """Calls, flusher, trimmer and retention go on; nothing is found by any of the checks."""
    await books.fill()
    ended = asyncio.Event()

    async def calls() -> None:
        while not ended.is_set():
            for customer in CUSTOMERS:
                await books.bench.settle(await books.bench.hold(customer, USD), 5)
            await asyncio.sleep(0.002)

    async def moving() -> None:
        retention = Retention(books.bench.store, books.archive, zone=UTC, days=0)
        while not ended.is_set():
            await books.flush()
            await books.trim()
            await retention.step()

    tasks = [asyncio.create_task(calls()), asyncio.create_task(moving())]
    found = []
    for how in ({"deep": False}, {"deep": True}, {"full": True}) * 3:
        for customer in CUSTOMERS:
            found += await books.differences(of=customer, **how)
    ended.set()
    await asyncio.gather(*tasks)

    assert [] == found
