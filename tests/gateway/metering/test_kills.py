"""A flusher that is killed, and several at once: what the streams say is counted, once."""

import asyncio
from collections import Counter
from contextlib import suppress

import pytest
from msgspec.structs import replace

from gateway.errors import LedgerUnavailable
from gateway.event import UsageEvent
from gateway.metering.flusher import Flusher
from gateway.store.archive import LogFilter
from gateway.store.client import Store
from gateway.store.keys import BACKGROUND_LEASE
from gateway.store.lease import Lease
from tests.gateway.metering.faults import Jittery, Killed, Mortal, Sleeper
from tests.gateway.metering.posting import (
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
from tests.support.sizes import sized

pytestmark = pytest.mark.anyio

EVENTS = 6
WAYS = [
    (how, after)
    for how in (Killed, asyncio.CancelledError, LedgerUnavailable)
    for after in (False, True)
]


def flusher_of(store, archive) -> Flusher:
    return Flusher(store, archive, zone=ZONE, clock=StillClock())


async def posted(store, run: int) -> list[UsageEvent]:
    """Calls of a customer known for long and of two new ones, in partitions 0 to 2."""
    partitions = len(store.keyspace.partitions)
    numbers = (0, (run + 1) * partitions + 1, (run + 1) * partitions + 2)
    events = [
        replace(call(i, number=numbers[i % 3]), request_id=f"r{run}-{i}") for i in range(EVENTS)
    ]
    for number in numbers:
        await store.command("HSET", home(store, number).profile(number), "identifier", f"c{number}")
    await post(store, *events)
    return events


async def in_streams(store) -> tuple[int, Counter[int]]:
    """All entries, and what they charge each customer."""
    entries, charges = 0, Counter[int]()
    for partition in store.keyspace.partitions:
        for _, fields in await store.command("XRANGE", partition.stream, "-", "+"):
            entries += 1
            charges[int(fields[5])] += int(fields[7])
    return entries, charges


@pytest.mark.parametrize("runs", [30, pytest.param(sized(110, full=400), marks=pytest.mark.slow)])
async def test_r05_killed_between_any_two_steps(store, archive, runs) -> None:
    """However it dies, wherever: the next one makes the sums those of the streams.

    On three kinds of servers, together more than a thousand kills.
    """
    events = await posted(store, -1)
    await drain(flusher_of(store, archive))
    events += await posted(store, 0)
    witness = Mortal()
    await flusher_of(witness.holding(store), witness.holding(archive)).step()
    places = set()

    for run in range(1, runs + 1):
        batch = await posted(store, run)
        events += batch
        dies_at = run % witness.steps + 1
        how, after = WAYS[run // witness.steps % len(WAYS)]
        doomed = Mortal(dies_at=dies_at, after=after, how=how)
        with suppress(how):
            await flusher_of(doomed.holding(store), doomed.holding(archive)).step()
            pytest.fail(f"it outlived step {dies_at}")
        places.add((dies_at, after, how))
        await drain(flusher_of(store, archive))

        truth = expected(e for e in events if not e.customer_number or e in batch)
        assert truth == {n: await counted(store, n) for n in truth}, (dies_at, after, how)

    entries, charges = await in_streams(store)
    for number, charge in charges.items():
        lifetime, _ = await counted(store, number)
        assert charge == lifetime.totals.charge_pico
    rows = await archive.logs(LogFilter(), page_size=1)
    assert sum(charges.values()) == (await archive.summary(LogFilter())).charge_pico
    assert entries == rows.count == len({e.request_id for e in events})
    assert len(places) == min(runs, witness.steps * len(WAYS))


@pytest.mark.parametrize("rounds", [3, pytest.param(sized(12, full=40), marks=pytest.mark.slow)])
async def test_r30_three_flushers_and_a_stolen_lease(server, store, archive, rounds) -> None:
    """One that was thought dead wakes with an old batch, one never asks, one has the lease."""
    events = []
    other = Store(server)
    await other.connect()
    for seed in range(rounds):
        batch = await posted(store, seed)
        events += batch
        thought_dead, heir = Lease(other), Lease(store)
        sleeper = Sleeper(other)
        assert await thought_dead.take()
        zombie = asyncio.create_task(flusher_of(sleeper, archive).step())
        await sleeper.asleep.wait()
        await store.command("PEXPIRE", BACKGROUND_LEASE, 0)
        assert await heir.take()
        assert not await thought_dead.take()

        async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
            for rival in range(2):
                jittery = flusher_of(Jittery(store, seed * 2 + rival), archive)
                tasks.create_task(drain(jittery))
            await asyncio.sleep(0.002 * (seed % 8))
            sleeper.wake.set()
            tasks.create_task(drain(flusher_of(other, archive)))
        await zombie
        await heir.give_up()
        await drain(flusher_of(store, archive))

        truth = expected(e for e in events if not e.customer_number or e in batch)
        assert truth == {n: await counted(store, n) for n in truth}
    await other.close()

    assert rounds * EVENTS == len(events)
    await assert_exact(store, archive, events)
