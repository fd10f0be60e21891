"""Sums over rows, kept beside them: by quarter of an hour, by day, and by customer and day.

They change in the transaction in which rows do, by the rows that it really inserts or changes,
so that they always say what the rows say. Rows that are removed because they are old stay in
them. Days are those of the reporting zone; quarters of an hour make up the days and hours of
any zone.
"""

from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    select,
)

from gateway.event import FAILED, MONEY_KINDS, RERATED, TROUBLE_KINDS, USAGE_KINDS, Kind
from gateway.store.archive.rows import WRITTEN
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
    return list(map(Fact._make, map(_fact, rows)))


# By their text, as rows have them: a `StrEnum` is found by it, and hashing that is quicker.
USAGE: Final = frozenset(str(kind) for kind in USAGE_KINDS)
_MONEY: Final = frozenset(str(kind) for kind in MONEY_KINDS)
_TROUBLE: Final = frozenset(str(kind) for kind in TROUBLE_KINDS)
_FAILED: Final = frozenset(str(status) for status in FAILED)
_REFUSE: Final = str(Kind.REFUSE)


def numbers_of(fact: Fact) -> Numbers:
    """What one row adds."""
    kind = fact.kind
    is_usage = kind in USAGE
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
