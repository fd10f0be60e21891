"""Adding up a partition's events by customer: all of them, and those that were counted.

Takes a few microseconds an event: details stay unread. Pure.
"""

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Final, NamedTuple

from gateway.audit.entries import Entry
from gateway.audit.snapshot import Position
from gateway.event import Kind
from gateway.metering.checkpoints import COUNTED, Checkpoint
from gateway.metering.window_sums import NO_WINDOWS, InWindows, WindowSums

IDS_MAX: Final = 1_000_000
"""Request ids remembered to find one that ended twice; later ones go unchecked."""

ENDS: Final = frozenset(
    kind.value.encode()
    for kind in (
        *(Kind.SETTLE, Kind.RELEASE, Kind.REFUSE, Kind.ORPHAN),
        *(Kind.EVENT, Kind.CREDIT),
    )
)


class Sums(NamedTuple):
    charge_pico: int = 0
    cost_pico: int = 0
    credit_pico: int = 0


NOTHING: Final = Sums()


def plus(a: Sums, b: Sums) -> Sums:
    return Sums(*map(sum, zip(a, b, strict=True)))


class Tally:
    """What customers' events add up to, from a checkpoint on.

    Args:
        checkpoints: By customer number; what is not there begins at nothing.
        counted_to: Where the flusher's cursor stood when the checkpoints were read.

    Attributes:
        last: The entry up to which everything is in.
        twice: Request ids with more than one ending, with how many they have.
        events: How many there were.
    """

    def __init__(self, checkpoints: Mapping[int, Checkpoint], counted_to: Position) -> None:
        self._sums = {number: Sums(*known.money) for number, known in checkpoints.items()}
        self._windows_before = {number: known.in_windows for number, known in checkpoints.items()}
        self._windows: defaultdict[int, WindowSums] = defaultdict(WindowSums)
        self._counted = dict(self._sums)
        self._counted_to = counted_to
        self._waiting: deque[Entry] = deque()
        self._ended: set[bytes] = set()
        self.twice: dict[str, tuple[int, int]] = {}
        self.events = 0

    @property
    def numbers(self) -> set[int]:
        return set(self._sums)

    def add(self, entries: Iterable[Entry]) -> None:
        """Take entries in, in the stream's order."""
        for entry in entries:
            self.events += 1
            _add(self._sums, entry)
            if entry.kind in COUNTED:
                self._windows[entry.number].add(
                    entry.windows, entry.at.ms, entry.charge_pico, entry.cost_pico
                )
            if entry.at <= self._counted_to:
                _add(self._counted, entry)
            else:
                self._waiting.append(entry)
            if entry.kind in ENDS:
                self._end(entry)

    def count_to(self, cursor: Position) -> None:
        """The flusher's cursor stands there now."""
        self._counted_to = max(self._counted_to, cursor)
        while self._waiting and self._waiting[0].at <= cursor:
            _add(self._counted, self._waiting.popleft())

    def waiting(self, events_max: int) -> list[Entry]:
        """The first of those that the cursor has not passed."""
        return list(islice(self._waiting, events_max))

    def spent(self, number: int) -> Sums:
        return self._sums.get(number, NOTHING)

    def in_windows(self, number: int) -> InWindows:
        before = self._windows_before.get(number, NO_WINDOWS)
        return before.plus(self._windows[number].total()) if number in self._windows else before

    def counted(self, number: int) -> Sums:
        return self._counted.get(number, NOTHING)

    def _end(self, entry: Entry) -> None:
        if entry.request_id in self._ended:
            request_id = entry.request_id.decode(errors="replace")
            _, times = self.twice.get(request_id, (0, 1))
            self.twice[request_id] = (entry.number, times + 1)
        elif len(self._ended) < IDS_MAX:
            self._ended.add(entry.request_id)


def _add(sums: dict[int, Sums], entry: Entry) -> None:
    charge, cost, credit = sums.get(entry.number, NOTHING)
    sums[entry.number] = Sums(
        charge + entry.charge_pico, cost + entry.cost_pico, credit + entry.credit_pico
    )
