"""An answer while it arrives, and where its body ends. No sockets here."""

import asyncio
from dataclasses import dataclass
from typing import Protocol

from gateway.errors import GatewayError, UpstreamBroken
from gateway.proxy.headers import RawHeaders


class NotHttp(Exception):
    """A message that a client must not read on, though a lenient parser would."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Framing:
    """How a message ends.

    Attributes:
        until_close: Only the end of the connection ends it.
        certain: Its end is where all who read along would put it.
    """

    until_close: bool
    certain: bool


BY_LENGTH = Framing(until_close=False, certain=True)
BY_CLOSE = Framing(until_close=True, certain=False)
IN_DOUBT = Framing(until_close=False, certain=False)


def framing(status: int, version: str, headers: RawHeaders) -> Framing:
    """Judge a head.

    Raises:
        NotHttp: it is of another protocol, or its body's end is open to interpretation.

    Source: RFC 9112, section 6.3. What llhttp refuses (both framings, a length twice) is
    not looked for again.
    """
    if version not in ("1.1", "1.0"):
        raise NotHttp("another version")
    if not 100 <= status <= 599 or status == 101:
        raise NotHttp("a status that no answer of ours has")
    length = codings = None
    for name, value in headers:
        if name == b"content-length":
            length = value
        elif name == b"transfer-encoding":
            if codings is not None or version == "1.0" or value.strip().lower() != b"chunked":
                raise NotHttp("a transfer coding beside chunked")
            codings = value
    if status < 200:
        if length is not None or codings is not None:
            raise NotHttp("an interim answer with a body")
        return BY_LENGTH
    if status in (204, 304):
        return BY_LENGTH if codings is None and length in (None, b"0") else IN_DOUBT
    return BY_CLOSE if length is None and codings is None else BY_LENGTH


class Line(Protocol):
    """What an answer needs of its connection."""

    def close(self, answer: "Arriving") -> None: ...
    def resume_reading(self) -> None: ...


class Arriving:
    """An `Answer`; its connection fills it in.

    Attributes:
        status: 0 until the head has come.
        complete: The whole answer has come; some of it may be unread.
        bodiless: The head is all of it, whatever it says.
        size: Bytes that have come and were not read.
    """

    __slots__ = (
        "_chunks",
        "_error",
        "_line",
        "_loop",
        "_values",
        "_waiter",
        "bodiless",
        "complete",
        "headers",
        "size",
        "status",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, line: Line, *, bodiless: bool) -> None:
        self.status = 0
        self.headers: RawHeaders = []
        self.complete = False
        self.bodiless = bodiless
        self.size = 0
        self._chunks: list[bytes] = []
        self._error: GatewayError | None = None
        self._line: Line | None = line
        self._loop = loop
        self._values: dict[bytes, bytes] | None = None
        self._waiter: asyncio.Future[None] | None = None

    def header(self, name: str) -> str | None:
        if self._values is None:
            self._values = _by_name(self.headers)
        value = self._values.get(name.lower().encode("latin-1"))
        return value.decode("latin-1") if value is not None else None

    async def head(self) -> None:
        """Wait until `status` and `headers` are there.

        Raises:
            UpstreamBroken: they never will be.
        """
        while not self.status:
            if self._error is not None:
                raise self._error
            await self._news()

    async def next_chunk(self) -> bytes | None:
        while not self._chunks:
            if self.complete:
                return None
            if self._error is not None:
                raise self._error
            await self._news()
        chunk = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks.clear()
        self.size = 0
        if self._line is not None:
            self._line.resume_reading()
        return chunk

    def close(self) -> None:
        line, self._line = self._line, None
        if line is not None:
            line.close(self)
            self.fail(UpstreamBroken("The answer was closed before its end."))

    # What its connection calls.

    def begin(self, status: int, headers: RawHeaders) -> None:
        self.status = status
        self.headers = headers

    def take(self, body: bytes) -> None:
        self._chunks.append(body)
        self.size += len(body)

    def fail(self, error: GatewayError) -> None:
        if self._error is None:
            self._error = error
        self.wake()

    def wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _news(self) -> None:
        assert self._waiter is None, "two wait for one answer"
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None


def _by_name(headers: RawHeaders) -> dict[bytes, bytes]:
    values = dict(headers)
    if len(values) < len(headers):
        values.clear()
        for name, value in headers:
            values[name] = values[name] + b", " + value if name in values else value
    return values
