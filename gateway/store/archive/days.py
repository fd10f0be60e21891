"""Days of a zone, by the instants at which they begin."""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta, tzinfo
from itertools import pairwise
from typing import Final

QUARTER_MS: Final = 900_000
"""Days and hours of every zone of today begin with one of these."""

_KNOWN_MAX: Final = 10_000


def day_start_ms(day: date, zone: tzinfo) -> int:
    """Its first moment; where a zone skips midnight, the moment that follows the gap."""
    return int(datetime.combine(day, time(), zone).timestamp()) * 1000


class Days:
    """Of one zone."""

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone
        self._known: dict[int, int] = {}

    def of(self, at_ms: int) -> int:
        """When the day began in which an instant lies, Unix ms."""
        quarter = at_ms // QUARTER_MS
        known = self._known.get(quarter)
        if known is not None:
            return known
        day = self._date(at_ms)
        start_ms, end_ms = (day_start_ms(d, self._zone) for d in (day, day + timedelta(days=1)))
        if start_ms % QUARTER_MS == 0 and end_ms % QUARTER_MS == 0:  # not so before about 1980
            if len(self._known) >= _KNOWN_MAX:
                self._known.clear()
            self._known[quarter] = start_ms
        return start_ms

    def within(self, start_ms: int, end_ms: int) -> list[tuple[int, int]]:
        """Those that lie wholly in a span, each with its end."""
        if end_ms <= start_ms:
            return []
        bounds = [ms for ms in self._midnights(start_ms, end_ms) if start_ms <= ms <= end_ms]
        return list(pairwise(bounds))

    def _midnights(self, start_ms: int, end_ms: int) -> Iterator[int]:
        day, last = self._date(start_ms), self._date(end_ms)
        while day <= last:
            yield day_start_ms(day, self._zone)
            day += timedelta(days=1)

    def _date(self, at_ms: int) -> date:
        return datetime.fromtimestamp(at_ms // 1000, self._zone).date()
