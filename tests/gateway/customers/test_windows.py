"""Windows: each instant in exactly one, at local midnight, whatever the zone's clocks do."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.customers.windows import CUSTOM, KINDS, Anchor, Calendar, Duration, Window
from gateway.ledger.results import HALF_SECONDS

ZONES = [
    "UTC",
    "Asia/Tokyo",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "America/New_York",
    "America/Sao_Paulo",
    "America/Havana",
    "America/St_Johns",
    "Asia/Beirut",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Africa/Casablanca",
]
zones = st.sampled_from(ZONES).map(ZoneInfo)
instants = st.integers(
    int(datetime(1990, 1, 1, tzinfo=UTC).timestamp() * 1000),
    int(datetime(2040, 1, 1, tzinfo=UTC).timestamp() * 1000),
)
starts = st.datetimes(
    datetime.fromisoformat("1985-01-01"), datetime.fromisoformat("2042-01-01")
).map(lambda d: d.replace(microsecond=0))
anchors = st.builds(
    lambda start, duration, span: Anchor(
        start.isoformat(), (start + span).isoformat() if span else None, duration
    ),
    starts,
    st.sampled_from(Duration),
    st.one_of(
        st.none(),
        st.timedeltas(timedelta(minutes=1), timedelta(days=400)).map(
            lambda t: timedelta(seconds=t.total_seconds() // 1)
        ),
        st.sampled_from([timedelta(minutes=1), timedelta(minutes=25), timedelta(hours=7)]),
    ),
)


def ms(text: str, zone: str = "UTC") -> int:
    moment = datetime.fromisoformat(text)
    return int((moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(zone))).timestamp()) * (
        1000
    )


def shifts(zone: ZoneInfo, year: int) -> list[int]:
    """The instants of a year at which the zone's offset changes, ms."""
    day, found = datetime(year, 1, 1, tzinfo=UTC), []
    while day.year == year:
        after = day + timedelta(days=1)
        if day.astimezone(zone).utcoffset() != after.astimezone(zone).utcoffset():
            low, high = int(day.timestamp()), int(after.timestamp())
            while high - low > 1:
                middle = (low + high) // 2
                same = (
                    datetime.fromtimestamp(middle, zone).utcoffset()
                    == day.astimezone(zone).utcoffset()
                )
                low, high = (middle, high) if same else (low, middle)
            found.append(high * 1000)
        day = after
    return found


SHIFTS = [
    (zone, at)
    for zone in ZONES
    for year in (2004, 2011, 2018, 2026)
    for at in shifts(ZoneInfo(zone), year)
]


def check_tiling(calendar: Calendar, instant_ms: int, anchor: Anchor | None) -> None:
    """The windows at an instant contain it, agree with their neighbours and have larger ids."""
    windows = calendar.at(instant_ms, anchor)
    assert windows.from_ms <= instant_ms < windows.until_ms
    for kind, window in windows.by_kind.items():
        assert window.start_ms <= instant_ms < window.end_ms
        fresh = Calendar(calendar._zone)
        assert window == fresh.at(window.start_ms, anchor).by_kind[kind]
        assert window == fresh.at(window.end_ms - 1, anchor).by_kind[kind]
        following = fresh.at(window.end_ms, anchor).by_kind[kind]
        assert window.end_ms == following.start_ms
        assert window.start_ms // 1000 < following.start_ms // 1000
        if kind != CUSTOM:  # the scripts take what begins sooner for the same in another zone
            half_seconds = HALF_SECONDS[KINDS.index(kind)]
            assert following.start_ms - window.start_ms >= 1000 * half_seconds


@given(zones, instants)
def test_r31_calendar_windows_tile_time(zone: ZoneInfo, instant_ms: int) -> None:
    """No gap, no overlap, ids that only grow."""
    check_tiling(Calendar(zone), instant_ms, None)


@given(zones, instants, anchors)
def test_r31_anchored_windows_tile_time(zone: ZoneInfo, instant_ms: int, anchor: Anchor) -> None:
    """A customer's own period too, before its anchor as after it."""
    check_tiling(Calendar(zone), instant_ms, anchor)


@given(
    st.sampled_from(SHIFTS),
    st.integers(-3 * 3600, 3 * 3600),
    st.one_of(st.none(), anchors),
    st.timedeltas(timedelta(0), timedelta(days=2)),
)
def test_r31_windows_tile_time_where_clocks_shift(shift, around: int, anchor, ahead) -> None:
    """In the hours around a shift, where walls repeat or skip, anchors there included."""
    zone, at = ZoneInfo(shift[0]), shift[1]
    check_tiling(Calendar(zone), at + around * 1000, anchor)
    start = (datetime.fromtimestamp(at / 1000, zone).replace(tzinfo=None) - ahead).isoformat()
    check_tiling(Calendar(zone), at + around * 1000, Anchor(start, None, Duration.DAILY))


