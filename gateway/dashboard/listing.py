"""Listing: which users a list shows, by search, filters and order.

By what a customer has used ever, the roster sorts, however many there are. By what it has
used in the range, those are sorted that used most of it. Who made calls of a kind (to a model,
with a tag), the archive says; it is kept for a moment, as the figures are.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from gateway.api.user_service import UserService
from gateway.dashboard.board import Board, Entry
from gateway.dashboard.budgets import NEAR
from gateway.dashboard.folds import COMPARED_MAX, VALUES
from gateway.dashboard.reports import Reports
from gateway.dashboard.spans import Span
from gateway.dashboard.state import State
from gateway.metering.roster.conditions import Among, Narrowing, Search, Seen
from gateway.metering.roster.roster import Cursor, Order, Wanted
from gateway.metering.roster.rows import Column
from gateway.metering.roster.rows import Row as Customer
from gateway.reports.values import Slot
from gateway.store.archive import Askers, Metric, unless_away

DEFAULT_SORT: Final = "-cost"
BY_RANGE: Final = {"cost": Metric.COST, "calls": Metric.REQUESTS, "tokens": Metric.TOKENS}
BY_ROSTER: Final = {
    "name": Column.NAME,
    "first_seen": Column.FIRST_SEEN,
    "last_seen": Column.LAST_SEEN,
    "days": Column.ACTIVE_DAYS,
    "total_calls": Column.REQUESTS,
    "total_cost": Column.CHARGE,
    "total_tokens": Column.TOKENS,
}
FILTERS: Final[dict[str, tuple[str, Callable[[Entry], bool]]]] = {
    "over": ("Over budget", lambda e: bool(e.standing.limits) and e.standing.share >= 100),
    "near": ("Near budget", lambda e: NEAR <= e.standing.share < 100),
    "under": ("Under budget", lambda e: bool(e.standing.limits) and e.standing.share < NEAR),
    "blocked": ("Blocked", lambda e: e.person.blocked),
}
SEEN: Final[dict[str, tuple[str, Callable[[Span], Seen]]]] = {
    "active": ("Active", lambda span: Seen(Column.LAST_SEEN, since_ms=span.start_ms)),
    "idle": ("Idle", lambda span: Seen(Column.LAST_SEEN, until_ms=span.start_ms)),
    "new": ("New", lambda span: Seen(Column.FIRST_SEEN, span.start_ms, span.end_ms)),
}
BY_CALLS: Final = ("model", "tag")
"""Filters by what a user called in the range."""

EVERYBODY: Final = Askers({})


class Part(NamedTuple):
    """Of a list: some rows, counted from a place where the part before has said one."""

    offset: int
    size: int
    after: Cursor | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """Part of the list.

    Attributes:
        count: Of the whole list.
        about: How right the count is: "" exactly, "about", "at least".
        cut: The list ends before its count: further ones used nothing, or little.
        looked_at_all: False: of the calls with a tag, only the latest were looked through.
        following: Where the next part begins, in orders of the roster.
    """

    customers: Sequence[Customer]
    count: int
    about: str = ""
    cut: bool = False
    looked_at_all: bool = True
    following: Cursor | None = None


class Listing:
    def __init__(self, users: UserService, reports: Reports, board: Board) -> None:
        self._users = users
        self._reports = reports
        self._board = board

    async def part(self, state: State, part: Part) -> Listed:
        """Raises SQLAlchemyError: the archive is away, and only it knows who made such calls."""
        model, tag = (state.get(name).strip() for name in BY_CALLS)
        if not model and not tag:
            return await self._part(state, part, None)
        found = await self._reports.askers(state.span, model, tag)
        listed = await self._part(state, part, found.places)
        return replace(listed, looked_at_all=found.complete)

    async def _part(self, state: State, part: Part, among: Mapping[int, int] | None) -> Listed:
        sought, show = state.get("q").strip(), state.get("show")
        if among is not None and not among:
            return Listed([], 0)
        if show in FILTERS:
            return await self._standing(state, part, among)
        narrowings: list[Narrowing] = [Search(sought)] if sought else []
        if show in SEEN:
            narrowings.append(SEEN[show][1](state.span))
        name = sort_of(state)
        column = BY_ROSTER.get(name.removeprefix("-"))
        if column is None and not narrowings:
            most = await self._most(state, part, among)
            if most is not None:
                return most
        if among is not None:
            narrowings.append(Among(among))
        if column is not None:
            return await self._by_roster(Order(column, name.startswith("-")), narrowings, part)
        return await self._compared(state, narrowings, part)

    async def _standing(self, state: State, part: Part, among: Mapping[int, int] | None) -> Listed:
        """By how they stand with their budgets."""
        _, fits = FILTERS[state.get("show")]
        sought = state.get("q").strip()
        search = Search(sought)
        customers = [
            entry.row
            for entry in (await self._board.everybody()).entries
            if fits(entry)
            and (not sought or search.meets(entry.row))
            and (among is None or entry.row.number in among)
        ]
        ordered = await self._by_range(state, customers)
        return Listed(ordered[part.offset : part.offset + part.size], len(customers))

    async def _most(
        self, state: State, part: Part, among: Mapping[int, int] | None
    ) -> Listed | None:
        """By what was used in the range, of very many; None: they are few, and can be compared."""
        name, places = sort_of(state), slice(part.offset, part.offset + part.size)
        down, reports = name.startswith("-"), self._reports
        if among is not None:
            if len(among) <= COMPARED_MAX:
                return None
            rows = await reports.ranked(state.span, _metric(name), among, places, down=down)
            return Listed(rows, len(among), "about")  # who is deleted is among them
        count = (await self._users.page(Wanted(size=1))).count
        if count <= COMPARED_MAX or not down:
            return None
        most = await unless_away(reports.most(state.span, _metric(name), places))
        return None if most is None else Listed(most, count, cut=True)

    async def _by_roster(self, order: Order, narrowings: Sequence[Narrowing], part: Part) -> Listed:
        offset = 0 if part.after else part.offset
        found = await self._users.page(
            Wanted(
                order=order, narrowings=narrowings, offset=offset, size=part.size, after=part.after
            )
        )
        about = "" if found.exact else "at least"
        return Listed(found.rows, found.count, about, following=found.following)

    async def _compared(self, state: State, narrowings: Sequence[Narrowing], part: Part) -> Listed:
        wanted = Wanted(order=Order(Column.LAST_SEEN), narrowings=narrowings, size=COMPARED_MAX)
        found = await self._users.page(wanted)
        ordered = await self._by_range(state, found.rows)
        return Listed(
            ordered[part.offset : part.offset + part.size],
            found.count,
            "" if found.exact else "at least",
            cut=found.count > len(found.rows),
        )

    async def _by_range(self, state: State, customers: Sequence[Customer]) -> list[Customer]:
        sort = sort_of(state)
        value = VALUES[_metric(sort)]
        numbers = [customer.number for customer in customers]
        used = await unless_away(self._reports.used(state.span, numbers)) or {}
        return sorted(
            customers,
            key=lambda c: value(used.get(c.number, Slot())),
            reverse=sort.startswith("-"),
        )


def sort_of(state: State) -> str:
    return state.get("sort", DEFAULT_SORT)


def _metric(sort: str) -> Metric:
    return BY_RANGE.get(sort.removeprefix("-"), Metric.COST)
