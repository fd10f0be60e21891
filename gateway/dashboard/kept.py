"""Kept: answers that are dear to work out, given again while they are fresh, and made anew beside.

Who asks for one that has grown old gets it at once if it is dear, and has it made anew for who
comes next: no page waits for a sum over a million calls that another page has just had made. How
long one is fresh goes by what it cost: making them never takes more than a tenth of the time.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar, cast

from gateway.clock import Clock

KEPT_MAX: Final = 512
FRESH_SECONDS_MIN: Final = 0.8
FRESH_TIMES: Final = 10
QUICK_SECONDS: Final = 0.25
"""What took no longer the last time is waited for, so that a page shows what it was asked for."""

STALE_SECONDS_MAX: Final = 300.0
"""What is older is not given any more: who comes after a long pause waits."""

T = TypeVar("T")

patience: ContextVar[float | None] = ContextVar("patience", default=None)
"""Seconds that who asks here will wait; None: as long as it takes, as for a file."""


class StillAdding(Exception):
    """It takes longer than that; it is being made, and there when somebody asks again."""


@dataclass(slots=True)
class _Answer:
    value: Any = None
    made: float = float("-inf")
    seconds: float = 0.0
    making: asyncio.Task[Any] | None = field(default=None)


class Kept:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._answers: OrderedDict[Hashable, _Answer] = OrderedDict()

    async def get(
        self,
        key: Hashable,
        make: Callable[[], Awaitable[T]],
        fresh_seconds: float = FRESH_SECONDS_MIN,
    ) -> T:
        """What `make` gives, or gave a short while ago; its errors reach who waits for it.

        Args:
            fresh_seconds: At least so long it is fresh.

        Raises:
            StillAdding: see `patience`.
        """
        answer = self._answers.setdefault(key, _Answer())
        self._answers.move_to_end(key)
        if len(self._answers) > KEPT_MAX:
            self._answers.popitem(last=False)
        age = self._clock.monotonic() - answer.made
        if age > max(fresh_seconds, FRESH_TIMES * answer.seconds) and answer.making is None:
            answer.making = asyncio.create_task(self._make(answer, make), name="dashboard-figures")
            answer.making.add_done_callback(_heard)
        if age > STALE_SECONDS_MAX and answer.making is not None:
            return cast("T", await _waited(answer.making))
        if answer.making is not None and answer.seconds <= QUICK_SECONDS:
            await asyncio.wait({answer.making}, timeout=QUICK_SECONDS)
        return cast("T", answer.value)

    async def soon(
        self,
        key: Hashable,
        make: Callable[[], Awaitable[T]],
        fresh_seconds: float = FRESH_SECONDS_MIN,
    ) -> T | None:
        """The same; None where there is nothing yet, and it takes too long."""
        try:
            return await self.get(key, make, fresh_seconds)
        except StillAdding:
            return None

    def forget(self) -> None:
        """Something has changed that these answers are about."""
        self._answers.clear()

    async def _make(self, answer: _Answer, make: Callable[[], Awaitable[T]]) -> T:
        begun = self._clock.monotonic()
        patience.set(None)  # of this task: what it asks for in turn is to be had
        try:
            answer.value = value = await make()
            answer.made = self._clock.monotonic()
            answer.seconds = answer.made - begun
            return value
        finally:
            answer.making = None


async def _waited(making: asyncio.Task[Any]) -> Any:
    """Its result; who gives up does not end it."""
    done, _ = await asyncio.wait({making}, timeout=patience.get())
    if not done:
        raise StillAdding
    return making.result()


def _heard(task: asyncio.Task[Any]) -> None:
    """What went wrong behind everybody's back is no news: the next one tries again."""
    if not task.cancelled():
        task.exception()
