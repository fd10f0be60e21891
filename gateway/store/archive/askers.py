"""Askers: the customers that made calls of a kind within a span: to a model, or with a tag.

Who asked a model is read from an index that has each customer's calls to it side by side: one
step a customer, however many the calls. A tag stands in the calls' own words, which no index
has: the latest calls are looked through, as in a list of logs.
"""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Engine, Index, Row, select, text

from gateway.event import USAGE_KINDS
from gateway.store.archive.conditions import Condition
from gateway.store.archive.customers import model_names
from gateway.store.archive.listing import WALKED_MAX, Wanted, end_of_walk, rows_on_walk, ways
from gateway.store.archive.queries import LogFilter, is_usage
from gateway.store.archive.table import EVENTS
from gateway.store.operators import Operator

_USED: Final = "kind IN ({})".format(", ".join(f"'{kind}'" for kind in sorted(USAGE_KINDS)))
"""In the same words in index and query, or a database does not see that they fit."""

_WHERE: Final = text(_USED)

# One of the table's indexes from here on: `schema` makes it with them.
Index(
    "events_by_asker",
    EVENTS.c.model,
    EVENTS.c.customer_number,
    EVENTS.c.at_ms,
    # What else is asked of a row, so that none is read.
    EVENTS.c.partition,
    EVENTS.c.kind,
    sqlite_where=_WHERE,
    postgresql_where=_WHERE,
)

_ASKERS: Final = text(
    f"""
    WITH RECURSIVE found (number) AS (
        SELECT min(customer_number) FROM events WHERE model = :model AND {_USED}
        UNION ALL
        SELECT (
            SELECT min(customer_number) FROM events
            WHERE model = :model AND customer_number > found.number AND {_USED}
        )
        FROM found WHERE found.number IS NOT NULL
    )
    SELECT number AS customer_number, (
        SELECT partition FROM events
        WHERE model = :model AND customer_number = found.number
            AND at_ms >= :start_ms AND at_ms < :end_ms AND {_USED}
        LIMIT 1
    ) AS partition
    FROM found WHERE found.number IS NOT NULL"""  # noqa: S608 - constants
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
                conditions = (Condition("metadata", Operator.ICONTAINS, (tag,)),)
                return _looked_through(
                    connection,
                    LogFilter(
                        start_ms=start_ms,
                        end_ms=end_ms,
                        model=model or None,
                        conditions=conditions,
                    ),
                )
            span: dict[str, Any] = {"start_ms": start_ms, "end_ms": end_ms}
            rows = connection.execute(_ASKERS, {"model": model, **span})
            return Found(_places(rows))


def _looked_through(connection: Connection, wanted: LogFilter) -> Found:
    walk, found = Wanted(filter=wanted), ways(wanted)
    tagged = (
        select(EVENTS.c.customer_number, EVENTS.c.partition)
        .where(EVENTS.c.id.in_(rows_on_walk(walk, found, WALKED_MAX)), is_usage())
        .distinct()
    )
    places = _places(connection.execute(tagged))
    return Found(places, connection.execute(end_of_walk(walk, found)).first() is None)


def _places(rows: Iterable[Row[Any]]) -> dict[int, int]:
    return {number: partition for number, partition in rows if partition is not None}
