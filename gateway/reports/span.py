"""Span: a half-open stretch of time, cut into hours, days or months of a zone.

Days and months are the zone's own, of 23, 24 or 25 hours; hours pass evenly, counted from
the full hour of the zone in which the span begins. The slots of a span cover it without
gap or overlap, so that their sums are the sum of the span.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from enum import StrEnum
from functools import cached_property
from typing import Final

from gateway.store.archive import Bounds, Slots, Slotting
from gateway.store.archive.days import QUARTER_MS, day_start_ms

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
SLOTS_MAX: Final = 4_000

_EPOCH: Final = date(1970, 1, 1)


class Granularity(StrEnum):
    HOUR = "hour"
    DAY = "day"
    MONTH = "month"


class SpanTooLong(ValueError):
    """More slots than anybody could look at."""


@dataclass(frozen=True, kw_only=True)
class Span:
    """``[start_ms, end_ms)``, Unix ms.

    Attributes:
        goes_on: It ends now: nothing counts later, whenever that is looked at.

    Raises:
        SpanTooLong: it would have more than `SLOTS_MAX` slots.
    """

    start_ms: int
    end_ms: int
    zone: tzinfo
    granularity: Granularity = Granularity.DAY
    goes_on: bool = False

    def __post_init__(self) -> None:
        per_slot = {Granularity.HOUR: HOUR_MS, Granularity.DAY: DAY_MS}
        length_ms = per_slot.get(self.granularity, 28 * DAY_MS)
        if (self.end_ms - self.start_ms) // length_ms > SLOTS_MAX:
            raise SpanTooLong(f"has more than {SLOTS_MAX:,} {self.granularity}s; ask for fewer")

    @cached_property
    def slots(self) -> Slotting:
        """How an instant becomes the number of its slot."""
        if self.granularity is Granularity.HOUR:
            return Slots(HOUR_MS, [(None, offset_ms(self.start_ms, self.zone))])
        if self.granularity is Granularity.DAY:
            return Slots(DAY_MS, _offsets(self.start_ms, self.end_ms, self.zone))
        return Bounds(tuple(day_start_ms(month, self.zone) for month in self._months()))

    def starts(self) -> list[tuple[int, int]]:
        """Each slot, oldest first, and when it begins; the first may begin before the span."""
        if self.end_ms <= self.start_ms:
            return []
        first, last = self.slots.of(self.start_ms), self.slots.of(self.end_ms - 1)
        return [(slot, self._begins_ms(slot)) for slot in range(first, last + 1)]

    def label(self, begins_ms: int) -> str:
        """A slot as people name it: ``2026-11``, ``2026-11-21``, ``2026-11-21T18:00:00+01:00``."""
        local = datetime.fromtimestamp(begins_ms // 1000, self.zone)
        if self.granularity is Granularity.HOUR:
            return local.isoformat(timespec="seconds")
        return local.strftime("%Y-%m" if self.granularity is Granularity.MONTH else "%Y-%m-%d")

    def rounded_up(self, at_ms: int) -> int:
        """The end of the day in which an instant lies; of hours, of its quarter of an hour."""
        if self.granularity is Granularity.HOUR:
            return (at_ms // QUARTER_MS + 1) * QUARTER_MS
        return day_start_ms(self._day(at_ms) + timedelta(days=1), self.zone)

    def _begins_ms(self, slot: int) -> int:
        slots = self.slots
        if isinstance(slots, Bounds):
            return slots.starts_ms[slot]
        if self.granularity is Granularity.DAY:
            return day_start_ms(_EPOCH + timedelta(days=slot), self.zone)
        assert isinstance(slots, Slots)
        return slot * slots.size_ms - slots.offsets[0][1]

    def _months(self) -> Iterator[date]:
        month = self._day(self.start_ms).replace(day=1)
        while day_start_ms(month, self.zone) < max(self.end_ms, self.start_ms + 1):
            yield month
            month = (month + timedelta(days=31)).replace(day=1)

    def _day(self, at_ms: int) -> date:
        return datetime.fromtimestamp(at_ms // 1000, self.zone).date()


def offset_ms(at_ms: int, zone: tzinfo) -> int:
    offset = datetime.fromtimestamp(at_ms // 1000, zone).utcoffset()
    return 0 if offset is None else offset // timedelta(milliseconds=1)


def _offsets(start_ms: int, end_ms: int, zone: tzinfo) -> list[tuple[int | None, int]]:
    """The zone's offsets from UTC between the two, each with the instant that ends it."""
    if zone is UTC:
        return [(None, 0)]
    found: list[tuple[int | None, int]] = []
    at_ms = start_ms
    while at_ms < end_ms:
        ahead_ms = min(at_ms + DAY_MS, end_ms)
        before, after = offset_ms(at_ms, zone), offset_ms(ahead_ms, zone)
        if before != after:
            found.append((_change_ms(at_ms, ahead_ms, zone), before))
        at_ms = ahead_ms
    return [*found, (None, offset_ms(max(end_ms, start_ms), zone))]


def _change_ms(low_ms: int, high_ms: int, zone: tzinfo) -> int:
    """The first instant with the offset of `high_ms`."""
    before = offset_ms(low_ms, zone)
    while high_ms - low_ms > 1:
        middle = (low_ms + high_ms) // 2
        if offset_ms(middle, zone) == before:
            low_ms = middle
        else:
            high_ms = middle
    return high_ms
