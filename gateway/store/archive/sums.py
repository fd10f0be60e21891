"""Sums over rows, kept beside them: by quarter of an hour, by day, and by customer and day.

They change in the transaction in which rows do, by the rows that it really inserts or changes,
so that they always say what the rows say. Rows that are removed because they are old stay in
them. Days are those of the reporting zone; quarters of an hour make up the days and hours of
any zone.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    func,
    select,
)

from gateway.event import FAILED, MONEY_KINDS, RERATED, TROUBLE_KINDS, USAGE_KINDS, Kind
from gateway.store.archive.days import QUARTER_MS, Days
from gateway.store.archive.rows import WRITTEN
from gateway.store.archive.spreads import (
    bits,
    class_of,
    packed,
    packed_bits,
    together,
    unpacked,
    unpacked_bits,
)
from gateway.store.archive.table import EVENTS, METADATA, Bytewise

LIMB: Final = 10**6
"""An amount is ``high * LIMB + low``: sums outgrow 64 bits. `high` is what amounts rank by."""

QUARTER: Final = 0
DAY: Final = 1
"""Levels: what a sum is over."""

IN_ONE_QUERY: Final = 500
NEVER_MS: Final = 2**62


class Numbers(NamedTuple):
    """What is summed up, as `gateway.metering.totals` counts it."""

    requests: int = 0
    errors: int = 0
    rejected: int = 0
    unpriced: int = 0
    tokens: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    cost_pico: int = 0
    charge_pico: int = 0
    unresolved_pico: int = 0


AMOUNTS: Final = ("cost_pico", "charge_pico", "unresolved_pico")
COUNTS: Final = tuple(name for name in Numbers._fields if name not in AMOUNTS)
LIMBS: Final = tuple(f"{name[:-5]}_{limb}" for name in AMOUNTS for limb in ("high", "low"))


def _number_columns() -> list[Column[Any]]:
    return [Column(name, BigInteger, nullable=False) for name in (*COUNTS, *LIMBS)]


SUMS: Final = Table(
    "sums",
    METADATA,
    Column("level", Integer, primary_key=True, autoincrement=False),
    Column("start_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("app", Bytewise, primary_key=True),
    Column("model", Bytewise, primary_key=True),
    *_number_columns(),
    sqlite_with_rowid=False,
)

SPREADS: Final = Table(
    "spreads",
    METADATA,
    Column("level", Integer, primary_key=True, autoincrement=False),
    Column("start_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("callers", LargeBinary, nullable=False),
    Column("latency", LargeBinary, nullable=False),
    Column("first_token", LargeBinary, nullable=False),
)

CUSTOMER_DAYS: Final = Table(
    "customer_days",
    METADATA,
    Column("start_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("customer_number", BigInteger, primary_key=True, autoincrement=False),
    Column("partition", Integer, primary_key=True, autoincrement=False),
    *_number_columns(),
    Index("customer_days_by_cost", "start_ms", "cost_high"),
    Index("customer_days_by_tokens", "start_ms", "tokens"),
    Index("customer_days_by_requests", "start_ms", "requests"),
    sqlite_with_rowid=False,
)

CALLERS: Final = Table(
    "callers",
    METADATA,
    Column("customer_number", BigInteger, primary_key=True, autoincrement=False),
    Column("place", Integer, nullable=False, unique=True),
    Column("partition", Integer, nullable=False),
    Column("first_ms", BigInteger, nullable=False),
    Index("callers_by_first", "first_ms"),
    sqlite_with_rowid=False,
)
"""Who ever called, with a small number for sets (`spreads`), and when it did so first."""

SUMMED: Final = Table(
    "summed",
    METADATA,
    Column("zone", Text, nullable=False),
    Column("done_id", BigInteger, nullable=False),
    Column("until_id", BigInteger, nullable=False),
    Column("past_done", Integer, nullable=False),
    Column("newest_id", BigInteger, nullable=False),
)
"""One row: whose days they are, and which of the rows that were there before are in the sums.

Those to `done_id` are, and those behind `until_id`; between them is what is still to be added.
Rows behind `newest_id` were written by a process of an earlier version, which sums up nothing.
"""

TABLES: Final = (SUMS, SPREADS, CUSTOMER_DAYS, CALLERS, SUMMED)


class State(NamedTuple):
    zone: str
    done_id: int
    until_id: int
    past_done: int
    """Of what rows left behind, the partitions before this one; `PAST_IS_DONE` when all are."""

    newest_id: int

    @property
    def is_whole(self) -> bool:
        return self.done_id >= self.until_id and self.past_done == PAST_IS_DONE

    def has(self, row_id: int) -> bool:
        """Whether a row of that id is in the sums."""
        return row_id <= self.done_id or row_id > self.until_id


PAST_IS_DONE: Final = -1


def state_of(connection: Connection) -> State:
    return State(*connection.execute(select(SUMMED)).one())


class Fact(NamedTuple):
    """What of a row is summed up; the names are columns of `EVENTS`."""

    once: str
    partition: int
    at_ms: int
    kind: str
    customer_number: int
    app: str
    model: str
    status: str
    unpriced: bool
    request_id: str
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    reasoning_tokens: int
    cost_pico: int
    charge_pico: int
    unresolved_pico: int
    latency_ms: int | None
    first_token_ms: int | None


FACTS: Final = tuple(EVENTS.c[name] for name in Fact._fields)
_fact = itemgetter(*map(WRITTEN.index, Fact._fields))


def facts_of(rows: Iterable[tuple[Any, ...]]) -> list[Fact]:
    """Of rows of `to_row`."""
    return [Fact(*_fact(row)) for row in rows]


# By their text, as rows have them: a `StrEnum` is found by it, and hashing that is quicker.
_USAGE: Final = frozenset(str(kind) for kind in USAGE_KINDS)
_MONEY: Final = frozenset(str(kind) for kind in MONEY_KINDS)
_TROUBLE: Final = frozenset(str(kind) for kind in TROUBLE_KINDS)
_FAILED: Final = frozenset(str(status) for status in FAILED)
_REFUSE: Final = str(Kind.REFUSE)


def numbers_of(fact: Fact) -> Numbers:
    """What one row adds."""
    kind = fact.kind
    is_usage = kind in _USAGE
    failed = int(kind in _TROUBLE and fact.status in _FAILED)
    unpriced = int(is_usage) - int(RERATED in fact.request_id) if fact.unpriced else 0
    if kind not in _MONEY:
        return Numbers(0, failed, int(kind == _REFUSE), unpriced)
    return Numbers(
        int(is_usage),
        failed,
        0,
        unpriced,
        fact.input_tokens + fact.output_tokens,
        fact.input_tokens,
        fact.cached_tokens,
        fact.reasoning_tokens,
        fact.cost_pico,
        fact.charge_pico,
        fact.unresolved_pico,
    )


def total(parts: Sequence[Numbers]) -> Numbers:
    if len(parts) == 1:
        return parts[0]
    return Numbers(*map(sum, zip(Numbers(), *parts, strict=True)))


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
                EVENTS.c.customer_number == number, EVENTS.c.kind.in_(_USAGE)
            )
            first_ms = connection.execute(found).scalar_one()
            _first(connection, number, NEVER_MS if first_ms is None else first_ms)


def _called(connection: Connection, number: int, start_ms: int, end_ms: int) -> bool:
    at_ms = EVENTS.c.at_ms
    call = select(EVENTS.c.id).where(
        EVENTS.c.customer_number == number,
        at_ms >= start_ms,
        at_ms < end_ms,
        EVENTS.c.kind.in_(_USAGE),
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
