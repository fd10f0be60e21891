"""Remembered: answers that took long, given again for a short while.

An answer is given again as long as nothing has been counted since: the flusher's cursors stand
where they stood. One that took long is also given again, whatever was counted, for ten times
what it took, at most half a minute; so asking for it without a pause takes a tenth of the time. Who
asks for one that is being worked out waits for that one.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Any, Final, TypeVar, cast

from gateway.clock import Clock
from gateway.store.client import Store

ANSWERS_MAX: Final = 256
DEAR_SECONDS: Final = 0.1
"""Of processor time. What took less is worked out anew, and is never behind."""

FRESH_TIMES: Final = 10
FRESH_SECONDS_MAX: Final = 30.0
UNCHANGED_SECONDS_MAX: Final = 60.0
"""A day may have ended, a customer been deleted, though nothing was counted."""

COUNTED: Final = ("flush", "archive")
"""The cursors of counters and of the archive, from which answers are made."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Answer:
    value: Any
    asked: float
    seconds: float
    cursors: object


class Remembered:
    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._answers: OrderedDict[Hashable, _Answer] = OrderedDict()
        self._making: dict[Hashable, asyncio.Task[Any]] = {}

    async def get(self, key: Hashable, make: Callable[[], Awaitable[T]]) -> T:
        """What `make` gives, or gave a short while ago; its errors reach all who wait for it."""
        known = self._answers.get(key)
        if known is not None and await self._is_good(known):
            return cast("T", known.value)
        task = self._making.get(key)
        if task is None:
            task = asyncio.create_task(self._make(key, make), name="report")
            self._making[key] = task
            task.add_done_callback(lambda done: self._made(key, done))
        return cast("T", await asyncio.shield(task))

    async def _is_good(self, known: _Answer) -> bool:
        age = self._clock.monotonic() - known.asked
        if age < min(FRESH_TIMES * known.seconds, FRESH_SECONDS_MAX):
            return True
        return age < UNCHANGED_SECONDS_MAX and await self._cursors() == known.cursors

    async def _make(self, key: Hashable, make: Callable[[], Awaitable[T]]) -> T:
        asked, cursors, begun = self._clock.monotonic(), await self._cursors(), time.process_time()
        value = await make()
        self._answers.pop(key, None)
        if time.process_time() - begun >= DEAR_SECONDS:
            seconds = self._clock.monotonic() - asked
            self._answers[key] = _Answer(value, asked, seconds, cursors)
            if len(self._answers) > ANSWERS_MAX:
                self._answers.popitem(last=False)
        return value

    def _made(self, key: Hashable, task: asyncio.Task[Any]) -> None:
        del self._making[key]
        if not task.cancelled():
            task.exception()  # of no interest where nobody waits any more

    async def _cursors(self) -> object:
        partitions = self._store.keyspace.partitions
        return await self._store.commands([("HMGET", p.cursors, *COUNTED) for p in partitions])