@pytest.mark.parametrize("zone", ZONES)
def test_r31_a_day_begins_at_local_midnight(zone: str) -> None:
    """Every day of years with odd shifts begins at 00:00:00.000, or where the shift skips it."""
    calendar, tz = Calendar(ZoneInfo(zone)), ZoneInfo(zone)
    for year in (2004, 2011, 2018):
        at = ms(f"{year}-01-01T00:00:00", zone)
        while datetime.fromtimestamp(at / 1000, tz).year == year:
            day = calendar.at(at).by_kind["day"]
            begins = datetime.fromtimestamp(day.start_ms / 1000, tz)
            before = datetime.fromtimestamp(day.start_ms / 1000 - 1, tz)
            assert (
                begins.time().isoformat() == "00:00:00" or begins.utcoffset() != before.utcoffset()
            )
            assert before.date() < begins.date()
            at = day.end_ms


@pytest.mark.parametrize(
    ("zone", "instant", "kind", "start", "end"),
    [
        ("UTC", "2026-11-21T12:00", "day", "2026-11-21T00:00Z", "2026-11-22T00:00Z"),
        ("UTC", "2026-11-22T23:59:59", "week", "2026-11-16T00:00Z", "2026-11-23T00:00Z"),
        ("UTC", "2024-02-29T12:00", "month", "2024-02-01T00:00Z", "2024-03-01T00:00Z"),
        ("UTC", "2023-02-28T12:00", "month", "2023-02-01T00:00Z", "2023-03-01T00:00Z"),
        ("UTC", "2026-12-31T23:59:59", "year", "2026-01-01T00:00Z", "2027-01-01T00:00Z"),
        ("UTC", "2026-01-01T00:00", "week", "2025-12-29T00:00Z", "2026-01-05T00:00Z"),
        ("Asia/Tokyo", "2026-11-01T00:00", "month", "2026-10-31T15:00Z", "2026-11-30T15:00Z"),
        ("Asia/Tokyo", "2026-10-31T23:59:59", "month", "2026-09-30T15:00Z", "2026-10-31T15:00Z"),
        ("Asia/Kolkata", "2026-11-21T00:00", "day", "2026-11-20T18:30Z", "2026-11-21T18:30Z"),
        ("America/New_York", "2026-03-08T12:00", "day", "2026-03-08T05:00Z", "2026-03-09T04:00Z"),
        ("America/New_York", "2026-11-01T12:00", "day", "2026-11-01T04:00Z", "2026-11-02T05:00Z"),
        ("America/Sao_Paulo", "2018-11-04T12:00", "day", "2018-11-04T03:00Z", "2018-11-05T02:00Z"),
        ("Pacific/Apia", "2011-12-29T12:00", "day", "2011-12-29T10:00Z", "2011-12-30T10:00Z"),
        ("Pacific/Apia", "2011-12-31T12:00", "day", "2011-12-30T10:00Z", "2011-12-31T10:00Z"),
    ],
)
def test_r31_windows_open_at_local_midnight(zone, instant, kind, start, end) -> None:
    """Days of 23 and 25 hours, a day that never was, leap days, ISO weeks."""
    found = Calendar(ZoneInfo(zone)).at(ms(instant, zone)).by_kind[kind]
    assert Window(ms(start), ms(end)) == found


@pytest.mark.parametrize(
    ("start", "end", "duration", "expected"),
    [
        (
            "2026-01-31",
            None,
            Duration.MONTHLY,
            ["2026-01-31", "2026-02-28", "2026-03-31", "2026-04-30", "2026-05-31"],
        ),
        ("2024-02-29", None, Duration.YEARLY, ["2024-02-29", "2025-02-28", "2026-02-28"]),
        ("2026-11-04", None, Duration.WEEKLY, ["2026-11-04", "2026-11-11", "2026-11-18"]),
        ("2026-11-04", None, Duration.DAILY, ["2026-11-04", "2026-11-05", "2026-11-06"]),
        # With an end it is their distance that repeats; the duration does not matter.
        ("2026-11-01", "2026-11-11", Duration.YEARLY, ["2026-11-01", "2026-11-11", "2026-11-21"]),
    ],
)
def test_r31_an_anchored_period_rolls_over_by_itself(start, end, duration, expected) -> None:
    """From its own start, the day clamped to the month's end and never worn down by it."""
    calendar = Calendar(ZoneInfo("UTC"))
    anchor = Anchor(start, end, duration)
    for begins, ends in pairwise(expected):
        window = calendar.at(ms(begins), anchor).by_kind["custom"]
        assert Window(ms(begins), ms(ends)) == window
        assert window == calendar.at(ms(ends) - 1, anchor).by_kind["custom"]


