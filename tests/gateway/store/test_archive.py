import asyncio
import multiprocessing
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DatabaseError

from gateway.event import Kind, Source, Status, UsageEvent
from gateway.store.archive import Archive, ArchivedEvent, LogFilter, Summary, queries
from gateway.store.archive.database import FILE_NAME
from gateway.store.archive.listing import logs
from gateway.store.archive.reratings import CUSTOMERS_SHOWN_MAX
from pricing.usage import Usage

pytestmark = pytest.mark.anyio
A_DAY = LogFilter(start_ms=0, end_ms=86_400_000)

FULL = UsageEvent(
    request_id="req_1",
    kind=Kind.SETTLE,
    at_ms=1_763_726_400_000,
    customer_number=2**53,
    charge_pico=2**63 - 1,
    cost_pico=1 - 2**63,
    app="shop",
    group="team",
    unpriced=True,
    markup_ppm=100_000,
    hold_pico=5,
    endpoint="chat/completions",
    model="gpt-4o",
    served_model="gpt-4o-2024-08-06",
    upstream="openai",
    provider="openai",
    price_id="openai/gpt-4o@2024",
    book_version="ab12",
    service_tier="flex",
    usage=Usage(input_tokens=1, cache_read_tokens=2, reasoning_tokens=4, fees=(("page", 2),)),
    source=Source.REPORTED,
    raw_usage='{"odd":1}',
    status=Status.ABORTED,
    status_code=200,
    error_code="client_gone",
    stream=True,
    latency_ms=1_200,
    first_token_ms=0,
    finish_reason="stop",
    upstream_request_id="up_1",
    metadata={"thread": "ü", "n": [1, None]},
)
BARE = UsageEvent(request_id="req_2", kind=Kind.REFUSE, at_ms=0)


@pytest.fixture
async def file_archive(tmp_path: Path):
    """Of SQLite, for what is its own."""
    opened = await Archive.open(tmp_path)
    yield opened
    await opened.close()


def rows(*events: UsageEvent, partition: int = 0, start: int = 1) -> list[ArchivedEvent]:
    return [ArchivedEvent(partition, f"{i}-0", event) for i, event in enumerate(events, start)]


def call(i: int, **fields) -> UsageEvent:
    """A plain call at second i."""
    known: dict[str, Any] = {
        "kind": Kind.SETTLE,
        "customer_number": 1,
        "model": "m",
        "at_ms": i * 1_000,
    } | fields
    return UsageEvent(**{"request_id": f"r{i}", **known})


async def test_an_event_comes_out_as_it_went_in(archive) -> None:
    """A row has all of an event: logs, exports and a rebuild read nothing else."""
    written = rows(FULL, BARE)

    await archive.add(written)

    assert written == list((await archive.logs(LogFilter(), newest_first=False)).rows[::-1])
    assert written[0] == await archive.one("req_1")
    assert await archive.one("req_3") is None


async def test_rows_added_again_are_left_alone(archive) -> None:
    """A batch may be written twice; ids of other partitions are other rows."""
    await archive.add(rows(call(1), call(2)))
    await archive.add(rows(call(1), call(2), call(3)))
    await archive.add(rows(call(1), partition=1))
    await archive.add([])

    page = await archive.logs(LogFilter(), newest_first=False)

    assert ["r1", "r1", "r2", "r3"] == [row.event.request_id for row in page.rows]


async def test_a_batch_is_all_or_nothing(archive) -> None:
    """What cannot be written takes its batch with it: the cursor has not moved."""
    broken = replace(call(2), model=None)

    with pytest.raises(Exception, match=r"(?i)not.null"):
        await archive.add(rows(call(1), broken))

    assert 0 == (await archive.logs(LogFilter())).count


