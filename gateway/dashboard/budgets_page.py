"""Budgets: who has one, the fullest first, and when each is used up at this pace."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from starlette.responses import Response

from gateway.api.services import Services
from gateway.dashboard.board import Board, Entry
from gateway.dashboard.budgets import NEAR
from gateway.dashboard.rendering import Renderer
from gateway.dashboard.reports import Reports
from gateway.dashboard.twins import amount, instant, twin
from gateway.dashboard.users import page_number
from gateway.dashboard.visits import Visit

PAGE_SIZE: Final = 50
SHOW: Final = {"over": "Used up", "near": "Near", "under": "Below 80%"}


@dataclass(frozen=True, slots=True)
class Row:
    entry: Entry
    refused: int


class BudgetsPage:
    def __init__(
        self, services: Services, reports: Reports, board: Board, renderer: Renderer
    ) -> None:
        self._services = services
        self._reports = reports
        self._board = board
        self._renderer = renderer

    async def page(self, visit: Visit) -> Response:
        state = visit.state
        limited = await self._limited()
        shown = [entry for entry in limited if _fits(entry, state.get("show"))]
        page = page_number(state.get("page"))
        rows = await self._rows(visit, shown[(page - 1) * PAGE_SIZE : page * PAGE_SIZE])
        context: dict[str, Any] = {
            "rows": rows,
            "count": len(shown),
            "page": page,
            "pages": -(-len(shown) // PAGE_SIZE),
            "limited": len(limited),
            "over": sum(entry.standing.share >= 100 for entry in limited),
            "near": sum(NEAR <= entry.standing.share < 100 for entry in limited),
            "everybody": (await self._board.everybody()).count,
            "show": SHOW,
        }
        return self._renderer.page("budgets.html", visit, context)

    def twin(self, kind: str) -> Any:
        async def file(visit: Visit) -> Response:
            entries = [e for e in await self._limited() if _fits(e, visit.state.get("show"))]
            rows = [_file_row(entry, visit.now_ms) for entry in entries]
            return twin(kind, "budgets", rows, FILE_COLUMNS)

        return file

    async def _limited(self) -> list[Entry]:
        """The fullest first."""
        everybody = await self._board.everybody()
        return [entry for entry in everybody.entries if entry.standing.limits]

    async def _rows(self, visit: Visit, entries: Sequence[Entry]) -> list[Row]:
        numbers = tuple(entry.person.number for entry in entries)
        refused: Mapping[int, int] = {}
        if numbers:
            use = await self._services.archive.use(
                self._reports.of(visit.state.span, numbers), by="customer"
            )
            refused = {row.key: row.rejected for row in use}
        return [Row(entry, refused.get(entry.person.number, 0)) for entry in entries]


def _fits(entry: Entry, show: str) -> bool:
    share = entry.standing.share
    return {"over": share >= 100, "near": NEAR <= share < 100, "under": share < NEAR}.get(
        show, True
    )


FILE_COLUMNS: Final = (
    *("customer_identifier", "name", "limit", "limit_usd", "spent_usd", "held_usd"),
    *("used_percent", "resets_at", "runs_out_at"),
)


def _file_row(entry: Entry, now_ms: int) -> dict[str, Any]:
    limit = entry.standing.limits[0]
    return {
        "customer_identifier": entry.person.identifier,
        "name": entry.person.name,
        "limit": limit.name,
        "limit_usd": amount(limit.limit_pico),
        "spent_usd": amount(limit.spent_pico),
        "held_usd": amount(limit.held_pico),
        "used_percent": round(limit.share, 2),
        "resets_at": instant(limit.window[1]) if limit.window else None,
        "runs_out_at": instant(limit.runs_out_ms(now_ms)),
    }
