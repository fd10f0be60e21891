"""What was used, answered from the sums (`sums.py`) where they know it, else from the rows.

The answers are the same either way, but for durations, which sums know by classes.
"""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final

from sqlalchemy import Connection, Engine, Select, Text, cast, func, literal, select
from sqlalchemy import null as sql_null

from gateway.store.archive.cover import Piece, Source, cover
from gateway.store.archive.past import PAST
from gateway.store.archive.queries import LogFilter, conditions, is_usage
from gateway.store.archive.ranking import greatest, rank_of
from gateway.store.archive.slots import (
    TIMINGS_MAX,
    Slotting,
    SlotUse,
    callers,
    in_slots,
    read_slot_use,
    timings,
)
from gateway.store.archive.spreads import (
    Durations,
    bits,
    class_of,
    together,
    unpacked,
    unpacked_bits,
)
from gateway.store.archive.sums import (
    AMOUNTS,
    CALLERS,
    COUNTS,
    CUSTOMER_DAYS,
    DAY,
    IN_ONE_QUERY,
    LIMB,
    LIMBS,
    QUARTER,
    SPREADS,
    SUMS,
    State,
    state_of,
)
from gateway.store.archive.table import EVENTS

_LEVELS: Final = {Source.DAYS: DAY, Source.QUARTERS: QUARTER}
_ADDED: Final = tuple(f.name for f in fields(SlotUse) if f.name not in {"slot", "key", "partition"})


@dataclass(frozen=True, slots=True)
class Active:
    """How many customers called: in all of a span, and in each of its slots with a call."""

    whole: int
    by_slot: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Paces:
    """How long the calls of a slot took, whole and to the first token."""

    whole: Durations
    first_token: Durations


NO_PACES: Final = Paces({}, {})


