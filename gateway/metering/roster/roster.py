"""Reading the roster: a page of customers, in an order, narrowed down, in few round trips.

Three ways, by what is asked:

* all customers, or those of one part of the order: one round trip, however many there are;
* few enough can meet what is asked (`GATHERED_MAX`), or are known already: they are fetched and
  sorted here;
* else the order is walked, and who does not meet it is left out, for `SCANNED_MAX` customers
  at most. What has been counted then is not all: `Found.exact` says so.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from gateway.metering.roster.conditions import (
    Among,
    Narrowing,
    Part,
    meets_all,
    place_in,
    whole,
)
from gateway.metering.roster.rows import TEXTS, Column, Row, unpacked
from gateway.store.client import Store
from gateway.store.keys import ROSTER_ROWS, roster_order

PAGE_SIZE_MAX: Final = 1_000
OFFSET_MAX: Final = 10_000
"""Rows passed over; who wants more goes on from a `Cursor`."""

GATHERED_MAX: Final = 2_000
SCANNED_MAX: Final = 5_000
"""Customers looked at one by one for a page, fetched at once or on a walk."""

SCANNED_AT_ONCE: Final = 1_000


class Order(NamedTuple):
    column: Column = Column.FIRST_SEEN
    descending: bool = True


NEWEST_FIRST: Final = Order()


class Cursor(NamedTuple):
    """A place in an order: behind that customer, whether it is still there or not."""

    score: float
    entry: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A page of a list.

    Attributes:
        offset: Rows to pass over, at most `OFFSET_MAX`; counted from `after` if that is given.
        size: Rows to give, at most `PAGE_SIZE_MAX`.
    """

    order: Order = NEWEST_FIRST
    narrowings: Sequence[Narrowing] = ()
    offset: int = 0
    size: int = 50
    after: Cursor | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The page.

    Attributes:
        count: How many there are in all.
        exact: False: `count` is only how many were met with, and there may be more.
        following: Where to go on; None: that was the last.
        cut_short: The walk ended before the page was full, with more customers behind it.
    """

    rows: Sequence[Row]
    count: int
    exact: bool = True
    following: Cursor | None = None
    cut_short: bool = False


class _Slice(NamedTuple):
    """Some rows of an order, where each stands, and how many its part has behind them."""

    rows: list[Row | None]
    places: list[Cursor]
    total: int
    left: int


@dataclass(slots=True)
class _Walk:
    rows: list[Row] = field(default_factory=list)
    places: list[Cursor] = field(default_factory=list)
    met: int = 0
    last: Cursor | None = None
    left: int = 0


class Roster:
    """Of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def page(self, wanted: Wanted) -> Found:
        """Find a page.

        Raises:
            ValueError: it is larger, or further away, than a page may be.
            LedgerUnavailable: the store is away.
        """
        if not (1 <= wanted.size <= PAGE_SIZE_MAX and 0 <= wanted.offset <= OFFSET_MAX):
            raise ValueError(f"a page of {wanted.size} rows after {wanted.offset}")
        narrowings = wanted.narrowings
        if not narrowings:
            return await self._part(wanted, whole(wanted.order.column))
        if len(narrowings) == 1:
            part = narrowings[0].part
            if part is not None and part.column is wanted.order.column:
                return await self._part(wanted, part)
        for narrowing in narrowings:
            if isinstance(narrowing, Among) and len(narrowing.places) <= GATHERED_MAX:
                return await self._gathered(wanted, narrowing.members)
        few = await self._fewest(narrowings)
        if few:
            return await self._gathered(wanted, await self._members(few))
        return await self._walked(wanted)

    async def _part(self, wanted: Wanted, part: Part) -> Found:
        found = await self._slice(wanted, part, wanted.offset, wanted.size, wanted.after)
        return Found(
            rows=[row for row in found.rows if row is not None],
            count=found.total,
            following=found.places[-1] if found.places and found.left else None,
        )

    async def _slice(
        self, wanted: Wanted, part: Part, offset: int, size: int, after: Cursor | None
    ) -> _Slice:
        column, descending = wanted.order
        count, place, entries, rows = await self._store.script(
            "page",
            [roster_order(column), ROSTER_ROWS],
            [
                "text" if column in TEXTS else "score",
                *(part.start, part.end, int(descending), offset, size),
                *((repr(after.score), after.entry) if after else ("", "")),
            ],
        )
        places = [
            Cursor(float(score), entry)
            for entry, score in zip(entries[::2], entries[1::2], strict=True)
        ]
        # One without a row was taken off, and put back into this order by nobody we know.
        found = [None if stored is None else unpacked(stored) for stored in rows]
        return _Slice(found, places, count, max(count - place - len(places), 0))

    async def _fewest(self, narrowings: Sequence[Narrowing]) -> Sequence[Part]:
        """The parts of the narrowing that the fewest can meet; none if these are still many."""
        known = [parts for narrowing in narrowings if (parts := narrowing.parts)]
        counts = iter(
            await self._store.commands([_counting(part) for parts in known for part in parts])
        )
        sums = [sum(next(counts) for _ in parts) for parts in known]
        fewest = min(sums, default=GATHERED_MAX + 1)
        return known[sums.index(fewest)] if fewest <= GATHERED_MAX else ()

    async def _members(self, parts: Sequence[Part]) -> list[bytes]:
        """Of all of these parts."""
        replies = await self._store.commands([_fetching(part) for part in parts])
        return sorted(
            {
                entry.rpartition(b"\0")[2] if part.column in TEXTS else entry
                for part, reply in zip(parts, replies, strict=True)
                for entry in reply
            }
        )

    async def _gathered(self, wanted: Wanted, members: Sequence[bytes | str]) -> Found:
        """Fetch all of these, and sort them here."""
        stored = await self._store.commands(
            [
                ("HMGET", ROSTER_ROWS, *members[start : start + SCANNED_AT_ONCE])
                for start in range(0, len(members), SCANNED_AT_ONCE)
            ]
        )
        rows = [unpacked(one) for reply in stored for one in reply if one is not None]
        met = [row for row in rows if meets_all(wanted.narrowings, row)]
        column, descending = wanted.order
        placed = sorted(((place_in(column, row), row) for row in met), reverse=descending)
        behind = [pair for pair in placed if _is_behind(pair[0], wanted)]
        page = behind[wanted.offset : wanted.offset + wanted.size]
        more = len(behind) > wanted.offset + wanted.size
        return Found(
            rows=[row for _, row in page],
            count=len(met),
            following=Cursor(*page[-1][0]) if page and more else None,
        )

    async def _walked(self, wanted: Wanted) -> Found:
        """Go through the order until the page is full, or enough were looked at."""
        walk = _Walk()
        enough = wanted.offset + wanted.size
        async for some in self._slices(wanted):
            for row, place in zip(some.rows, some.places, strict=True):
                if row is not None and meets_all(wanted.narrowings, row):
                    walk.met += 1
                    if wanted.offset < walk.met <= enough:
                        walk.rows.append(row)
                        walk.places.append(place)
            walk.last, walk.left = some.places[-1] if some.places else None, some.left
            if walk.met >= enough:
                break
        following = walk.last if walk.left else None
        if walk.met > enough:  # the rest of what was read is for the next page
            following = walk.places[-1]
        return Found(
            rows=walk.rows,
            count=walk.met,
            exact=not walk.left and wanted.after is None,
            following=following,
            cut_short=walk.met < enough and following is not None,
        )

    async def _slices(self, wanted: Wanted) -> AsyncIterator[_Slice]:
        part, after = whole(wanted.order.column), wanted.after
        for _ in range(0, SCANNED_MAX, SCANNED_AT_ONCE):
            some = await self._slice(wanted, part, 0, SCANNED_AT_ONCE, after)
            yield some
            if not some.left:
                return
            after = some.places[-1]


def _is_behind(place: tuple[float, bytes], wanted: Wanted) -> bool:
    if wanted.after is None:
        return True
    after = (wanted.after.score, wanted.after.entry)
    return place < after if wanted.order.descending else place > after


def _counting(part: Part) -> tuple[Any, ...]:
    command = "ZLEXCOUNT" if part.column in TEXTS else "ZCOUNT"
    return (command, roster_order(part.column), part.start, part.end)


def _fetching(part: Part) -> tuple[Any, ...]:
    how = "BYLEX" if part.column in TEXTS else "BYSCORE"
    key = roster_order(part.column)
    return ("ZRANGE", key, part.start, part.end, how, "LIMIT", 0, GATHERED_MAX)
