from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.event import Kind, Source, Status, UsageEvent
from gateway.metering.fold import advance, day_of, fold
from gateway.metering.totals import DayTotals, Lifetime, Totals, pack, totals_of, unpack
from pricing.usage import Usage

ZONES = [UTC, ZoneInfo("Europe/Berlin"), ZoneInfo("Pacific/Apia"), ZoneInfo("America/New_York")]
DAY_MS = 86_400_000

amounts = st.integers(-(2**62), 2**62)
events = st.builds(
    UsageEvent,
    request_id=st.just("r"),
    kind=st.sampled_from(Kind),
    at_ms=st.integers(1_760_000_000_000, 1_760_000_000_000 + 5 * DAY_MS),
    customer_number=st.integers(1, 3),
    charge_pico=amounts,
    cost_pico=amounts,
    hold_pico=st.sampled_from([0, 7, 10**12]),
    unpriced=st.booleans(),
    usage=st.builds(
        Usage,
        input_tokens=st.integers(0, 10**9),
        cache_read_tokens=st.integers(0, 10**9),
        output_tokens=st.integers(0, 10**9),
        reasoning_tokens=st.integers(0, 10**9),
    ),
    source=st.none() | st.sampled_from(Source),
    status=st.sampled_from(Status),
    latency_ms=st.none() | st.integers(0, 10**6),
    first_token_ms=st.none() | st.integers(0, 10**6),
)


def event(kind: Kind, **fields) -> UsageEvent:
    return UsageEvent(request_id="r", kind=kind, at_ms=1_760_000_000_000, **fields)


class Folded:
    """Counters in memory, advanced batch by batch as the flusher does it."""

    def __init__(self) -> None:
        self.lifetimes: dict[int, Lifetime] = {}
        self.days: dict[tuple[int, date], DayTotals] = {}

    def take(self, batch, zone) -> None:
        for number, change in fold(batch, zone).items():
            before = {
                day: self.days[number, day] for day in change.days if (number, day) in self.days
            }
            lifetime, days = advance(self.lifetimes.get(number, Lifetime()), before, change)
            self.lifetimes[number] = lifetime
            self.days |= {(number, day): totals for day, totals in days.items()}


@given(st.lists(events, max_size=30), st.sampled_from(ZONES), st.data())
def test_batches_do_not_matter(log, zone, data) -> None:
    """The same events give the same counters, however the stream is cut and in any order."""
    cut = data.draw(st.integers(0, len(log)))
    again = data.draw(st.permutations(log))
    whole, parts = Folded(), Folded()

    whole.take(log, zone)
    parts.take(again[:cut], zone)
    parts.take(again[cut:], zone)

    assert whole.lifetimes == parts.lifetimes
    assert whole.days == parts.days


@given(st.lists(events, max_size=30), st.sampled_from(ZONES))
def test_counts_what_a_naive_reader_counts(log, zone) -> None:
    """Counters equal a plain walk over the events."""
    money: defaultdict[int, Counter[str]] = defaultdict(Counter)
    calls: defaultdict[int, list[UsageEvent]] = defaultdict(list)
    for entry in log:
        count = money[entry.customer_number]
        if entry.kind in (Kind.SETTLE, Kind.ORPHAN, Kind.EVENT):
            calls[entry.customer_number].append(entry)
        if entry.kind not in (Kind.REFUSE, Kind.RELEASE, Kind.CREDIT):
            count["cost"] += entry.cost_pico
            count["charge"] += entry.charge_pico
            count["input"] += entry.usage.input_tokens + entry.usage.cache_read_tokens
            count["output"] += entry.usage.output_tokens + entry.usage.reasoning_tokens
        count["rejected"] += entry.kind is Kind.REFUSE
    folded = Folded()

    folded.take(log, zone)

    assert set(money) == set(folded.lifetimes)
    for number, lifetime in folded.lifetimes.items():
        totals, own = lifetime.totals, calls[number]
        assert len(own) == totals.calls
        assert money[number] == Counter(
            cost=totals.cost_pico,
            charge=totals.charge_pico,
            input=totals.input_tokens,
            output=totals.output_tokens,
            rejected=totals.rejected,
        )
        assert sum(e.unpriced for e in own) == totals.unpriced
        assert sum(e.latency_ms or 0 for e in own) == totals.latency_ms_sum
        assert sum(e.first_token_ms is not None for e in own) == totals.first_token_calls
        assert min((e.at_ms for e in own), default=None) == lifetime.first_seen_ms
        assert max((e.at_ms for e in own), default=None) == lifetime.last_seen_ms
        assert len({day_of(e.at_ms, zone) for e in own}) == lifetime.active_days


