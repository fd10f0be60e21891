"""A page of logs: from an index where one answers, else by a walk that is bounded.

What an index has side by side (a customer, what is not well, a model, an app, a time) is
the way; everything else is looked at row by row on it, for `WALKED_MAX` rows at most. A
page that ends there says so, and where to go on.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Executable,
    FromClause,
    Select,
    and_,
    case,
    false,
    func,
    select,
    tuple_,
    union_all,
)
from sqlalchemy.sql import visitors
from sqlalchemy.sql.util import ClauseAdapter

from gateway.event import MONEY_KINDS, Status
from gateway.store.archive.queries import LogFilter, conditions, is_kind
from gateway.store.archive.rows import from_row
from gateway.store.archive.table import EVENTS, ArchivedEvent

COUNTED_MAX: Final = 10_000
"""Of what an index answers; a list that has more says so."""

WALKED_MAX: Final = 10_000
WAYS_MAX: Final = 4
"""Customers whose rows are found side by side each; of more, the walk is by time."""

TROUBLE_CODE: Final = 400
"""From here on a status code is not that of a call that went well."""


class Sort(StrEnum):
    TIME = "at_ms"
    COST = "cost_pico"
    CHARGE = "charge_pico"
    LATENCY = "latency_ms"
    FIRST_TOKEN = "first_token_ms"  # noqa: S105 - a column
    INPUT = "input_tokens"
    OUTPUT = "output_tokens"


class Place(NamedTuple):
    """Of a row in the order of time."""

    at_ms: int
    row_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A page.

    Attributes:
        sort: Other than by time: of the `WALKED_MAX` rows that are first in time.
        offset: Rows to pass over; counted from `after` if that is given.
    """

    filter: LogFilter
    sort: Sort = Sort.TIME
    descending: bool = True
    offset: int = 0
    size: int = 100
    after: Place | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A page of logs.

    Attributes:
        count: How many match, as far as was looked.
        exact: False: there may be more than `count`.
        following: Where to go on; None: that was the last.
        cut_short: The walk ended before the page was full, with more rows behind it.
    """

    rows: Sequence[ArchivedEvent]
    count: int
    exact: bool
    following: Place | None
    cut_short: bool


class Ways(NamedTuple):
    """Ranges of an index, each a condition; and what is looked at on them row by row."""

    ranges: Sequence[Sequence[Any]]
    rest: Sequence[Any]


def listed(connection: Connection, wanted: Wanted) -> Listed:
    found = ways(wanted.filter)
    ids = connection.execute(page(wanted, found)).scalars().all()
    by_id = {
        row["id"]: row
        for row in connection.execute(select(EVENTS).where(EVENTS.c.id.in_(ids))).mappings()
    }
    rows = [by_id[row_id] for row_id in ids if row_id in by_id]  # one may have been retired
    matches, looked_at = connection.execute(count(wanted, found)).one()
    place = rows[wanted.size - 1] if len(rows) > wanted.size else None
    cut_short = False
    if place is None and is_walk(wanted, found):
        place = connection.execute(end_of_walk(wanted, found)).mappings().first()
        cut_short = place is not None
    bound = WALKED_MAX if is_walk(wanted, found) else COUNTED_MAX
    return Listed(
        rows=[from_row(row) for row in rows[: wanted.size]],
        count=min(int(matches), bound),
        exact=int(looked_at) <= bound,
        following=None if place is None else Place(place["at_ms"], place["id"]),
        cut_short=cut_short,
    )


def usage_behind(wanted: LogFilter, after: Place | None) -> Select[Any]:
    """What counts, the oldest first, behind a place."""
    of_time = Wanted(filter=wanted, descending=False, after=after)
    return (
        select(EVENTS)
        .where(is_kind(MONEY_KINDS), *conditions(wanted), *_behind(of_time))
        .order_by(*_in_order(of_time, EVENTS.c.at_ms, EVENTS.c.id))
    )


def logs(wanted: LogFilter, *, newest_first: bool) -> Select[Any]:
    order = (EVENTS.c.at_ms, EVENTS.c.id)
    return (
        select(EVENTS)
        .where(*conditions(wanted))
        .order_by(*(column.desc() if newest_first else column.asc() for column in order))
    )


def ways(wanted: LogFilter) -> Ways:
    """How to find rows of a filter: by the narrowest thing that has an index."""
    times = replace(LogFilter(), start_ms=wanted.start_ms, end_ms=wanted.end_ms)
    for name in _WAYS:
        if not _is_way(name, getattr(wanted, name)):
            continue
        others = replace(wanted, start_ms=None, end_ms=None)
        without: dict[str, Any] = {name: None}
        rest = conditions(replace(others, **without))
        if name == "customer_numbers":
            assert wanted.customer_numbers is not None
            singles = [(number,) for number in sorted(wanted.customer_numbers)]
            found = [conditions(replace(times, customer_numbers=one)) for one in singles]
        elif name == "status_code":  # no index of its own; but what is not well has one
            found = [conditions(replace(times, in_trouble=True))]
            rest = conditions(others)
        else:
            alone: dict[str, Any] = {name: getattr(wanted, name)}
            found = [conditions(replace(times, **alone))]
        return Ways(found, rest)
    rest = conditions(replace(wanted, start_ms=None, end_ms=None))
    return Ways([conditions(times)], rest)


_WAYS: Final = ("request_id", "customer_numbers", "status", "status_code", "model", "app")


def _is_way(name: str, value: Any) -> bool:
    if value is None:
        return False
    if name == "customer_numbers":
        return len(value) <= WAYS_MAX
    if name == "status":
        return bool(value is not Status.OK)
    return name != "status_code" or value >= TROUBLE_CODE


def page(wanted: Wanted, found: Ways) -> Select[Any]:
    """The page's ids in its order, and one more where there are any behind it."""
    walked = walk(wanted, found, _bound(wanted, found))
    column = walked.c[wanted.sort.value]
    order = _in_order(wanted, column, walked.c.at_ms, walked.c.id)
    if wanted.sort is not Sort.TIME:
        order = [column.is_(None), *order]  # what is not known comes last, either way
    statement = select(walked.c.id).where(*_on(walked, found.rest)).order_by(*order)
    return statement.limit(wanted.size + 1).offset(wanted.offset)


