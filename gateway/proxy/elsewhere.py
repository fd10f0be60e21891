"""Elsewhere: work on large bodies, done in another process while this one serves.

To parse twenty megabytes of JSON takes a good part of a second, in one piece, and no thread
helps: the parser keeps the interpreter's lock. Every stream would stand still. So what is
large is sent to a process of its own, which is started when the first such body comes.
"""

import asyncio
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from typing import Any, Final, ParamSpec, TypeVar

from gateway.errors import CallerError, GatewayBusy

LARGE_BYTES: Final = 262_144
"""Larger bodies are taken elsewhere; this much is parsed in a few milliseconds."""

P = ParamSpec("P")
R = TypeVar("R")


class Elsewhere:
    """Another process, and the way there. Close it."""

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None

    async def if_large(self, body: bytes, function: Callable[[bytes], R]) -> R:
        """Call a function of a body, there if it is large, else here."""
        return function(body) if len(body) <= LARGE_BYTES else await self.run(function, body)

    async def run(self, function: Callable[P, R], *args: P.args, **named: P.kwargs) -> R:
        """Call a function of a module there; what goes over and comes back is pickled.

        Raises:
            CallerError: `function` did.
            GatewayBusy: the process has died, and its successor, too.
        """
        for _ in range(2):
            if self._pool is None:
                self._pool = ProcessPoolExecutor(
                    1, mp_context=get_context("spawn"), initializer=_serve_only
                )
            pool = self._pool
            try:
                answer: R | _Refusal = await asyncio.get_running_loop().run_in_executor(
                    pool, _told, function, args, named
                )
            except BrokenProcessPool:
                if self._pool is pool:
                    self.close()
                continue
            if isinstance(answer, _Refusal):
                raise answer.error()
            return answer
        raise GatewayBusy("A large body could not be read here; try again.")

    def close(self) -> None:
        """End the process, and whatever it is at."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)


class _Refusal:
    """A `CallerError` on its way: exceptions with named arguments do not survive a pickle."""

    def __init__(self, error: CallerError) -> None:
        self._kind = type(error)
        self._message = str(error)
        self._code, self._param, self._details = error.code, error.param, dict(error.details)

    def error(self) -> CallerError:
        return self._kind(self._message, code=self._code, param=self._param, details=self._details)


def _told(function: Callable[..., Any], args: tuple[Any, ...], named: dict[str, Any]) -> Any:
    try:
        return function(*args, **named)
    except CallerError as exc:
        return _Refusal(exc)


def _serve_only() -> None:
    """Ctrl-C is for the gateway, which then ends this process; and without it there is none."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    assert parent is not None

    def follow() -> None:
        parent.join()
        os._exit(0)

    threading.Thread(target=follow, daemon=True).start()
