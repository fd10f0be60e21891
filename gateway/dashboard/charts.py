"""Charts as numbers: where bars and lines stand, in percent, for templates to draw as SVG.

Drawn on the server, a chart is there without scripts, in every theme, and at any width:
positions are shares, text is never stretched.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gateway.dashboard.formats import NOTHING
from gateway.dashboard.spans import Span

SERIES_MAX: Final = 8
OTHER: Final = "other"
GAP: Final = 0.26
WIDE_GAP: Final = 0.5
FEW: Final = 12
"""Of a slot's width, what stays free between bars; more where there are few of them."""

LABELS_MAX: Final = 8


@dataclass(frozen=True, slots=True)
class Series:
    """What is drawn in one colour.

    Attributes:
        tone: Which colour and pattern: ``1`` to ``8``, ``other``, or a meaning (``bad``).
        href: Where its name leads.
    """

    label: str
    tone: str
    values: Sequence[int]
    href: str | None = None

    @property
    def total(self) -> int:
        return sum(self.values)


@dataclass(frozen=True, slots=True)
class Piece:
    tone: str
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class Bar:
    """A slot's share of the chart.

    Attributes:
        left, step: Where the slot begins, and how wide it is.
        tip: Lines, each a name and a value with a tab between them.
    """

    x: float
    width: float
    left: float
    step: float
    pieces: Sequence[Piece]
    tip: str


