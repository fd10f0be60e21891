"""Overview: what it costs, who spends it, whether all is well."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from starlette.responses import Response

from gateway.dashboard import formats
from gateway.dashboard.board import Board, Entry
from gateway.dashboard.budgets import NEAR
from gateway.dashboard.charts import (
    OTHER,
    SERIES_MAX,
    Chart,
    Series,
    Spark,
    lined,
    slot_labels,
    spark,
    stacked,
)
from gateway.dashboard.example import Example
from gateway.dashboard.pipeline import Pipeline
from gateway.dashboard.rendering import Renderer
from gateway.dashboard.reports import Reports, Slot, Top
from gateway.dashboard.state import State
from gateway.dashboard.twins import amount, twin
from gateway.dashboard.visits import Visit
from gateway.store.archive import Metric, Summary

METRICS: Final = {
    "cost": (Metric.COST, "Cost"),
    "tokens": (Metric.TOKENS, "Tokens"),
    "calls": (Metric.REQUESTS, "Calls"),
}
TOP: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One figure, with its change.

    Attributes:
        change: Percent against the span before; None: nothing to compare with.
        good: Whether more is better (True), worse (False), or neither.
    """

    label: str
    value: str
    title: str = ""
    note: str = ""
    change: float | None = None
    good: bool | None = None
    spark: Spark | None = None
    href: str | None = None
    alarm: bool = False


class Overview:
    def __init__(
        self,
        reports: Reports,
        board: Board,
        pipeline: Pipeline,
        renderer: Renderer,
        example: Example,
    ) -> None:
        self._reports = reports
        self._board = board
        self._pipeline = pipeline
        self._renderer = renderer
        self._example = example

    async def page(self, visit: Visit) -> Response:
        state, reports = visit.state, self._reports
        metric, _ = METRICS.get(state.get("top", "cost"), METRICS["cost"])
        wanted = reports.of(state.span)
        (
            totals,
            before,
            slots,
            top,
            active,
            models,
            model_slots,
            unpriced,
            board,
            pipeline,
        ) = await asyncio.gather(
            reports.totals(wanted),
            reports.before(state.span),
            reports.slots(state.span),
            reports.top(state.span, metric, TOP),
            reports.active(state.span),
            reports.models(wanted),
            reports.model_slots(state.span),
            reports.unpriced(state.span),
            self._board.entries(),
            self._pipeline.now(),
        )
        spenders = top
        if metric is not Metric.COST:
            spenders = await reports.top(state.span, Metric.COST, SERIES_MAX)
        by_user, paces = await asyncio.gather(
            reports.slots_of(state.span, [t.person.number for t in spenders[:SERIES_MAX]]),
            reports.paces(wanted, state.span, totals.requests),
        )
        labels = slot_labels(state.span)
        context: dict[str, Any] = {
            "tiles": tiles(state, totals, before, slots, active),
            "totals": totals,
            "empty": not (totals.requests or totals.rejected),
            "example": self._example.of(visit.request),
            "costs": cost_by_user(labels, slots, spenders, by_user, state),
            "top": top,
            "top_metric": metric,
            "top_bars": top_bars(top, metric, totals),
            "metrics": METRICS,
            "actives": active_users(labels, active),
            "models": models,
            "model_chart": cost_by_model(labels, [m.model for m in models], model_slots),
            "paces": lined(
                labels,
                [
                    ("p95", "5", [p.p95 for p in paces]),
                    ("p50", "1", [p.p50 for p in paces]),
                    ("First token, p50", "3", [p.first_p50 for p in paces]),
                ],
                short=formats.short_duration,
                exact=formats.duration,
            ),
            "errors": troubles(labels, slots),
            "unpriced": unpriced,
            "risks": at_risk(board)[:6],
            "pipeline": pipeline,
        }
        return self._renderer.page("overview.html", visit, context)

    def twin(self, kind: str) -> Any:
        """A row for each slot of the range."""

        async def file(visit: Visit) -> Response:
            span, reports = visit.state.span, self._reports
            slots, active = await asyncio.gather(reports.slots(span), reports.active(span))
            rows = [
                {
                    "start": at.isoformat(),
                    "requests": slot.requests,
                    "active_users": count,
                    "new_users": new,
                    "tokens": slot.tokens,
                    "cost_usd": amount(slot.cost_pico),
                    "charge_usd": amount(slot.charge_pico),
                    "errors": slot.errors,
                    "rejected": slot.rejected,
                    "unpriced_requests": slot.unpriced,
                }
                for (_, at), slot, (count, new) in zip(span.starts(), slots, active, strict=True)
            ]
            return twin(kind, f"usage-per-{span.unit}", rows, FILE_COLUMNS)

        return file


FILE_COLUMNS: Final = (
    *("start", "requests", "active_users", "new_users", "tokens", "cost_usd", "charge_usd"),
    *("errors", "rejected", "unpriced_requests"),
)