@given(st.lists(events, max_size=30), st.sampled_from(ZONES))
def test_days_add_up_to_the_lifetime(log, zone) -> None:
    """What a customer's days show together is what its lifetime shows."""
    folded = Folded()

    folded.take(log, zone)

    for number, lifetime in folded.lifetimes.items():
        days = [day for (of, _), day in folded.days.items() if of == number]
        assert lifetime.totals.of_day == DayTotals(*map(sum, zip(*days, strict=True)))


def test_an_orphan_is_unresolved_until_the_truth_arrives() -> None:
    """No upper bound stays in what a bill may show, and the sources add up to the charge."""
    orphan = event(Kind.ORPHAN, charge_pico=900, cost_pico=900, status=Status.UNRESOLVED)
    truth = event(
        Kind.ADJUST,
        charge_pico=-880,
        cost_pico=-890,
        hold_pico=900,
        source=Source.REPORTED,
        usage=Usage(input_tokens=5),
    )
    folded = Folded()

    folded.take([orphan], UTC)
    before = folded.lifetimes[0].totals
    folded.take([truth], UTC)
    after = folded.lifetimes[0].totals

    assert (900, 900, 0) == (before.charge_pico, before.unresolved_pico, before.reported_pico)
    assert (20, 0, 20) == (after.charge_pico, after.unresolved_pico, after.reported_pico)
    assert (1, 1, 10, 5) == (after.calls, after.errors, after.cost_pico, after.input_tokens)


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (event(Kind.REFUSE, status=Status.REJECTED, latency_ms=3), Totals(rejected=1)),
        (event(Kind.RELEASE, latency_ms=3), Totals()),
        (event(Kind.RELEASE, status=Status.ERROR), Totals(errors=1)),
        (event(Kind.RELEASE, status=Status.ABORTED), Totals(aborted=1)),
        (event(Kind.SETTLE, status=Status.ABORTED), Totals(calls=1, aborted=1)),
        (event(Kind.SETTLE, unpriced=True), Totals(calls=1, unpriced=1)),
        (
            event(Kind.SETTLE, charge_pico=3, source=Source.ESTIMATED),
            Totals(calls=1, charge_pico=3, estimated_pico=3),
        ),
        (
            event(Kind.EVENT, charge_pico=3, source=Source.EVENT),
            Totals(calls=1, charge_pico=3, event_pico=3),
        ),
        (event(Kind.ADJUST, charge_pico=-3, latency_ms=4), Totals(charge_pico=-3)),
        (
            event(Kind.ADJUST, charge_pico=3, unpriced=True, adjusts="r", source=Source.EVENT),
            Totals(unpriced=-1, charge_pico=3, event_pico=3),
        ),
        (event(Kind.ADJUST, charge_pico=3, unpriced=True), Totals(charge_pico=3)),
    ],
    ids=lambda value: value.kind if isinstance(value, UsageEvent) else "",
)
def test_what_each_kind_adds(entry, expected) -> None:
    """Refusals and releases are no calls, adjustments move money only."""
    assert expected == totals_of(entry)


def test_a_day_is_active_once_it_has_a_call() -> None:
    """An adjustment alone does not make a day active, and a day counts once."""
    folded = Folded()

    folded.take([event(Kind.ADJUST, charge_pico=1)], UTC)
    assert 0 == folded.lifetimes[0].active_days
    folded.take([event(Kind.SETTLE)], UTC)
    folded.take([event(Kind.SETTLE)], UTC)
    assert 1 == folded.lifetimes[0].active_days


def test_days_are_the_reporting_zones() -> None:
    """23:30 UTC is tomorrow in Berlin, on both sides of a change of the clocks."""
    berlin = ZoneInfo("Europe/Berlin")
    for day in (date(2025, 3, 29), date(2025, 3, 30), date(2025, 10, 25), date(2025, 10, 26)):
        late = datetime(day.year, day.month, day.day, 23, 30, tzinfo=UTC)
        at_ms = int(late.timestamp() * 1000)
        assert day == day_of(at_ms, UTC)
        assert day + timedelta(days=1) == day_of(at_ms, berlin)


@given(st.builds(DayTotals, *[st.integers(-(2**70), 2**70)] * len(DayTotals._fields)))
def test_a_packed_day_reads_back(day) -> None:
    """Whatever was counted is what is read."""
    assert day == unpack(pack(day).encode())


def test_packed_days_grow_at_the_end() -> None:
    """Older fields lack the new numbers, and newer ones do not confuse an older reader."""
    assert DayTotals(calls=3) == unpack(b"3")
    assert DayTotals() == unpack(None)
    assert DayTotals(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11) == unpack(b"1,2,3,4,5,6,7,8,9,10,11,12,13")


def test_a_day_keeps_the_first_numbers_of_the_totals() -> None:
    """`of_day` cuts by position."""
    assert Totals._fields[: len(DayTotals._fields)] == DayTotals._fields
