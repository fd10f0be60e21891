"""What this process tells the metrics: counters that it raises, gauges that are read from it.

The place to add one. `gateway.api.tallies` adds up what all workers tell, every few
seconds, so that whichever worker is asked answers for all of them.
"""

from collections import Counter
from collections.abc import Callable
from typing import Final, NamedTuple


class CounterSpec(NamedTuple):
    """A counter with at most one label, whose values are from a closed set."""

    name: str
    help: str
    label: str = ""


ADMITTED: Final = CounterSpec("calls_admitted", "Calls that were let through.")
REFUSED: Final = CounterSpec("calls_refused", "Calls that were not, by error code.", "code")
UNPRICED: Final = CounterSpec("calls_unpriced", "Calls whose cost is open: there is no price.")
ESTIMATED: Final = CounterSpec(
    "calls_estimated",
    "Calls settled for an estimate: cut off, or without usage, or with usage nobody could read.",
    "why",
)
DRIFTED: Final = CounterSpec(
    "reported_cost_drifts", "Calls whose provider states a cost over 1 % beside ours."
)

COUNTERS: Final = (ADMITTED, REFUSED, UNPRICED, ESTIMATED, DRIFTED)

LABELS_MAX: Final = 200
"""Of all counters together; what would be beyond is counted under `OTHER`."""

OTHER: Final = "other"

Counts = dict[tuple[str, str], int]


class Gauge(NamedTuple):
    """A number of this process, read when it is told; workers' numbers are added up."""

    name: str
    help: str
    read: Callable[[], float]


class Telemetry:
    """Counts; never awaits, never fails."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()
        self.gauges: list[Gauge] = []

    def count(self, counter: CounterSpec, label: str = "") -> None:
        key = (counter.name, label)
        if key not in self._counts and len(self._counts) >= LABELS_MAX:
            key = (counter.name, OTHER)
        self._counts[key] += 1

    def gauge(self, name: str, help_: str, read: Callable[[], float]) -> None:
        """From now on tell `read()` as ``farebox_<name>``."""
        self.gauges.append(Gauge(name, help_, read))

    def take(self) -> Counts:
        """What was counted since the last time."""
        counts, self._counts = self._counts, Counter()
        return dict(counts)

    def give_back(self, counts: Counts) -> None:
        """It could not be told; keep it for the next time."""
        self._counts.update(counts)