async def test_pages_through_the_list(archive) -> None:
    """Pages follow each other in time, in both directions, ties in order of arrival."""
    events = [replace(call(i), at_ms=i // 2) for i in range(10)]
    await archive.add(rows(*events))

    for newest_first in (True, False):
        pages = [
            await archive.logs(LogFilter(), page=n, page_size=4, newest_first=newest_first)
            for n in (1, 2, 3, 4)
        ]
        ids = [row.event.request_id for page in pages for row in page.rows]
        assert [e.request_id for e in (events[::-1] if newest_first else events)] == ids
        assert [10] * 4 == [page.count for page in pages]


@pytest.mark.parametrize(("page", "page_size"), [(0, 10), (1, 0), (1, 1_001)])
async def test_refuses_pages_that_cannot_be(archive, page, page_size) -> None:
    """Bounds are named."""
    with pytest.raises(ValueError, match="page"):
        await archive.logs(LogFilter(), page=page, page_size=page_size)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (LogFilter(), "r1 r2 r3 r4"),
        (LogFilter(start_ms=2_000), "r2 r3 r4"),
        (LogFilter(end_ms=2_000), "r1"),
        (LogFilter(start_ms=2_000, end_ms=4_000), "r2 r3"),
        (LogFilter(customer_numbers=[1]), "r1 r2"),
        (LogFilter(customer_numbers={2, 3}), "r3 r4"),
        (LogFilter(customer_numbers=[]), ""),
        (LogFilter(model="m2"), "r2"),
        (LogFilter(app="shop"), "r3"),
        (LogFilter(status=Status.ERROR), "r4"),
        (LogFilter(status_code=500), "r4"),
        (LogFilter(request_id="r3"), "r3"),
        (LogFilter(model="m2", customer_numbers=[2]), ""),
    ],
)
async def test_filters(archive, wanted, expected) -> None:
    """Rows that match everything that is asked for; times are half-open."""
    await archive.add(
        rows(
            call(1),
            call(2, model="m2"),
            call(3, customer_number=2, app="shop"),
            call(4, customer_number=3, status=Status.ERROR, status_code=500),
        )
    )

    page = await archive.logs(wanted, newest_first=False)

    assert expected == " ".join(row.event.request_id for row in page.rows)
    assert len(page.rows) == page.count


async def test_a_filter_is_bounded(archive) -> None:
    """A thousand customers at most."""
    with pytest.raises(ValueError, match="customers in one filter"):
        await archive.summary(LogFilter(customer_numbers=range(1_001)))


async def test_summary_counts_what_the_fold_counts(archive) -> None:
    """Calls, events and orphans are usage; a refusal and a release are not; adjusts are money."""
    money = {"charge_pico": 100, "cost_pico": 90}
    usage = Usage(input_tokens=5, cache_read_tokens=2, output_tokens=3, reasoning_tokens=1)
    await archive.add(
        rows(
            call(1, **money, usage=usage),
            call(2, **money, kind=Kind.EVENT, unpriced=True, customer_number=2),
            call(3, **money, kind=Kind.ORPHAN, status=Status.UNRESOLVED),
            call(4, kind=Kind.REFUSE, status=Status.REJECTED, customer_number=3),
            call(5, kind=Kind.RELEASE, status=Status.ERROR, customer_number=4),
            call(6, kind=Kind.ADJUST, charge_pico=-60, cost_pico=-50, hold_pico=100, usage=usage),
            call(7, unpriced=True),
            call(8, request_id="r7.1", kind=Kind.ADJUST, unpriced=True, adjusts="r7"),
        )
    )

    assert Summary(
        requests=4,
        input_tokens=14,
        cached_tokens=4,
        output_tokens=8,
        reasoning_tokens=2,
        cost_pico=220,
        charge_pico=240,
        unresolved_pico=0,
        active_users=2,
        errors=2,
        rejected=1,
        unpriced=1,
    ) == await archive.summary(LogFilter())


async def test_a_summary_of_nothing_is_zero(archive) -> None:
    """No rows, no nulls."""
    found = await archive.summary(LogFilter())

    assert (0, 0, 0, 0) == (found.requests, found.charge_pico, found.active_users, found.errors)


