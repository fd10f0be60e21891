"""Trimming beside everything else that goes on: nothing is lost from the sums, nothing early."""

import asyncio
import contextlib
import random
from itertools import groupby
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.errors import LedgerUnavailable
from gateway.metering.checkpoints import Money, by_customer, checkpoints
from gateway.metering.flusher import Flusher
from gateway.metering.trimmer import BATCH_ENTRIES_MAX, Trimmer
from gateway.store.archive import LogFilter
from gateway.store.client import Store
from tests.gateway.metering.faults import Faulty
from tests.gateway.metering.posting import ZONE, StillClock, call, drain, home, post
from tests.gateway.metering.test_sinks import Elsewhere
from tests.support.ledgers import bench

pytestmark = pytest.mark.anyio
HOUR_MS = 3_600_000

SPENT_AND_EXPLAINED = """
local explained = 0
local checkpoint = redis.call('HGET', KEYS[1], ARGV[1])
if checkpoint then explained = tonumber(string.match(checkpoint, '^%S+')) end
for _, entry in ipairs(redis.call('XRANGE', KEYS[2], '-', '+')) do
    if entry[2][6] == ARGV[1] then explained = explained + tonumber(entry[2][8]) end
end
return {tonumber(redis.call('HGET', KEYS[3], 'spent') or '0'), explained}
"""
"""In one atomic step, on amounts that a double holds."""


@pytest.fixture
def flusher(store, archive) -> Flusher:
    return Flusher(store, archive, zone=ZONE, clock=StillClock())


async def live(store, number: int) -> int:
    return int(await store.command("XLEN", home(store, number).stream))


async def checkpoint(store, number: int) -> Money:
    return await money_of(store, home(store, number), number)


async def money_of(store, partition, number: int) -> Money:
    return (await checkpoints(store, partition, [number], trimmed_ms=0))[number].money


async def trimmed_out(trimmer: Trimmer) -> None:
    while await trimmer.step():
        pass


def sum_of(events) -> Money:
    return Money(sum(e.charge_pico for e in events), sum(e.cost_pico for e in events))


async def test_old_entries_become_a_checkpoint(store, archive, flusher) -> None:
    """In batches, each customer's sums of what went; counters and rows are as they were."""
    events = [call(i, number=64 * (i % 3)) for i in range(BATCH_ENTRIES_MAX + 200)]
    await post(store, *events)
    await drain(flusher)
    await asyncio.sleep(0.002)
    trimmer = Trimmer(store, flusher.sinks, hot_hours=0)

    assert BATCH_ENTRIES_MAX == await trimmer.step()
    await trimmed_out(trimmer)

    assert 0 == await live(store, 0)
    for number in (0, 64, 128):
        mine = [e for e in events if e.customer_number == number]
        assert sum_of(mine) == await checkpoint(store, number)
    assert len(events) == trimmer.trimmed
    more = [call(i, number=0) for i in range(2_000, 2_020)]
    await post(store, *more)
    await drain(flusher)
    assert 20 == await live(store, 0)


async def test_what_is_young_stays(store, flusher) -> None:
    """For the hot window, by the server's clock."""
    await post(store, *(call(i) for i in range(10)))
    await drain(flusher)

    trimmer = Trimmer(store, flusher.sinks, hot_hours=1)

    assert 0 == await trimmer.step()
    assert (10, 0) == (await live(store, 1), trimmer.waiting_ms)


async def test_sums_have_no_end(store, flusher) -> None:
    """Beyond 64 bits, and below zero."""
    events = [replace(call(10 * i), charge_pico=2**62) for i in range(8)]
    await post(store, *events)
    await drain(flusher)
    await asyncio.sleep(0.002)

    await trimmed_out(Trimmer(store, flusher.sinks, hot_hours=0))

    assert sum_of(events) == await checkpoint(store, 1)


async def test_what_is_no_event_goes_too(store, flusher) -> None:
    """Foreign entries are in no account, so in no checkpoint, and must not stay for ever."""
    stream = home(store, 1).stream
    await store.command("XADD", stream, "*", "hello", "world")
    await store.command("XADD", stream, "*", *("k", "x", "id", "x", "n", "x", "a", "1", "c", "1"))
    # What scripts have booked counts, even when its details cannot be read.
    odd = ("k", "settle", "id", "r", "n", 1, "a", 5, "c", 4, "e", "{")
    await store.command("XADD", stream, "*", *odd)
    await drain(flusher)
    await asyncio.sleep(0.002)

    await trimmed_out(Trimmer(store, flusher.sinks, hot_hours=0))

    assert 0 == await live(store, 1)
    assert Money(5, 4) == await checkpoint(store, 1)


