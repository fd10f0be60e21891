"""Play an answer to the client as it was written down: bytes, pauses, a broken wire.

What is to be sent is a plain sequence of steps, so that the writing of it needs no I/O;
the playing needs no knowledge of what is said.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import anyio
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gateway.clock import Clock

SEEN_MAX: Final = 1_000
SEEN_BYTES_MAX: Final = 64 * 1024 * 1024
PAUSE_S_MAX: Final = 600.0


@dataclass(frozen=True, slots=True)
class Pause:
    seconds: float


@dataclass(frozen=True, slots=True)
class Cut:
    """Close the connection here, without a proper end."""


Step = bytes | Pause | Cut


@dataclass(slots=True, kw_only=True)
class Seen:
    """One request as it arrived, and what became of its answer.

    Attributes:
        body: The raw bytes.
        status: Of the answer, once its head is sent.
        chunks_sent: Pieces of the body that were handed to the server.
        completed: The answer was played to its end (a `Cut` is not one).
        disconnected_after_s: Seconds from the request's arrival until the client was seen
            leaving before the end; None when it stayed.
    """

    method: str
    path: str
    query: str
    headers: Headers
    body: bytes
    arrived_s: float
    status: int | None = None
    chunks_sent: int = 0
    completed: bool = False
    disconnected_after_s: float | None = None


def remember(seen: deque[Seen], call: Seen) -> None:
    """Keep `call`, and forget the oldest ones beyond `SEEN_BYTES_MAX` of bodies."""
    seen.append(call)
    size = sum(len(one.body) for one in seen)
    while size > SEEN_BYTES_MAX and len(seen) > 1:
        size -= len(seen.popleft().body)


class Playback(Response):
    """Sends `steps` after `wait_s`, and stops as soon as the client leaves."""

    def __init__(
        self,
        steps: Iterable[Step],
        *,
        seen: Seen,
        clock: Clock,
        headers: dict[str, str],
        status_code: int = 200,
        wait_s: float = 0.0,
    ) -> None:
        super().__init__(status_code=status_code)
        self.raw_headers = [(k.encode(), v.encode()) for k, v in headers.items()]
        self._steps = steps
        self._seen = seen
        self._clock = clock
        self._wait_s = wait_s
        self._over = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._watch, receive, tasks.cancel_scope)
            await self._play(send)
            tasks.cancel_scope.cancel()

    async def _watch(self, receive: Receive, scope: anyio.CancelScope) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        if not self._over:  # a server reports the proper end of an answer in the same way
            self._seen.disconnected_after_s = self._clock.monotonic() - self._seen.arrived_s
            scope.cancel()

    async def _play(self, send: Send) -> None:
        await _pause(self._wait_s)
        await send(
            {
                "type": "http.response.start",
                "status": self.status_code,
                "headers": self.raw_headers,
            }
        )
        self._seen.status = self.status_code
        for step in self._steps:
            match step:
                case Pause(seconds):
                    await _pause(seconds)
                case Cut():
                    # An answer that is left unfinished makes the server close the connection.
                    self._over = True
                    return
                case _:
                    await send({"type": "http.response.body", "body": step, "more_body": True})
                    self._seen.chunks_sent += 1
        self._over = True
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        self._seen.completed = True


async def _pause(seconds: float) -> None:
    if seconds > 0:
        await anyio.sleep(min(seconds, PAUSE_S_MAX))
