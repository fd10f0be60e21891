"""The charts of the overview: from figures to series, in the order in which they are read."""

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.dashboard import formats
from gateway.dashboard.charts import OTHER, SERIES_MAX, Chart, Series, lined, stacked
from gateway.dashboard.folds import VALUES
from gateway.dashboard.reports import Active, ModelUse, Pace, Top
from gateway.dashboard.state import State
from gateway.reports.values import Slot
from gateway.store.archive import Metric, Summary


def how_long(labels: Sequence[str], paces: Sequence[Pace]) -> Chart:
    return lined(
        labels,
        [
            ("p95", "5", [pace.p95 for pace in paces]),
            ("p50", "1", [pace.p50 for pace in paces]),
            ("First token, p50", "3", [pace.first_p50 for pace in paces]),
        ],
        short=formats.short_duration,
        exact=formats.duration,
    )


def cost_by_user(
    labels: Sequence[str],
    slots: Sequence[Slot],
    spenders: Sequence[Top],
    by_user: Mapping[int, Sequence[Slot]],
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


def cost_by_model(labels: Sequence[str], models: Sequence[ModelUse]) -> Chart:
    shown, others = models[: SERIES_MAX - 1], models[SERIES_MAX - 1 :]
    series = [
        Series(model.model, str(i + 1), [slot.cost_pico for slot in model.slots])
        for i, model in enumerate(shown)
    ]
    rest = [sum(model.slots[i].cost_pico for model in others) for i in range(len(labels))]
    series.append(Series("Other models", OTHER, rest))
    series = [s for s in series if s.total]
    return stacked(labels, series, short=formats.short_money, exact=formats.money)


def active_users(labels: Sequence[str], active: Sequence[Active]) -> Chart:
    return stacked(
        labels,
        [
            Series("Returning", "1", [slot.called - slot.new for slot in active]),
            Series("New", "3", [slot.new for slot in active]),
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
    value_of = VALUES[metric]
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