async def test_r29_a_sink_that_stands_still_keeps_its_entries(store, archive, caplog) -> None:
    """Wherever it keeps its place; the alarm says which it is, and by how much."""
    slow = Elsewhere()
    flusher = Flusher(store, archive, zone=ZONE, clock=StillClock(), more=[slow])
    stream = home(store, 1).stream
    old_ms = await store.time_ms(stream) - 50 * HOUR_MS
    for i in range(9):
        fields = ("k", "settle", "id", f"r{i}", "n", 1, "a", 1, "c", 1, "e", call(0).details())
        await store.command("XADD", stream, f"{old_ms}-{i}", *fields)
    await drain(flusher)
    slow.places[1] = f"{old_ms}-3"
    trimmer = Trimmer(store, flusher.sinks, hot_hours=24)

    await trimmed_out(trimmer)

    assert 5 == await live(store, 1)
    assert Money(4, 4) == await checkpoint(store, 1)
    assert "elsewhere" == trimmer.waiting_for
    assert 0 <= trimmer.waiting_ms - 26 * HOUR_MS < HOUR_MS
    assert "trim_waits for=elsewhere hours=26.0" in caplog.text
    slow.places[1] = f"{old_ms}-8"
    await trimmed_out(trimmer)
    assert 0 == await live(store, 1)
    assert (0, "") == (trimmer.waiting_ms, trimmer.waiting_for)


async def test_r29_while_nothing_is_flushed_nothing_goes(store, flusher) -> None:
    """Old as it may be."""
    stream = home(store, 1).stream
    fields = ("k", "settle", "id", "r", "n", 1, "a", 1, "c", 1, "e", call(0).details())
    await store.command("XADD", stream, "5-0", *fields)
    trimmer = Trimmer(store, flusher.sinks, hot_hours=24)

    await trimmed_out(trimmer)

    assert 1 == await live(store, 1)
    assert trimmer.waiting_ms > HOUR_MS
    await store.command("HSET", home(store, 1).cursors, "flush", "junk", "archive", "9-0")
    await trimmed_out(trimmer)
    assert (1, "flush") == (await live(store, 1), trimmer.waiting_for)


@pytest.mark.parametrize("damaged", ["cursors", "stream", "checkpoints"])
async def test_a_damaged_key_stops_its_own_partition(store, flusher, damaged, caplog) -> None:
    """The others are trimmed."""
    events = [call(10 * i, number=i % 2) for i in range(20)]
    await post(store, *events)
    await drain(flusher)
    await asyncio.sleep(0.002)
    await store.command("DEL", getattr(home(store, 1), damaged))
    await store.command("SET", getattr(home(store, 1), damaged), "junk")

    await trimmed_out(Trimmer(store, flusher.sinks, hot_hours=0))

    assert 0 == await live(store, 0)
    assert "partition_stuck index=1" in caplog.text


async def test_r05_a_trimmer_may_die_anywhere(store, archive, flusher) -> None:
    """After every command; the next one goes on, and the sums are whole."""
    events: list[Any] = []
    for fails_at in range(1, 1_000, 3):
        batch = [call(len(events) + i, number=i % 2) for i in range(4)]
        events += batch
        await post(store, *batch)
        await drain(flusher)
        await asyncio.sleep(0.002)
        faulty = Faulty(store, fails_at=fails_at, after=bool(fails_at % 2))
        with contextlib.suppress(LedgerUnavailable):
            await Trimmer(faulty, flusher.sinks, hot_hours=0).step()  # type: ignore[arg-type]
        if not faulty.failed:
            break
    await trimmed_out(Trimmer(store, flusher.sinks, hot_hours=0))

    for number in (0, 1):
        mine = [e for e in events if e.customer_number == number]
        assert sum_of(mine) == await checkpoint(store, number)
    assert fails_at > 6


