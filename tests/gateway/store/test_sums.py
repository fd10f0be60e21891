"""Sums say what rows say: whatever comes twice, late, or in the place of another, in any zone."""

import asyncio
import random
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from sqlalchemy import select, update

from gateway.event import Kind, Status, UsageEvent
from gateway.reports.span import Granularity, Span
from gateway.store.archive import Archive, ArchivedEvent, LogFilter, PastDay
from gateway.store.archive.days import Days, day_start_ms
from gateway.store.archive.ranking import rank_of
from gateway.store.archive.rows import insert_new, to_row
from gateway.store.archive.spreads import (
    class_of,
    middle_of,
    quantile,
    together,
    unpacked,
    unpacked_bits,
)
from gateway.store.archive.sums import (
    CALLERS,
    CUSTOMER_DAYS,
    SPREADS,
    SUMMED,
    SUMS,
)
from pricing.usage import Usage
from tests.support.zones import CHANGES, ZONES

pytestmark = pytest.mark.anyio

HOUR_MS = 3_600_000
EVERYBODY = LogFilter(start_ms=CHANGES[1] - 50 * HOUR_MS, end_ms=CHANGES[0] + 50 * HOUR_MS)
MONEY_MAX = 2**62

instants = st.builds(
    int.__add__, st.sampled_from(CHANGES), st.integers(-45 * HOUR_MS, 45 * HOUR_MS)
)


