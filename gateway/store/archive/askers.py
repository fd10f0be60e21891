"""Askers: the customers that made calls of a kind within a span: to a model, or with a tag.

Who asked which model stands in a table of its own: for each customer, model and four weeks, when
the first such call was, and when the last. So a span of four weeks, or one that ends now, is
answered without a look at a call; of a shorter one that is over, those customers are looked up
that asked both before and after it. An index of all calls would say the same, at the price of
a call's other indexes together.

A tag stands in the calls' own words, which no index has: the latest calls are looked through,
as in a list of logs.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    Integer,
    Table,
    select,
    text,
)

from gateway.event import USAGE_KINDS
from gateway.store.archive.conditions import Condition
from gateway.store.archive.listing import WALKED_MAX, Wanted, end_of_walk, rows_on_walk, ways
from gateway.store.archive.model_names import model_names
from gateway.store.archive.queries import LogFilter, is_usage
from gateway.store.archive.rows import WRITTEN
from gateway.store.archive.table import EVENTS, METADATA, Bytewise
from gateway.store.operators import Operator

WEEKS_MS: Final = 4 * 7 * 86_400_000
"""How long one row is about: at most the shortest month."""

ASKERS: Final = Table(
    "askers",
    METADATA,
    Column("model", Bytewise, primary_key=True),
    Column("weeks", Integer, primary_key=True, autoincrement=False),  # since 1970, by four
    Column("customer_number", BigInteger, primary_key=True, autoincrement=False),
    Column("partition", Integer, nullable=False),
    Column("first_ms", BigInteger, nullable=False),
    Column("last_ms", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

_USAGE: Final = "kind IN ({})".format(", ".join(f"'{kind}'" for kind in sorted(USAGE_KINDS)))
_COLUMNS: Final = ", ".join(column.name for column in ASKERS.columns)
_WIDEN: Final = """
    ON CONFLICT (model, weeks, customer_number) DO UPDATE SET
        first_ms = CASE WHEN excluded.first_ms < askers.first_ms
            THEN excluded.first_ms ELSE askers.first_ms END,
        last_ms = CASE WHEN excluded.last_ms > askers.last_ms
            THEN excluded.last_ms ELSE askers.last_ms END"""
_NOTE: Final = text(
    f"INSERT INTO askers ({_COLUMNS})"  # noqa: S608 - constants
    " VALUES (:model, :weeks, :customer_number, :partition, :first_ms, :last_ms)"
    f" {_WIDEN}"
)
_FROM_CALLS: Final = text(
    f"""
    INSERT INTO askers ({_COLUMNS})
    SELECT model, at_ms / {WEEKS_MS}, customer_number, min(partition), min(at_ms), max(at_ms)
    FROM events WHERE {_USAGE}
    GROUP BY model, at_ms / {WEEKS_MS}, customer_number
    {_WIDEN}"""  # noqa: S608 - constants
)
_ASKED: Final = text(
    f"""
    SELECT customer_number, min(partition) AS partition FROM askers
    WHERE model = :model AND weeks >= :first AND weeks <= :last
        AND last_ms >= :start_ms AND first_ms < :end_ms
        AND (first_ms >= :start_ms OR last_ms < :end_ms OR EXISTS (
            SELECT 1 FROM events
            WHERE events.customer_number = askers.customer_number
                AND at_ms >= :start_ms AND at_ms < :end_ms AND events.model = :model AND {_USAGE}
        ))
    GROUP BY customer_number"""  # noqa: S608 - constants
)

_TOLD: Final = itemgetter(
    *map(WRITTEN.index, ("kind", "model", "customer_number", "partition", "at_ms"))
)


@dataclass(frozen=True, slots=True)
class Found:
    """Some customers.

    Attributes:
        places: Customer number -> index of its partition.
        complete: False: only the latest calls were looked through; there may be others.
    """

    places: Mapping[int, int]
    complete: bool = True


class Askers:
    """Raises, from every method: as the archive does."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def of(self, start_ms: int, end_ms: int, *, model: str = "", tag: str = "") -> Found:
        """Those with a call in [start_ms, end_ms) to the model that has the tag.

        Args:
            tag: Text in the call's metadata, in any case. Without it, all calls.
        """
        return await asyncio.to_thread(self._of, start_ms, end_ms, model, tag)

    async def models(self, start_ms: int, end_ms: int) -> list[str]:
        """Of calls of this time, refused ones too; in order. Of very many the first."""
        return await asyncio.to_thread(self._models, start_ms, end_ms)

    def _models(self, start_ms: int, end_ms: int) -> list[str]:
        with self._engine.connect() as connection:
            return list(connection.execute(model_names(start_ms, end_ms)).scalars())

    def _of(self, start_ms: int, end_ms: int, model: str, tag: str) -> Found:
        with self._engine.connect() as connection:
            if tag:
                tagged = Condition("metadata", Operator.ICONTAINS, (tag,))
                wanted = LogFilter(
                    start_ms=start_ms, end_ms=end_ms, model=model or None, conditions=(tagged,)
                )
                return _looked_through(connection, wanted)
            weeks = {"first": start_ms // WEEKS_MS, "last": end_ms // WEEKS_MS}
            span = {"start_ms": start_ms, "end_ms": end_ms, **weeks}
            return Found(_places(connection.execute(_ASKED, {"model": model, **span})))


def note(connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    """Write down who asked what, of rows as they are inserted, in the same transaction."""
    found: dict[tuple[Any, ...], list[Any]] = {}
    for kind, model, number, partition, at_ms in map(_TOLD, rows):
        if kind not in USAGE_KINDS:
            continue
        key = (model, at_ms // WEEKS_MS, number)
        known = found.get(key)
        if known is None:
            found[key] = [partition, at_ms, at_ms]
        else:
            known[1:] = min(known[1], at_ms), max(known[2], at_ms)
    if found:
        names = ASKERS.columns.keys()
        noted = [dict(zip(names, (*key, *found[key]), strict=True)) for key in sorted(found)]
        connection.execute(_NOTE, noted)


def note_all(connection: Connection) -> None:
    """The same of all calls that are archived, by a version that did not write it down."""
    connection.execute(_FROM_CALLS)


def _looked_through(connection: Connection, wanted: LogFilter) -> Found:
    walk, found = Wanted(filter=wanted), ways(wanted)
    tagged = (
        select(EVENTS.c.customer_number, EVENTS.c.partition)
        .where(EVENTS.c.id.in_(rows_on_walk(walk, found, WALKED_MAX)), is_usage())
        .distinct()
    )
    places = _places(connection.execute(tagged))
    return Found(places, connection.execute(end_of_walk(walk, found)).first() is None)


def _places(rows: Iterable[Sequence[Any]]) -> dict[int, int]:
    """Of rows of two; there may be very many."""
    return {row[0]: row[1] for row in rows}