async def test_sums_beyond_int64_are_exact(archive) -> None:
    """SQLite's own SUM would raise; signs mix."""
    charges = [2**63 - 1, 2**63 - 1, -1, -(2**63), 2**63 - 1, -(10**9), -999_999_999]
    events = [call(i, charge_pico=charge) for i, charge in enumerate(charges)]
    await archive.add(rows(*events))

    assert sum(charges) == (await archive.summary(LogFilter())).charge_pico
    [use] = await archive.answers.top(A_DAY, "charge_pico", 10)
    assert sum(charges) == use.charge_pico


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("cost_pico", [3, 2, 1]),
        ("charge_pico", [2, 3, 1]),
        ("tokens", [1, 2, 3]),
        ("requests", [1, 2, 3]),
    ],
)
async def test_top_users(archive, metric, expected) -> None:
    """The greatest first by each metric, exactly, where the sums differ by one pico."""
    big = 2**62
    await archive.add(
        rows(
            call(1, usage=Usage(input_tokens=10)),
            call(2),
            call(2),
            call(3, customer_number=2, charge_pico=big, cost_pico=big, usage=Usage(input_tokens=9)),
            call(4, customer_number=2, charge_pico=big + 1, cost_pico=big - 1),
            call(5, customer_number=3, charge_pico=2 * big - 1, cost_pico=0),
            call(6, customer_number=3, kind=Kind.ADJUST, cost_pico=big),
            call(7, customer_number=3, kind=Kind.ADJUST, cost_pico=big),
            call(8, customer_number=4, kind=Kind.REFUSE),
        )
    )

    found = await archive.answers.top(A_DAY, metric, 10)

    assert expected == [use.key for use in found]
    assert expected[:2] == [use.key for use in await archive.answers.top(A_DAY, metric, 2)]


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (LogFilter(), "events_by_time"),
        (LogFilter(start_ms=1, end_ms=2), "events_by_time"),
        (LogFilter(customer_numbers=[1]), "events_by_customer"),
        (LogFilter(customer_numbers=[1], start_ms=1, end_ms=2), "events_by_customer"),
        (LogFilter(model="m"), "events_by_model"),
        (LogFilter(status=Status.ERROR, start_ms=1), "events_by_status"),
        (LogFilter(request_id="r"), "events_once"),
    ],
)
async def test_lists_come_from_an_index(file_archive, tmp_path, wanted, index) -> None:
    """No list walks or sorts the whole table; each filter of the API has its index."""
    statement = logs(wanted, newest_first=True).limit(50)

    plan = explain(tmp_path, statement)

    assert f"USING INDEX {index}" in plan
    assert wanted.request_id or "TEMP B-TREE" not in plan


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (LogFilter(start_ms=1, end_ms=2), "events_by_time"),
        (LogFilter(customer_numbers=[1], start_ms=1), "events_by_customer"),
    ],
)
async def test_totals_come_from_an_index(file_archive, tmp_path, wanted, index) -> None:
    """A summary reads its time or its customer, not the archive."""
    assert f"USING INDEX {index}" in explain(tmp_path, queries.summary(wanted))


def explain(folder: Path, statement) -> str:
    sql = str(statement.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True}))
    with sqlite3.connect(folder / FILE_NAME) as connection:
        steps = connection.execute(f"EXPLAIN QUERY PLAN {sql}").fetchall()
    connection.close()
    return "\n".join(step[-1] for step in steps)


async def test_commits_survive_a_power_failure(file_archive) -> None:
    """The cursor moves after the commit, so the commit has to be on the disk."""
    with file_archive._engine.connect() as connection:
        journal = connection.exec_driver_sql("PRAGMA journal_mode").scalar_one()
        synchronous = connection.exec_driver_sql("PRAGMA synchronous").scalar_one()

    assert ("wal", 2) == (journal, synchronous)


