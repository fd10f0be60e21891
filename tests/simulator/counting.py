"""The counters as an auditor keeps them: after each batch they are the fold of what was posted."""

from collections import defaultdict
from typing import Any
from zoneinfo import ZoneInfo

from gateway.event import UsageEvent
from gateway.metering.counters import lifetime_command, read_lifetime
from gateway.metering.fold import advance, fold
from gateway.metering.totals import DayTotals, Lifetime
from gateway.store.keys import Partition
from gateway.store.stream_ids import halves
from tests.simulator.kept import Kept
from tests.simulator.promises import expect
from tests.simulator.virtual_server import Executed, VirtualServer

UTC = ZoneInfo("UTC")
APPLIED = 1


class Counting(Kept):
    """Follows the cursor `flush` of one partition."""

    KEPT = ("_at", "_days", "_lifetimes", "_waiting")

    def __init__(self, server: VirtualServer, partition: Partition) -> None:
        self._server = server
        self._partition = partition
        self._at = ""
        self._lifetimes: defaultdict[int, Lifetime] = defaultdict(Lifetime)
        self._days: defaultdict[int, dict[Any, DayTotals]] = defaultdict(dict)
        self._waiting: list[tuple[str, UsageEvent]] = []

    def posted(self, stream_id: str, event: UsageEvent) -> None:
        self._waiting.append((stream_id, event))

    def follow(self, executed: Executed) -> None:
        """A batch was applied: it began where the last one ended, and all of it counts."""
        cursor, before, after = (arg.decode() for arg in executed.args[:3])
        if cursor != "flush" or executed.reply != APPLIED:
            return
        expect(before == self._at, f"a batch from {before!r} was applied at {self._at!r}")
        stored = self._server.ask("HGET", self._partition.cursors, cursor)
        expect(stored == after.encode(), f"the cursor stands at {stored}, not at {after}")
        self._at = after
        batch = [event for i, event in self._waiting if halves(i) <= halves(after)]
        del self._waiting[: len(batch)]
        for number, change in fold(batch, UTC).items():
            days = self._days[number]
            self._lifetimes[number], changed = advance(self._lifetimes[number], days, change)
            days.update(changed)
        self.check()

    def check(self) -> None:
        for number, folded in self._lifetimes.items():
            counted = read_lifetime(self._server.ask(*lifetime_command(self._partition, number)))
            wrong = [
                f"{name}: {getattr(counted.totals, name)}, not {value}"
                for name, value in folded.totals._asdict().items()
                if getattr(counted.totals, name) != value
            ]
            expect(counted == folded, f"counters of {number} are wrong: {wrong}")

    def check_complete(self) -> None:
        expect(not self._waiting, f"{len(self._waiting)} events were never counted")
        self.check()