def test_an_anchor_is_a_wall_clock_time_of_the_zone() -> None:
    """A time without an offset is local; one with an offset is the instant that it names."""
    calendar = Calendar(ZoneInfo("Asia/Tokyo"))
    now = ms("2026-11-21T12:00Z")
    local = calendar.at(now, Anchor("2026-11-01", None, Duration.MONTHLY))
    named = calendar.at(now, Anchor("2026-10-31T15:00:00Z", None, Duration.MONTHLY))
    assert local.by_kind["custom"] == named.by_kind["custom"]
    assert ms("2026-10-31T15:00Z") == local.by_kind["custom"].start_ms


def test_ids_name_the_windows_in_the_scripts_order() -> None:
    """Starts in Unix seconds, then the custom one's end; 0 where there is no such window."""
    calendar, now = Calendar(ZoneInfo("UTC")), ms("2026-11-21T12:00Z")
    expected = [str(ms(day) // 1000) for day in ("2026-11-21", "2026-11-16", "2026-11-01")]
    year = str(ms("2026-01-01") // 1000)
    own = [str(ms(day) // 1000) for day in ("2026-11-10", "2026-12-10")]
    anchor = Anchor("2026-11-10", None, Duration.MONTHLY)

    assert [*expected, year, "0", "0"] == calendar.at(now).ids.split()
    assert [*expected, year, *own] == calendar.at(now, anchor).ids.split()
    assert ("day", "week", "month", "year", "custom") == KINDS


def test_a_late_event_shares_only_the_windows_that_contain_it() -> None:
    """Yesterday's usage counts in this month, not today; last year's in none."""
    calendar = Calendar(ZoneInfo("UTC"))
    now = calendar.at(ms("2026-11-21T12:00Z"), Anchor("2026-11-10", None, Duration.MONTHLY))
    day, week, month, year, custom, end = now.ids.split()
    shared = {
        "2026-11-21T00:00Z": [day, week, month, year, custom],
        "2026-11-20T23:59Z": ["0", week, month, year, custom],
        "2026-11-09T23:59Z": ["0", "0", month, year, "0"],
        "2026-10-31T23:59Z": ["0", "0", "0", year, "0"],
        "2025-12-31T23:59Z": ["0", "0", "0", "0", "0"],
        "2027-01-01T00:00Z": ["0", "0", "0", "0", "0"],
    }
    told = {at: calendar.ids_shared(ms(at), now).split() for at in shared}
    assert {at: [*ids, end] for at, ids in shared.items()} == told


@pytest.mark.parametrize(
    ("start", "end", "fine"),
    [
        ("2026-11-01", None, True),
        ("2026-11-01", "2026-11-02", True),
        ("2026-11-01T00:00:00", "2026-11-01T00:01:00", True),
        ("2026-11-01T00:00:00", "2026-11-01T00:00:59", False),
        ("2026-11-01", "2026-11-01", False),
        ("2026-11-02", "2026-11-01", False),
        ("2026-11-01T00:00:00Z", "2026-11-02", True),
    ],
)
def test_a_period_has_a_length(start: str, end: str | None, *, fine: bool) -> None:
    """An end that is not after its start is told, not divided by."""
    problem = Calendar(ZoneInfo("UTC")).problem(Anchor(start, end, Duration.MONTHLY))
    assert fine == (problem is None)


def test_what_is_remembered_is_bounded(monkeypatch) -> None:
    """Thousands of customers with their own periods cost a bounded memory, and no mistakes."""
    monkeypatch.setattr("gateway.customers.windows.ANCHORED_MAX", 3)
    calendar, now = Calendar(ZoneInfo("UTC")), ms("2026-11-21T12:00Z")
    for day in [*range(1, 20), *range(1, 20)]:
        window = calendar.at(now, Anchor(f"2026-11-{day:02}", None, Duration.MONTHLY))
        assert ms(f"2026-11-{day:02}") == window.by_kind["custom"].start_ms
    assert len(calendar._anchored_now) <= 3