async def test_readers_and_the_writer_do_not_wait_for_each_other(
    archive, archive_url, tmp_path
) -> None:
    """A reader sees whole batches, from before or after the commit, and no error."""
    other = await Archive.open(tmp_path, archive_url)
    seen: list[int] = []

    async def read() -> None:
        while not seen or seen[-1] < 1_000:
            seen.append((await other.logs(LogFilter(), page_size=1)).count)

    async def write() -> None:
        for start in range(0, 1_000, 50):
            await archive.add(rows(*map(call, range(start, start + 50)), start=start))

    async with asyncio.timeout(30):
        await asyncio.gather(read(), write(), read())
    await other.close()

    assert {0} == {count % 50 for count in seen}


def open_and_write(folder: Path, url: str | None, partition: int) -> None:
    async def work() -> None:
        archive = await Archive.open(folder, url)
        for i in range(20):
            await archive.add(rows(call(i), partition=partition, start=i))
        await archive.close()

    asyncio.run(work())


async def test_processes_may_start_together(archive_url, tmp_path) -> None:
    """Workers of one gateway open, create and write the same archive at once."""
    spawn = multiprocessing.get_context("spawn")
    workers = [
        spawn.Process(target=open_and_write, args=(tmp_path, archive_url, p)) for p in range(4)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        await asyncio.to_thread(worker.join, 60)

    assert [0] * 4 == [worker.exitcode for worker in workers]
    archive = await Archive.open(tmp_path, archive_url)
    assert 80 == (await archive.logs(LogFilter())).count
    await archive.close()


async def test_refuses_a_file_of_a_later_version(file_archive, tmp_path) -> None:
    """An older farebox does not write into a table that it does not know."""
    with sqlite3.connect(tmp_path / FILE_NAME) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()

    with pytest.raises(RuntimeError, match="schema 99"):
        await Archive.open(tmp_path)


async def test_a_file_that_is_no_archive_is_left_as_it_is(tmp_path) -> None:
    """Whatever lies there under our name is not overwritten."""
    foreign = b"somebody else's" * 1_000
    (tmp_path / FILE_NAME).write_bytes(foreign)

    with pytest.raises(DatabaseError, match="not a database"):
        await Archive.open(tmp_path)

    assert foreign == (tmp_path / FILE_NAME).read_bytes()


@given(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**63), 2**63 - 1))
def test_limbs_join_to_the_value(a, b) -> None:
    """SQLite's division and remainder truncate toward zero: high * 1e9 + low is the value."""
    with sqlite3.connect(":memory:") as connection:
        sql = "SELECT sum(v / ?), sum(v % ?) FROM (SELECT ? AS v UNION ALL SELECT ?)"
        high, low = connection.execute(sql, (10**9, 10**9, a, b)).fetchone()
    connection.close()

    assert a + b == high * 10**9 + low


async def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    """Also in a folder that others may enter."""
    archive = await Archive.open(tmp_path)
    await archive.add([ArchivedEvent(0, "1-0", FULL)])
    modes = {p.name: p.stat().st_mode & 0o777 for p in tmp_path.iterdir()}  # noqa: ASYNC240
    await archive.close()

    assert {0o600} == set(modes.values())
    assert FILE_NAME in modes


async def test_of_a_name_without_a_price_the_first_customers_are_told(archive) -> None:
    """All are counted; a name that a million called does not fill the memory."""
    told = {"unpriced": True, "provider": "lab"}
    calls = [call(n, customer_number=n, **told) for n in range(1, CUSTOMERS_SHOWN_MAX + 3)]
    again = call(90, customer_number=1, **told)
    other = call(91, customer_number=99, model="other", **told)
    await archive.add(rows(*calls, again, other, partition=7))

    many, one = await archive.unpriced(LogFilter())

    assert (CUSTOMERS_SHOWN_MAX + 3, CUSTOMERS_SHOWN_MAX + 2) == (
        many.requests,
        many.customer_count,
    )
    assert dict.fromkeys(range(1, CUSTOMERS_SHOWN_MAX + 1), 7) == many.customers
    assert ("other", {99: 7}) == (one.model, one.customers)
    assert [] == await archive.unpriced(LogFilter(start_ms=92_000))
