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
