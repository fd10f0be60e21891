"""Reports: the sum of days is the range is the events, from the counters and from the archive."""

import dataclasses
import random
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from gateway.event import Kind, Status, UsageEvent
from gateway.ledger.requests import new_request_id
from gateway.metering.counters import Counters
from gateway.metering.flusher import Flusher
from gateway.reports import Active, Filter, Granularity, GroupBy, Measure, Reports, Span
from gateway.store.archive import Archive, Bounds
from gateway.store.archive.days import day_start_ms
from pricing.usage import Usage
from tests.support.ledgers import bench
from tests.support.stores import empty, server
from tests.support.zones import CHANGES, ZONES

pytestmark = pytest.mark.anyio

HOUR_MS = 3_600_000
CUSTOMERS = ["acme", "beta", "gamma", "~anonymous"]
EVERYTHING = Filter()


@dataclass
class Books:
    reports: Reports
    events: list[UsageEvent]
    numbers: dict[str, int]
    zone: str
    now_ms: int


@pytest.fixture(scope="module")
def store_server() -> Iterator[str]:
    with server("valkey") as url:
        yield url


@pytest.fixture(params=ZONES)
def zone(request) -> str:
    name: str = request.param
    return name


@pytest.fixture
async def books(store_server: str, tmp_path: Path, zone: str) -> AsyncIterator[Books]:
    """Calls around the hours at which days begin and clocks change, counted and archived."""
    empty(store_server)
    archive = await Archive.open(tmp_path, zone=zone)
    async with bench(store_server) as one:
        Counters(one.store, ZoneInfo(zone))
        chance = random.Random(64)
        numbers: dict[str, int] = {}
        for index in range(120):
            customer = chance.choice(CUSTOMERS)
            at_ms = chance.choice(CHANGES) + chance.randrange(-40 * HOUR_MS, 40 * HOUR_MS)
            request_id = new_request_id(one.clock.now_ms())
            hold = await one.hold(customer, 10**12, request_id=request_id)
            numbers[customer] = hold.profile.number
            event = UsageEvent(
                request_id=request_id,
                kind=Kind.RELEASE if index % 10 == 0 else Kind.SETTLE,
                status=Status.ERROR if index % 10 == 0 else Status.OK,
                at_ms=at_ms,
                customer_number=hold.profile.number,
                app=chance.choice(["shop", "chat"]),
                model=chance.choice(["small", "big"]),
                cost_pico=0 if index % 10 == 0 else chance.randrange(10**12),
                charge_pico=0 if index % 10 == 0 else chance.randrange(10**12),
                usage=Usage() if index % 10 == 0 else Usage(input_tokens=chance.randrange(100)),
                latency_ms=chance.randrange(1_000),
            )
            await (one.ledger.release if index % 10 == 0 else one.ledger.settle)(hold, event)
        flusher = Flusher(one.store, archive, zone=ZoneInfo(zone), clock=one.clock)
        while await flusher.step():
            pass
        events = [row.event for p in range(64) for row in await archive.events_of(p)]
        reports = Reports(one.store, archive, one.clock)
        yield Books(reports, events, numbers, zone, one.clock.now_ms())
    await archive.close()


def day_span(zone: str, first: date, days: int, granularity=Granularity.DAY) -> Span:
    last = first + timedelta(days=days)
    start_ms, end_ms = (day_start_ms(day, ZoneInfo(zone)) for day in (first, last))
    return Span(start_ms=start_ms, end_ms=end_ms, zone=ZoneInfo(zone), granularity=granularity)


def questions(books: Books, count: int) -> Iterator[tuple[Span, Filter]]:
    """Spans of whole days and of any length, in every zone, with and without filters."""
    chance = random.Random(count)
    for index in range(count):
        zone = chance.choice([*ZONES, books.zone])
        middle = datetime.fromtimestamp(chance.choice(CHANGES) / 1000, UTC).date()
        span = day_span(
            zone,
            middle - timedelta(days=chance.randrange(4)),
            chance.randrange(1, 40),
            chance.choice(list(Granularity)),
        )
        if index % 3 == 0:
            span = dataclasses.replace(span, end_ms=span.end_ms - chance.randrange(HOUR_MS * 20))
        wanted = Filter(
            app=chance.choice([None, None, "shop"]),
            model=chance.choice([None, None, "small"]),
            customers=chance.choice([None, None, (books.numbers["acme"],), ()]),
        )
        yield span, wanted


def matching(books: Books, span: Span, wanted: Filter) -> list[UsageEvent]:
    return [
        event
        for event in books.events
        if span.start_ms <= event.at_ms < span.end_ms
        and wanted.app in (None, event.app)
        and wanted.model in (None, event.model)
        and (wanted.customers is None or event.customer_number in wanted.customers)
    ]


