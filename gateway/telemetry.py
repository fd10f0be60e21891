"""What this process tells the metrics: counters that it raises, gauges that are read from it.

The place to add one. `gateway.api.tallies` adds up what all workers tell, every few
seconds, so that whichever worker is asked answers for all of them.
"""

from collections import Counter
from collections.abc import Callable
from typing import Final, NamedTuple


class CounterSpec(NamedTuple):
    """A counter with at most one label, whose values are from a closed set.

    `labels` are told from the start, as 0: an alarm on a counter sees it rise.
    """

    name: str
    help: str
    label: str = ""
    labels: tuple[str, ...] = ()


ADMITTED: Final = CounterSpec("calls_admitted", "Calls that were let through.")
REFUSED: Final = CounterSpec("calls_refused", "Calls that were not, by error code.", "code")
UNPRICED: Final = CounterSpec("calls_unpriced", "Calls whose cost is open: there is no price.")
ESTIMATED: Final = CounterSpec(
    "calls_estimated",
    "Calls settled for an estimate: cut off, or without usage, or with usage nobody could read.",
    "why",
    ("missing", "unparsed", "cut"),
)
CUT: Final = CounterSpec(
    "calls_usage_cut", "Calls whose provider stated a part of the usage larger than its whole."
)
DRIFTED: Final = CounterSpec(
    "reported_cost_drifts", "Calls whose provider states a cost over 1 % beside ours."
)
REPLAYED: Final = CounterSpec(
    "calls_replayed",
    "Calls of gateways that died, ended from their logs: as they had ended (settled), for "
    "what was seen of them (estimated), or for nothing (released).",
    "outcome",
    ("settled", "estimated", "released"),
)
DEAD_LETTERS: Final = CounterSpec(
    "dead_letters", "Ends of calls that the store will not take, kept in dead-letter.jsonl."
)
LOG_FAILURES: Final = CounterSpec("wal_failures", "Writes of the log that its disk did not take.")
SHORT_WAITS: Final = CounterSpec(
    "store_short_waits", "Batches that no replica confirmed in time, with durability strict."
)

COUNTERS: Final = (
    ADMITTED,
    REFUSED,
    UNPRICED,
    ESTIMATED,
    CUT,
    DRIFTED,
    REPLAYED,
    DEAD_LETTERS,
    LOG_FAILURES,
    SHORT_WAITS,
)

LABELS_MAX: Final = 200
"""Of all counters together; what would be beyond is counted under `OTHER`."""

OTHER: Final = "other"

Counts = dict[tuple[str, str], int]


class Gauge(NamedTuple):
    """A number of this process, read when it is told.

    `is_worst`: of all workers' the largest counts; else they are added up.
    """

    name: str
    help: str
    read: Callable[[], float]
    is_worst: bool = False


class Telemetry:
    """Counts; never awaits, never fails."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()
        self._followed: list[_Followed] = []
        self.gauges: list[Gauge] = []

    def count(self, counter: CounterSpec, label: str = "") -> None:
        key = (counter.name, label)
        if key not in self._counts and len(self._counts) >= LABELS_MAX:
            key = (counter.name, OTHER)
        self._counts[key] += 1

    def follow(self, counter: CounterSpec, read: Callable[[], int], label: str = "") -> None:
        """Count what `read()` grows by: a number that somebody else keeps, and only raises."""
        self._followed.append(_Followed((counter.name, label), read))

    def gauge(
        self, name: str, help_: str, read: Callable[[], float], *, is_worst: bool = False
    ) -> None:
        """From now on tell `read()` as ``farebox_<name>``."""
        self.gauges.append(Gauge(name, help_, read, is_worst))

    def take(self) -> Counts:
        """What was counted since the last time."""
        for followed in self._followed:
            if grown := followed.grown():
                self._counts[followed.key] += grown
        counts, self._counts = self._counts, Counter()
        return dict(counts)

    def give_back(self, counts: Counts) -> None:
        """It could not be told; keep it for the next time."""
        self._counts.update(counts)


class _Followed:
    def __init__(self, key: tuple[str, str], read: Callable[[], int]) -> None:
        self.key = key
        self._read = read
        self._taken = 0

    def grown(self) -> int:
        before, self._taken = self._taken, self._read()
        return self._taken - before
