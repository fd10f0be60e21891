"""From events to counters. Pure: no store, no clock, no order.

`fold` says what a batch adds to each customer; `advance` says what a customer's counters
are after it. Folding batch after batch gives what folding everything at once gives.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from typing import Final

from gateway.event import UsageEvent
from gateway.metering.totals import DayTotals, Lifetime, Totals, plus, total, totals_of

_NO_DAY: Final = DayTotals()


@dataclass(frozen=True, slots=True)
class Change:
    """What a batch adds to one customer.

    Attributes:
        days: Per day of the reporting zone, by when each event counts (`at_ms`).
        first_seen_ms: Of the batch's calls; None when there is none among its events.
    """

    days: Mapping[date, Totals]
    first_seen_ms: int | None
    last_seen_ms: int | None

    @property
    def totals(self) -> Totals:
        return total(self.days.values())

    def plus(self, other: "Change") -> "Change":
        """What both add."""
        return Change(
            {
                day: total(change.days[day] for change in (self, other) if day in change.days)
                for day in {**self.days, **other.days}
            },
            _pick(min, self.first_seen_ms, other.first_seen_ms),
            _pick(max, self.last_seen_ms, other.last_seen_ms),
        )


def fold(events: Iterable[UsageEvent], zone: tzinfo) -> dict[int, Change]:
    """Group and add up: customer number -> what the events add to it."""
    parts: defaultdict[int, defaultdict[date, list[Totals]]]
    parts = defaultdict(lambda: defaultdict(list))
    seen: defaultdict[int, list[int]] = defaultdict(list)
    for event in events:
        number, at_ms = event.customer_number, event.at_ms
        added = totals_of(event)
        parts[number][day_of(at_ms, zone)].append(added)
        if added.calls:
            seen[number].append(at_ms)
    return {
        number: Change(
            {day: total(of_day) for day, of_day in days.items()},
            min(seen[number], default=None),
            max(seen[number], default=None),
        )
        for number, days in parts.items()
    }


def advance(
    before: Lifetime, days_before: Mapping[date, DayTotals], change: Change
) -> tuple[Lifetime, dict[date, DayTotals]]:
    """The counters after `change`: the lifetime, and the days that it touches.

    `days_before` has the days of `change`; one that is missing there had no events yet.
    """
    days = {
        day: plus(days_before.get(day, _NO_DAY), added.of_day) for day, added in change.days.items()
    }
    newly_active = sum(
        1 for day, after in days.items() if after.calls and not days_before.get(day, _NO_DAY).calls
    )
    lifetime = Lifetime(
        totals=total([before.totals, *change.days.values()]),
        first_seen_ms=_pick(min, before.first_seen_ms, change.first_seen_ms),
        last_seen_ms=_pick(max, before.last_seen_ms, change.last_seen_ms),
        active_days=before.active_days + newly_active,
    )
    return lifetime, days


def day_of(instant_ms: int, zone: tzinfo) -> date:
    return datetime.fromtimestamp(instant_ms // 1000, zone).date()


def _pick(choose: Callable[..., int | None], a: int | None, b: int | None) -> int | None:
    return choose((x for x in (a, b) if x is not None), default=None)
