"""The six figures that say how things are, each with its change against the span before."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway.dashboard import formats
from gateway.dashboard.charts import Spark, spark
from gateway.dashboard.reports import Active
from gateway.dashboard.state import State
from gateway.reports.values import Slot
from gateway.store.archive import Summary


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


def tiles(
    state: State,
    totals: Summary,
    before: Summary | None,
    slots: Sequence[Slot],
    active: Sequence[Active],
) -> list[Tile]:
    """The six figures that say how things are."""
    then = before if state.compares and before and before.requests else None

    def change(of: Callable[[Summary], int]) -> float | None:
        earlier = of(then) if then else 0
        return 100 * (of(totals) - earlier) / earlier if earlier else None

    error_share = formats.share(totals.errors, totals.requests)
    unpriced = f"{totals.unpriced:,} unpriced calls" if totals.unpriced else ""
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
                    ("in", totals.input_tokens),
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
            note=f"{sum(slot.new for slot in active):,} new",
            change=change(lambda s: s.active_users),
            spark=spark([slot.called for slot in active]),
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
