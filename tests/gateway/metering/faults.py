"""Stores and archives that fail, hesitate or fall asleep on the way."""

import asyncio
import random

from gateway.errors import LedgerUnavailable


class Jittery:
    """A store each of whose commands waits a little, differently long."""

    def __init__(self, real, seed: int) -> None:
        self._real = real
        self._random = random.Random(seed)

    def __getattr__(self, name):
        inner = getattr(self._real, name)
        if name not in ("script", "command", "commands"):
            return inner

        async def outer(*args, **options):
            await asyncio.sleep(self._random.choice([0, 0.001, 0.01]))
            return await inner(*args, **options)

        return outer


class Faulty:
    """A store or archive whose n-th command fails, before it is done or after."""

    def __init__(self, real, *, fails_at: int, after: bool) -> None:
        self._real = real
        self._left = fails_at
        self._after = after
        self.failed = False

    def __getattr__(self, name):
        inner = getattr(self._real, name)
        if name not in ("script", "command", "commands", "add"):
            return inner

        async def outer(*args, **options):
            self._left -= 1
            fails, self.failed = self._left == 0, self.failed or self._left == 0
            if fails and not self._after:
                raise LedgerUnavailable("killed")
            reply = await inner(*args, **options)
            if fails:
                raise LedgerUnavailable("killed")
            return reply

        return outer


class Killed(BaseException):
    """No handler of failures catches it, as none runs in a process that was killed."""


class Mortal:
    """A flusher's process: store and archive in its hands, until it dies at its n-th step.

    A step is one command or batch of commands to the store, or one writing to the archive:
    death comes before it is done, or after, when nobody hears of it any more. Nothing that
    was under way is heard of either, and nothing is begun from then on.

    Attributes:
        steps: Begun so far.
    """

    def __init__(self, *, dies_at: int = 0, after: bool = False, how=Killed) -> None:
        self._dies_at = dies_at
        self._after = after
        self._how = how
        self._dead = False
        self.steps = 0

    def holding(self, real):
        return _Held(self, real)

    async def do(self, work):
        if self._dead:
            raise self._how("killed")
        self.steps += 1
        dies = self.steps == self._dies_at
        if dies and not self._after:
            self._dead = True
            raise self._how("killed")
        reply = await work()
        self._dead = self._dead or dies
        if self._dead:
            raise self._how("killed")
        return reply


class _Held:
    def __init__(self, owner: Mortal, real) -> None:
        self._owner = owner
        self._real = real

    def __getattr__(self, name):
        inner = getattr(self._real, name)
        if name not in ("script", "command", "commands", "add"):
            return inner
        return lambda *args: self._owner.do(lambda: inner(*args))


class Sleeper:
    """A store whose scripts wait to be woken: a flusher stopped just before its writing."""

    def __init__(self, real) -> None:
        self._real = real
        self.asleep = asyncio.Event()
        self.wake = asyncio.Event()

    def __getattr__(self, name):
        return getattr(self._real, name)

    async def script(self, *args, **options):
        self.asleep.set()
        await self.wake.wait()
        return await self._real.script(*args, **options)
