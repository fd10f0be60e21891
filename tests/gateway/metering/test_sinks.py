"""The seam for further sinks, and what a damaged place stops."""

import pytest

from gateway.metering.flusher import Flusher
from gateway.metering.reader import BATCH_EVENTS_MAX
from tests.gateway.metering.posting import ZONE, StillClock, assert_exact, call, drain, home, post

pytestmark = pytest.mark.anyio


class Elsewhere:
    """A sink that keeps its places for itself, and wants only streams of odd partitions."""

    name = "elsewhere"
    is_ready = True

    def __init__(self) -> None:
        self.places: dict[int, str] = {}
        self.seen: list[str] = []

    async def cursors(self, partitions):
        return [self.places.get(p.index, "") if p.index % 2 else None for p in partitions]

    async def take(self, tails):
        for tail in tails:
            self.seen += [event.request_id for _, event in tail.events]
            self.places[tail.partition.index] = tail.last_id
        return [True] * len(tails)


async def test_a_sink_may_keep_its_own_places(store, archive) -> None:
    """It is read from there, at its own pace, and only what it wants."""
    more = Elsewhere()
    flusher = Flusher(store, archive, zone=ZONE, clock=StillClock(), more=[more])
    events = [call(i, number=i % 4) for i in range(2 * BATCH_EVENTS_MAX)]
    await post(store, *events[:100])
    await drain(Flusher(store, archive, zone=ZONE, clock=StillClock()))
    await post(store, *events[100:])

    await drain(flusher)

    assert sorted(e.request_id for e in events if e.customer_number % 2) == sorted(more.seen)
    await assert_exact(store, archive, events)


@pytest.mark.parametrize("cursor", ["junk", "9-9-9"])
async def test_r28_a_damaged_cursor_stops_its_own_partition_only(
    store, archive, cursor, caplog
) -> None:
    """The others go on, the log names it, and set right it carries on."""
    flusher = Flusher(store, archive, zone=ZONE, clock=StillClock())
    events = [call(i, number=i % 2) for i in range(20)]
    await post(store, *events[:10])
    await drain(flusher)
    good = await store.command("HGET", home(store, 1).cursors, "flush")
    await store.command("HSET", home(store, 1).cursors, "flush", cursor)
    await post(store, *events[10:])

    await drain(flusher)

    await assert_exact(store, archive, [e for e in events if not e.customer_number], rows=events)
    assert any(r.msg.startswith("partition_stuck") for r in caplog.records)
    await store.command("HSET", home(store, 1).cursors, "flush", good)
    await drain(flusher)
    await assert_exact(store, archive, events)


@pytest.mark.parametrize("name", ["cursors", "stream"])
async def test_r28_a_key_of_another_type_stops_its_own_partition_only(
    store, archive, name, caplog
) -> None:
    """Neither counters nor rows of other partitions wait for it."""
    flusher = Flusher(store, archive, zone=ZONE, clock=StillClock())
    events = [call(i, number=0) for i in range(20)]
    await store.command("SET", getattr(home(store, 1), name), "junk")
    await post(store, *events)

    await drain(flusher)

    await assert_exact(store, archive, events)
