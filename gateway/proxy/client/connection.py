"""One connection to a provider, and the answer that is arriving on it.

llhttp reads; what it lets pass and a client must not is refused here. At most one answer
is bound to a connection, and what arrives while none is ends it: no caller can be handed
bytes that were meant for another.
"""

import asyncio
import logging
import select
from collections.abc import Callable
from typing import Final, cast

import httptools

from gateway.errors import UpstreamBroken
from gateway.openai.content import Content
from gateway.proxy.client import Sent
from gateway.proxy.client.reading import BY_LENGTH, Arriving, NotHttp, framing

log = logging.getLogger(__name__)

HEAD_BYTES_MAX: Final = 65_536
"""Of a head; also of all that is not body between two pieces of a body."""
HEADERS_MAX: Final = 256
INTERIM_MAX: Final = 16
BUFFER_BYTES_MAX: Final = 262_144
"""Unread bytes of an answer beyond which its connection is not read."""
JOINED_BYTES_MAX: Final = 65_536
"""A body up to this leaves in one write with its head."""
PIECE_BYTES: Final = 65_536
TRUSTED_SECONDS: Final = 1.0
"""Idle for longer, a connection is asked before it is used: servers close idle ones."""


class Connection(asyncio.Protocol):
    """Reads one answer after the other.

    Args:
        done: Called once with the connection when its answer was closed, and whether
            another request may follow on it.
        lost: Called when it cannot be used any more, however often.
    """

    __slots__ = (
        "_answer",
        "_done",
        "_framing",
        "_headers",
        "_interim",
        "_keep",
        "_loop",
        "_lost",
        "_parser",
        "_reading_paused",
        "_transport",
        "_unfed",
        "_unframed",
        "_unsent",
        "_writable",
        "_writing_paused",
        "alive",
        "idle_since",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        done: Callable[["Connection", bool], None],
        lost: Callable[["Connection"], None],
    ) -> None:
        self.alive = False
        self.idle_since = 0.0
        self._loop = loop
        self._done = done
        self._lost = lost
        self._answer: Arriving | None = None
        self._framing = BY_LENGTH
        self._headers: list[tuple[bytes, bytes]] = []
        self._interim = 0
        self._keep = False
        self._reading_paused = False
        self._writing_paused = False
        self._unframed = 0
        self._unsent: memoryview | None = None
        self._unfed = False
        self._writable: asyncio.Future[None] | None = None

    # What the pool calls.

    def begin(self, head: bytes, body: bytes | Content, sent: Sent, *, bodiless: bool) -> Arriving:
        """Send a request; its answer will arrive in what is returned.

        A body that is not there as bytes is still to be fed.

        Args:
            bodiless: The answer has no body whatever it says: that to a HEAD.
        """
        assert self._answer is None
        assert self.alive
        answer = self._answer = Arriving(self._loop, self, bodiless=bodiless)
        self._interim = 0
        self._unframed = 0
        self._keep = False
        self._unfed = False
        sent.maybe = True
        if not isinstance(body, bytes):
            self._transport.write(head)
            self._unfed = True
        elif len(body) <= JOINED_BYTES_MAX:
            self._transport.write(head + body if body else head)
        else:
            self._transport.write(head)
            self._unsent = memoryview(body)
            self._write_on()
        return answer

    async def feed(self, body: Content) -> None:
        """Write the body of a request that has begun, as fast as the other side reads.

        If it cannot be read to its end, all ends: what was promised is not complete.
        """
        try:
            async for piece in body.pieces():
                if not self.alive:
                    return
                self._transport.write(piece)
                await self._drained()
                await asyncio.sleep(0)  # a fast reader leaves no pause of its own
        except Exception:
            log.exception("upload_unreadable")
            self.abort()
            return
        self._unfed = False

    async def _drained(self) -> None:
        while self._writing_paused and self.alive:
            self._writable = self._loop.create_future()
            await self._writable

    def stale(self, now: float) -> bool:
        """Whether it ended, or the kernel knows that it did: the loop may not have looked."""
        if not self.alive or self._transport.is_closing():
            return True
        if now - self.idle_since < TRUSTED_SECONDS:
            return False
        poll = select.poll()
        poll.register(self._transport.get_extra_info("socket").fileno(), select.POLLIN)
        return bool(poll.poll(0))  # nothing is owed to us: what can be read is an end

    def abort(self) -> None:
        """End it at once; an answer that was arriving breaks off."""
        self.alive = False
        self._unsent = None
        self._transport.abort()
        self._break_off()
        self._lost(self)

    # What an answer calls.

    def close(self, answer: Arriving) -> None:
        """Part from `answer`: whole, it makes room for the next; if not, all ends."""
        if self._answer is not answer:
            return
        self._answer = None
        again = (
            self._keep
            and self.alive
            and self._unsent is None
            and not self._unfed
            and not self._writing_paused
            and not self._transport.is_closing()
        )
        if not again:
            self.abort()
        elif self._reading_paused:
            self.resume_reading()
        self._done(self, again)

    def resume_reading(self) -> None:
        if self._reading_paused:
            self._reading_paused = False
            if not self._transport.is_closing():
                self._transport.resume_reading()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._parser = httptools.HttpResponseParser(self)
        self.alive = True

    def data_received(self, data: bytes) -> None:
        answer = self._answer
        if answer is None:  # nobody asked
            self.abort()
            return
        self._unframed += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._keep = False
            if not answer.complete:
                self._refuse(answer)
            answer.wake()
            return
        if self._unframed > HEAD_BYTES_MAX and not answer.complete:
            self._refuse(answer)
        elif answer.size > BUFFER_BYTES_MAX and not self._reading_paused:
            self._reading_paused = True
            self._transport.pause_reading()
        answer.wake()

    def eof_received(self) -> None:
        self.alive = False
        answer = self._answer
        if answer is not None and answer.status and self._framing.until_close:
            answer.complete = True
            answer.wake()
        self._break_off()
        self._lost(self)

    def connection_lost(self, _: Exception | None) -> None:
        self.alive = False
        self._unsent = None
        self._wake_writer()
        self._break_off()
        self._lost(self)
        del self._parser  # it knows us, too

    def pause_writing(self) -> None:
        self._writing_paused = True

    def resume_writing(self) -> None:
        self._writing_paused = False
        self._wake_writer()
        self._write_on()

    # httptools' callbacks

    def on_message_begin(self) -> None:
        if self._answer is None or self._answer.complete:
            raise NotHttp("more than was asked for")
        self._headers = []

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value))  # of a trailer: bounded, never looked at

    def on_headers_complete(self) -> None:
        answer, parser, headers = self._answer, self._parser, self._headers
        assert answer is not None
        if len(headers) > HEADERS_MAX or (
            self._unframed > HEAD_BYTES_MAX  # else the head is shorter in any case
            and sum(len(name) + len(value) for name, value in headers) > HEAD_BYTES_MAX
        ):
            raise NotHttp("the head is too long")
        status = parser.get_status_code()
        framed = framing(status, parser.get_http_version(), headers)
        if status < 200:
            self._interim += 1
            if self._interim > INTERIM_MAX:
                raise NotHttp("no end of interim answers")
            return
        self._framing = framed
        self._headers = []  # for trailers: nobody gets them
        answer.begin(status, headers)
        if answer.bodiless:
            answer.complete = True

    def on_body(self, body: bytes) -> None:
        answer = self._answer
        assert answer is not None
        if answer.complete:
            raise NotHttp("a body where none may be")
        self._unframed = 0
        answer.take(body)

    def on_message_complete(self) -> None:
        answer = self._answer
        if answer is not None and answer.status:
            answer.complete = True
            self._keep = self._framing.certain and self._parser.should_keep_alive()

    def _wake_writer(self) -> None:
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)

    def _write_on(self) -> None:
        while self._unsent is not None and not self._writing_paused and self.alive:
            piece, rest = self._unsent[:PIECE_BYTES], self._unsent[PIECE_BYTES:]
            self._unsent = rest if len(rest) else None
            self._transport.write(piece)

    def _refuse(self, answer: Arriving) -> None:
        answer.fail(UpstreamBroken("The provider's answer is not valid HTTP."))
        self.abort()

    def _break_off(self) -> None:
        if self._answer is not None and not self._answer.complete:
            self._answer.fail(UpstreamBroken("The provider's answer broke off."))
