"""The report on a whole store: what a check or a rebuild of all its partitions found."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.audit.differences import DIFFERENCES_MAX, Difference, drift_pico
from gateway.clock import rfc3339
from pricing.money import usd

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Report:
    """Found so far.

    Attributes:
        found: How many differences; the first `DIFFERENCES_MAX` are in `differences`.
        customers: Whose books were compared; refused strangers are one in each partition.
        partial: Partitions of which only charge and cost were compared: the stream was
            trimmed, and the archive was not asked.
        unread: Partitions that could not be read.
        listed: Rows of the users list that a rebuild has written anew.
        busy: Customers whose counters could not be mended: the flusher was always first.
    """

    checked_ms: int
    found: int = 0
    differences: list[Difference] = field(default_factory=list)
    partitions: int = 0
    customers: int = 0
    events: int = 0
    partial: list[int] = field(default_factory=list)
    unread: list[int] = field(default_factory=list)
    busy: list[int] = field(default_factory=list)
    listed: int = 0

    @property
    def ok(self) -> bool:
        return not self.found

    @property
    def complete(self) -> bool:
        """Whether everything could be read."""
        return not self.unread

    def add(self, differences: Sequence[Difference], found: int) -> None:
        self.found += found
        self.differences += differences[: DIFFERENCES_MAX - len(self.differences)]

    def miss(self, partition: int, problem: Exception) -> None:
        """It could not be read: trimming was faster, or a key of it is of another type."""
        log.error("books_unread partition=%d error=%r", partition, problem)
        self.unread.append(partition)

    def to_json(self) -> dict[str, Any]:
        """``ok`` is null where nothing was found and not all could be read.

        ``{ok, checked_at, partitions, customers, events, partial, unread, busy, found, ...``.

        ``drift_usd, differences}``: see `Difference.to_json`; lists are of partitions, but
        `busy`, which is of customer numbers.
        """
        return {
            "ok": self.ok if self.found or self.complete else None,
            "checked_at": rfc3339(self.checked_ms),
            "partitions": self.partitions,
            "customers": self.customers,
            "events": self.events,
            "partial": self.partial,
            "unread": self.unread,
            "busy": [str(number) for number in self.busy],
            "found": self.found,
            "drift_usd": usd(drift_pico(self.differences)),
            "differences": [d.to_json() for d in self.differences],
        }
