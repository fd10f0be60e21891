"""Groups and apps: every event that names one counts on it once, whoever reads the streams."""

import asyncio
import random
from collections import Counter
from itertools import count

import pytest

from gateway.customers.windows import Calendar
from gateway.errors import LedgerUnavailable
from gateway.event import Kind, UsageEvent
from gateway.ledger.scope_registry import ScopeRegistry
from gateway.metering.flusher import Flusher
from gateway.metering.reader import Reader
from gateway.metering.scope_sink import ASIDE_SECONDS, STORED_SECONDS, ScopeSink
from gateway.store.keys import SCOPES
from tests.gateway.metering.posting import NOON_MS, ZONE, StillClock, call, home, post
from tests.support.sizes import sized

pytestmark = pytest.mark.anyio
GROUPS = [f"team {n}" for n in range(5)]
APPS = ["bot", "web"]


GROUP_A = "group:a"


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
async def registry(store) -> ScopeRegistry:
    made = ScopeRegistry(store)
    await made.ensure([*(f"group:{g}" for g in GROUPS), "app:bot"])
    return made


def sink_of(store, clock) -> ScopeSink:
    return ScopeSink(store, Calendar(ZONE), clock)


def flusher_of(store, archive, clock) -> Flusher:
    return Flusher(store, archive, zone=ZONE, clock=clock, more=[sink_of(store, clock)])


