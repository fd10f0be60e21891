"""Reading a partition's events into sums, up to the instant of any snapshot of it."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import tzinfo

from gateway.audit.differences import Difference
from gateway.audit.entries import Entry, pages
from gateway.audit.history import Counted, History
from gateway.audit.snapshot import BEGINNING, HASHES_MAX, Position, Snapshot
from gateway.audit.survey import Known
from gateway.audit.tally import Tally
from gateway.event import UsageEvent
from gateway.store.client import Store
from gateway.store.keys import Partition

Inspection = Callable[[Position, UsageEvent], Iterable[Difference]]
"""Looks at one event; says what is wrong with it."""


class Reading:
    """What has been read of a partition's stream so far.

    It begins at a snapshot with checkpoints. `read_to` a later one makes `tally` (and
    `history`) say what the events add up to at that very instant: entries are only ever
    appended, and what is trimmed meanwhile has been read, or is noticed.

    Attributes:
        history: None where the stream alone does not tell everything.
        remarks: What the `inspections` found.
        alien: Entries that are no events; the flusher passes them over as well.
    """

    def __init__(
        self,
        store: Store,
        partition: Partition,
        first: Snapshot,
        *,
        zone: tzinfo | None = None,
        before: Mapping[int, Counted] | None = None,
        inspections: Sequence[Inspection] = (),
    ) -> None:
        """Without a `zone` no details are read: a fifth of the work.

        Args:
            before: The counters at the beginning of the stream, where it was trimmed.
        """
        self.partition = partition
        self.tally = Tally(first.checkpoints, first.cursor("flush"))
        self.history: History | None = None
        whole = first.cursor("trim") == BEGINNING or before is not None
        if zone is not None and whole:
            self.history = History(zone, first.cursor("flush"), before)
        self.remarks: list[Difference] = []
        self.alien = 0
        self._details = zone is not None
        self._store = store
        self._inspections = inspections
        self._at = first.cursor("trim")

    async def read_to(self, until: Position) -> None:
        """Take in everything up to `until`.

        Raises:
            Trimmed: some of it is gone already.
            LedgerUnavailable: the store is away.
        """
        async for page in pages(self._store, self.partition, self._at, until):
            self.alien += page.alien
            self.tally.add(page.entries)
            if self._details:
                self._take(list(self._events(page.entries)))
            self._at = page.last

    def numbers(self, known: Known, first: Snapshot) -> list[int]:
        """Every customer that this partition knows of, in order."""
        of_holds = {hold.number for hold in first.holds if hold.number is not None}
        found = known.numbers | self.tally.numbers | of_holds
        return sorted(found | self.history.numbers if self.history else found)

    def months(self, number: int, known: Known) -> set[str]:
        """Of a customer's daily counters: those that are there, and those that ought to be."""
        months = known.months.get(number, set())
        return months | self.history.months(number) if self.history else months

    def _events(self, entries: Iterable[Entry]) -> Iterator[tuple[Position, UsageEvent]]:
        for entry in entries:
            try:
                yield entry.at, entry.event()
            except ValueError:
                self.alien += 1

    def _take(self, events: list[tuple[Position, UsageEvent]]) -> None:
        if self.history is not None:
            self.history.add(events)
        for inspect in self._inspections:
            for at, event in events:
                self.remarks += inspect(at, event)


def batches(
    numbers: Iterable[int], keys_of: Callable[[int], list[str]]
) -> Iterator[dict[int, list[str]]]:
    """Customers with their keys, so many that one snapshot takes them."""
    batch: dict[int, list[str]] = {}
    size = 0
    for number in numbers:
        keys = keys_of(number)[:HASHES_MAX]
        if size + len(keys) > HASHES_MAX:
            yield batch
            batch, size = {}, 0
        batch[number] = keys
        size += len(keys)
    if batch:
        yield batch