def tiles(
    state: State,
    totals: Summary,
    before: Summary | None,
    slots: Sequence[Slot],
    active: Sequence[tuple[int, int]],
) -> list[Tile]:
    """The six figures that say how things are."""
    then = before if state.compares and before and before.requests else None
    fresh = totals.input_tokens - totals.cached_tokens

    def change(of: Callable[[Summary], int]) -> float | None:
        earlier = of(then) if then else 0
        return 100 * (of(totals) - earlier) / earlier if earlier else None

    error_share = formats.share(totals.errors, totals.requests)
    unpriced = f"{totals.unpriced:,} calls without a price" if totals.unpriced else ""
    return [
        Tile(
            label="LLM cost",
            value=formats.money(totals.cost_pico),
            title=formats.exact(totals.cost_pico),
            note=unpriced,
            change=change(lambda s: s.cost_pico),
            spark=spark([s.cost_pico for s in slots]),
        ),
        Tile(
            label="Calls",
            value=formats.compact(totals.requests),
            title=f"{totals.requests:,} calls",
            change=change(lambda s: s.requests),
            spark=spark([s.requests for s in slots]),
        ),
        Tile(
            label="Tokens",
            value=formats.compact(totals.total_tokens),
            title=f"{totals.total_tokens:,} tokens",
            note=" · ".join(
                f"{formats.compact(number)} {name}"
                for name, number in (
                    ("in", fresh),
                    ("cached", totals.cached_tokens),
                    ("out", totals.output_tokens),
                )
            ),
            change=change(lambda s: s.total_tokens),
            spark=spark([s.tokens for s in slots]),
        ),
        Tile(
            label="Active users",
            value=formats.count(totals.active_users),
            note=f"{sum(new for _, new in active):,} new",
            change=change(lambda s: s.active_users),
            spark=spark([count for count, _ in active]),
        ),
        Tile(
            label="Error rate",
            value=formats.percent(error_share),
            title=f"{totals.errors:,} of {totals.requests:,} calls",
            note=f"{totals.errors:,} failed",
            change=change(lambda s: round(1000 * formats.share(s.errors, s.requests))),
            good=False,
            spark=spark([s.errors for s in slots]),
            href=state.link("/logs", status="error"),
            alarm=error_share >= 5,
        ),
        Tile(
            label="Refused",
            value=formats.compact(totals.rejected),
            title=f"{totals.rejected:,} calls refused",
            note="budget, limit or block",
            change=change(lambda s: s.rejected),
            good=False,
            spark=spark([s.rejected for s in slots]),
            href=state.link("/logs", status="rejected"),
        ),
    ]


def cost_by_user(
    labels: Sequence[str],
    slots: Sequence[Slot],
    spenders: Sequence[Top],
    by_user: Any,
    state: State,
) -> Chart:
    series = [
        Series(
            top.person.label,
            str(i + 1),
            [slot.cost_pico for slot in by_user[top.person.number]],
            top.person.path and state.link(top.person.path),
        )
        for i, top in enumerate(spenders[:SERIES_MAX])
        if top.use.cost_pico
    ]
    rest = [
        max(slot.cost_pico - sum(s.values[i] for s in series), 0) for i, slot in enumerate(slots)
    ]
    if any(rest):
        series.append(Series("Everyone else", OTHER, rest))
    return stacked(labels, series, short=formats.short_money, exact=formats.money)


def cost_by_model(labels: Sequence[str], names: Sequence[str], by_model: Any) -> Chart:
    shown = [name for name in names if name in by_model][: SERIES_MAX - 1]
    series = [
        Series(name, str(i + 1), [slot.cost_pico for slot in by_model[name]])
        for i, name in enumerate(shown)
    ]
    others = [of for name, of in by_model.items() if name not in shown]
    if others:
        rest = [sum(of[i].cost_pico for of in others) for i in range(len(labels))]
        series.append(Series("Other models", OTHER, rest))
    series = [s for s in series if s.total]
    return stacked(labels, series, short=formats.short_money, exact=formats.money)


def active_users(labels: Sequence[str], active: Sequence[tuple[int, int]]) -> Chart:
    return stacked(
        labels,
        [
            Series("Returning", "1", [count - new for count, new in active]),
            Series("New", "3", [new for _, new in active]),
        ],
        short=formats.compact,
        exact=formats.count,
    )


def troubles(labels: Sequence[str], slots: Sequence[Slot]) -> Chart:
    return stacked(
        labels,
        [
            Series("Failed", "bad", [slot.errors for slot in slots]),
            Series("Refused", "warn", [slot.rejected for slot in slots]),
        ],
        short=formats.compact,
        exact=formats.count,
    )


def top_bars(top: Sequence[Top], metric: Metric, totals: Summary) -> list[dict[str, Any]]:
    """Rows of the horizontal bars: value, its share of the first, its share of all."""
    value_of = {
        Metric.COST: lambda use: use.cost_pico,
        Metric.TOKENS: lambda use: use.tokens,
        Metric.REQUESTS: lambda use: use.requests,
    }[metric]
    whole = {
        Metric.COST: totals.cost_pico,
        Metric.TOKENS: totals.total_tokens,
        Metric.REQUESTS: totals.requests,
    }[metric]
    most = max((value_of(t.use) for t in top), default=0)
    show = formats.money if metric is Metric.COST else formats.compact
    return [
        {
            "person": t.person,
            "value": show(value_of(t.use)),
            "width": round(formats.share(value_of(t.use), most), 2),
            "share": formats.percent(formats.share(value_of(t.use), whole)),
        }
        for t in top
    ]


def at_risk(entries: Sequence[Entry]) -> list[Entry]:
    """Those near a limit or beyond it, the fullest first; who is blocked spends nothing."""
    near = [e for e in entries if e.standing.share >= NEAR and not e.person.blocked]
    return sorted(near, key=lambda e: -e.standing.share)