def calls(count: int, *, start: int = 0, customers: int = 90) -> list[UsageEvent]:
    """Of customers in many partitions; every fourth is in no group."""
    return [
        call(
            i,
            i % customers,
            group=GROUPS[i % 20 // 4] if i % 4 else None,
            app=APPS[i % 2],
        )
        for i in range(start, start + count)
    ]


async def spent(store, scope: str) -> int:
    where = store.keyspace.partition_of(scope)
    return int(await store.command("HGET", where.scope_account(scope), "spent") or 0)


async def assert_exact(store, events, apps=("bot",)) -> None:
    truth: Counter[str] = Counter()
    for event in events:
        if event.group:
            truth[f"group:{event.group}"] += event.charge_pico
        if event.app in apps:
            truth[f"app:{event.app}"] += event.charge_pico
    assert truth == {scope: await spent(store, scope) for scope in truth}


async def drain(flusher: Flusher) -> None:
    while await flusher.step():
        pass


async def test_every_event_counts_on_its_group_and_its_app(store, archive, clock, registry):
    """Whatever partition it comes from; an app only counts when it has, or had, a limit."""
    events = calls(2_500)
    await post(store, *events)
    await drain(flusher_of(store, archive, clock))
    await assert_exact(store, events)
    assert 0 == await spent(store, "app:web")


async def test_without_scopes_nothing_is_read(store, archive, clock):
    """Who has no groups pays nothing, and no stream is kept for them."""
    sink = sink_of(store, clock)
    await post(store, *calls(10))
    assert {None} == set(await sink.cursors(store.keyspace.partitions))


@pytest.mark.parametrize(
    "seed", [0, 1, *(pytest.param(n, marks=pytest.mark.slow) for n in range(2, sized(6, full=20)))]
)
async def test_flushers_that_meet_die_and_come_back_count_once(
    store, archive, clock, registry, seed
):
    """Two at a time, each replaced at random, cut off in the middle of a step or left behind."""
    chance = random.Random(seed)
    flushers = [flusher_of(store, archive, clock) for _ in range(2)]
    events: list[UsageEvent] = []
    for _ in range(15):
        more = calls(chance.randrange(60), start=len(events))
        events += more
        await post(store, *more)
        clock.seconds += chance.choice([0.0, 0.3, 2 * STORED_SECONDS])
        steps = [asyncio.ensure_future(f.step()) for f in flushers[: chance.choice([1, 2, 2])]]
        if chance.random() < 0.3:
            await asyncio.sleep(chance.random() / 100)
            steps[0].cancel()
        await asyncio.gather(*steps, return_exceptions=True)
        if chance.random() < 0.3:
            flushers[chance.randrange(2)] = flusher_of(store, archive, clock)
    await drain(flushers[1])
    await drain(flushers[0])
    await assert_exact(store, events)


async def test_a_scope_that_comes_later_counts_from_its_first_event(store, archive, clock):
    """It is known before anything names it; nothing before that is read again."""
    registry = ScopeRegistry(store)
    flusher = flusher_of(store, archive, clock)
    events = []
    for n, group in enumerate(GROUPS):
        await registry.ensure([f"group:{group}"])
        more = [call(100 * n + i, i, group=group) for i in range(50)]
        events += more
        await post(store, *more)
        if n % 2:
            await flusher.step()
    await drain(flusher)
    await assert_exact(store, events)


async def test_the_first_scope_of_a_partition_skips_the_past(store, archive, clock):
    """Streams that are long when groups come in are not read from their start."""
    await post(store, *(call(i, 7) for i in range(300)))
    await ScopeRegistry(store).ensure(["group:late"])
    place_of = (await sink_of(store, clock).cursors(store.keyspace.partitions))[7]
    last = await store.command("XREVRANGE", home(store, 7).stream, "+", "-", "COUNT", 1)
    assert last[0][0].decode() == place_of


async def test_a_scope_whose_cursors_were_lost_counts_from_the_start(store, archive, clock):
    """The store kept, or was sent once more, its name alone; then comes another beside it."""
    partition = store.keyspace.partition_of
    beside = next(f"group:b{n}" for n in count() if partition(f"group:b{n}") is partition(GROUP_A))
    await store.command("SADD", SCOPES, GROUP_A)
    await post(store, call(1, group="a"))

    await ScopeRegistry(store).ensure([beside])
    await drain(flusher_of(store, archive, clock))

    assert call(1).charge_pico == await spent(store, GROUP_A)


async def test_a_scope_is_entered_in_the_store_that_is_there(store, archive, clock, monkeypatch):
    """It came back without the cursors while the name was on its way."""
    registry, sending = ScopeRegistry(store), store.command
    cursors = store.keyspace.partition_of(GROUP_A).cursors

    async def lost(*parts):
        if parts[0] == "SADD":
            monkeypatch.undo()
            store._changes.note()
            await sending("DEL", cursors)
        return await sending(*parts)

    monkeypatch.setattr(store, "command", lost)
    await registry.ensure([GROUP_A])

    assert len(store.keyspace.partitions) == await store.command("HLEN", cursors)
    assert not registry.in_doubt


async def test_cursors_follow_within_a_second(store, archive, clock, registry):
    """A stream that names no scope is passed all the same, and can be trimmed."""
    flusher = flusher_of(store, archive, clock)
    await post(store, *(call(i, 7) for i in range(10)))
    await drain(flusher)
    clock.seconds += STORED_SECONDS
    await flusher.step()
    last = await store.command("XREVRANGE", home(store, 7).stream, "+", "-", "COUNT", 1)
    targets = {store.keyspace.partition_of(f"group:{g}") for g in GROUPS}
    assert {last[0][0]} == {await store.command("HGET", t.cursors, "g:7") for t in targets}


async def test_a_damaged_target_holds_nobody_up(store, archive, clock, registry):
    """The others go on; once it is mended it catches up."""
    broken = store.keyspace.partition_of(f"group:{GROUPS[0]}")
    await store.command("SET", broken.scope_holds, "no hash")
    flusher = flusher_of(store, archive, clock)
    events = calls(900)
    await post(store, *events)
    for _ in range(10):
        await flusher.step()
    at_home = [e for e in events if e.group != GROUPS[0] and e.app != "bot"]
    others = {e.group for e in at_home} - {None}
    assert others
    for group in others:
        where = store.keyspace.partition_of(f"group:{group}")
        told = sum(e.charge_pico for e in events if e.group == group)
        assert where is broken or told == await spent(store, f"group:{group}")
    await store.command("DEL", broken.scope_holds)
    clock.seconds += ASIDE_SECONDS
    await drain(flusher)
    await assert_exact(store, events)


async def test_a_damaged_account_is_named_and_counts_all_once_it_is_mended(
    store, archive, clock, registry, caplog
):
    """Nothing of an end is done by halves: neither its hold is gone, nor is it counted twice."""
    name = f"group:{GROUPS[0]}"
    partition = store.keyspace.partition_of(name)
    account = partition.scope_account(name)
    flusher = flusher_of(store, archive, clock)
    events = [call(i, 7, group=GROUPS[0]) for i in range(6)]
    await post(store, *events[:3])
    await drain(flusher)
    spent_before = await store.command("HGET", account, "spent")
    held = events[4].request_id
    await store.command("HSET", partition.scope_holds, f"{name} {held}", "9|0 0 0 0 0 0")
    await store.command("HSET", account, "held", 9, "spent", "many")
    await post(store, *events[3:])
    for _ in range(3):
        await flusher.step()
        clock.seconds += ASIDE_SECONDS

    assert f"error=DAMAGED {account}: " in caplog.text
    assert [b"9"] == await store.command("HMGET", account, "held")
    assert 1 == await store.command("HLEN", partition.scope_holds)
    await store.command("HSET", account, "spent", spent_before)
    await drain(flusher)
    await assert_exact(store, events)
    assert [b"0"] == await store.command("HMGET", account, "held")
    assert 0 == await store.command("HLEN", partition.scope_holds)


async def test_a_stream_that_lost_its_end_is_read_again(store, archive, clock, registry):
    """It goes on with lower ids than were passed; what was counted before counts once."""
    sink = sink_of(store, clock)
    flusher = Flusher(store, archive, zone=ZONE, clock=clock, more=[sink])
    stream = home(store, 7).stream
    for at, i in ((NOON_MS, 5), (NOON_MS + 2_000, 6), (NOON_MS + 4_000, 7)):
        await store.command("XADD", stream, f"{at}-0", *wire(call(i, 7, group=GROUPS[0])))
    await drain(flusher)
    # The last two are lost, with the stream's memory of them; one of them is posted anew.
    await store.command("DEL", stream)
    again = [call(5, 7, group=GROUPS[0]), call(6, 7, group=GROUPS[0])]
    fresh = [call(8, 7, group=GROUPS[0])]
    for at, event in zip((0, 500, 900), [*again, *fresh], strict=True):
        await store.command("XADD", stream, f"{NOON_MS + at}-0", *wire(event))
    sink.store_changed()
    await drain(flusher)
    kept = [call(i, 7, group=GROUPS[0]) for i in (5, 6, 7, 8)]
    await assert_exact(store, kept, apps=())


async def test_a_store_that_changes_while_it_is_asked_is_asked_again(
    store, archive, clock, registry, monkeypatch
):
    """One server of a cluster is back before the others: no target is forgotten for that."""
    sink = sink_of(store, clock)
    flusher = Flusher(store, archive, zone=ZONE, clock=clock, more=[sink])
    command, asked = store.command, []

    async def late(reply):
        found = await reply
        await asyncio.sleep(0.05)
        sink.store_changed()
        return found

    def changing(*parts, **options):
        reply = command(*parts, **options)
        if parts[0] == "HMGET" and str(parts[2]).startswith("g:"):
            asked.append(parts)
            if len(asked) == 2:
                return late(reply)
        return reply

    monkeypatch.setattr(store, "command", changing)
    events = calls(100)
    await post(store, *events)
    await drain(flusher)
    await assert_exact(store, events)


async def test_what_another_store_had_is_not_counted(store, archive, clock, registry):
    """It was read, then the store came back without it: its cursors may stand where they stood."""
    await registry.ensure(["group:a"])
    await post(store, call(1, group="a"))
    sink = sink_of(store, clock)
    partitions = store.keyspace.partitions
    places = await sink.cursors(partitions)
    starts = [(p, at) for p, at in zip(partitions, places, strict=True) if at is not None]
    tails = list((await Reader(store).read(starts)).values())
    store._changes.note()
    with pytest.raises(LedgerUnavailable):
        await sink.take(tails)
    assert 0 == await spent(store, "group:a")


async def test_windows_are_those_in_which_the_usage_was(store, archive, clock, registry):
    """What was posted late counts in the total, and in windows that had not ended by then."""
    day = 86_400_000
    for i, (posted, at) in enumerate(
        [(NOON_MS, NOON_MS), (NOON_MS, NOON_MS - day), (NOON_MS, NOON_MS + day)]
    ):
        event = UsageEvent(
            request_id=f"r{i}", kind=Kind.EVENT, at_ms=at, charge_pico=10**i, group=GROUPS[0]
        )
        await store.command("XADD", home(store, 7).stream, f"{posted + i}-0", *wire(event))
    await drain(flusher_of(store, archive, clock))
    scope = f"group:{GROUPS[0]}"
    where = store.keyspace.partition_of(scope).scope_account(scope)
    fields = await store.command("HMGET", where, "spent", "day.past.charge", "month.past.charge")
    assert [b"111", b"110", b"0"] == fields


def wire(event: UsageEvent):
    return [
        *("k", event.kind, "id", event.request_id, "n", 1),
        *("a", event.charge_pico, "c", event.cost_pico, "e", event.details()),
    ]
