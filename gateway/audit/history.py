"""Folding all of a partition's events, as the flusher does, but from the first to any cursor.

Pure. Needs the whole history: a stream from which nothing was trimmed, or the archive's
rows before it.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, tzinfo
from typing import Final

from gateway.audit.snapshot import Position
from gateway.event import UsageEvent
from gateway.metering.counters import month_of
from gateway.metering.fold import Change, advance, day_of, fold
from gateway.metering.totals import DayTotals, Lifetime


@dataclass(frozen=True, slots=True)
class Counted:
    """What a customer's counters ought to say."""

    lifetime: Lifetime
    days: Mapping[date, DayTotals]


NOTHING: Final = Counted(Lifetime(), {})


class History:
    """Counters as they ought to be.

    Args:
        zone: The reporting zone, whose days are counted.
        counted_to: Where the flusher's cursor stands.
        before: What is known of the time before the first event that will be added.
    """

    def __init__(
        self, zone: tzinfo, counted_to: Position, before: Mapping[int, Counted] | None = None
    ) -> None:
        self._zone = zone
        self._counted = dict(before or {})
        self._counted_to = counted_to
        self._waiting: defaultdict[int, list[tuple[Position, UsageEvent]]] = defaultdict(list)

    @property
    def numbers(self) -> set[int]:
        return {*self._counted, *self._waiting}

    def months(self, number: int) -> set[str]:
        """``yyyymm`` of the days that its counters ought to have by the end of what was added."""
        days = {*self._counted.get(number, NOTHING).days}
        days |= {day_of(event.at_ms, self._zone) for _, event in self._waiting.get(number, ())}
        return set(map(month_of, days))

    def add(self, events: Iterable[tuple[Position, UsageEvent]]) -> None:
        """Take events in, in the stream's order."""
        counted = []
        for at, event in events:
            if at <= self._counted_to:
                counted.append(event)
            else:
                self._waiting[event.customer_number].append((at, event))
        for number, change in fold(counted, self._zone).items():
            self._counted[number] = after(self._counted.get(number, NOTHING), change)

    def at(self, number: int, cursor: Position) -> Counted:
        """What the customer's counters say once everything up to `cursor` is counted.

        `cursor` does not lie before where it stood at first.
        """
        waiting = [event for at, event in self._waiting.get(number, ()) if at <= cursor]
        before = self._counted.get(number, NOTHING)
        changes = fold(waiting, self._zone)
        return after(before, changes[number]) if changes else before


def after(before: Counted, change: Change) -> Counted:
    """The counters once `change` is added to them."""
    lifetime, days = advance(before.lifetime, before.days, change)
    return Counted(lifetime, {**before.days, **days})
