"""What becomes of a reply: the caller's value, its error, or the store's inability."""

import asyncio
from typing import Any, Final

from redis.exceptions import (
    AskError,
    ClusterDownError,
    MasterDownError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
    TryAgainError,
)

from gateway.errors import LedgerUnavailable

_REFUSALS: Final = (
    AskError,  # and MovedError: a cluster whose redirections did not end
    OutOfMemoryError,
    ReadOnlyError,
    MasterDownError,
    ClusterDownError,
    TryAgainError,
    NoPermissionError,
    NoScriptError,  # once more: they were loaded, and somebody has flushed them since
)
_WRITES_NOTHING_CODES: Final = ("MISCONF", "NOREPLICAS")
_REFUSAL_CODES: Final = (*_WRITES_NOTHING_CODES, "BUSY", "UNKILLABLE")
"""The server is there and does not do it now. The second half has no class in redis-py."""


class Command:
    """One command on its way.

    Attributes:
        packed: As it goes over the wire.
        born: How many changes of the store there had been when it was decided, where that
            matters; -1 otherwise.
        slot: Of the cluster; -1 for a command that any node can do.
        tries: How often its server was not there.
        until: When redirections end, in the loop's time; 0.0 before the first.
        problem: Why it has not been done yet.
    """

    __slots__ = ("born", "future", "packed", "problem", "slot", "tries", "until")

    def __init__(self, packed: bytes, future: asyncio.Future[Any], born: int = -1) -> None:
        self.packed = packed
        self.future = future
        self.born = born
        self.slot = -1
        self.tries = 0
        self.until = 0.0
        self.problem: Exception | None = None


def resolve(future: asyncio.Future[Any], reply: Any, *, doubt: Exception | None = None) -> None:
    """Give the caller its reply, or the error that it is.

    Args:
        doubt: What broke an earlier sending: that one may have been done, so a refusal of
            this one does not say that nothing was.
    """
    if future.done():  # its caller was cancelled; the reply is still consumed, in order
        return
    if not isinstance(reply, Exception):
        future.set_result(reply)
    elif isinstance(reply, ResponseError) and _is_refusal(reply):
        cause = reply if doubt is None or isinstance(doubt, ResponseError) else doubt
        future.set_exception(unavailable("The ledger's store does not take this now.", cause))
    else:
        future.set_exception(reply)


def writes_nothing(problem: BaseException | None) -> bool:
    """Whether a server has said that it is there, and takes nothing new until that changes."""
    return isinstance(problem, OutOfMemoryError | ReadOnlyError) or (
        isinstance(problem, ResponseError) and _code(problem) in _WRITES_NOTHING_CODES
    )


def unavailable(
    message: str = "The ledger is not reachable; try again shortly.",
    cause: BaseException | None = None,
) -> LedgerUnavailable:
    error = LedgerUnavailable(message)
    error.__cause__ = cause
    return error


def failed(message: str) -> asyncio.Future[Any]:
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    future.set_exception(LedgerUnavailable(message))
    return future


def _is_refusal(error: ResponseError) -> bool:
    return isinstance(error, _REFUSALS) or _code(error) in _REFUSAL_CODES


def _code(error: ResponseError) -> str:
    return str(error).split(" ", 1)[0]
