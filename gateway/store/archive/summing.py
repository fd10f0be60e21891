"""Rows into sums: what a batch changes, and, bit by bit, what was there before there were sums."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, delete, func, insert, select, update

from gateway.event import RERATED
from gateway.store.archive.askers import note
from gateway.store.archive.changing import Change, Spread, add, apply, know, widen
from gateway.store.archive.days import day_start_ms
from gateway.store.archive.past import PAST, PastDay, past_of
from gateway.store.archive.sums import (
    CALLERS,
    CUSTOMER_DAYS,
    DAY,
    FACTS,
    IN_ONE_QUERY,
    PAST_IS_DONE,
    SPREADS,
    SUMMED,
    SUMS,
    Fact,
    Numbers,
    State,
    facts_of,
    state_of,
    total,
)
from gateway.store.archive.table import ADJUST_SUFFIX, EVENTS

ROWS_AT_ONCE: Final = 5_000
"""Of those that were there before, in one transaction: others who write wait that long."""

_PAST_RERATED: Final = chr(ord(RERATED) + 1)

Row = tuple[Any, ...]


def begin(connection: Connection, zone: str) -> None:
    """Have sums by the days of that zone; where they are of another, they are made anew."""
    known = connection.execute(select(SUMMED)).first()
    if known is not None and known.zone == zone:
        return
    for table in (SUMS, SPREADS, CUSTOMER_DAYS, CALLERS, SUMMED):
        connection.execute(delete(table))
    newest_id = _newest_id(connection)
    connection.execute(insert(SUMMED).values(State(zone, 0, newest_id, 0, newest_id)._asdict()))
    if newest_id == 0:
        more(connection)  # there is nothing to wait for


def _newest_id(connection: Connection) -> int:
    return connection.execute(select(func.max(EVENTS.c.id))).scalar_one() or 0


def _current(connection: Connection) -> State:
    """The state, after a look at what processes of an earlier version may have written."""
    state = state_of(connection)
    newest_id = _newest_id(connection)
    if newest_id <= state.newest_id:
        return state
    if state.is_whole:
        left = state._replace(done_id=state.newest_id, until_id=newest_id, newest_id=newest_id)
        connection.execute(update(SUMMED).values(left._asdict()))
    else:
        connection.execute(update(SUMMED).values(zone=""))
        begin(connection, state.zone)
    return state_of(connection)


def _written(connection: Connection, state: State) -> None:
    newest_id = _newest_id(connection)
    if newest_id > state.newest_id:
        connection.execute(update(SUMMED).values(newest_id=newest_id))


def insert_all(connection: Connection, statement: str, rows: Sequence[Row]) -> bool:
    """Insert rows that are all new, and sum them up. False: some are not; take it back."""
    state = _current(connection)
    if not state.is_whole:
        return False
    if connection.exec_driver_sql(statement, list(rows)).rowcount != len(rows):
        return False
    change = Change(state.zone)
    change.come(facts_of(rows))
    apply(connection, change)
    _written(connection, state)
    note(connection, rows)
    return True


def insert_some(connection: Connection, statement: str, rows: Sequence[Row]) -> None:
    """Insert rows some of which may be there, or not come in, or drive out others."""
    state = _current(connection)
    touched = _Touched(connection, state, rows)
    change = Change(state.zone)
    change.go(touched.facts())
    connection.exec_driver_sql(statement, list(rows))
    change.come(touched.facts())
    apply(connection, change)
    _written(connection, state)
    note(connection, rows)


class _Touched:
    """The rows that inserting others may change: of the same call, in the same partition."""

    def __init__(self, connection: Connection, state: State, rows: Sequence[Row]) -> None:
        self._connection = connection
        self._state = state
        found = set(facts_of(rows))
        self._wanted = {
            (once, fact.partition)
            for fact in found
            for once in (fact.once, fact.once + ADJUST_SUFFIX)
        }
        there = {(row.once, row.partition) for row in self._rows()}
        self._replaced = [(f.once, f.partition) for f in found if (f.once, f.partition) in there]

    def facts(self) -> list[Fact]:
        """What they are at this moment, those that are in the sums."""
        found = {row.id: row for row in [*self._rows(), *self._rerated()]}
        return [Fact(*row[1:]) for row in found.values() if self._state.has(row.id)]

    def _rows(self) -> Iterator[Any]:
        names = sorted({once for once, _ in self._wanted})
        for start in range(0, len(names), IN_ONE_QUERY):
            some = names[start : start + IN_ONE_QUERY]
            found = select(EVENTS.c.id, *FACTS).where(EVENTS.c.once.in_(some))
            for row in self._connection.execute(found):
                if (row.once, row.partition) in self._wanted:
                    yield row

    def _rerated(self) -> Iterator[Any]:
        once = EVENTS.c.once
        for name, partition in set(self._replaced):
            found = select(EVENTS.c.id, *FACTS).where(
                EVENTS.c.partition == partition,
                once > name + RERATED,
                once < name + _PAST_RERATED,
            )
            yield from self._connection.execute(found)


def more(connection: Connection) -> int:
    """Sum up some of the rows that were there before; how many. 0: the sums are whole."""
    state = _current(connection)
    if state.past_done != PAST_IS_DONE:
        following = select(func.min(PAST.c.partition)).where(PAST.c.partition >= state.past_done)
        partition = connection.execute(following).scalar_one()
        done, count = PAST_IS_DONE, 1
        if partition is not None:
            done, count = partition + 1, _add_past(connection, state, partition)
        connection.execute(update(SUMMED).values(past_done=done))
        return count
    if state.is_whole:
        return 0
    rows = connection.execute(
        select(EVENTS.c.id, *FACTS)
        .where(EVENTS.c.id > state.done_id, EVENTS.c.id <= state.until_id)
        .order_by(EVENTS.c.id)
        .limit(ROWS_AT_ONCE)
    ).all()
    change = Change(state.zone)
    change.come(Fact(*row[1:]) for row in rows)
    apply(connection, change)
    done_id = rows[-1].id if len(rows) == ROWS_AT_ONCE else state.until_id
    connection.execute(update(SUMMED).values(done_id=done_id))
    return max(len(rows), 1)


def _add_past(connection: Connection, state: State, partition: int) -> int:
    """What is left of removed rows: days without hours, without models."""
    past, zone = past_of(connection, partition), ZoneInfo(state.zone)
    uses: defaultdict[tuple[int, int, str, str], list[Numbers]] = defaultdict(list)
    customers: defaultdict[tuple[int, int, int], list[Numbers]] = defaultdict(list)
    callers: defaultdict[int, set[int]] = defaultdict(set)
    first: dict[int, tuple[int, int]] = {}
    for gone in past:
        start_ms, numbers = day_start_ms(gone.day, zone), _numbers(gone)
        uses[DAY, start_ms, gone.app, ""].append(numbers)
        customers[start_ms, gone.customer_number, partition].append(numbers)
        if gone.first_seen_ms is not None:
            callers[start_ms].add(gone.customer_number)
            known, _ = first.get(gone.customer_number, (gone.first_seen_ms, 0))
            first[gone.customer_number] = min(known, gone.first_seen_ms), partition
    add(connection, SUMS, _totals(uses))
    add(connection, CUSTOMER_DAYS, _totals(customers))
    places = know(connection, first)
    for start_ms, numbers_of_day in callers.items():
        widen(connection, (DAY, start_ms), [Spread(callers=numbers_of_day)], places)
    return max(len(past), 1)


def _totals(parts: dict[Any, list[Numbers]]) -> dict[Any, Numbers]:
    return {key: total(of_key) for key, of_key in parts.items()}


def _numbers(gone: PastDay) -> Numbers:
    """By their places in `gateway.metering.totals.Totals`."""
    calls, errors, rejected, unpriced, into, cached, out, reasoning, *amounts = (
        *gone.numbers[:11],
        *[0] * (11 - len(gone.numbers)),
    )
    return Numbers(calls, errors, rejected, unpriced, into + out, into, cached, reasoning, *amounts)
