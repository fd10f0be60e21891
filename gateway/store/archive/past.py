"""What is left of rows that were removed: their sums by customer and day.

A removed row is added here in the same transaction, so that rows and past together say for
ever what all events said. The archive adds numbers up; what they mean, and which day an
event belongs to, is for those to say who fold it (`gateway.metering.retention`).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from operator import add
from typing import Any, Final

from sqlalchemy import BigInteger, Column, Connection, Integer, Table, Text, delete, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from gateway.store.archive.rows import from_row
from gateway.store.archive.table import (
    EVENTS,
    METADATA,
    STREAM_ORDER,
    ArchivedEvent,
    Bytewise,
    place,
)


@dataclass(frozen=True, slots=True)
class PastDay:
    """Sums over the removed events of a customer, a day, an app and a group.

    Attributes:
        group: '' for none.
        numbers: Added up place by place; a shorter one ends in zeros.
        first_seen_ms: Of its calls; None when there is none among them.
    """

    customer_number: int
    day: date
    app: str
    group: str
    numbers: tuple[int, ...]
    first_seen_ms: int | None
    last_seen_ms: int | None


Fold = Callable[[Iterable[ArchivedEvent]], Iterable[PastDay]]

PAST: Final = Table(
    "past",
    METADATA,
    Column("partition", Integer, primary_key=True),
    Column("customer_number", BigInteger, primary_key=True),
    Column("day", Bytewise, primary_key=True),
    Column("app", Bytewise, primary_key=True),
    Column("group", Bytewise, primary_key=True),
    Column("numbers", Text, nullable=False),  # decimals by commas: sums outgrow 64 bits
    Column("first_seen_ms", BigInteger),
    Column("last_seen_ms", BigInteger),
    sqlite_with_rowid=False,
)
_KEY: Final = ("customer_number", "day", "app", "group")


def past_of(connection: Connection, partition: int) -> list[PastDay]:
    """By customer, then by day."""
    rows = connection.execute(
        select(PAST).where(PAST.c.partition == partition).order_by(*PAST.primary_key.columns)
    )
    return [_from_row(row) for row in rows.mappings()]


def retire(connection: Connection, partition: int, until: str, rows_max: int, fold: Fold) -> int:
    """Remove the oldest rows up to the stream id `until`, into the past; how many they were."""
    wanted = (EVENTS.c.partition == partition, tuple_(*STREAM_ORDER) <= tuple_(*place(until)))
    rows = (
        connection.execute(select(EVENTS).where(*wanted).order_by(*STREAM_ORDER).limit(rows_max))
        .mappings()
        .all()
    )
    for gone in fold(from_row(row) for row in rows):
        _add(connection, partition, gone)
    ids = [row["id"] for row in rows]
    connection.execute(delete(EVENTS).where(EVENTS.c.id.in_(ids)))
    return len(ids)


def _add(connection: Connection, partition: int, gone: PastDay) -> None:
    key = (partition, gone.customer_number, gone.day.isoformat(), gone.app, gone.group)
    known = (
        connection.execute(
            select(PAST).where(
                *(column == value for column, value in zip(PAST.primary_key, key, strict=True))
            )
        )
        .mappings()
        .first()
    )
    sums = gone if known is None else _sum(_from_row(known), gone)
    values = {
        **dict(zip(PAST.primary_key.columns.keys(), key, strict=True)),
        "numbers": ",".join(map(str, sums.numbers)),
        "first_seen_ms": sums.first_seen_ms,
        "last_seen_ms": sums.last_seen_ms,
    }
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    connection.execute(
        insert(PAST)
        .values(values)
        .on_conflict_do_update(index_elements=list(PAST.primary_key), set_=values)
    )


def _sum(a: PastDay, b: PastDay) -> PastDay:
    length = max(len(a.numbers), len(b.numbers))
    first = [ms for ms in (a.first_seen_ms, b.first_seen_ms) if ms is not None]
    last = [ms for ms in (a.last_seen_ms, b.last_seen_ms) if ms is not None]
    return replace(
        a,
        numbers=tuple(map(add, _filled(a.numbers, length), _filled(b.numbers, length))),
        first_seen_ms=min(first, default=None),
        last_seen_ms=max(last, default=None),
    )


def _filled(numbers: Sequence[int], length: int) -> tuple[int, ...]:
    return (*numbers, *[0] * (length - len(numbers)))


def _from_row(row: Any) -> PastDay:
    return PastDay(
        customer_number=row["customer_number"],
        day=date.fromisoformat(row["day"]),
        app=row["app"],
        group=row["group"],
        numbers=tuple(map(int, row["numbers"].split(","))),
        first_seen_ms=row["first_seen_ms"],
        last_seen_ms=row["last_seen_ms"],
    )
