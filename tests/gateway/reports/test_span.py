"""The slots of a span: without gap or overlap, in any zone, over every change of the clocks."""

from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.metering.fold import day_of
from gateway.reports import Granularity, Span, SpanTooLong
from gateway.reports.span import DAY_MS
from gateway.store.archive.days import day_start_ms

ZONES = [
    "UTC",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "America/New_York",
    "Europe/Berlin",
    "Australia/Lord_Howe",  # its summer time is half an hour
    "America/Sao_Paulo",  # began its days at one o'clock
    "Pacific/Apia",  # has left out a day
]
MS = st.integers(1_262_304_000_000, 1_800_000_000_000)  # 2010 to 2027
SPANS = st.builds(
    lambda start, days, zone, granularity: Span(
        start_ms=start,
        end_ms=start + days * DAY_MS // 4,
        zone=ZoneInfo(zone),
        granularity=granularity,
    ),
    MS,
    st.integers(1, 600),
    st.sampled_from(ZONES),
    st.sampled_from(Granularity),
)


@given(SPANS, st.floats(0, 1, exclude_max=True))
def test_r64_every_instant_is_in_the_slot_that_has_begun_last(span, share) -> None:
    """Slots cover the span without gap or overlap: sums of slots are the sum of the span."""
    at_ms = span.start_ms + int(share * (span.end_ms - span.start_ms))

    starts = span.starts()

    begins = [ms for _, ms in starts]
    assert sorted(begins) == begins
    assert begins[0] <= span.start_ms
    assert starts[bisect_right(begins, at_ms) - 1][0] == span.slots.of(at_ms)


@given(SPANS, st.floats(0, 1, exclude_max=True))
def test_r64_days_are_those_of_the_counters(span, share) -> None:
    """Counters and archive put an event on the same day."""
    at_ms = span.start_ms + int(share * (span.end_ms - span.start_ms))

    if span.granularity is not Granularity.HOUR:
        day = day_of(at_ms, span.zone)
        assert span.slots.of(at_ms) == span.slots.of(max(day_start_ms(day, span.zone), 0))


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("America/New_York", "2026-03-08", 23),
        ("America/New_York", "2026-11-01", 25),
        ("Asia/Kathmandu", "2026-11-01", 24),
        ("Pacific/Apia", "2011-12-30", 0),
    ],
)
def test_days_are_as_long_as_the_zone_says(zone, day, hours) -> None:
    date = datetime.fromisoformat(day).date()
    begins, ends = (day_start_ms(d, ZoneInfo(zone)) for d in (date, date + timedelta(days=1)))

    assert hours == (ends - begins) // 3_600_000


def test_slots_are_named_as_people_name_them() -> None:
    """Hours with their offset, days, months."""
    start_ms = int(datetime(2026, 10, 31, 18, 15, tzinfo=UTC).timestamp() * 1000)
    zone = ZoneInfo("Asia/Kathmandu")

    labels = {
        granularity: [
            span.label(begins)
            for span in [
                Span(
                    start_ms=start_ms,
                    end_ms=start_ms + 3_600_000,
                    zone=zone,
                    granularity=granularity,
                )
            ]
            for _, begins in span.starts()
        ]
        for granularity in Granularity
    }

    assert {
        "hour": ["2026-11-01T00:00:00+05:45"],
        "day": ["2026-11-01"],
        "month": ["2026-11"],
    } == labels


def test_a_span_has_bounds() -> None:
    """Nobody looks at ten thousand hours, and no answer has that many."""
    with pytest.raises(SpanTooLong, match="hours"):
        Span(start_ms=0, end_ms=5_000 * 3_600_000, zone=UTC, granularity=Granularity.HOUR)
