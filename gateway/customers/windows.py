"""Budget windows: half-open spans of time, in the configured zone.

A window's id is its start in Unix seconds, so ids of one kind compare. Calendar windows
are a day, an ISO week (from Monday), a month, a year; they begin at local midnight, on
days of 23 and 25 hours too. An anchored window begins at a customer's own `period_start`
and rolls over by itself, its day clamped to the month's end.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from enum import StrEnum
from typing import Final, NamedTuple, TypeVar

_Day = TypeVar("_Day", date, datetime)


class Duration(StrEnum):
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    YEARLY = "yearly"


KIND_OF: Final = {
    Duration.DAILY: "day",
    Duration.WEEKLY: "week",
    Duration.MONTHLY: "month",
    Duration.YEARLY: "year",
}
CUSTOM: Final = "custom"
KINDS: Final = (*KIND_OF.values(), CUSTOM)
"""In the order of the ids that the scripts are given."""


class Window(NamedTuple):
    """``[start_ms, end_ms)``, Unix milliseconds."""

    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class Windows:
    """The windows that contain one instant, by kind.

    Attributes:
        ids: What the scripts are given: the ids of `KINDS`, by spaces; 0 for none.
        from_ms, until_ms: Between these all of them hold.
    """

    by_kind: dict[str, Window]
    ids: str
    from_ms: int
    until_ms: int

    @classmethod
    def of(cls, by_kind: dict[str, Window]) -> "Windows":
        return cls(
            by_kind,
            " ".join(str(by_kind[k].start_ms // 1000 if k in by_kind else 0) for k in KINDS),
            max(w.start_ms for w in by_kind.values()),
            min(w.end_ms for w in by_kind.values()),
        )


@dataclass(frozen=True, slots=True)
class Anchor:
    """A customer's own period: `start` alone repeats each `duration`; with `end`, their span."""

    start: str
    end: str | None
    duration: Duration


class Calendar:
    """Windows in one zone. The current calendar windows are remembered, since they hold all day."""

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone
        self._current = Windows({}, "", 0, 0)

    def at(self, instant_ms: int, anchor: Anchor | None = None) -> Windows:
        if not self._current.from_ms <= instant_ms < self._current.until_ms:
            self._current = self._calendar(instant_ms)
        if anchor is None:
            return self._current
        own = self._anchored(instant_ms, anchor)
        return Windows.of({**self._current.by_kind, CUSTOM: own})

    def ids_shared(self, instant_ms: int, now: Windows) -> str:
        """The ids of `now`, with 0 for each window that does not contain `instant_ms`."""
        ids = now.ids.split()
        for i, kind in enumerate(KINDS):
            window = now.by_kind.get(kind)
            if window and not window.start_ms <= instant_ms < window.end_ms:
                ids[i] = "0"
        return " ".join(ids)

    def problem(self, anchor: Anchor) -> str | None:
        """Why the anchor cannot be used, or None."""
        if anchor.end is not None and self._wall(anchor.end) <= self._wall(anchor.start):
            return "period_end must be after period_start"
        return None

    def _calendar(self, instant_ms: int) -> Windows:
        today = datetime.fromtimestamp(instant_ms / 1000, self._zone).date()
        monday = today - timedelta(days=today.weekday())
        first = today.replace(day=1)
        new_year = first.replace(month=1)
        return Windows.of(
            {
                "day": self._days(today, today + timedelta(days=1)),
                "week": self._days(monday, monday + timedelta(days=7)),
                "month": self._days(first, _plus_months(first, 1)),
                "year": self._days(new_year, new_year.replace(year=new_year.year + 1)),
            }
        )

    def _anchored(self, instant_ms: int, anchor: Anchor) -> Window:
        """The repetition of the anchor's period that contains the instant.

        Starts are walked on the wall clock, where a day is a day; the guess is off by one at
        most, by a shift of the zone or a clamped month end.
        """
        start = self._wall(anchor.start)
        now = datetime.fromtimestamp(instant_ms / 1000, self._zone).replace(tzinfo=None)
        for k in _guesses(start, now, anchor, self._wall(anchor.end) if anchor.end else None):
            window = Window(
                self._instant(self._nth(start, anchor, k)),
                self._instant(self._nth(start, anchor, k + 1)),
            )
            if window.start_ms <= instant_ms < window.end_ms:
                return window
        raise AssertionError(f"no window of {anchor} contains {instant_ms}")

    def _nth(self, start: datetime, anchor: Anchor, k: int) -> datetime:
        if anchor.end is not None:
            return start + k * (self._wall(anchor.end) - start)
        match anchor.duration:
            case Duration.DAILY:
                return start + timedelta(days=k)
            case Duration.WEEKLY:
                return start + timedelta(weeks=k)
            case Duration.MONTHLY:
                return _plus_months(start, k)
            case Duration.YEARLY:
                return _plus_months(start, 12 * k)

    def _days(self, first: date, after: date) -> Window:
        return Window(
            self._instant(datetime.combine(first, time())),
            self._instant(datetime.combine(after, time())),
        )

    def _instant(self, wall: datetime) -> int:
        """A wall-clock time that a shift skips is the instant of the shift."""
        return int(wall.replace(tzinfo=self._zone).timestamp() * 1000)

    def _wall(self, moment: str) -> datetime:
        parsed = datetime.fromisoformat(moment)
        return parsed.astimezone(self._zone).replace(tzinfo=None) if parsed.tzinfo else parsed


def _guesses(start: datetime, now: datetime, anchor: Anchor, end: datetime | None) -> Iterator[int]:
    if end is not None:
        k = (now - start) // (end - start)
    else:
        days = {Duration.DAILY: 1.0, Duration.WEEKLY: 7.0, Duration.MONTHLY: 30.436875}
        k = int((now - start) / timedelta(days=days.get(anchor.duration, 365.2425)))
    yield from (k, k - 1, k + 1, k - 2, k + 2)


def _plus_months(day: _Day, months: int) -> _Day:
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    following = date(year + (month == 11), (month + 1) % 12 + 1, 1)
    last = (following - timedelta(days=1)).day
    return day.replace(year=year, month=month + 1, day=min(day.day, last))
