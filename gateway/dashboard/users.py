"""Users: the list, with search, filters and sorting, and the panel beside it."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from starlette.responses import Response

from gateway.api.services import Services
from gateway.dashboard.board import Board, Entry
from gateway.dashboard.budgets import NEAR
from gateway.dashboard.charts import Spark, spark
from gateway.dashboard.rendering import Renderer
from gateway.dashboard.reports import Reports, Slot
from gateway.dashboard.spans import Span
from gateway.dashboard.twins import ROWS_MAX, amount, instant, twin
from gateway.dashboard.user import UserCard
from gateway.dashboard.visits import Visit
from gateway.metering.totals import Lifetime
from gateway.store.archive import CustomerUse

PAGE_SIZE: Final = 50
PAGE_MAX: Final = 10_000
SUGGESTED_MAX: Final = 12

FILTERS: Final[Mapping[str, tuple[str, Callable[[Entry], bool]]]] = {
    "over": ("Over budget", lambda e: bool(e.standing.limits) and e.standing.share >= 100),
    "near": ("Near budget", lambda e: NEAR <= e.standing.share < 100),
    "under": ("Under budget", lambda e: bool(e.standing.limits) and e.standing.share < NEAR),
    "unlimited": ("No budget", lambda e: not e.standing.limits),
    "blocked": ("Blocked", lambda e: e.person.blocked),
}


@dataclass(frozen=True, slots=True)
class Row:
    entry: Entry
    lifetime: Lifetime
    used: Slot
    spark: Spark | None


class Users:
    def __init__(
        self,
        services: Services,
        reports: Reports,
        board: Board,
        card: UserCard,
        renderer: Renderer,
    ) -> None:
        self._services = services
        self._reports = reports
        self._board = board
        self._card = card
        self._renderer = renderer

    async def page(self, visit: Visit) -> Response:
        state = visit.state
        rows, count = await self.rows(visit)
        chosen = state.get("user")
        panel = await self._card.context(visit, chosen) if chosen else None
        page = page_number(state.get("page"))
        context: dict[str, Any] = {
            "rows": rows,
            "count": count,
            "everybody": len(await self._board.entries()),
            "page": page,
            "pages": -(-count // PAGE_SIZE),
            "first": (page - 1) * PAGE_SIZE + 1,
            "sort": state.get("sort", "-cost"),
            "filters": {name: words for name, (words, _) in FILTERS.items()},
            "panel": panel,
        }
        return self._renderer.page("users.html", visit, context)

    async def suggest(self, visit: Visit) -> Response:
        """Identifiers that a field may be filled with."""
        found = self._found(await self._board.entries(), visit)[:SUGGESTED_MAX]
        rows = [{"id": e.person.identifier, "name": e.person.name} for e in found]
        return twin("json", "users", rows, ())

    def twin(self, kind: str) -> Any:
        async def file(visit: Visit) -> Response:
            rows, _ = await self.rows(visit, ROWS_MAX)
            return twin(kind, "users", map(_file_row, rows), FILE_COLUMNS)

        return file

    async def rows(self, visit: Visit, size: int = PAGE_SIZE) -> tuple[list[Row], int]:
        """The rows of the page that is asked for, and how many there are on all."""
        state = visit.state
        entries = self._found(await self._board.entries(), visit)
        used = await self._reports.used(state.span, PAGE_MAX)
        found = sort(entries, state.get("sort", "-cost"), used)
        first = (page_number(state.get("page")) - 1) * size
        return await self._filled(found[first : first + size], state.span), len(found)

    def _found(self, entries: Sequence[Entry], visit: Visit) -> list[Entry]:
        sought = visit.state.get("q").strip().lower()
        chosen = FILTERS.get(visit.state.get("show"))
        return [
            entry
            for entry in entries
            if (not sought or sought in entry.text) and (chosen is None or chosen[1](entry))
        ]

    async def _filled(self, entries: Sequence[Entry], span: Span) -> list[Row]:
        if not entries:
            return []
        partitions = self._services.store.keyspace.partitions
        lifetimes, slots = await asyncio.gather(
            self._services.counters.lifetimes(
                [(partitions[e.partition], e.person.number) for e in entries]
            ),
            self._reports.slots_of(span, [e.person.number for e in entries]),
        )
        return [
            Row(
                entry,
                lifetime,
                _sum(slots[entry.person.number]),
                spark([s.cost_pico or s.requests for s in slots[entry.person.number]]),
            )
            for entry, lifetime in zip(entries, lifetimes, strict=True)
        ]


def sort(entries: Sequence[Entry], by: str, used: Mapping[int, CustomerUse]) -> list[Entry]:
    """By a name of a column, with a minus in front: the greatest first."""
    name = by.removeprefix("-")

    def of_use(entry: Entry) -> int:
        use = used.get(entry.person.number)
        if use is None:
            return 0
        return {"calls": use.requests, "tokens": use.tokens}.get(name, use.cost_pico)

    keys: dict[str, Callable[[Entry], Any]] = {
        "name": lambda e: e.person.label.lower(),
        "first_seen": lambda e: e.first_seen_ms,
        "budget": lambda e: e.standing.share if e.standing.limits else -1.0,
        "period": lambda e: e.standing.period_pico,
        "total": lambda e: e.standing.spent_pico,
    }
    return sorted(entries, key=keys.get(name, of_use), reverse=by.startswith("-"))


def page_number(text: str) -> int:
    return min(max(int(text), 1), PAGE_MAX) if text.isascii() and text.isdecimal() else 1


def _sum(slots: Sequence[Slot]) -> Slot:
    return Slot(
        requests=sum(s.requests for s in slots),
        tokens=sum(s.tokens for s in slots),
        cost_pico=sum(s.cost_pico for s in slots),
        charge_pico=sum(s.charge_pico for s in slots),
        errors=sum(s.errors for s in slots),
        rejected=sum(s.rejected for s in slots),
        unpriced=sum(s.unpriced for s in slots),
    )


FILE_COLUMNS: Final = (
    *("customer_identifier", "name", "email", "blocked", "first_seen", "last_active"),
    *("requests", "tokens", "cost_usd", "charge_usd", "errors", "rejected", "unpriced_requests"),
    *("period_spent_usd", "limit_usd", "limit_used_percent", "total_charge_usd"),
)


def _file_row(row: Row) -> dict[str, Any]:
    """What was used is of the range; what was spent is of the budget's own period."""
    who, standing = row.entry.person, row.entry.standing
    limit = standing.tightest
    return {
        "customer_identifier": who.identifier,
        "name": who.name,
        "email": who.email,
        "blocked": who.blocked,
        "first_seen": instant(row.entry.first_seen_ms),
        "last_active": instant(row.lifetime.last_seen_ms),
        "requests": row.used.requests,
        "tokens": row.used.tokens,
        "cost_usd": amount(row.used.cost_pico),
        "charge_usd": amount(row.used.charge_pico),
        "errors": row.used.errors,
        "rejected": row.used.rejected,
        "unpriced_requests": row.used.unpriced,
        "period_spent_usd": amount(standing.period_pico),
        "limit_usd": amount(limit.limit_pico) if limit else None,
        "limit_used_percent": round(limit.share, 2) if limit else None,
        "total_charge_usd": amount(standing.spent_pico),
    }
