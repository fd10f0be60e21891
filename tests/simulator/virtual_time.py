"""Time that only passes when nothing is left to do: an event loop without a clock.

A timer that is due in an hour fires at once, after everything that is due before it. So a
run of minutes takes a second, and two runs with the same seed take the same course.
"""

import asyncio
import selectors
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from unittest.mock import patch

EPOCH_MS = 1_789_948_800_000 - 90_000
"""When a simulation begins: shortly before midnight and a new week, 2026-09-20 UTC."""


class Stuck(RuntimeError):
    """Everybody waits for somebody, and nobody for time."""


class _NoSelector(selectors.SelectSelector):
    """Never waits: the loop's time jumps to where the next timer is due."""

    loop: "VirtualLoop"

    def select(self, timeout=None):
        if timeout is None:
            raise Stuck
        self.loop.now += max(timeout, 0.0)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """Attributes: now: seconds since the simulation began."""

    def __init__(self) -> None:
        self.now = 0.0
        selector = _NoSelector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.now


@dataclass
class VirtualClock:
    """A machine's wall clock: `ahead_ms` of the true time, or stopped at `fixed_ms`."""

    loop: VirtualLoop
    ahead_ms: int = 0
    fixed_ms: int | None = None

    def now_ms(self) -> int:
        if self.fixed_ms is not None:
            return self.fixed_ms
        return EPOCH_MS + int(self.loop.now * 1000) + self.ahead_ms

    def monotonic(self) -> float:
        return self.loop.now

    def time_ns(self) -> int:
        return self.now_ms() * 1_000_000


@contextmanager
def without_threads(clock: VirtualClock) -> Iterator[None]:
    """What would be done beside the loop is done at once, and files are as old as `clock` says.

    Disks are told nothing: here nothing dies that they would have to outlive.
    """

    async def at_once(function, *args):
        await asyncio.sleep(0)
        return function(*args)

    with ExitStack() as stack:
        stack.enter_context(patch("asyncio.to_thread", at_once))
        stack.enter_context(patch("gateway.ledger.wal.log.time", clock))
        stack.enter_context(patch("gateway.ledger.wal.files.time", clock))
        stack.enter_context(patch("os.fdatasync", lambda _: None))
        yield
