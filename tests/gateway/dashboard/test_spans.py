"""Ranges: their slots cover them, whole, once, in every zone."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dashboard.spans import DAY_MS, HOUR_MS, PRESETS, span

ZONES = ["UTC", "Europe/Berlin", "Asia/Kathmandu", "America/Los_Angeles", "Australia/Lord_Howe"]


@given(
    st.sampled_from(ZONES),
    st.sampled_from(list(PRESETS)),
    st.integers(1_704_067_200_000, 1_830_297_600_000),  # 2024 to 2027
    st.floats(0, 1),
)
def test_each_instant_of_a_range_has_its_slot(zone, name, now_ms, share) -> None:
    """In order, without gaps: sums of slots are the sum of the range, over changes of the clock."""
    found = span(name, now_ms=now_ms, zone=ZoneInfo(zone))
    starts = [slot for slot, _ in found.starts()]
    at_ms = found.start_ms + int((found.end_ms - 1 - found.start_ms) * share)

    assert starts == list(range(starts[0], starts[0] + len(starts)))
    assert found.slots.of(at_ms) in starts
    if found.unit == "day":
        day = datetime.fromtimestamp(at_ms / 1000, ZoneInfo(zone)).date()
        assert day == found.begins(found.slots.of(at_ms)).date()
    assert len(starts) <= 62


@pytest.mark.parametrize(
    ("name", "start", "end", "before"),
    [
        ("30d", "2026-10-16", "2026-11-14T12:00", "2026-09-16"),
        ("7d", "2026-11-08", "2026-11-14T12:00", "2026-11-01"),
        ("mtd", "2026-11-01", "2026-11-14T12:00", "2026-10-01"),
        ("last", "2026-10-01", "2026-11-01", "2026-09-01"),
        ("24h", "2026-11-13T13:00", "2026-11-14T12:00", "2026-11-12T14:00"),
    ],
)
def test_what_a_range_is_and_what_it_is_compared_with(name, start, end, before) -> None:
    now_ms = ms("2026-11-14T12:00")

    found = span(name, now_ms=now_ms, zone=UTC)

    assert (ms(start), ms(end)) == (found.start_ms, found.end_ms - found.end_ms % 1000)
    assert ms(before) == found.before_ms[0] - found.before_ms[0] % 60_000 or name == "24h"
    assert found.before_ms[1] <= found.start_ms


def test_a_range_of_days_has_both_of_them() -> None:
    days = (date(2026, 1, 5), date(2026, 1, 6))

    found = span("custom", now_ms=ms("2026-11-14"), zone=UTC, days=days)

    assert (ms("2026-01-05"), ms("2026-01-07")) == (found.start_ms, found.end_ms)
    assert "hour" == found.unit
    assert "5 Jan to 6 Jan 2026" == found.label


@pytest.mark.parametrize(
    ("days", "unit", "count"), [(1, "hour", 24), (60, "day", 60), (365, "week", 53)]
)
def test_long_ranges_have_coarser_slots(days, unit, count) -> None:
    first = date(2025, 1, 1)
    last = first + timedelta(days=days - 1)

    found = span("custom", now_ms=ms("2026-11-14"), zone=UTC, days=(first, last))

    assert (unit, count) == (found.unit, len(list(found.starts())))


def test_a_day_of_25_hours_has_them_all() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    day = date(2026, 10, 25)

    found = span("custom", now_ms=ms("2026-11-14"), zone=berlin, days=(day, day))

    assert 25 * HOUR_MS == found.end_ms - found.start_ms
    assert 25 == len(list(found.starts()))
    both = (date(2026, 10, 20), date(2026, 10, 30))
    assert 11 == len(list(span("custom", now_ms=ms("2026-11-14"), zone=berlin, days=both).starts()))


@pytest.mark.parametrize(
    "days", [(date(2026, 2, 2), date(2026, 2, 1)), (date(2020, 1, 1), date(2026, 1, 1))]
)
def test_a_range_that_is_none_is_refused(days) -> None:
    with pytest.raises(ValueError, match="range"):
        span("custom", now_ms=ms("2026-11-14"), zone=UTC, days=days)


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def test_days_are_days() -> None:
    assert 24 * HOUR_MS == DAY_MS
