"""How counters lie in the store, and how they are read back.

    {p}c:<number>             hash  the names of `Totals`, first_seen_ms, last_seen_ms,
                                    active_days -> decimal; what is zero may be absent
    {p}cd:<number>:<yyyymm>   hash  day of the month, two digits -> `pack`ed DayTotals

Counters trail the calls by a moment (the flusher writes them); limits are enforced by the
ledger's own accounts, never by these.
"""

from collections.abc import Iterable, Sequence
from datetime import date, timedelta, tzinfo
from itertools import groupby
from typing import Any, Final

from gateway.metering.fold import day_of
from gateway.metering.totals import DayTotals, Lifetime, Totals, pack, unpack
from gateway.store.client import Store
from gateway.store.keys import Partition

DAYS_MAX: Final = 3_700
"""Ten years of days in one reading."""

LIFETIMES_MAX: Final = 10_000

_SEEN: Final = ("first_seen_ms", "last_seen_ms")
LIFETIME_FIELDS: Final = (*Totals._fields, *_SEEN, "active_days")

Command = tuple[str, ...]


class Counters:
    """Reads what the flusher has counted. `zone` is the reporting zone: whose days they are."""

    def __init__(self, store: Store, zone: tzinfo) -> None:
        self._store = store
        self._zone = zone

    def day_of(self, instant_ms: int) -> date:
        """The reporting day in which an instant (Unix ms) lies."""
        return day_of(instant_ms, self._zone)

    async def lifetime(self, partition: Partition, number: int) -> Lifetime:
        """All zero for a customer without events."""
        return read_lifetime(await self._store.command(*lifetime_command(partition, number)))

    async def lifetimes(self, customers: Iterable[tuple[Partition, int]]) -> list[Lifetime]:
        """Of several, in their order, in one round trip.

        Raises:
            ValueError: more than `LIFETIMES_MAX`.
        """
        commands = [lifetime_command(partition, number) for partition, number in customers]
        if len(commands) > LIFETIMES_MAX:
            raise ValueError(f"{len(commands)} customers at once; {LIFETIMES_MAX} at most")
        return [read_lifetime(reply) for reply in await self._store.commands(commands)]

    async def days(
        self, partition: Partition, number: int, from_day: date, to_day: date
    ) -> list[tuple[date, DayTotals]]:
        """The days with events in [from_day, to_day), oldest first.

        Raises:
            ValueError: more than `DAYS_MAX` days.
        """
        (found,) = await self.days_of_many([(partition, number)], from_day, to_day)
        return found

    async def days_of_many(
        self, customers: Sequence[tuple[Partition, int]], from_day: date, to_day: date
    ) -> list[list[tuple[date, DayTotals]]]:
        """The same of several, in their order, in one round trip.

        Raises:
            ValueError: more than `DAYS_MAX` days.
        """
        length = max((to_day - from_day).days, 0)
        if length > DAYS_MAX:
            raise ValueError(f"{length} days at once; {DAYS_MAX} at most")
        days = [from_day + timedelta(days=i) for i in range(length)]
        months = [list(of_month) for _, of_month in groupby(days, key=month_of)]
        replies = iter(
            await self._store.commands(
                [
                    days_command(partition, number, of_month)
                    for partition, number in customers
                    for of_month in months
                ]
            )
        )
        return [
            [
                (day, unpack(text))
                for of_month in months
                for day, text in zip(of_month, next(replies), strict=True)
                if text
            ]
            for _ in customers
        ]


def lifetime_command(partition: Partition, number: int) -> Command:
    return ("HMGET", partition.counters(number), *LIFETIME_FIELDS)


def read_lifetime(reply: Sequence[bytes | None]) -> Lifetime:
    """Raises ValueError: one of them is no number."""
    numbers: list[Any] = [None if text is None else int(text) for text in reply]
    *totals, first_seen_ms, last_seen_ms, active_days = numbers
    return Lifetime(
        totals=Totals(*(number or 0 for number in totals)),
        first_seen_ms=first_seen_ms,
        last_seen_ms=last_seen_ms,
        active_days=active_days or 0,
    )


def shown_lifetime(reply: Sequence[bytes | None]) -> Lifetime:
    """As `read_lifetime`; nothing where one of them is no number."""
    try:
        return read_lifetime(reply)
    except ValueError:
        return Lifetime()


def lifetime_fields(before: Lifetime, after: Lifetime) -> list[str]:
    """What to write, as field, value, field, value ...: the numbers that have changed."""
    return [
        part
        for name, old, new in zip(LIFETIME_FIELDS, _numbers(before), _numbers(after), strict=True)
        if new != old
        for part in (name, str(new))
    ]


def _numbers(lifetime: Lifetime) -> tuple[int | None, ...]:
    seen = (lifetime.first_seen_ms, lifetime.last_seen_ms)
    return (*lifetime.totals, *seen, lifetime.active_days)


def month_of(day: date) -> str:
    return f"{day.year:04}{day.month:02}"


def days_command(partition: Partition, number: int, days: Sequence[date]) -> Command:
    """Read days of one month."""
    return ("HMGET", partition.days(number, month_of(days[0])), *(f"{day.day:02}" for day in days))


def day_fields(day: date, after: DayTotals) -> list[str]:
    return [f"{day:%d}", pack(after)]
