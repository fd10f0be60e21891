import asyncio
import contextlib
import logging
import random
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from gateway.audit import walk
from gateway.errors import LedgerUnavailable
from gateway.metering.archive_sink import RETRY_SECONDS
from gateway.metering.flusher import Flusher
from gateway.metering.reader import BATCH_EVENTS_MAX
from gateway.store.archive import LogFilter
from tests.gateway.metering.faults import Faulty, Jittery, Sleeper
from tests.gateway.metering.posting import (
    NOON_MS,
    ZONE,
    StillClock,
    assert_exact,
    call,
    counted,
    drain,
    expected,
    home,
    post,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def flusher(store, archive, clock) -> Flusher:
    return Flusher(store, archive, zone=ZONE, clock=clock)


async def test_carries_events_to_counters_and_archive(store, archive, flusher) -> None:
    """Everything posted is counted once and is a row, in the reporting zone's days."""
    events = [call(i, number=i % 5) for i in range(40)]
    await post(store, *events)

    moved = await flusher.step()

    assert 40 == moved
    assert 0 == await flusher.step()
    await assert_exact(store, archive, events)
    assert (0, 0, NOON_MS) == (flusher.behind, flusher.skipped, flusher.last_flush_ms)


async def test_an_event_that_changes_no_counter_is_passed(store, archive, flusher) -> None:
    """A release without trouble adds nothing to anybody; the partition goes on all the same."""
    await post(store, call(3))
    await flusher.step()
    events = [call(3), call(4)]
    await post(store, events[1])

    assert 1 == await flusher.step()
    await assert_exact(store, archive, events)


async def test_goes_on_where_it_stopped(store, archive, flusher) -> None:
    """Later events are added to what is there, within a day and across days."""
    events = [call(i) for i in range(30)]
    for start in range(0, 30, 7):
        await post(store, *events[start : start + 7])
        await drain(flusher)

    await assert_exact(store, archive, events)


async def test_a_long_tail_takes_several_steps(store, archive, flusher) -> None:
    """A step is bounded; `behind` says that more waits."""
    events = [call(i) for i in range(2 * BATCH_EVENTS_MAX + 5)]
    await post(store, *events)

    assert BATCH_EVENTS_MAX == await flusher.step()
    assert 1 == flusher.behind
    await drain(flusher)

    assert 0 == flusher.behind
    await assert_exact(store, archive, events)


async def test_two_flushers_count_once(store, archive, clock) -> None:
    """A lease only saves work: both may run, on the same events, at the same moment."""
    flushers = [
        Flusher(Jittery(store, seed), archive, zone=ZONE, clock=clock)  # type: ignore[arg-type]
        for seed in range(3)
    ]
    events = [call(i, number=i % 3) for i in range(300)]

    async def work(flusher: Flusher) -> None:
        for _ in range(20):
            await flusher.step()

    async with asyncio.TaskGroup() as tasks:
        for flusher in flushers:
            tasks.create_task(work(flusher))
        for event in events:
            await post(store, event)
            await asyncio.sleep(0)
    await drain(Flusher(store, archive, zone=ZONE, clock=clock))

    await assert_exact(store, archive, events)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("part", ["store", "archive"])
async def test_killed_anywhere_it_loses_and_doubles_nothing(
    store, archive, clock, part, after
) -> None:
    """After every command of a step the flusher may die; the next one makes it whole."""
    events: list[Any] = []
    for fails_at in range(1, 100):
        batch = [call(len(events) + i, number=i % 2) for i in range(6)]
        events += batch
        await post(store, *batch)
        faulty = Faulty(store if part == "store" else archive, fails_at=fails_at, after=after)
        doomed = Flusher(
            faulty if part == "store" else store,  # type: ignore[arg-type]
            faulty if part == "archive" else archive,  # type: ignore[arg-type]
            zone=ZONE,
            clock=clock,
        )
        with contextlib.suppress(LedgerUnavailable):
            await doomed.step()
        await drain(Flusher(store, archive, zone=ZONE, clock=clock))
        await assert_exact(store, archive, events)
        if not faulty.failed:
            break
    else:
        pytest.fail("a step has no end")
    assert fails_at > (5 if part == "store" else 1)


async def test_a_zombie_writes_nothing(store, archive, clock, flusher) -> None:
    """A flusher that wakes with an old batch in its hands finds the cursor gone."""
    events = [call(i) for i in range(10)]
    await post(store, *events)
    sleeper = Sleeper(store)
    zombie = Flusher(sleeper, archive, zone=ZONE, clock=clock)  # type: ignore[arg-type]
    late = asyncio.create_task(zombie.step())
    await sleeper.asleep.wait()
    await drain(flusher)
    more = [call(i) for i in range(10, 15)]
    await post(store, *more)
    await drain(flusher)

    sleeper.wake.set()

    assert 0 == await late
    assert 1 == zombie.behind
    await assert_exact(store, archive, events + more)


def rename(folder: Path, table: str, to: str) -> None:
    with contextlib.closing(sqlite3.connect(folder / "archive.sqlite3")) as file:
        file.execute(f"ALTER TABLE {table} RENAME TO {to}")


async def test_counts_on_when_the_archive_fails(
    store, archive, flusher, tmp_path: Path, caplog
) -> None:
    """Counters do not wait for the archive; it catches up by itself, from far behind."""
    rename(tmp_path, "events", "gone")
    events = [call(i) for i in range(BATCH_EVENTS_MAX + 50)]
    await post(store, *events)

    await drain(flusher)

    assert expected(events)[1] == await counted(store, 1)
    assert 1 == len([r for r in caplog.records if r.msg.startswith("archive_failed")])
    rename(tmp_path, "gone", "events")
    flusher._clock.seconds += RETRY_SECONDS
    await drain(flusher)
    await assert_exact(store, archive, events)


async def test_archives_on_when_counters_are_damaged(store, archive, flusher, caplog) -> None:
    """A damaged key stops its own partition's counters, nothing else, and heals."""
    events = [call(i, number=i % 2) for i in range(20)]
    damaged = home(store, 1).counters(1)
    await store.command("SET", damaged, "junk")
    await post(store, *events)

    await drain(flusher)

    assert expected(events)[0] == await counted(store, 0)
    assert 20 == (await archive.logs(LogFilter())).count
    assert 1 == flusher.behind
    assert any(r.msg.startswith("partition_stuck") for r in caplog.records)
    await store.command("DEL", damaged)
    await drain(flusher)
    await assert_exact(store, archive, events)


@pytest.mark.parametrize("of_day", [False, True])
async def test_a_counter_that_is_no_number_sets_its_customer_aside(
    store, archive, flusher, caplog, of_day
) -> None:
    """Its neighbours of the same partition go on; once it is made anew it is exact, too."""
    aside, neighbour = 1, 65
    before = [call(i, number=aside) for i in range(5)]
    await post(store, *before)
    await drain(flusher)
    damaged = home(store, aside).counters(aside)
    if of_day:
        (damaged,) = await store.command("KEYS", home(store, aside).days(aside, "*"))
    fields = await store.command("HKEYS", damaged)
    await store.command("HSET", damaged, *(part for name in fields for part in (name, "many")))
    events = list(before)
    for at in (5, 8):
        batch = [call(at + i, number=n) for i in range(3) for n in (aside, neighbour)]
        events += batch
        await post(store, *batch)
        await drain(flusher)

    assert expected(events)[neighbour] == await counted(store, neighbour)
    assert 0 == flusher.behind
    (said,) = [r for r in caplog.records if r.msg.startswith("counters_unreadable")]
    assert "farebox ledger rebuild" in said.getMessage()
    done = await walk.rebuild(
        store,
        archive=archive,
        zone=ZONE,
        chance=random.Random(1),
        dry=False,
        progress=lambda _: None,
    )
    assert done.found
    assert expected(events)[aside] == await counted(store, aside)
    events.append(call(11, number=aside))
    await post(store, events[-1])
    await drain(flusher)
    assert expected(events)[aside] == await counted(store, aside)


async def test_passes_over_what_is_no_event(store, archive, flusher, caplog) -> None:
    """Foreign entries are named in the log, and never block a partition."""
    events = [call(i) for i in range(4)]
    stream = home(store, 1).stream
    await post(store, *events[:2])
    await store.command("XADD", stream, "*", "sk-secret", "sk-secret")
    await post(store, *events[2:])
    junk_id = await store.command("XADD", stream, "*", "k", "settle", "e", "{")

    await drain(flusher)

    assert 2 == flusher.skipped
    await assert_exact(store, archive, events)
    assert junk_id == await store.command("HGET", home(store, 1).cursors, "flush")
    assert junk_id.decode() in caplog.text
    assert "sk-secret" not in caplog.text


async def test_says_how_old_the_oldest_event_is(store, flusher, clock) -> None:
    """Health reads the lag."""
    stream = home(store, 1).stream
    fields = ("k", "settle", "id", "r", "n", 1, "a", 1, "c", 1, "e", call(0).details())
    await store.command("XADD", stream, f"{NOON_MS - 1_500}-0", *fields)

    await flusher.step()
    assert 1_500 == flusher.lag_ms
    await flusher.step()
    assert 0 == flusher.lag_ms


async def test_runs_on_through_an_outage(store, archive, clock, caplog) -> None:
    """The loop outlives a store that is away, says so once per try, and carries on."""
    caplog.set_level(logging.INFO)
    events = [call(i) for i in range(5)]
    await post(store, *events)
    faulty = Faulty(store, fails_at=1, after=False)
    flusher = Flusher(faulty, archive, zone=ZONE, clock=clock)  # type: ignore[arg-type]
    loop = asyncio.create_task(flusher.run())

    async with asyncio.timeout(10):
        while flusher.last_flush_ms is None:  # noqa: ASYNC110 - polled like health does
            await asyncio.sleep(0.02)
    loop.cancel()
    await asyncio.wait([loop])

    assert loop.cancelled()
    await assert_exact(store, archive, events)
    assert "flush_failed error=LedgerUnavailable" in caplog.text
    assert "flush_resumed" in caplog.text


async def test_an_empty_store_is_no_work(flusher) -> None:
    """Nothing is read but cursors and streams."""
    assert 0 == await flusher.step()
    assert (0, 0) == (flusher.lag_ms, flusher.behind)