@dataclass(frozen=True, slots=True)
class Tick:
    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart, drawn.

    Attributes:
        rows: The table behind it: a label and a text for each series.
        lines: Series tone -> the ``d`` of its path, in a box of 1000 by 1000.
    """

    series: Sequence[Series]
    bars: Sequence[Bar]
    y_ticks: Sequence[Tick]
    x_ticks: Sequence[Tick]
    rows: Sequence[tuple[str, Sequence[str]]]
    lines: Sequence[tuple[str, str]] = ()
    empty: bool = False


Format = Callable[[int], str]


def stacked(
    slots: Sequence[str],
    series: Sequence[Series],
    *,
    short: Format,
    exact: Format,
    ticks: bool = True,
) -> Chart:
    """A bar for each slot, the series on top of each other, the first at the bottom."""
    sums = [sum(s.values[i] for s in series) for i in range(len(slots))]
    top = ceiling(max(sums, default=0))
    bars = []
    step = 100 / max(len(slots), 1)
    gap = WIDE_GAP if len(slots) <= FEW else GAP
    for i, label in enumerate(slots):
        bars.append(
            Bar(
                x=_r(i * step + step * gap / 2),
                width=_r(step * (1 - gap)),
                left=_r(i * step),
                step=_r(step),
                pieces=list(_pieces(series, i, top)),
                tip=_tip(label, series, i, exact, total=sums[i] if len(series) > 1 else None),
            )
        )
    return Chart(
        series=series,
        bars=bars,
        y_ticks=y_ticks(top, short) if ticks else [],
        x_ticks=x_ticks(slots),
        rows=[(label, [exact(s.values[i]) for s in series]) for i, label in enumerate(slots)],
        empty=not any(sums),
    )


def lined(
    slots: Sequence[str],
    series: Sequence[tuple[str, str, Sequence[int | None]]],
    *,
    short: Format,
    exact: Format,
) -> Chart:
    """A line for each series (label, tone, values); a slot without a value breaks it."""
    known = [value for _, _, values in series for value in values if value is not None]
    top = ceiling(max(known, default=0))
    step = 100 / max(len(slots), 1)
    rows = [
        (label, [_exact(values[i], exact) for _, _, values in series])
        for i, label in enumerate(slots)
    ]
    bars = [
        Bar(
            x=_r((i + 0.5) * step),
            width=0,
            left=_r(i * step),
            step=_r(step),
            pieces=list(_points([(tone, values[i]) for _, tone, values in series], top)),
            tip="\n".join(
                [label, *(f"{s[0]}\t{text}" for s, text in zip(series, texts, strict=True))]
            ),
        )
        for i, (label, texts) in enumerate(rows)
    ]
    return Chart(
        series=[Series(name, tone, [v or 0 for v in values]) for name, tone, values in series],
        bars=bars,
        y_ticks=y_ticks(top, short),
        x_ticks=x_ticks(slots),
        rows=rows,
        lines=[(tone, path(values, top)) for _, tone, values in series],
        empty=not known,
    )


def _points(values: Sequence[tuple[str, int | None]], top: int) -> Iterator[Piece]:
    for tone, value in values:
        if value is not None and top:
            yield Piece(tone, _r(100 - 100 * value / top), 0)


def _exact(value: int | None, exact: Format) -> str:
    return NOTHING if value is None else exact(value)


def path(values: Sequence[int | None], top: int) -> str:
    """The line through the middles of the slots, in a box of 1000 by 1000."""
    parts, pen_up = [], True
    step = 1000 / max(len(values), 1)
    for i, value in enumerate(values):
        if value is None or not top:
            pen_up = True
            continue
        x, y = _r((i + 0.5) * step), _r(1000 - 1000 * value / top)
        alone = pen_up and (i + 1 == len(values) or values[i + 1] is None)
        parts.append(f"{'M' if pen_up else 'L'}{x} {y}" + ("h0.01" if alone else ""))
        pen_up = False
    return "".join(parts)


@dataclass(frozen=True, slots=True)
class Spark:
    """A small line without axes, in a box of 100 by 100."""

    line: str
    area: str


def spark(values: Sequence[int]) -> Spark | None:
    """None where there is nothing to draw."""
    if len(values) < 2 or not any(values):
        return None
    top, step = max(values), 100 / (len(values) - 1)
    points = [f"{_r(i * step)} {_r(96 - 90 * value / top)}" for i, value in enumerate(values)]
    line = "M" + "L".join(points)
    return Spark(line, f"{line}L100 100L0 100Z")


def ceiling(most: int) -> int:
    """The end of the axis: a round number a little above."""
    if most <= 0:
        return 0
    scale: int = 10 ** (len(str(most)) - 1)
    for tenths in (10, 12, 15, 20, 25, 30, 40, 50, 60, 80, 100):
        if tenths * scale >= 10 * most:
            return max(tenths * scale // 10, 1)
    return 10 * scale


def y_ticks(top: int, short: Format) -> list[Tick]:
    """From the bottom: zero, then even steps."""
    if not top:
        return []
    count = next((n for n in (4, 5, 3, 2) if top % n == 0 and _round(top // n)), 1)
    if count == 1:
        count = min(4, top)
    return [Tick(_r(100 - 100 * i / count), short(top * i // count)) for i in range(count + 1)]


def _round(step: int) -> bool:
    return len(str(step).rstrip("0")) <= 2


def x_ticks(slots: Sequence[str]) -> list[Tick]:
    """Some of the labels, evenly, under the middles of their slots."""
    every = -(-len(slots) // LABELS_MAX)
    step = 100 / max(len(slots), 1)
    return [Tick(_r((i + 0.5) * step), slots[i]) for i in range(every // 2, len(slots), every or 1)]


def slot_labels(span: Span) -> list[str]:
    return [label_of(at, span.unit) for _, at in span.starts()]


def label_of(at: datetime, unit: str) -> str:
    return f"{at:%H:%M}" if unit in ("minute", "hour") else f"{at.day} {at:%b}"


def _pieces(series: Sequence[Series], i: int, top: int) -> Iterator[Piece]:
    below = 0
    for one in series:
        value = one.values[i]
        if value > 0 and top:
            below += value
            yield Piece(one.tone, _r(100 - 100 * below / top), _r(100 * value / top))


def _tip(label: str, series: Sequence[Series], i: int, exact: Format, total: int | None) -> str:
    lines = [label]
    if total is not None:
        lines.append(f"Total\t{exact(total)}")
    # A name may have tabs and line ends in it, and would add a line with a value of its own.
    shown = [(" ".join(s.label.split()), s.values[i]) for s in reversed(series) if s.values[i]]
    return "\n".join([*lines, *(f"{name}\t{exact(value)}" for name, value in shown)])


def _r(value: float) -> float:
    """Two decimals: what a screen can show, and short."""
    return round(float(value), 2)
