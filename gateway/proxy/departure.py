"""The client that leaves: noticed in every phase, not only when bytes are sent to it."""

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Final, Self

READ_ON_SECONDS_MAX: Final = 30.0
"""How long a reasoning model is read on after its client left: only its end tells the bill."""


class ClientGone(Exception):
    """The client closed its connection. Nobody is left to tell."""


def grace_seconds(on_disconnect: str, *, only_end_tells: bool) -> float | None:
    """How long a call goes on whose client left; None: to its end."""
    if on_disconnect == "drain":
        return None
    return READ_ON_SECONDS_MAX if on_disconnect == "auto" and only_end_tells else 0.0


class Departure:
    """Cancels the block under it when the client leaves, and raises `ClientGone` instead.

    Works as `asyncio.timeout` does, with the client in place of the clock.

    Args:
        receive: The ASGI channel; the request's body must have been read from it.
        when_gone: Called in the moment in which the client leaves.
        grace_seconds: How long the block may go on after the client left; None: to its end.
    """

    def __init__(
        self,
        receive: Callable[[], Awaitable[Any]],
        when_gone: Callable[[], None],
        *,
        grace_seconds: float | None = 0.0,
    ) -> None:
        self._receive = receive
        self._when_gone = when_gone
        self._grace_seconds = grace_seconds
        self._timer: asyncio.TimerHandle | None = None
        self._cancelled = False

    async def __aenter__(self) -> Self:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._cancelling = task.cancelling()
        self._watcher = asyncio.ensure_future(self._watch())
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        _: TracebackType | None,
    ) -> None:
        self._watcher.cancel()
        if self._timer is not None:
            self._timer.cancel()
        ours = self._cancelled and self._task.uncancel() <= self._cancelling
        if ours and exc_type is asyncio.CancelledError:
            raise ClientGone from exc

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._when_gone()
        if self._grace_seconds == 0:
            self._cancel()
        elif self._grace_seconds is not None:
            self._timer = asyncio.get_running_loop().call_later(self._grace_seconds, self._cancel)

    def _cancel(self) -> None:
        self._cancelled = True
        self._task.cancel()
