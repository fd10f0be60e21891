"""Users: the list, with search, filters and sorting, and the panel beside it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from starlette.responses import Response

from gateway.api.services import Services
from gateway.dashboard.board import Board, Entry
from gateway.dashboard.bulk import Draft
from gateway.dashboard.charts import Spark, spark
from gateway.dashboard.folds import COMPARED_MAX
from gateway.dashboard.lately import NOTHING_LATELY, Lately, lately
from gateway.dashboard.listing import (
    BY_CALLS,
    FILTERS,
    SEEN,
    Listed,
    Listing,
    Part,
    sort_of,
)
from gateway.dashboard.rendering import Renderer
from gateway.dashboard.reports import Reports
from gateway.dashboard.twins import ROWS_MAX, amount, instant, twin
from gateway.dashboard.user import DURATIONS
from gateway.dashboard.user_card import UserCard
from gateway.dashboard.visits import Visit
from gateway.metering.roster.conditions import Search
from gateway.metering.roster.roster import PAGE_SIZE_MAX, Wanted
from gateway.metering.roster.rows import Row as Customer
from gateway.reports.values import Slot, total
from gateway.store.archive import RECENT_MAX, WALKED_MAX, unless_away

PAGE_SIZE: Final = 50
PAGES_MAX: Final = 200
SUGGESTED_MAX: Final = 12
COLUMNS: Final = {
    "tokens": "Tokens",
    "tokens_in": "In",
    "cached": "Cached",
    "tokens_out": "Out",
    "trend": "Trend",
    "budget": "Budget",
    "failed": "Failed",
    "refused": "Refused",
    "p95": "p95",
    "top_model": "Top model",
    "last_seen": "Last active",
    "first_seen": "First seen",
    "days": "Active days",
    "total_calls": "Calls, ever",
    "total_cost": "Charged, ever",
    "email": "Email",
}
SHOWN: Final = ("tokens", "trend", "budget", "failed", "last_seen", "first_seen")
OF_RANGE: Final = frozenset(
    {"tokens", "tokens_in", "cached", "tokens_out", "trend", "failed", "refused"}
)
"""Not known where the archive cannot be read."""

NUMBERS: Final = frozenset({"tokens_in", "cached", "tokens_out", "failed", "refused", "p95"})
"""Of the columns that nothing is sorted by."""

LATELY: Final = frozenset({"p95", "top_model"})
"""Of the latest calls of each, however many there are."""


@dataclass(frozen=True, slots=True)
class Row:
    """One user; `used` is None where the archive cannot be read.

    Attributes:
        lately: Of its latest calls in the range, where a column shows something of them.
    """

    entry: Entry
    used: Slot | None
    spark: Spark | None
    lately: Lately = NOTHING_LATELY


class Users:
    def __init__(
        self,
        services: Services,
        reports: Reports,
        board: Board,
        card: UserCard,
        renderer: Renderer,
    ) -> None:
        self._users = services.users
        self._archive = services.archive
        self._reports = reports
        self._board = board
        self._card = card
        self._listing = Listing(services.users, reports, board)
        self._renderer = renderer

    async def page(self, visit: Visit) -> Response:
        return await self.with_draft(visit, Draft())

    async def with_draft(self, visit: Visit, draft: Draft) -> Response:
        """The page, with what was to be set for those that are ticked."""
        state = visit.state
        chosen = state.get("user")
        panel = await self._card.context(visit, chosen) if chosen else None
        if visit.wants_panel:
            return self._renderer.page("users_layer.html", visit, {"panel": panel})
        page = page_number(state.get("page"))
        part = Part((page - 1) * PAGE_SIZE, PAGE_SIZE)
        # Who made such calls, only the archive knows: without it there is nobody to show.
        known = await unless_away(self._listing.part(state, part))
        listed = known or Listed([], 0)
        pages = -(-min(listed.count, COMPARED_MAX if listed.cut else listed.count) // PAGE_SIZE)
        rows = await self._rows_or_less(visit, listed.customers)
        here = {row.entry.person.identifier for row in rows}
        context: dict[str, Any] = {
            "rows": rows,
            "draft": draft,
            "ticked_elsewhere": [named for named in draft.ticked if named not in here],
            "listed": listed,
            "known": known is not None,
            "models": await unless_away(self._reports.model_names(state.span)) or (),
            "by_calls": [name for name in BY_CALLS if state.get(name).strip()],
            "looked_through_max": WALKED_MAX,
            "everybody": (await self._users.page(Wanted(size=1))).count,
            "page": page,
            "pages": min(pages, PAGES_MAX),
            "first": (page - 1) * PAGE_SIZE + 1,
            "sort": sort_of(state),
            "filters": {name: words for name, (words, _) in (*FILTERS.items(), *SEEN.items())},
            "durations": DURATIONS,
            "columns": COLUMNS,
            "shown": _columns(state.get("cols")),
            "of_range": OF_RANGE,
            "numbers": NUMBERS,
            "lately": LATELY,
            "recent_max": RECENT_MAX,
            "panel": panel,
        }
        return self._renderer.page("users.html", visit, context, 422 if draft.problem else 200)

    async def suggest(self, visit: Visit) -> Response:
        """Identifiers that a field may be filled with."""
        sought = visit.state.get("q").strip()
        narrowings = [Search(sought)] if sought else []
        found = await self._users.page(Wanted(narrowings=narrowings, size=SUGGESTED_MAX))
        rows = [{"id": row.identifier, "name": row.name} for row in found.rows]
        return twin("json", "users", rows, ())

    def twin(self, kind: str) -> Any:
        async def file(visit: Visit) -> Response:
            customers: list[Customer] = []
            part = Part(0, PAGE_SIZE_MAX)
            while len(customers) < ROWS_MAX:
                listed = await self._listing.part(visit.state, part)
                customers += listed.customers
                part = Part(part.offset + part.size, part.size, listed.following)
                if listed.cut or (part.after is None and part.offset >= listed.count):
                    break
            rows = await self._rows(visit, customers[:ROWS_MAX])
            return twin(kind, "users", map(_file_row, rows), FILE_COLUMNS)

        return file

    async def _rows_or_less(self, visit: Visit, customers: Sequence[Customer]) -> list[Row]:
        """For a page; a file without its figures would say that there were none."""
        rows = await unless_away(self._rows(visit, customers))
        if rows is not None:
            return await self._with_latest(visit, rows)
        return [Row(entry, None, None) for entry in await self._board.standings(customers)]

    async def _with_latest(self, visit: Visit, rows: list[Row]) -> list[Row]:
        if LATELY.isdisjoint(_columns(visit.state.get("cols"))):
            return rows
        span, archive = visit.state.span, self._archive
        numbers = [row.entry.row.number for row in rows]
        recent = archive.recent.of(numbers, start_ms=span.start_ms, end_ms=span.end_ms)
        calls = await unless_away(recent) or {}
        return [replace(row, lately=lately(calls.get(row.entry.row.number, ()))) for row in rows]

    async def _rows(self, visit: Visit, customers: Sequence[Customer]) -> list[Row]:
        entries = await self._board.standings(customers)
        places = {entry.row.number: entry.row.partition for entry in entries}
        slots = await self._reports.slots_of(visit.state.span, places)
        return [
            Row(
                entry,
                total(slots[entry.row.number]),
                spark([s.cost_pico or s.requests for s in slots[entry.row.number]]),
            )
            for entry in entries
        ]


def _columns(text: str) -> tuple[str, ...]:
    """Those that were chosen, in the order in which they are listed here."""
    wanted = text.split(".") if text else SHOWN
    return tuple(name for name in COLUMNS if name in wanted)


def page_number(text: str) -> int:
    known = text.isascii() and text.isdecimal() and len(text) < 6
    return min(max(int(text), 1), PAGES_MAX) if known else 1


_TOKENS: Final = ("tokens", "input_tokens", "cached_tokens", "output_tokens")
FILE_COLUMNS: Final = (
    *("customer_identifier", "name", "email", "blocked", "first_seen", "last_active"),
    *("requests", *_TOKENS, "cost_usd", "charge_usd", "errors", "rejected", "unpriced_requests"),
    *("period_spent_usd", "limit_usd", "limit_used_percent", "total_charge_usd"),
)


def _file_row(row: Row) -> dict[str, Any]:
    """What was used is of the range; what was spent is of the budget's own period."""
    who, standing = row.entry.person, row.entry.standing
    limit = standing.tightest
    used = row.used or Slot()
    return {
        "customer_identifier": who.identifier,
        "name": who.name,
        "email": who.email,
        "blocked": who.blocked,
        "first_seen": instant(row.entry.row.first_seen_ms),
        "last_active": instant(row.entry.row.last_seen_ms),
        "requests": used.requests,
        **{name: getattr(used, name) for name in _TOKENS},
        "cost_usd": amount(used.cost_pico),
        "charge_usd": amount(used.charge_pico),
        "errors": used.errors,
        "rejected": used.rejected,
        "unpriced_requests": used.unpriced,
        "period_spent_usd": amount(standing.period_pico),
        "limit_usd": amount(limit.limit_pico) if limit else None,
        "limit_used_percent": round(limit.share, 2) if limit else None,
        "total_charge_usd": amount(standing.spent_pico),
    }
