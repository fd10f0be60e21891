"""What rows that come and go change in the sums, and how that is written."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Table, func, select

from gateway.store.archive.days import QUARTER_MS, Days
from gateway.store.archive.spreads import (
    bits,
    class_of,
    packed,
    packed_bits,
    together,
    unpacked,
    unpacked_bits,
)
from gateway.store.archive.sums import (
    CALLERS,
    COUNTS,
    CUSTOMER_DAYS,
    DAY,
    IN_ONE_QUERY,
    LIMB,
    LIMBS,
    NEVER_MS,
    QUARTER,
    SPREADS,
    SUMS,
    USAGE,
    Fact,
    Numbers,
    numbers_of,
    total,
)
from gateway.store.archive.table import EVENTS


@dataclass(slots=True)
class Spread:
    """Callers are customer numbers here."""

    callers: set[int] = field(default_factory=set)
    latency: Counter[int] = field(default_factory=Counter)
    first_token: Counter[int] = field(default_factory=Counter)


class Change:
    """What rows that come and go add to the sums."""

    def __init__(self, zone: str) -> None:
        self._days = Days(ZoneInfo(zone))
        self.uses: defaultdict[tuple[int, int, str, str], list[Numbers]] = defaultdict(list)
        self.customers: defaultdict[tuple[int, int, int], list[Numbers]] = defaultdict(list)
        self.spreads: defaultdict[tuple[int, int], Spread] = defaultdict(Spread)
        self.first: dict[int, tuple[int, int]] = {}
        self.left: defaultdict[int, set[tuple[int, int, int]]] = defaultdict(set)

    def come(self, facts: Iterable[Fact]) -> None:
        for fact in facts:
            self._count(fact, 1)

    def go(self, facts: Iterable[Fact]) -> None:
        for fact in facts:
            self._count(fact, -1)

    def _count(self, fact: Fact, sign: int) -> None:
        numbers = numbers_of(fact)
        if sign < 0:
            numbers = Numbers(*(-number for number in numbers))
        if not any(numbers):
            return
        at_ms, customer = fact.at_ms, fact.customer_number
        quarter, day = at_ms - at_ms % QUARTER_MS, self._days.of(at_ms)
        self.uses[quarter, day, fact.app, fact.model].append(numbers)
        self.customers[day, customer, fact.partition].append(numbers)
        if not numbers.requests:
            return
        spread = self.spreads[quarter, day]
        if fact.latency_ms is not None:
            spread.latency[class_of(fact.latency_ms)] += sign
        # As it is asked for: durations of those that have one in all.
        if fact.latency_ms is not None and fact.first_token_ms is not None:
            spread.first_token[class_of(fact.first_token_ms)] += sign
        if sign < 0:
            self.left[customer].add((quarter, day, at_ms))
            return
        spread.callers.add(customer)
        first_ms, _ = self.first.get(customer, (at_ms, 0))
        self.first[customer] = min(first_ms, at_ms), fact.partition

    @property
    def by_level(self) -> dict[tuple[int, int, str, str], Numbers]:
        found = {
            (QUARTER, quarter, app, model): total(parts)
            for (quarter, _, app, model), parts in self.uses.items()
        }
        days: defaultdict[tuple[int, int, str, str], list[Numbers]] = defaultdict(list)
        for quarter, day, app, model in self.uses:
            days[DAY, day, app, model].append(found[QUARTER, quarter, app, model])
        return found | {key: total(parts) for key, parts in days.items()}


def apply(connection: Connection, change: Change) -> None:
    """Write it, in the transaction of the rows."""
    add(connection, SUMS, change.by_level)
    add(connection, CUSTOMER_DAYS, {key: total(of) for key, of in change.customers.items()})
    places = know(connection, change.first)
    _spread(connection, change, places)
    if change.left:
        _leave(connection, change)


def add(connection: Connection, table: Table, sums: dict[Any, Numbers]) -> None:
    """Add to the rows of a table with these keys, which are made where they are missing."""
    rows = [(*key, *_stored(numbers)) for key, numbers in sorted(sums.items())]
    if rows:
        connection.exec_driver_sql(_upsert(connection, table), rows)


def _stored(numbers: Numbers) -> tuple[int, ...]:
    *counts, cost, charge, unresolved = numbers
    return (*counts, *divmod(cost, LIMB), *divmod(charge, LIMB), *divmod(unresolved, LIMB))


def _upsert(connection: Connection, table: Table) -> str:
    name, mark = table.name, "?" if connection.dialect.name == "sqlite" else "%s"
    keys = [column.name for column in table.primary_key]
    columns = [*keys, *COUNTS, *LIMBS]
    sets = [f"{n} = {name}.{n} + excluded.{n}" for n in COUNTS]
    for high, low in zip(LIMBS[::2], LIMBS[1::2], strict=True):
        both = f"({name}.{low} + excluded.{low})"
        sets.append(f"{high} = {name}.{high} + excluded.{high} + {both} / {LIMB}")
        sets.append(f"{low} = {both} - {both} / {LIMB} * {LIMB}")
    return (
        f"INSERT INTO {name} ({', '.join(columns)})"  # noqa: S608 - constants
        f" VALUES ({', '.join([mark] * len(columns))})"
        f" ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {', '.join(sets)}"
    )


def know(connection: Connection, first: dict[int, tuple[int, int]]) -> dict[int, int]:
    """The places of these callers; `first`: number -> its earliest call (Unix ms), partition."""
    known: dict[int, tuple[int, int]] = {}
    numbers = sorted(first)
    for start in range(0, len(numbers), IN_ONE_QUERY):
        some = ", ".join(map(str, numbers[start : start + IN_ONE_QUERY]))
        found = (  # numbers as text: a parameter for each costs more than the query
            "SELECT customer_number, place, first_ms FROM callers"  # noqa: S608 - whole numbers
            f" WHERE customer_number IN ({some})"
        )
        for number, place, first_ms in connection.exec_driver_sql(found):
            known[number] = place, first_ms
    new = [number for number in numbers if number not in known]
    if new:
        last = connection.execute(select(func.max(CALLERS.c.place))).scalar_one()
        places = range(0 if last is None else last + 1, 2**31)
        known |= {n: (place, first[n][0]) for n, place in zip(new, places, strict=False)}
        connection.execute(
            CALLERS.insert(),
            [
                {
                    "customer_number": number,
                    "place": known[number][0],
                    "partition": first[number][1],
                    "first_ms": first[number][0],
                }
                for number in new
            ],
        )
    for number in numbers:
        if first[number][0] < known[number][1]:
            _first(connection, number, first[number][0])
    return {number: place for number, (place, _) in known.items()}


def _first(connection: Connection, number: int, first_ms: int) -> None:
    is_it = CALLERS.c.customer_number == number
    connection.execute(CALLERS.update().where(is_it).values(first_ms=first_ms))


def _spread(connection: Connection, change: Change, places: dict[int, int]) -> None:
    days: defaultdict[int, list[Spread]] = defaultdict(list)
    for (quarter, day), spread in change.spreads.items():
        days[day].append(spread)
        widen(connection, (QUARTER, quarter), [spread], places)
    for day, spreads in days.items():
        widen(connection, (DAY, day), spreads, places)


def widen(
    connection: Connection, key: tuple[int, int], more: Sequence[Spread], places: dict[int, int]
) -> None:
    """Put callers and durations into a quarter or a day."""
    is_it = (SPREADS.c.level == key[0], SPREADS.c.start_ms == key[1])
    known = connection.execute(select(SPREADS).where(*is_it)).first()
    callers = bits(places[number] for spread in more for number in spread.callers)
    latency = together(spread.latency for spread in more)
    first_token = together(spread.first_token for spread in more)
    if known is not None:
        callers |= unpacked_bits(known.callers)
        latency.update(unpacked(known.latency))
        first_token.update(unpacked(known.first_token))
    values = {
        "callers": packed_bits(callers),
        "latency": packed(latency),
        "first_token": packed(first_token),
    }
    if known is None:
        connection.execute(SPREADS.insert().values(level=key[0], start_ms=key[1], **values))
    else:
        connection.execute(SPREADS.update().where(*is_it).values(**values))


def _leave(connection: Connection, change: Change) -> None:
    """Take callers out of the quarters and days in which no call of theirs is left."""
    for number, calls in change.left.items():
        is_it = CALLERS.c.customer_number == number
        known = connection.execute(select(CALLERS.c.place, CALLERS.c.first_ms).where(is_it)).first()
        if known is None:
            continue
        for quarter, day in {(quarter, day) for quarter, day, _ in calls}:
            if not _called(connection, number, quarter, quarter + QUARTER_MS):
                _take_out(connection, (QUARTER, quarter), known.place)
            if not _called_on(connection, number, day):
                _take_out(connection, (DAY, day), known.place)
        if min(at_ms for _, _, at_ms in calls) <= known.first_ms:
            found = select(func.min(EVENTS.c.at_ms)).where(
                EVENTS.c.customer_number == number, EVENTS.c.kind.in_(USAGE)
            )
            first_ms = connection.execute(found).scalar_one()
            _first(connection, number, NEVER_MS if first_ms is None else first_ms)


def _called(connection: Connection, number: int, start_ms: int, end_ms: int) -> bool:
    at_ms = EVENTS.c.at_ms
    call = select(EVENTS.c.id).where(
        EVENTS.c.customer_number == number,
        at_ms >= start_ms,
        at_ms < end_ms,
        EVENTS.c.kind.in_(USAGE),
    )
    return connection.execute(call.limit(1)).first() is not None


def _called_on(connection: Connection, number: int, day: int) -> bool:
    requests = select(func.sum(CUSTOMER_DAYS.c.requests)).where(
        CUSTOMER_DAYS.c.start_ms == day, CUSTOMER_DAYS.c.customer_number == number
    )
    return bool(connection.execute(requests).scalar_one())


def _take_out(connection: Connection, key: tuple[int, int], place: int) -> None:
    is_it = (SPREADS.c.level == key[0], SPREADS.c.start_ms == key[1])
    known = connection.execute(select(SPREADS.c.callers).where(*is_it)).scalar()
    if known is not None:
        callers = unpacked_bits(known) & ~(1 << place)
        connection.execute(SPREADS.update().where(*is_it).values(callers=packed_bits(callers)))
