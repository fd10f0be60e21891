"""Turn the figures of a run into a table: absolute, and as a ratio to nginx in the same run."""

import os
import platform
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, Final

from benchmarks.scenarios import Figures

YARDSTICK: Final = "nginx"
BASELINE: Final = "direct"
BESIDE: Final = "time beside the upstream's"


def medians(runs: Sequence[Figures]) -> Figures:
    """The median of each figure over the repeats."""
    return {name: median(run[name] for run in runs if name in run) for name in runs[0]}


def with_added(figures: Mapping[str, Figures]) -> dict[str, Figures]:
    """Add to each target by how much its fixed-rate times exceed those without it."""
    base = figures.get(BASELINE, {})
    return {
        target: own
        | {
            f"added latency{name.removeprefix(BESIDE)}": own[name] - base[name]
            for name in own
            if target != BASELINE and name.startswith(BESIDE) and name in base
        }
        for target, own in figures.items()
    }


def table(figures: Mapping[str, Figures]) -> str:
    """A Markdown table: a row a figure, a column a target, then each target's ratio to nginx."""
    compared = [name for name in figures if name not in (BASELINE, YARDSTICK)]
    fullest_first = sorted(figures.values(), key=len, reverse=True)
    names = list(dict.fromkeys(name for own in fullest_first for name in own))
    head = ["", *figures, *(f"{name} / {YARDSTICK}" for name in compared)]
    lines = [head, ["---", *["---:"] * (len(head) - 1)]]
    yardstick = figures.get(YARDSTICK, {})
    for name in names:
        ratios = [_ratio(figures[target].get(name), yardstick.get(name)) for target in compared]
        lines.append([name, *(_number(own.get(name)) for own in figures.values()), *ratios])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def machine() -> dict[str, Any]:
    """What the figures depend on besides the code; nothing that names the machine."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123 - a kernel file
        models = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    return {
        "cpu": models[0] if models else platform.machine(),
        "cores": os.cpu_count(),
        "kernel": platform.release().split("-")[0],
        "python": platform.python_version(),
    }


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.3g}"


def _ratio(value: float | None, yardstick: float | None) -> str:
    if value is None or yardstick is None or yardstick <= 0:
        return "-"
    return f"{value / yardstick:.2f} x"