def count(wanted: Wanted, found: Ways) -> Executable:
    """How many match, as far as is looked: matches, and rows looked at."""
    bound = WALKED_MAX if is_walk(wanted, found) else COUNTED_MAX
    walked = walk(replace(wanted, after=None), found, bound + 1)
    if not found.rest:
        return select(func.count(), func.count()).select_from(walked)
    matches = func.sum(_as_number(and_(*_on(walked, found.rest))))
    return select(func.coalesce(matches, 0), func.count()).select_from(walked)


def end_of_walk(wanted: Wanted, found: Ways) -> Select[Any]:
    """Where a walk ends that is cut short: no row where it is not."""
    walked = walk(wanted, found, WALKED_MAX)
    return (
        select(walked.c.at_ms, walked.c.id)
        .order_by(*_in_order(wanted, walked.c.at_ms, walked.c.id))
        .limit(1)
        .offset(WALKED_MAX - 1)
    )


def rows_on_walk(wanted: Wanted, found: Ways, bound: int) -> Select[Any]:
    """The ids of what matches among the first `bound` rows."""
    walked = walk(wanted, found, bound)
    return select(walked.c.id).where(*_on(walked, found.rest))


def is_walk(wanted: Wanted, found: Ways) -> bool:
    """Whether rows are looked at that may not match, or have to be sorted."""
    return bool(found.rest) or wanted.sort is not Sort.TIME


def walk(wanted: Wanted, found: Ways, bound: int) -> FromClause:
    """The first rows of each range in the order of time, at most `bound` in all."""
    columns = [EVENTS.c[name] for name in sorted(_looked_at(wanted, found))]
    order = _in_order(wanted, EVENTS.c.at_ms, EVENTS.c.id)
    slices = [
        select(*columns).where(*of_range, *_behind(wanted)).order_by(*order).limit(bound).subquery()
        for of_range in found.ranges
    ]
    if len(slices) == 1:
        return slices[0]
    if not slices:
        return select(*columns).where(false()).subquery()
    together = union_all(*(select(one) for one in slices)).subquery()
    ordered = _in_order(wanted, together.c.at_ms, together.c.id)
    return select(together).order_by(*ordered).limit(bound).subquery()


def _in_order(wanted: Wanted, *columns: ColumnElement[Any]) -> list[ColumnElement[Any]]:
    return [column.desc() if wanted.descending else column.asc() for column in columns]


def _looked_at(wanted: Wanted, found: Ways) -> set[str]:
    """The columns that a walk needs: a row is wide, and most of it nobody asks about."""
    named = {
        element.name
        for condition in found.rest
        for element in visitors.iterate(condition)
        if isinstance(element, Column)
    }
    # A condition that is written out (`NOT_OK`) names its column by itself.
    return {"id", "at_ms", "status", wanted.sort.value, *named} - (
        set() if found.rest else {"status"}
    )


def _bound(wanted: Wanted, found: Ways) -> int:
    if is_walk(wanted, found):
        return WALKED_MAX
    return wanted.offset + wanted.size + 1


def _behind(wanted: Wanted) -> list[ColumnElement[bool]]:
    if wanted.after is None:
        return []
    at_ms, place = EVENTS.c.at_ms, tuple_(EVENTS.c.at_ms, EVENTS.c.id)
    # The time by itself, too: an index has that alone.
    if wanted.descending:
        return [at_ms <= wanted.after.at_ms, place < tuple_(*wanted.after)]
    return [at_ms >= wanted.after.at_ms, place > tuple_(*wanted.after)]


def _on(walked: FromClause, rest: Sequence[Any]) -> list[Any]:
    """The conditions, said of the walk's rows instead of the table's."""
    adapter = ClauseAdapter(walked)
    return [adapter.traverse(condition) for condition in rest]


def _as_number(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return case((condition, 1), else_=0)