@st.composite
def posted(draw: st.DrawFn) -> ArchivedEvent:
    """Any event; few names, so that many stand for the same call."""
    kind = draw(st.sampled_from([Kind.SETTLE] * 3 + list(Kind)))
    name = draw(st.sampled_from("abcd"))
    adjusts = name if kind is Kind.ADJUST and draw(st.booleans()) else None
    into, out = draw(st.integers(0, 10**6)), draw(st.integers(0, 10**6))
    event = UsageEvent(
        request_id=f"{name}.1" if adjusts else name,
        kind=kind,
        at_ms=draw(instants),
        customer_number=0 if kind is Kind.REFUSE else draw(st.sampled_from([1, 2, 3])),
        app=draw(st.sampled_from(["shop", "chat"])),
        model=draw(st.sampled_from(["small", "big", ""])),
        status=draw(st.sampled_from(list(Status))),
        unpriced=draw(st.booleans()),
        charge_pico=draw(st.integers(-MONEY_MAX, MONEY_MAX)),
        cost_pico=draw(st.integers(-MONEY_MAX, MONEY_MAX)),
        hold_pico=draw(st.integers(0, MONEY_MAX)),
        usage=Usage(input_tokens=into, cache_read_tokens=into // 2, output_tokens=out),
        latency_ms=draw(st.none() | st.integers(0, 10**7)),
        first_token_ms=draw(st.none() | st.integers(0, 10**5)),
        adjusts=adjusts,
    )
    stream_id = f"{draw(st.integers(1, 9))}-{draw(st.integers(0, 9))}"
    return ArchivedEvent(draw(st.sampled_from([0, 1])), stream_id, event)


batches = st.lists(st.lists(posted(), max_size=6), max_size=6)


@settings(max_examples=15, deadline=None)
@given(
    batches=batches,
    zones=st.tuples(st.sampled_from(ZONES), st.sampled_from(ZONES)),
    again=st.booleans(),
    chance=st.randoms(),
)
def test_sums_follow_the_rows(tmp_path_factory, batches, zones, again, chance) -> None:
    """After every batch, repeated or not, as if the rows that stand there had come once."""
    zone, asked = zones

    async def work() -> None:
        archive = await Archive.open(tmp_path_factory.mktemp("archive"), zone=zone)
        for batch in batches * (1 + again):
            await archive.add(batch)
        await agree(archive, EVERYBODY, [asked])
        known = dump(archive)
        await begin_anew(archive, chance.choice(batches) if batches else [])
        assert known == dump(archive)
        await archive.close()

    asyncio.run(work())


async def agree(archive: Archive, wanted: LogFilter, zones: Sequence[str]) -> None:
    """Every question is answered the same from sums and from rows."""
    answers = archive.answers
    for asked in zones:
        for granularity in Granularity:
            span = span_of(wanted, asked, granularity)
            for by in (None, "model", "app", "customer"):
                rows = await archive.use(wanted, slots=span.slots, by=by)
                sums = await answers.use(wanted, slots=span.slots, by=by)
                assert told(rows) == told(sums), (asked, granularity, by)
            called: dict[int, set[int]] = {}
            for slot, number, _ in await archive.callers(wanted, span.slots):
                if number != 2:
                    called.setdefault(slot, set()).add(number)
            active = await answers.active(wanted, span.slots, but=2)
            assert {s: len(of) for s, of in called.items()} == {
                s: n for s, n in active.by_slot.items() if n
            }
            assert len(set().union(*called.values())) == active.whole
            paces = await answers.paces(wanted, span.slots)
            timings = await archive.timings(wanted, span.slots, 1)
            for slot, pace in paces.items():
                mine = [t for t in timings if t.slot == slot]
                assert together({class_of(t.latency_ms or 0): 1} for t in mine) == pace.whole
    for metric in ("cost_pico", "tokens", "requests", "charge_pico"):
        everybody = rank_of(await archive.use(wanted, by="customer"), metric)
        for limit in (1, 2, 5):
            found = await answers.top(wanted, metric, limit)
            assert told(everybody[:limit]) == told(found)


def told(uses: Sequence[Any]) -> dict[Any, Any]:
    """By slot and key, those that are not all zero."""
    found = {}
    for use in uses:
        numbers = {f: getattr(use, f) for f in use.__slots__ if f not in {"slot", "key"}}
        partition = numbers.pop("partition")
        del partition  # whose it is matters where the key is a customer, who has one
        if any(numbers.values()):
            found[use.slot, use.key] = numbers
    return found


def span_of(wanted: LogFilter, zone: str, granularity: Granularity) -> Span:
    assert wanted.start_ms is not None
    assert wanted.end_ms is not None
    return Span(
        start_ms=wanted.start_ms,
        end_ms=wanted.end_ms,
        zone=ZoneInfo(zone),
        granularity=granularity,
    )


def dump(archive: Archive) -> dict[str, Any]:
    """All that the sums say, without what is zero and without the places of callers."""
    with archive._engine.connect() as connection:
        by_place = {row.place: row.customer_number for row in connection.execute(select(CALLERS))}
        sums = {
            (table.name, *row[:keys]): row[keys:]
            for table, keys in ((SUMS, 4), (CUSTOMER_DAYS, 3))
            for row in connection.execute(select(table))
            if any(row[keys:])
        }
        spreads = {
            row[:2]: (
                {n for place, n in by_place.items() if unpacked_bits(row.callers) >> place & 1},
                unpacked(row.latency),
                unpacked(row.first_token),
            )
            for row in connection.execute(select(SPREADS))
        }
        first = {
            row.customer_number: row.first_ms
            for row in connection.execute(select(CALLERS))
            if row.first_ms < 2**62
        }
    return {"sums": sums, "spreads": {k: v for k, v in spreads.items() if any(v)}, "first": first}


async def begin_anew(archive: Archive, beside: Sequence[ArchivedEvent]) -> None:
    """As an archive of an earlier version; a batch comes again meanwhile."""
    with archive._engine.begin() as connection:
        connection.execute(update(SUMMED).values(zone="Antarctica/Troll"))
    known = Archive(archive._engine, archive._zone)
    await known.prepare()
    await known.add(beside)
    while await known.sum_up():
        await known.add(beside)


@pytest.mark.parametrize("zone", ["Asia/Kathmandu", "America/New_York"])
async def test_every_database_agrees(request, tmp_path, archive_url, zone) -> None:
    """A few hundred calls around the hours at which days begin; some twice, some late."""
    chance = random.Random(17)
    archive = await Archive.open(tmp_path, archive_url, zone=zone)
    request.addfinalizer(archive._engine.dispose)  # or a failure waits for the server for ever
    events = [some_event(chance, index) for index in range(300)]
    for start in range(0, 300, 50):
        await archive.add(events[start : start + 50])
    await archive.add(events[100:160])
    lost = [replace(one, stream_id=f"9999-{i}") for i, one in enumerate(events[200:250])]
    await archive.add([*lost, some_event(chance, 300)])

    await agree(archive, EVERYBODY, ZONES)
    odd = LogFilter(start_ms=CHANGES[1] - HOUR_MS + 17, end_ms=CHANGES[0] + 123_457)
    await agree(archive, odd, [zone])
    known = dump(archive)
    await begin_anew(archive, events[:10])
    assert known == dump(archive)
    await archive.close()


def some_event(chance: random.Random, index: int) -> ArchivedEvent:
    event = UsageEvent(
        request_id=f"r{index}",
        kind=chance.choice([Kind.SETTLE, Kind.SETTLE, Kind.ORPHAN, Kind.RELEASE]),
        at_ms=chance.choice(CHANGES) + chance.randrange(-40 * HOUR_MS, 40 * HOUR_MS),
        customer_number=int(40 * chance.random() ** 2) + 1,
        app=chance.choice(["shop", "chat"]),
        model=chance.choice(["small", "big"]),
        status=chance.choice([Status.OK, Status.ERROR]),
        charge_pico=chance.randrange(10**13),
        cost_pico=chance.randrange(10**13),
        usage=Usage(input_tokens=chance.randrange(1000), output_tokens=chance.randrange(1000)),
        latency_ms=chance.randrange(5000),
    )
    return ArchivedEvent(index % 3, f"{index + 1}-0", event)


async def test_an_archive_of_before_is_brought_along(tmp_path) -> None:
    """With what its removed rows left behind; and nothing is removed before it is summed up."""
    chance = random.Random(3)
    archive = await Archive.open(tmp_path, zone="Asia/Kolkata")
    events = [some_event(chance, index) for index in range(60)]
    await archive.add(events)
    day = date(2026, 3, 1)
    gone = PastDay(77, day, "shop", "", (3, 1, 0, 0, 10, 4, 5, 1, 700, 800, 0), CHANGES[2], None)
    await archive.retire(0, "3-0", lambda rows: [gone] if list(rows) else [])
    await begin_anew(archive, [])
    with archive._engine.begin() as connection:
        connection.execute(update(SUMMED).values(done_id=0))
    assert 0 == await archive.retire(0, "9999-0", lambda rows: [])
    with archive._engine.begin() as connection:
        connection.execute(update(SUMMED).values(done_id=10**6))

    start_ms = day_start_ms(day, ZoneInfo("Asia/Kolkata"))
    wanted = LogFilter(start_ms=start_ms, end_ms=start_ms + 24 * HOUR_MS, customer_numbers=[77])
    [use] = await archive.answers.use(wanted, by="customer")
    assert (3, 15, 700, 800) == (use.requests, use.tokens, use.cost_pico, use.charge_pico)
    everybody = LogFilter(start_ms=start_ms, end_ms=start_ms + 24 * HOUR_MS)
    models = await archive.answers.use(everybody, by="model")
    assert 700 == sum(model.cost_pico for model in models if model.key == "")
    await archive.close()


async def test_what_an_earlier_version_writes_beside_is_summed_up(tmp_path) -> None:
    """While gateways are brought along one by one."""
    chance = random.Random(8)
    archive = await Archive.open(tmp_path)
    events = [some_event(chance, index) for index in range(90)]
    await archive.add(events[:30])
    with archive._engine.begin() as connection:
        rows = [to_row(one) for one in events[30:60]]
        connection.exec_driver_sql(insert_new(connection.dialect), rows)
    await archive.add(events[60:])
    with archive._engine.begin() as connection:
        rows = [to_row(some_event(chance, index)) for index in range(90, 95)]
        connection.exec_driver_sql(insert_new(connection.dialect), rows)
    await archive.add(events)
    while await archive.sum_up():
        pass

    await agree(archive, EVERYBODY, ["UTC"])
    assert 95 == (await archive.logs(EVERYBODY)).count
    await archive.close()


async def test_the_greatest_are_found_among_many(tmp_path) -> None:
    """By the first places of each day, and the same as by a look at everybody."""
    chance = random.Random(5)
    archive = await Archive.open(tmp_path)
    for batch in range(6):
        await archive.add(
            [
                replace(one, event=replace(one.event, customer_number=number))
                for i in range(500)
                for one in [some_event(chance, batch * 500 + i)]
                for number in [int(400 * chance.random() ** 3) + 1]
            ]
        )
    wanted = replace_filter(EVERYBODY)
    for metric in ("cost_pico", "tokens", "requests"):
        everybody = rank_of(await archive.use(wanted, by="customer"), metric)
        for limit in (1, 8, 40, 1_000):
            found = await archive.answers.top(wanted, metric, limit)
            assert [one.key for one in everybody[:limit]] == [one.key for one in found]
    await archive.close()


def replace_filter(wanted: LogFilter) -> LogFilter:
    """Whole days of UTC."""
    day_ms = 24 * HOUR_MS
    assert wanted.start_ms is not None
    assert wanted.end_ms is not None
    return LogFilter(
        start_ms=wanted.start_ms // day_ms * day_ms, end_ms=wanted.end_ms // day_ms * day_ms
    )


@given(st.integers(0, 10**9))
def test_a_class_is_narrow(ms: int) -> None:
    """What stands for it is less than 0.2 % beside; short durations are exact."""
    found = middle_of(class_of(ms))
    assert abs(found - ms) <= ms / 512
    assert class_of(ms) <= class_of(ms + 1)


@given(st.lists(st.integers(0, 10**6), min_size=1), st.sampled_from([0.5, 0.95]))
def test_a_quantile_is_near_the_nearest_rank(durations: list[int], share: float) -> None:
    exact = sorted(durations)[min(int(share * len(durations)), len(durations) - 1)]
    found = quantile(together({class_of(ms): 1} for ms in durations), share)
    assert found is not None
    assert abs(found - exact) <= exact / 512


@given(at_ms=st.integers(0, 4_000_000_000_000), zone=st.sampled_from([*ZONES, "Africa/Monrovia"]))
def test_a_day_has_its_instants(at_ms: int, zone: str) -> None:
    """Also where offsets are no quarters of an hour."""
    day = datetime.fromtimestamp(at_ms // 1000, ZoneInfo(zone)).date()
    start_ms = Days(ZoneInfo(zone)).of(at_ms)
    assert day_start_ms(day, ZoneInfo(zone)) == start_ms
    assert start_ms <= at_ms < day_start_ms(day + timedelta(days=1), ZoneInfo(zone))
