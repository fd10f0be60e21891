"""Budgets: who has one, the fullest first, and when each is used up at this pace."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, Final

from starlette.responses import Response

from gateway.dashboard.board import Board, Entry, Everybody
from gateway.dashboard.budgets import NEAR
from gateway.dashboard.rendering import Renderer
from gateway.dashboard.reports import Reports
from gateway.dashboard.twins import amount, instant, twin
from gateway.dashboard.users import page_number
from gateway.dashboard.visits import Visit
from gateway.reports.values import total

PAGE_SIZE: Final = 50
SHOW: Final = {"over": "Used up", "near": "Near", "under": "Below 80%"}
BETWEEN: Final = {"over": (100, inf), "near": (NEAR, 100), "under": (-inf, NEAR)}


@dataclass(frozen=True, slots=True)
class Row:
    entry: Entry
    refused: int


class BudgetsPage:
    def __init__(self, reports: Reports, board: Board, renderer: Renderer) -> None:
        self._reports = reports
        self._board = board
        self._renderer = renderer

    async def page(self, visit: Visit) -> Response:
        state = visit.state
        everybody = await self._board.everybody()
        shown = _shown(everybody, state.get("show"))
        page = page_number(state.get("page"))
        rows = await self._rows(visit, shown[(page - 1) * PAGE_SIZE : page * PAGE_SIZE])
        context: dict[str, Any] = {
            "rows": rows,
            "count": len(shown),
            "page": page,
            "pages": -(-len(shown) // PAGE_SIZE),
            "limited": len(everybody.limited),
            "over": len(_shown(everybody, "over")),
            "near": len(_shown(everybody, "near")),
            "everybody": everybody.count,
            "show": SHOW,
        }
        return self._renderer.page("budgets.html", visit, context)

    def twin(self, kind: str) -> Any:
        async def file(visit: Visit) -> Response:
            entries = _shown(await self._board.everybody(), visit.state.get("show"))
            rows = [_file_row(entry, visit.now_ms) for entry in entries]
            return twin(kind, "budgets", rows, FILE_COLUMNS)

        return file

    async def _rows(self, visit: Visit, entries: Sequence[Entry]) -> list[Row]:
        places = {entry.row.number: entry.row.partition for entry in entries}
        slots = await self._reports.slots_of(visit.state.span, places)
        return [Row(entry, total(slots[entry.row.number]).rejected) for entry in entries]


def _shown(everybody: Everybody, show: str) -> Sequence[Entry]:
    return everybody.between(*BETWEEN[show]) if show in BETWEEN else everybody.limited


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
