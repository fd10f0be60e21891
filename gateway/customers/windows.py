"""Budget windows: half-open spans of time, in the configured zone.

A window's id is its start in Unix seconds, so ids of one kind compare. Calendar windows
are a day, an ISO week (from Monday), a month, a year; they begin at local midnight, on
days of 23 and 25 hours too. An anchored window begins at a customer's own `period_start`
and rolls over by itself, its day clamped to the month's end.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
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
ANCHORED_MAX: Final = 10_000
SPAN_MINUTES_MIN: Final = 1
"""Of a customer's own period: ids are whole seconds, and a shorter one budgets nothing."""

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
        ids: What the scripts are given: the ids of `KINDS`, then the end of the custom
            window, by spaces; 0 for none.
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
            " ".join(
                [
                    *(str(by_kind[k].start_ms // 1000 if k in by_kind else 0) for k in KINDS),
                    str(by_kind[CUSTOM].end_ms // 1000 if CUSTOM in by_kind else 0),
                ]
            ),
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
    """Windows in one zone. The current ones are remembered, since they hold for hours."""

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone
        self._current = Windows({}, "", 0, 0)
        self._anchored_now: dict[Anchor, Windows] = {}

    def at(self, instant_ms: int, anchor: Anchor | None = None) -> Windows:
        if not self._current.from_ms <= instant_ms < self._current.until_ms:
            self._current = self._calendar(instant_ms)
        if anchor is None:
            return self._current
        windows = self._anchored_now.get(anchor)
        if windows is None or not windows.from_ms <= instant_ms < windows.until_ms:
            own = self._anchored(instant_ms, anchor)
            windows = Windows.of({**self._current.by_kind, CUSTOM: own})
            if len(self._anchored_now) >= ANCHORED_MAX:
                self._anchored_now.clear()
            self._anchored_now[anchor] = windows
        return windows

    def ids_shared(self, instant_ms: int, now: Windows) -> str:
        """The ids of `now`, with 0 for each window that does not contain `instant_ms`."""
        if now.from_ms <= instant_ms < now.until_ms:  # all of them do
            return now.ids
        ids = now.ids.split()
        for i, kind in enumerate(KINDS):
            window = now.by_kind.get(kind)
            if window and not window.start_ms <= instant_ms < window.end_ms:
                ids[i] = "0"
        return " ".join(ids)

    def problem(self, anchor: Anchor) -> str | None:
        """Why the anchor cannot be used, or None."""
        if anchor.end is None:
            return None
        if self._wall(anchor.end) - self._wall(anchor.start) < timedelta(minutes=SPAN_MINUTES_MIN):
            return f"period_end must be at least {SPAN_MINUTES_MIN} minute after period_start"
        return None

    def _calendar(self, instant_ms: int) -> Windows:
        today = datetime.fromtimestamp(instant_ms // 1000, self._zone).date()
        # Where clocks went back across midnight, a day that has begun stays begun.
        while self._instant(datetime.combine(today + timedelta(days=1), time())) <= instant_ms:
            today += timedelta(days=1)
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

        Starts are walked on the wall clock, where a day is a day. The guess is off by a
        clamped month end or a shift of the zone, which is many repetitions of a short span.
        """
        start = self._wall(anchor.start)
        end = self._wall(anchor.end) if anchor.end is not None else None
        now = datetime.fromtimestamp(instant_ms // 1000, self._zone).replace(tzinfo=None)
        k = _guess(start, end, now, anchor.duration)
        begins = self._instant(_nth(start, end, anchor.duration, k))
        while begins > instant_ms:
            k -= 1
            begins = self._instant(_nth(start, end, anchor.duration, k))
        while True:
            ends = self._instant(_nth(start, end, anchor.duration, k + 1))
            if instant_ms < ends:
                return Window(begins, ends)
            k, begins = k + 1, ends

    def _days(self, first: date, after: date) -> Window:
        return Window(
            self._instant(datetime.combine(first, time())),
            self._instant(datetime.combine(after, time())),
        )

    def _instant(self, wall: datetime) -> int:
        """The first instant at which clocks show `wall`, or the shift that skipped it."""
        early = wall.replace(tzinfo=self._zone, fold=0)
        late = wall.replace(tzinfo=self._zone, fold=1)
        if early.utcoffset() >= late.utcoffset():  # type: ignore[operator] # it has a zone
            return _ms(early)
        # Skipped: `late` lies before the shift, `early` after it.
        before, after, offset = _ms(late), _ms(early), late.utcoffset()
        while after - before > 1:
            middle = (before + after) // 2
            shifted = datetime.fromtimestamp(middle / 1000, self._zone).utcoffset() == offset
            before, after = (before, middle) if shifted else (middle, after)
        return after

    def _wall(self, moment: str) -> datetime:
        parsed = datetime.fromisoformat(moment)
        return parsed.astimezone(self._zone).replace(tzinfo=None) if parsed.tzinfo else parsed


def _guess(start: datetime, end: datetime | None, now: datetime, duration: Duration) -> int:
    if end is not None:
        return (now - start) // (end - start)
    return int((now - start) / timedelta(days=_DAYS[duration]))


def _nth(start: datetime, end: datetime | None, duration: Duration, k: int) -> datetime:
    """The wall-clock start of the k-th repetition."""
    if end is not None:
        return start + k * (end - start)
    match duration:
        case Duration.DAILY:
            return start + timedelta(days=k)
        case Duration.WEEKLY:
            return start + timedelta(weeks=k)
        case Duration.MONTHLY:
            return _plus_months(start, k)
        case Duration.YEARLY:
            return _plus_months(start, 12 * k)


def _ms(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def _plus_months(day: _Day, months: int) -> _Day:
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    following = date(year + (month == 11), (month + 1) % 12 + 1, 1)
    last = (following - timedelta(days=1)).day
    return day.replace(year=year, month=month + 1, day=min(day.day, last))


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAYS: Final = {
    Duration.DAILY: 1.0,
    Duration.WEEKLY: 7.0,
    Duration.MONTHLY: 30.436875,
    Duration.YEARLY: 365.2425,
}