async def test_spent_is_checkpoint_and_stream_at_every_moment(server, store, archive) -> None:
    """Calls, a flusher and three trimmers at once, and somebody who looks all the time."""
    dice = random.Random(3)
    async with bench(server) as b:
        flusher = Flusher(store, archive, zone=ZONE, clock=StillClock())
        first = await b.hold("acme", 5)
        number, partition = first.profile.number, first.partition
        keys = (partition.checkpoints, partition.stream, partition.account(number))
        seen: list[list[int]] = []
        done = asyncio.Event()

        async def call_on() -> None:
            await b.settle(first, 5)
            for _ in range(60):
                holds = await asyncio.gather(*(b.hold("acme", 50) for _ in range(4)))
                charges = [dice.randrange(90) for _ in holds]
                await asyncio.gather(*map(b.settle, holds, charges))
                await b.lapse(await b.hold("acme", 7))
            done.set()

        async def work(step) -> None:
            while not done.is_set():
                await step()
                await asyncio.sleep(0)

        async def look() -> None:
            while not done.is_set():
                seen.append(await store.command("EVAL", SPENT_AND_EXPLAINED, 3, *keys, number))
                await asyncio.sleep(0)

        other = Store(server)
        await other.connect()
        trimmers = [Trimmer(s, flusher.sinks, hot_hours=0) for s in (store, store, other)]
        async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
            for job in (call_on(), look(), work(flusher.step), *(work(t.step) for t in trimmers)):
                tasks.create_task(job)
        await drain(flusher)
        for trimmer in trimmers:
            await trimmed_out(trimmer)
        await other.close()

        assert [] == [pair for pair in seen if pair[0] != pair[1]]
        spent = await b.spent("acme")
        assert spent == (await money_of(store, partition, number)).charge_pico
        assert spent == (await archive.summary(LogFilter())).charge_pico
        assert sum(t.trimmed for t in trimmers) == 301


async def test_full_memory_refuses_calls_and_frees_itself(server, store, archive) -> None:
    """A hold is refused; settle, flush and trim go on, and what they free lets calls in again."""
    async with bench(server) as b:
        held = await b.hold("acme", 50)
        stream = held.partition.stream
        details = b'{"v":1,"at_ms":1,"raw_usage":"%s"}' % (b"x" * 2_000)
        filling = ("k", "settle", "id", "r", "n", 1, "a", 0, "c", 0, "e", details)
        await store.commands([("XADD", stream, f"5-{i}", *filling) for i in range(1, 2_000)])
        used = int(memory(await store.command("INFO", "memory", node_of=stream), "used_memory"))
        await store.command("CONFIG", "SET", "maxmemory", used - 500_000, node_of=stream)
        flusher = Flusher(store, archive, zone=ZONE, clock=StillClock())
        try:
            with pytest.raises(LedgerUnavailable):
                await b.hold("acme", 50)
            await b.settle(held, 9)
            await drain(flusher)
            await trimmed_out(Trimmer(store, flusher.sinks, hot_hours=1))

            freed = used - int(
                memory(await store.command("INFO", "memory", node_of=stream), "used_memory")
            )
            again = await b.hold("acme", 50)
        finally:
            await store.command("CONFIG", "SET", "maxmemory", 0, node_of=stream)
        await b.settle(again, 1)
    assert freed > 3_000_000


def memory(info: bytes, name: str) -> str:
    return dict(line.split(":", 1) for line in info.decode().splitlines() if ":" in line)[name]


entries = st.lists(
    st.tuples(st.integers(0, 3), st.integers(-(2**70), 2**70), st.integers(0, 2**65)), max_size=30
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(entries)
def test_money_adds_up_by_customer(posted) -> None:
    """Exactly, whatever the order; customers whom nothing changes are left out."""
    flats = [
        (b"5-1", [b"k", b"?", b"id", b"r", b"n", b"%d" % n, b"a", b"%d" % a, b"c", b"%d" % c])
        for n, a, c in posted
    ]
    expected = {
        number: Money(sum(a for _, a, _ in mine), sum(c for _, _, c in mine))
        for number, group in groupby(sorted(posted), key=lambda one: one[0])
        if (mine := [one for one in group if any(one[1:])])
    }

    assert expected == {number: sums.money for number, sums in by_customer(flats).items()}


async def test_nothing_is_trimmed_by_what_was_passed_in_another_store(store, flusher) -> None:
    """It came back without its newest writes; a sink that remembers may have to count again."""
    await post(store, call(1, number=0))
    await drain(flusher)
    await asyncio.sleep(0.002)
    counters = flusher.sinks[0]

    class Changing(Elsewhere):
        async def cursors(self, partitions):
            store._changes.note()
            return await counters.cursors(partitions)

    with pytest.raises(LedgerUnavailable):
        await Trimmer(store, [*flusher.sinks, Changing()], hot_hours=0).step()

    assert 1 == await live(store, 0)
