"""Span: the stretch of time that a page is about, its slots, and the span before it.

Days, weeks and months begin at midnight of the reporting zone. A span that goes on until
now is compared with as much of the one before it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from typing import Final

from gateway.store.archive import Slots
from gateway.store.archive.days import QUARTER_MS, day_start_ms

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS
MONDAY_MS: Final = 3 * DAY_MS
"""1970 began on a Thursday: so much earlier began its week."""

DAYS_MAX: Final = 800
HOURLY_DAYS_MAX: Final = 2
DAILY_DAYS_MAX: Final = 92

DEFAULT: Final = "30d"
PRESETS: Final[Mapping[str, tuple[str, str]]] = {
    "1h": ("1h", "Last hour"),
    "24h": ("24h", "Last 24 hours"),
    "7d": ("7d", "Last 7 days"),
    "30d": ("30d", "Last 30 days"),
    "mtd": ("Month", "This month"),
    "last": ("Last month", "Last month"),
}
"""Name in the URL -> short label, label."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """``[start_ms, end_ms)`` in Unix ms.

    Attributes:
        name: Of a preset; ``custom``.
        unit: What a slot is: ``minute``, ``hour``, ``day``, ``week``.
        before_ms: Start and end of what it is compared with.
        days: First and last day, of a custom one.
    """

    name: str
    label: str
    start_ms: int
    end_ms: int
    before_ms: tuple[int, int]
    unit: str
    slots: Slots
    zone: tzinfo
    days: tuple[date, date]

    @property
    def key(self) -> tuple[str, int, int]:
        """The same for as long as its slots are: a span that goes on until now has no end."""
        is_over = self.end_ms % MINUTE_MS == 0
        return self.name, self.start_ms, self.end_ms if is_over else 0

    @property
    def all_ms(self) -> int:
        """The end of all that is in it: of one that goes on until now, of its last slot.

        Nothing counts in the future, and whole days and hours are summed up already.
        """
        if self.unit == "minute" or self.end_ms % MINUTE_MS == 0:
            return self.end_ms
        if self.unit == "hour":
            return -(-self.end_ms // QUARTER_MS) * QUARTER_MS
        return day_start_ms(_day(self.end_ms - 1, self.zone) + timedelta(days=1), self.zone)

    def starts(self) -> Iterator[tuple[int, datetime]]:
        """Each slot of the span and when it begins, on the zone's wall clock."""
        first, last = self.slots.of(self.start_ms), self.slots.of(self.end_ms - 1)
        for slot in range(first, last + 1):
            yield slot, self.begins(slot)

    def begins(self, slot: int) -> datetime:
        if self.unit in ("day", "week"):
            shift = MONDAY_MS if self.unit == "week" else 0
            day = date(1970, 1, 1) + timedelta(days=(slot * self.slots.size_ms - shift) // DAY_MS)
            return datetime.combine(day, time(), self.zone)
        offset_ms = self.slots.offsets[0][1]
        return datetime.fromtimestamp((slot * self.slots.size_ms - offset_ms) / 1000, self.zone)


def span(name: str, *, now_ms: int, zone: tzinfo, days: tuple[date, date] | None = None) -> Span:
    """The span of a preset, or with `days` of a custom one (both days are in it).

    Raises:
        ValueError: the days are in the wrong order, or too many.
    """
    today = datetime.fromtimestamp(now_ms / 1000, zone).date()
    if days is not None:
        return _custom(days, now_ms, zone)
    if name in ("1h", "24h"):
        unit_ms = MINUTE_MS if name == "1h" else HOUR_MS
        count = 60 if name == "1h" else 24
        start_ms = now_ms // unit_ms * unit_ms - (count - 1) * unit_ms
        return _span(name, start_ms, now_ms + 1, "minute" if name == "1h" else "hour", zone)
    if name == "mtd":
        first = today.replace(day=1)
        earlier = (first - timedelta(days=1)).replace(day=1)
        return _days(name, first, today, now_ms, zone, before=day_start_ms(earlier, zone))
    if name == "last":
        after = today.replace(day=1)
        last = after - timedelta(days=1)
        first = last.replace(day=1)
        earlier = (first - timedelta(days=1)).replace(day=1)
        return _days(name, first, last, now_ms, zone, before=day_start_ms(earlier, zone))
    count = 7 if name == "7d" else 30
    first = today - timedelta(days=count - 1)
    return _days(name, first, today, now_ms, zone)


def _custom(days: tuple[date, date], now_ms: int, zone: tzinfo) -> Span:
    first, last = days
    if last < first:
        raise ValueError("The range ends before it begins.")
    if (last - first).days >= DAYS_MAX:
        raise ValueError(f"A range has at most {DAYS_MAX} days.")
    return _days("custom", first, last, now_ms, zone)


def _days(
    name: str, first: date, last: date, now_ms: int, zone: tzinfo, *, before: int | None = None
) -> Span:
    start_ms = day_start_ms(first, zone)
    end_ms = min(day_start_ms(last + timedelta(days=1), zone), now_ms + 1)
    if end_ms <= start_ms:  # a range that lies ahead
        end_ms = day_start_ms(last + timedelta(days=1), zone)
    if before is None:
        before = day_start_ms(first - timedelta(days=(last - first).days + 1), zone)
    length = (last - first).days + 1
    unit = "hour" if length <= HOURLY_DAYS_MAX else "day" if length <= DAILY_DAYS_MAX else "week"
    return _span(name, start_ms, end_ms, unit, zone, before=before, days=(first, last))


def _span(
    name: str,
    start_ms: int,
    end_ms: int,
    unit: str,
    zone: tzinfo,
    *,
    before: int | None = None,
    days: tuple[date, date] | None = None,
) -> Span:
    length_ms = end_ms - start_ms
    begin = start_ms - length_ms if before is None else before
    label = PRESETS[name][1] if name in PRESETS else ""
    first, last = (_day(ms, zone) for ms in (start_ms, end_ms - 1))
    return Span(
        name=name,
        label=label or _spelled(first, last),
        start_ms=start_ms,
        end_ms=end_ms,
        before_ms=(begin, min(begin + length_ms, start_ms)),
        unit=unit,
        slots=slots_of(unit, start_ms, end_ms, zone),
        zone=zone,
        days=days or (first, last),
    )


def slots_of(unit: str, start_ms: int, end_ms: int, zone: tzinfo) -> Slots:
    """Slots of a unit. Hours and minutes count evenly on; a day is as long as the zone says."""
    if unit in ("minute", "hour"):
        size = MINUTE_MS if unit == "minute" else HOUR_MS
        return Slots(size, [(None, _offset_ms(start_ms, zone))])
    shift = MONDAY_MS if unit == "week" else 0
    size = 7 * DAY_MS if unit == "week" else DAY_MS
    return Slots(size, [(until, of + shift) for until, of in _offsets(start_ms, end_ms, zone)])


def _offsets(start_ms: int, end_ms: int, zone: tzinfo) -> list[tuple[int | None, int]]:
    """The zone's offsets from UTC from start to end, each with the instant that ends it."""
    found: list[tuple[int | None, int]] = []
    at_ms = start_ms
    while at_ms < end_ms:
        ahead_ms = min(at_ms + DAY_MS, end_ms)
        before, after = _offset_ms(at_ms, zone), _offset_ms(ahead_ms, zone)
        if before != after:
            found.append((_change(at_ms, ahead_ms, zone), before))
        at_ms = ahead_ms
    return [*found, (None, _offset_ms(end_ms, zone))]


def _change(low_ms: int, high_ms: int, zone: tzinfo) -> int:
    """The first instant with the offset of `high_ms`."""
    before = _offset_ms(low_ms, zone)
    while high_ms - low_ms > 1:
        middle = (low_ms + high_ms) // 2
        if _offset_ms(middle, zone) == before:
            low_ms = middle
        else:
            high_ms = middle
    return high_ms


def _offset_ms(at_ms: int, zone: tzinfo) -> int:
    offset = datetime.fromtimestamp(at_ms / 1000, zone).utcoffset()
    return 0 if offset is None else offset // timedelta(milliseconds=1)


def _day(at_ms: int, zone: tzinfo) -> date:
    return datetime.fromtimestamp(at_ms / 1000, zone).date()


def _spelled(first: date, last: date) -> str:
    if first == last:
        return f"{first.day} {first:%b %Y}"
    if first.year == last.year:
        return f"{first.day} {first:%b} to {last.day} {last:%b %Y}"
    return f"{first.day} {first:%b %Y} to {last.day} {last:%b %Y}"