async def test_r64_slots_add_up_to_the_range_and_the_range_to_the_events(books) -> None:
    """In UTC, Kolkata, New York and Kathmandu, over changes of the clocks, however filtered."""
    for span, wanted in questions(books, 40):
        events = matching(books, span, wanted)
        cost = sum(event.cost_pico for event in events)
        calls = sum(event.is_usage for event in events)

        totals = await books.reports.summary(span, wanted)
        series = await books.reports.series(span, wanted, GroupBy.CUSTOMER, Measure.COST, 2)
        days = [[*of.values(), series.other.get(s, None)] for s, of in series.slots.items()]
        by_day = sum(use.cost_pico for of_day in days for use in of_day if use)
        by_day += sum(use.cost_pico for s, use in series.other.items() if s not in series.slots)

        assert (cost, calls) == (totals.cost_pico, totals.requests)
        assert cost == by_day
        assert {s for s, _ in span.starts()} >= set(series.slots) | set(series.other)


async def test_r64_every_slot_has_what_lies_in_it(books) -> None:
    """Each event is in the slot that has begun last, for each key; nothing is in two."""
    for span, wanted in questions(books, 30):
        for by, key_of in [
            (GroupBy.NONE, lambda _: ""),
            (GroupBy.MODEL, lambda event: event.model),
            (GroupBy.CUSTOMER, lambda event: event.customer_number),
        ]:
            expected: dict[tuple[int, object], int] = {}
            for event in matching(books, span, wanted):
                if event.is_usage:
                    place = span.slots.of(event.at_ms), key_of(event)
                    expected[place] = expected.get(place, 0) + 1

            series = await books.reports.series(span, wanted, by, Measure.REQUESTS)

            assert expected == {
                (slot, key): use.requests
                for slot, of_slot in series.slots.items()
                for key, use in of_slot.items()
                if use.requests
            }


async def test_counters_and_archive_say_the_same(books) -> None:
    """Whole days of the reporting zone come from the counters, and not from the rows."""
    for first, days in [(date(2026, 2, 27), 14), (date(2025, 11, 1), 150)]:
        for granularity in (Granularity.DAY, Granularity.MONTH):
            span = day_span(books.zone, first, days, granularity)
            # The same days, asked in a way that the counters do not understand.
            hours = dataclasses.replace(span, granularity=Granularity.HOUR)

            assert await books.reports.summary(span, EVERYTHING) == await books.reports.summary(
                hours, EVERYTHING
            )
            for measure in Measure:
                counted = await books.reports.top_users(span, EVERYTHING, measure, 2)
                assert counted == await books.reports.top_users(hours, EVERYTHING, measure, 2)
            assert await books.reports.active(span, EVERYTHING) == await active_in(
                books, span, EVERYTHING
            )


async def active_in(books: Books, span: Span, wanted: Filter) -> list[Active]:
    """By hand, from the events."""
    anonymous = books.numbers["~anonymous"]
    calls = [e for e in books.events if e.is_usage and e.customer_number != anonymous]
    first = {
        number: min(e.at_ms for e in calls if e.customer_number == number)
        for number in books.numbers.values()
        if number != anonymous
    }
    answer = []
    for slot, _ in span.starts():
        here = {
            e.customer_number
            for e in matching(books, span, wanted)
            if e in calls and span.slots.of(e.at_ms) == slot
        }
        new = [n for n in here if first[n] >= span.start_ms and span.slots.of(first[n]) == slot]
        answer.append(Active(len(here), len(new)))
    return answer


async def test_the_anonymous_are_nobody(books) -> None:
    """Their use counts, in totals and among the top; they are no active user."""
    span = day_span("UTC", date(2025, 10, 1), 200)

    totals = await books.reports.summary(span, EVERYTHING)
    top = await books.reports.top_users(span, EVERYTHING, Measure.COST, 10)

    assert 3 == totals.active_users
    assert set(books.numbers.values()) == {user.number for user in top.users}


async def test_new_and_returning_are_the_active(books) -> None:
    """Filtered or not: new is who called for the first time ever."""
    for span, wanted in questions(books, 15):
        found = await books.reports.active(span, wanted)

        assert found == await active_in(books, span, wanted)


async def test_paces_are_of_the_calls(books) -> None:
    """About the nearest rank of each slot; a slot without calls has none."""
    span = day_span("UTC", date(2026, 3, 7), 3)
    durations = sorted(
        e.latency_ms or 0
        for e in books.events
        if e.is_usage and span.slots.of(e.at_ms) == span.starts()[1][0]
    )

    paces = await books.reports.paces(span, EVERYTHING)

    assert 3 == len(paces)
    assert pytest.approx(durations[len(durations) // 2], rel=0.01) == paces[1].p50
    assert paces[1].first_p50 is None


async def test_months_are_bounds(books) -> None:
    """They have no one length; each event is in its own."""
    span = day_span(books.zone, date(2025, 11, 15), 130, Granularity.MONTH)

    assert isinstance(span.slots, Bounds)
    assert ["2025-11", "2025-12", "2026-01", "2026-02", "2026-03"] == [
        span.label(begins) for _, begins in span.starts()
    ]
