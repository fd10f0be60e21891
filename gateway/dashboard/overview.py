"""Overview: what it costs, who spends it, whether all is well."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from starlette.responses import Response

from gateway.dashboard.board import Board, Entry
from gateway.dashboard.budgets import NEAR
from gateway.dashboard.charts import SERIES_MAX, slot_labels
from gateway.dashboard.example import Example
from gateway.dashboard.overview_charts import (
    active_users,
    cost_by_model,
    cost_by_user,
    how_long,
    top_bars,
    troubles,
)
from gateway.dashboard.people import Person
from gateway.dashboard.pipeline import Pipeline
from gateway.dashboard.rendering import Renderer
from gateway.dashboard.reports import Reports
from gateway.dashboard.tiles import tiles
from gateway.dashboard.twins import amount, twin
from gateway.dashboard.visits import Visit
from gateway.event import UsageEvent
from gateway.store.archive import Archive, LogFilter, Metric, Wanted

METRICS: Final = {
    "cost": (Metric.COST, "Cost"),
    "tokens": (Metric.TOKENS, "Tokens"),
    "calls": (Metric.REQUESTS, "Calls"),
}
LATEST: Final = 8
RISKS: Final = 6


class Overview:
    def __init__(
        self,
        *,
        reports: Reports,
        archive: Archive,
        board: Board,
        pipeline: Pipeline,
        renderer: Renderer,
        example: Example,
    ) -> None:
        self._reports = reports
        self._archive = archive
        self._board = board
        self._pipeline = pipeline
        self._renderer = renderer
        self._example = example

    async def page(self, visit: Visit) -> Response:
        state, reports = visit.state, self._reports
        span, labels = state.span, slot_labels(state.span)
        by, _ = METRICS.get(state.get("top", "cost"), METRICS["cost"])
        fold, active, top, spenders = await asyncio.gather(
            reports.fold(span),
            reports.active(span),
            reports.top(span, by, SERIES_MAX),
            reports.top(span, Metric.COST, SERIES_MAX),
        )
        totals, slots = fold.totals, fold.slots
        before, models, paces, unpriced = await asyncio.gather(
            reports.before(span),
            reports.models(span),
            reports.paces(span),
            reports.unpriced(span),
        )
        everybody, pipeline, latest, by_user = await asyncio.gather(
            self._board.soon(),
            self._pipeline.now(),
            self._latest(),
            reports.slots_of(span, {t.person.number: t.partition for t in spenders}),
        )
        context: dict[str, Any] = {
            "empty": not (totals.requests or totals.rejected),
            "example": self._example.of(visit.request),
            "totals": totals,
            "tiles": tiles(state, totals, before.totals if before else None, slots, active),
            "costs": cost_by_user(labels, slots, spenders, by_user, state),
            "top_metric": by,
            "top_bars": top_bars(top, by, totals),
            "metrics": METRICS,
            "actives": active_users(labels, active),
            "model_chart": None if models is None else cost_by_model(labels, models),
            "paces": None if paces is None else how_long(labels, paces),
            "errors": troubles(labels, slots),
            "unpriced": unpriced,
            "pending": None in (before, models, paces, unpriced, everybody),
            "compared": before is None or before.totals is not None,
            "risks": None if everybody is None else at_risk(everybody.entries)[:RISKS],
            "pipeline": pipeline,
            "latest": latest,
        }
        return self._renderer.page("overview.html", visit, context)

    async def _latest(self) -> list[tuple[UsageEvent, Person]]:
        """The last calls, whatever the range: what happens now."""
        found = await self._archive.page(Wanted(filter=LogFilter(), size=LATEST))
        people = await self._reports.people.of(
            (one.event.customer_number, one.partition) for one in found.rows
        )
        return [(one.event, people[one.event.customer_number]) for one in found.rows]

    def twin(self, kind: str) -> Any:
        """A row for each slot of the range."""

        async def file(visit: Visit) -> Response:
            span, reports = visit.state.span, self._reports
            fold, active = await asyncio.gather(reports.fold(span), reports.active(span))
            rows = [
                {
                    "start": at.isoformat(),
                    "requests": slot.requests,
                    "active_users": who.called,
                    "new_users": who.new,
                    "tokens": slot.tokens,
                    "cost_usd": amount(slot.cost_pico),
                    "charge_usd": amount(slot.charge_pico),
                    "errors": slot.errors,
                    "rejected": slot.rejected,
                    "unpriced_requests": slot.unpriced,
                }
                for (_, at), slot, who in zip(span.starts(), fold.slots, active, strict=True)
            ]
            return twin(kind, f"usage-per-{span.unit}", rows, FILE_COLUMNS)

        return file


FILE_COLUMNS: Final = (
    *("start", "requests", "active_users", "new_users", "tokens", "cost_usd", "charge_usd"),
    *("errors", "rejected", "unpriced_requests"),
)


def at_risk(entries: Sequence[Entry]) -> list[Entry]:
    """Those near a limit or beyond it, the fullest first; who is blocked spends nothing."""
    return [e for e in entries if e.standing.share >= NEAR and not e.person.blocked]