class Answers:
    """Every filter has a start and an end, and may have an app, a model and customers.

    Raises, from every method: as the archive does.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def use(
        self, wanted: LogFilter, *, slots: Slotting | None = None, by: str | None = None
    ) -> list[SlotUse]:
        """Sums by slot of time, by ``customer``, ``model`` or ``app``, or by both."""
        return await asyncio.to_thread(self._use, wanted, slots, by)

    async def active(self, wanted: LogFilter, slots: Slotting, *, but: int | None) -> Active:
        """How many customers called; one of them (`but`) is not counted."""
        return await asyncio.to_thread(self._active, wanted, slots, but)

    async def new(
        self, wanted: LogFilter, slots: Slotting, *, but: int | None
    ) -> Mapping[int, int]:
        """Slot -> how many customers called for the first time ever."""
        return await asyncio.to_thread(self._new, wanted, slots, but)

    async def paces(self, wanted: LogFilter, slots: Slotting) -> Mapping[int, Paces]:
        """By slot; of very many rows, where only they know it, an even share."""
        return await asyncio.to_thread(self._paces, wanted, slots)

    async def top(self, wanted: LogFilter, metric: str, limit: int) -> list[SlotUse]:
        """The customers with most of a number of `SlotUse`, the greatest first.

        Only those that used anything; nobody's refused calls (number 0) are left out.
        """
        return await asyncio.to_thread(self._top, wanted, metric, limit)

    def _use(self, wanted: LogFilter, slots: Slotting | None, by: str | None) -> list[SlotUse]:
        with self._engine.connect() as connection:
            return use(connection, wanted, slots, by)

    def _active(self, wanted: LogFilter, slots: Slotting, but: int | None) -> Active:
        with self._engine.connect() as connection:
            found = _callers(connection, wanted, slots)
            hidden = 0 if but is None else 1 << _places(connection, {but})[but]
        whole = 0
        for of_slot in found.values():
            whole |= of_slot
        return Active(
            (whole & ~hidden).bit_count(),
            {slot: (of_slot & ~hidden).bit_count() for slot, of_slot in found.items()},
        )

    def _new(self, wanted: LogFilter, slots: Slotting, but: int | None) -> Mapping[int, int]:
        assert wanted.start_ms is not None
        with self._engine.connect() as connection:
            if _is_everything(wanted) and state_of(connection).is_whole:
                return _new_callers(connection, wanted, slots, but)
            called = {
                (slot, number)
                for slot, number, _ in connection.execute(callers(wanted, slots))
                if number != but
            }
            first = _firsts(connection, {number for _, number in called})
        found: defaultdict[int, int] = defaultdict(int)
        for slot, number in called:
            at_ms = first.get(number)
            found[slot] += (
                at_ms is not None and at_ms >= wanted.start_ms and slots.of(at_ms) == slot
            )
        return found

    def _paces(self, wanted: LogFilter, slots: Slotting) -> Mapping[int, Paces]:
        whole: defaultdict[int, list[Durations]] = defaultdict(list)
        first: defaultdict[int, list[Durations]] = defaultdict(list)
        with self._engine.connect() as connection:
            for piece in _pieces(connection, wanted, slots, known=_is_everything(wanted)):
                if piece.source is Source.ROWS:
                    for slot, ms, first_ms in _timings(connection, piece.of(wanted), slots):
                        whole[slot].append({class_of(ms): 1})
                        if first_ms is not None:
                            first[slot].append({class_of(first_ms): 1})
                    continue
                for row in connection.execute(_spreads(piece)):
                    slot = slots.of(row.start_ms)
                    whole[slot].append(unpacked(row.latency))
                    first[slot].append(unpacked(row.first_token))
        return {slot: Paces(together(whole[slot]), together(first[slot])) for slot in whole}

    def _top(self, wanted: LogFilter, metric: str, limit: int) -> list[SlotUse]:
        with self._engine.connect() as connection:
            pieces = _pieces(connection, wanted, None, known=_is_of_all(wanted), quarters=False)
            if [piece.source for piece in pieces] == [Source.DAYS]:
                starts = _starts(connection, pieces[0])

                def of_these(numbers: Collection[int]) -> list[SlotUse]:
                    return _of_customers(connection, starts, None, numbers)

                found = greatest(connection, starts, metric, limit, of_these)
                if found is not None:
                    return found
            everybody = use(connection, wanted, None, "customer")
        return rank_of(everybody, metric)[:limit]


def use(
    connection: Connection, wanted: LogFilter, slots: Slotting | None, by: str | None
) -> list[SlotUse]:
    parts: list[SlotUse] = []
    if by is None and wanted.customer_numbers is not None and _is_of_all(wanted):
        return _together(
            replace(one, key=None) for one in use(connection, wanted, slots, "customer")
        )
    if by == "customer":
        pieces = _pieces(connection, wanted, slots, known=_is_of_all(wanted), quarters=False)
    else:
        known = wanted.customer_numbers is None
        pieces = _pieces(connection, wanted, slots, known=known)
    for piece in pieces:
        if piece.source is Source.ROWS:
            statement = in_slots(piece.of(wanted), slots, by)
            parts += [read_slot_use(row) for row in connection.execute(statement)]
        elif by == "customer":
            starts = _starts(connection, piece)
            parts += _of_customers(connection, starts, slots, wanted.customer_numbers)
        else:
            statement = _sums(piece, wanted, slots, by)
            parts += [_read(row) for row in connection.execute(statement)]
    return parts if len(pieces) < 2 else _together(parts)


def _pieces(
    connection: Connection,
    wanted: LogFilter,
    slots: Slotting | None,
    *,
    known: bool,
    quarters: bool = True,
) -> list[Piece]:
    if known:
        return cover(wanted, slots, state_of(connection), quarters=quarters)
    return cover(wanted, slots, _UNKNOWN)


_UNKNOWN: Final = State("UTC", 0, 1, 0, 1)


def _is_of_all(wanted: LogFilter) -> bool:
    """Whether it is about every app and model."""
    return wanted.app is None and wanted.model is None


def _is_everything(wanted: LogFilter) -> bool:
    return _is_of_all(wanted) and wanted.customer_numbers is None


def _together(parts: Iterable[SlotUse]) -> list[SlotUse]:
    """One for each slot and key."""
    found: dict[tuple[int, Any], SlotUse] = {}
    for part in parts:
        known = found.get((part.slot, part.key))
        if known is not None:
            numbers = {name: getattr(known, name) + getattr(part, name) for name in _ADDED}
            part = SlotUse(  # noqa: PLW2901 - the same, with more
                slot=part.slot, key=part.key, partition=known.partition, **numbers
            )
        found[part.slot, part.key] = part
    return list(found.values())


def _numbers(table: Any) -> list[Any]:
    return [func.sum(table.c[name]).label(name) for name in (*COUNTS, *LIMBS)]


def _sums(piece: Piece, wanted: LogFilter, slots: Slotting | None, by: str | None) -> Select[Any]:
    c = SUMS.c
    slot = literal(0) if slots is None else slots.column(c.start_ms)
    key = cast(sql_null(), Text) if by is None else c[by]
    found = select(
        slot.label("slot"), key.label("key"), literal(0).label("partition"), *_numbers(SUMS)
    ).where(
        c.level == _LEVELS[piece.source], c.start_ms >= piece.start_ms, c.start_ms < piece.end_ms
    )
    if wanted.app is not None:
        found = found.where(c.app == wanted.app)
    if wanted.model is not None:
        found = found.where(c.model == wanted.model)
    return found.group_by("slot", "key")


def _read(row: Any) -> SlotUse:
    amounts = {
        name: int(getattr(row, f"{name[:-5]}_high")) * LIMB + int(getattr(row, f"{name[:-5]}_low"))
        for name in AMOUNTS
    }
    counts = {name: int(getattr(row, name)) for name in COUNTS}
    return SlotUse(slot=row.slot, key=row.key, partition=row.partition, **counts, **amounts)


def _starts(connection: Connection, piece: Piece) -> list[int]:
    """Of the days in a piece on which anything happened."""
    wanted = select(SUMS.c.start_ms).where(
        SUMS.c.level == DAY, SUMS.c.start_ms >= piece.start_ms, SUMS.c.start_ms < piece.end_ms
    )
    return list(connection.execute(wanted.distinct().order_by(SUMS.c.start_ms)).scalars())


def _of_customers(
    connection: Connection,
    starts: Sequence[int],
    slots: Slotting | None,
    numbers: Collection[int] | None,
) -> list[SlotUse]:
    c = CUSTOMER_DAYS.c
    slot = literal(0) if slots is None else slots.column(c.start_ms)
    found = (
        select(
            slot.label("slot"),
            c.customer_number.label("key"),
            func.min(c.partition).label("partition"),
            *_numbers(CUSTOMER_DAYS),
        )
        .where(c.start_ms.in_(starts))
        .group_by("slot", "key")
    )
    if numbers is None:
        return [_read(row) for row in connection.execute(found)]
    wanted, parts = sorted(numbers), list[SlotUse]()
    for start in range(0, len(wanted), IN_ONE_QUERY):
        some = found.where(c.customer_number.in_(wanted[start : start + IN_ONE_QUERY]))
        parts += [_read(row) for row in connection.execute(some)]
    return parts


def _spreads(piece: Piece) -> Select[Any]:
    c = SPREADS.c
    return select(SPREADS).where(
        c.level == _LEVELS[piece.source], c.start_ms >= piece.start_ms, c.start_ms < piece.end_ms
    )


def _callers(connection: Connection, wanted: LogFilter, slots: Slotting) -> dict[int, int]:
    """Slot -> who called in it, as a set of places."""
    found: defaultdict[int, int] = defaultdict(int)
    by_rows: defaultdict[int, set[int]] = defaultdict(set)
    for piece in _pieces(connection, wanted, slots, known=_is_everything(wanted)):
        if piece.source is Source.ROWS:
            for slot, number, _ in connection.execute(callers(piece.of(wanted), slots)):
                by_rows[slot].add(number)
            continue
        for row in connection.execute(_spreads(piece)):
            found[slots.of(row.start_ms)] |= unpacked_bits(row.callers)
    if by_rows:
        places = _places(connection, set[int]().union(*by_rows.values()))
        for slot, numbers in by_rows.items():
            found[slot] |= bits(places[number] for number in numbers)
    return found


def _places(connection: Connection, numbers: set[int]) -> dict[int, int]:
    """Customer number -> its place in sets; those without get the ones behind the last."""
    c = CALLERS.c
    last = connection.execute(select(func.max(c.place))).scalar_one()
    wanted, found = sorted(numbers), dict[int, int]()
    for start in range(0, len(wanted), IN_ONE_QUERY):
        some = select(c.customer_number, c.place).where(
            c.customer_number.in_(wanted[start : start + IN_ONE_QUERY])
        )
        found |= {row.customer_number: row.place for row in connection.execute(some)}
    free = 0 if last is None else last + 1
    missing = [number for number in wanted if number not in found]
    return found | {number: free + i for i, number in enumerate(missing)}


def _new_callers(
    connection: Connection, wanted: LogFilter, slots: Slotting, but: int | None
) -> dict[int, int]:
    c = CALLERS.c
    found = select(slots.column(c.first_ms).label("slot"), func.count().label("new")).where(
        c.first_ms >= wanted.start_ms, c.first_ms < wanted.end_ms
    )
    if but is not None:
        found = found.where(c.customer_number != but)
    return {row.slot: row.new for row in connection.execute(found.group_by("slot"))}


def _firsts(connection: Connection, numbers: set[int]) -> dict[int, int]:
    """Number -> when it called first, whatever became of the row."""
    c, found = CALLERS.c, dict[int, int]()
    is_whole, wanted = state_of(connection).is_whole, sorted(numbers)
    rows = select(EVENTS.c.customer_number, func.min(EVENTS.c.at_ms)).where(is_usage())
    for start in range(0, len(wanted), IN_ONE_QUERY):
        some = wanted[start : start + IN_ONE_QUERY]
        queries = [select(c.customer_number, c.first_ms).where(c.customer_number.in_(some))]
        if not is_whole:
            queries += [
                rows.where(EVENTS.c.customer_number.in_(some)).group_by(EVENTS.c.customer_number),
                select(PAST.c.customer_number, PAST.c.first_seen_ms).where(
                    PAST.c.customer_number.in_(some), PAST.c.first_seen_ms.is_not(None)
                ),
            ]
        for query in queries:
            for number, at_ms in connection.execute(query):
                found[number] = min(found.get(number, at_ms), at_ms)
    return found


def _timings(connection: Connection, wanted: LogFilter, slots: Slotting) -> Iterable[Any]:
    count = select(func.count()).select_from(EVENTS).where(is_usage(), *conditions(wanted))
    every = -(-connection.execute(count).scalar_one() // TIMINGS_MAX)
    return connection.execute(timings(wanted, slots, every))
