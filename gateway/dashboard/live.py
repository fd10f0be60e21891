"""Live: tells open pages that calls have come, as server-sent events.

Only how many, and the id of the last: what they are, the page asks for as always. One reader
of the archive serves all listeners, and only while there are some.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Final

import orjson
from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import Response, StreamingResponse

from gateway.api.services import Services
from gateway.dashboard.rendering import HEADERS
from gateway.dashboard.visits import Visit
from gateway.errors import GatewayBusy

LISTENERS_MAX: Final = 200
PAUSE_SECONDS: Final = 0.25
HEARTBEAT_SECONDS: Final = 15.0
STREAM_SECONDS_MAX: Final = 3_600.0
"""After this a browser connects anew, and its session is looked at again."""

_HEADERS: Final = {**HEADERS, "x-accel-buffering": "no"}


class Live:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._listeners = 0
        self._newest = 0
        self._moved = asyncio.Event()
        self._reader: asyncio.Task[None] | None = None

    async def stream(self, visit: Visit) -> Response:
        """Raises GatewayBusy: there are `LISTENERS_MAX` already."""
        if self._listeners >= LISTENERS_MAX:
            raise GatewayBusy("Too many pages are open; this one does not follow by itself.")
        newest = await self._services.archive.newest_id()
        self._newest = max(self._newest, newest)
        seen = visit.request.headers.get("last-event-id", "")
        since = min(int(seen), newest) if seen.isascii() and seen.isdecimal() else newest
        return StreamingResponse(self._events(since), 200, _HEADERS, "text/event-stream")

    async def _events(self, seen: int) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        ends = loop.time() + STREAM_SECONDS_MAX
        self._listeners += 1
        if self._reader is None:
            self._reader = asyncio.create_task(self._read(), name="dashboard-live")
        try:
            yield b"retry: 1000\n\n"
            spoke = loop.time()
            while not self._services.draining() and loop.time() < ends:
                if self._newest > seen:
                    told = orjson.dumps({"calls": self._newest - seen, "last": self._newest})
                    seen, spoke = self._newest, loop.time()
                    yield b"id: %d\nevent: calls\ndata: %b\n\n" % (seen, told)
                elif loop.time() - spoke > HEARTBEAT_SECONDS:
                    spoke = loop.time()
                    yield b": still here\n\n"
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._moved.wait(), PAUSE_SECONDS)
        finally:
            self._listeners -= 1
            if self._listeners == 0 and self._reader is not None:
                self._reader.cancel()
                self._reader = None

    async def _read(self) -> None:
        """Look for new rows, until nobody listens."""
        while True:
            with suppress(SQLAlchemyError):
                newest = await self._services.archive.newest_id()
                if newest > self._newest:
                    self._newest = newest
                    self._moved.set()
                    self._moved = asyncio.Event()
            await asyncio.sleep(PAUSE_SECONDS)
