"""Trimming, as an auditor follows it: what is dropped is in the checkpoints, and was done with.

What a customer has spent is the sum of all events (`books`); so it is at every moment its
checkpoint and what the stream still has, if each trim drops just what it adds there.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.event import UsageEvent
from gateway.metering.checkpoints import NOTHING, Checkpoint, Money, read
from gateway.metering.window_sums import NO_WINDOWS, WindowSums
from gateway.store.keys import Partition
from gateway.store.stream_ids import halves
from tests.simulator.kept import Kept
from tests.simulator.promises import expect
from tests.simulator.scope_books import ScopeBooks, paired
from tests.simulator.virtual_server import Executed, Part, VirtualServer

TRIMMED = 1
SINKS = (b"flush", b"archive")


class Trimming(Kept):
    """Of one partition."""

    KEPT = ("_sums", "_windows", "_live", "dropped")

    def __init__(self, server: VirtualServer, partition: Partition, scopes: ScopeBooks) -> None:
        self._server = server
        self._partition = partition
        self._scopes = scopes
        self._live: list[tuple[str, UsageEvent, bytes | None]] = []
        self._sums: dict[int, Money] = {}
        self._windows: dict[int, WindowSums] = {}
        self.dropped = 0

    def posted(self, stream_id: str, event: UsageEvent, named: bytes | None) -> None:
        self._live.append((stream_id, event, named))

    def look_at(self) -> list[Sequence[Part]]:
        """What to read right after a trim."""
        partition = self._partition
        return [
            ("XRANGE", partition.stream, "-", "+"),
            ("HGETALL", partition.checkpoints),
            ("HGETALL", partition.cursors),
        ]

    def follow(self, executed: Executed) -> None:
        if executed.reply != TRIMMED:
            return
        entries, checkpoints, cursors = self._server.seen
        last_id, hot_ms = executed.args[1].decode(), int(executed.args[3])
        self._check_may_go(last_id, hot_ms, paired(cursors))
        gone = [one for one in self._live if halves(one[0]) <= halves(last_id)]
        del self._live[: len(gone)]
        self.dropped += len(gone)
        for _, event, named in gone:
            number, money = event.customer_number, money_of(event)
            self._sums[number] = self._sums.get(number, NOTHING).plus(money)
            if named is not None:
                windows = self._windows.setdefault(number, WindowSums())
                windows.add(named, 0, event.charge_pico, event.cost_pico)
        self._check(entries, paired(checkpoints))

    def check_at_rest(self) -> None:
        entries, checkpoints, _ = self._server.asks(*self.look_at())
        self._check(entries, paired(checkpoints))

    def _check_may_go(self, last_id: str, hot_ms: int, cursors: Mapping[bytes, bytes]) -> None:
        """It is old, and nobody needs it any more."""
        newest_ms = self._server.clock.now_ms() - hot_ms
        expect(halves(last_id)[0] <= newest_ms, f"{last_id} is younger than {hot_ms} ms")
        for sink in SINKS:
            place = cursors.get(sink, b"").decode()
            has_passed = halves(place) >= halves(last_id)
            expect(has_passed, f"{last_id} is gone, {sink.decode()} is at {place}")
        needed = self._scopes.needs(self._partition.index, last_id)
        expect(not needed, f"{last_id} is gone, {needed} have not counted it")

    def _check(self, entries: Sequence[Any], checkpoints: Mapping[bytes, bytes]) -> None:
        live = [stream_id.decode() for stream_id, _ in entries]
        expect(
            live == [one[0] for one in self._live], f"{len(live)} entries, not {len(self._live)}"
        )
        for number, money in self._sums.items():
            windows = self._windows[number].total() if number in self._windows else NO_WINDOWS
            said = Checkpoint(money, windows)
            stored = read(checkpoints.get(b"%d" % number), trimmed_ms=0)
            expect(stored == said, f"{number} has {stored} as its checkpoint, not {said}")


def money_of(event: UsageEvent) -> Money:
    return Money(event.charge_pico, event.cost_pico, event.credit_pico)
