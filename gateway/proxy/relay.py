"""Relaying an answer: the upstream's bytes go to the client, and are read beside."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from gateway.clock import Clock
from gateway.errors import GatewayError, UpstreamBroken, UpstreamTimeout
from gateway.openai.answer import read_answer, read_transcript
from gateway.openai.seen_text import text_bytes
from gateway.openai.sse import StreamReader
from gateway.proxy.breakdown import before_done, into_body
from gateway.proxy.client import Answer
from gateway.proxy.decoding import READ_BYTES_MAX, decoder, is_plain, readable
from gateway.proxy.headers import RawHeaders, to_client
from gateway.proxy.tab import Tab

Send = Callable[[Any], Awaitable[None]]
BeforeEnd = Callable[[], Awaitable[None]]
Breakdown = Callable[[], dict[str, Any] | None]

WAIT_BYTES_MAX: Final = 1_048_576
WAIT_SECONDS_MAX: Final = 2.0
"""An answer that is whole within these is sent with its charge in the headers."""

_WITHOUT_BODY: Final = (204, 304)

KEEP_ALIVE: Final = b": keep-alive\n"
"""A comment, and no blank line behind it: to some clients that would be an empty event."""


class Chunks:
    """An answer's chunks, none waited for longer than `between_bytes` seconds.

    One timer for a whole answer: it looks since when there has been a wait, and ends the
    answer when that is too long. Time in which nobody waited does not count.
    """

    def __init__(self, answer: Answer, between_bytes: float | None) -> None:
        self._answer = answer
        self._seconds = between_bytes
        self._loop = asyncio.get_running_loop()
        self._since: float | None = None
        self._waited = 0.0  # for this chunk, in waits that were given up
        self._timer: asyncio.TimerHandle | None = None
        self._silent = False

    async def next(self, *, wait_seconds: float | None = None) -> bytes | None:
        """What has come; None at the end.

        Raises:
            UpstreamTimeout: nothing came in time.
            UpstreamBroken: the connection ended early.
            TimeoutError: nothing came within `wait_seconds`; it may be asked for again.
        """
        if self._answer.ready:  # most plain answers: no timer is needed
            self._waited = 0.0
            return await self._answer.next_chunk()
        if wait_seconds is None:
            return await self._wait()
        async with asyncio.timeout(wait_seconds):
            return await self._wait()

    async def _wait(self) -> bytes | None:
        if self._seconds is not None:
            self._since = self._loop.time()
            if self._timer is None:
                self._timer = self._loop.call_later(self._seconds, self._look)
        try:
            chunk = await self._answer.next_chunk()
            self._waited = 0.0
            return chunk
        except UpstreamBroken as exc:
            if self._silent:
                raise UpstreamTimeout(
                    "The provider fell silent in the middle of its answer."
                ) from exc
            raise
        except asyncio.CancelledError:
            if self._since is not None:
                self._waited += self._loop.time() - self._since
            raise
        finally:
            self._since = None

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._answer.close()

    def _look(self) -> None:
        assert self._seconds is not None
        waited = self._waited
        if self._since is not None:
            waited += self._loop.time() - self._since
        if waited < self._seconds:
            self._timer = self._loop.call_later(self._seconds - waited, self._look)
        elif self._since is None:  # nobody waits just now: who does next is told
            self._timer = self._loop.call_later(self._seconds / 10, self._look)
        else:
            self._silent = True
            self._answer.close()


class StreamRelay:
    """A stream of events: forwarded as it arrives, frame by frame where we injected.

    Args:
        before_end: Awaited when all is known and the client has not seen the end yet.
        breakdown: What to tell of the call before its end; asked for after `before_end`.
        keep_alive_seconds: After so much silence a comment is sent, between two frames; None:
            never. An encoded stream has no place for it.
    """

    def __init__(
        self,
        tab: Tab,
        answer: Answer,
        clock: Clock,
        *,
        injected: bool,
        before_end: BeforeEnd,
        breakdown: Breakdown | None = None,
        keep_alive_seconds: float | None = None,
    ) -> None:
        self._before_end = before_end
        self._breakdown = breakdown
        self._tab = tab
        self._answer = answer
        self._clock = clock
        encoding = answer.header("content-encoding")
        self._readable = readable(encoding)
        self._edits = (injected or breakdown is not None) and self._readable
        self._decode = decoder(encoding)
        has_room = self._edits or is_plain(encoding)
        self._keep_alive_seconds = keep_alive_seconds if has_room else None
        traits = tab.call.traits
        self.reader = StreamReader(
            hold_back_usage=injected,
            aligned=breakdown is not None,
            last_events=traits.last_events,
            draws=traits.draws,
        )
        tab.seen_so_far = lambda: self.reader.seen_text_bytes

    def head(self, own: RawHeaders) -> dict[str, Any]:
        reframed = self._edits or self._keep_alive_seconds is not None
        headers = to_client(self._answer.headers, reframed=reframed)
        return start(self._answer.status, [*headers, *own])

    async def forward(self, chunks: Chunks, send: Send) -> None:
        reader, tab = self.reader, self._tab
        try:
            while (chunk := await self._next(chunks, send)) is not None:
                if tab.first_token is None:
                    tab.first_token = self._clock.monotonic()
                out = self._step(chunk)
                if reader.done and not tab.whole:
                    tab.whole = True  # openai-python hangs up at [DONE]: a good end
                    self._read()
                    await self._before_end()
                    out = self._told(out)
                if out:
                    await send(body(out, more=True))
            rest = reader.finish()
            if self._readable and not reader.ended:
                if rest:
                    await send(body(rest, more=True))
                raise UpstreamBroken("The provider's stream ended before its answer did.")
            if not tab.whole:
                tab.whole = True
                self._read()
                await self._before_end()
                rest = self._told(rest)
            if rest:
                await send(body(rest, more=True))
        finally:
            self._read()

    async def _next(self, chunks: Chunks, send: Send) -> bytes | None:
        """The next chunk, however long it takes; the client is kept awake meanwhile."""
        if self._keep_alive_seconds is None:
            return await chunks.next()
        while True:
            try:
                return await chunks.next(wait_seconds=self._keep_alive_seconds)
            except TimeoutError:
                if self.reader.between_frames:
                    await send(body(KEEP_ALIVE, more=True))

    def _told(self, frames: bytes) -> bytes:
        """The stream's last frames, with the breakdown, if it was asked for."""
        told = self._breakdown() if self._breakdown and self._edits else None
        return before_done(frames, told) if told is not None else frames

    def _read(self) -> None:
        reader, tab = self.reader, self._tab
        tab.reading = reader.reading()
        tab.seen_bytes = reader.seen_text_bytes
        tab.uncounted_bytes = reader.uncounted_text_bytes
        tab.stream_error = reader.error_seen

    def _step(self, chunk: bytes) -> bytes:
        if self._edits:  # we asked for no encoding; an encoded answer is decoded for good
            return self.reader.feed(self._decode(chunk))
        self.reader.feed(self._decode(chunk))
        return chunk


class WholeRelay:
    """A plain answer: kept until it is whole, or until waiting would be noticed.

    Args:
        before_end: As for streams.
        breakdown: As for streams.
    """

    def __init__(
        self,
        tab: Tab,
        answer: Answer,
        clock: Clock,
        *,
        before_end: BeforeEnd,
        breakdown: Breakdown | None = None,
    ) -> None:
        self._before_end = before_end
        self._breakdown = breakdown
        self._tab = tab
        self._answer = answer
        self._clock = clock
        self._encoding = answer.header("content-encoding")
        self._kept: list[bytes] = []
        self._size = 0
        self._blanked = False
        self._blanks = False  # an error that does not come at once: piece by piece

    async def gather(self, chunks: Chunks) -> bool:
        """Collect; True when the answer is whole, False when it is not worth the wait."""
        until = self._clock.monotonic() + WAIT_SECONDS_MAX
        whole = True
        failed = self._answer.status >= 400
        try:
            while True:
                chunk = await chunks.next(wait_seconds=until - self._clock.monotonic())
                if chunk is None:
                    break
                self._keep(chunk)
                if self._size > WAIT_BYTES_MAX:
                    whole = False
                    break
        except TimeoutError:
            whole = False
        finally:
            if whole:  # or broken off: what was seen counts
                self._read()
                if failed:
                    self._blank_secrets()
        self._blanks = failed and not whole and readable(self._encoding)
        return whole

    def head(self, own: RawHeaders) -> dict[str, Any]:
        reframed = self._edits or self._blanked or self._blanks
        headers = to_client(self._answer.headers, reframed=reframed)
        return start(self._answer.status, [*headers, *own])

    def told(self, content: bytes) -> bytes:
        """The end of the answer, with the breakdown, if it was asked for."""
        told = self._breakdown() if self._breakdown and self._edits else None
        return into_body(content, told) if told is not None else content

    @property
    def _edits(self) -> bool:
        """Whether the breakdown has a place in it: an object, in bytes that can be read."""
        media = (self._answer.header("content-type") or "").partition(";")[0].strip().lower()
        made = 200 <= self._answer.status < 300
        plain = is_plain(self._encoding)
        return self._breakdown is not None and made and plain and media.endswith("json")

    @property
    def refuses_to_count(self) -> bool:
        """The upstream does not know ``stream_options``."""
        if self._answer.status not in (400, 422):
            return False
        return b"stream_options" in decoder(self._encoding)(self.content)

    @property
    def content(self) -> bytes:
        return b"".join(self._kept)

    async def forward(self, chunks: Chunks, send: Send) -> None:
        """Send what was gathered, then the rest as it comes; its last chunk waits for its end."""
        blanking = self._tab.upstream.secrets.blanking() if self._blanks else None
        decode = decoder(self._encoding)

        def told(chunk: bytes) -> bytes:
            return chunk if blanking is None else blanking.feed(decode(chunk))

        last = told(self.content)
        try:
            while (chunk := await self._next(chunks, send, last)) is not None:
                self._keep(chunk)
                await send(body(last, more=True))
                last = told(chunk)
            self._tab.whole = True
            self._read()
            await self._before_end()
            if blanking is not None:
                last += blanking.finish()
            await send(body(self.told(last), more=True))
        finally:
            self._read()

    @staticmethod
    async def _next(chunks: Chunks, send: Send, last: bytes) -> bytes | None:
        try:
            return await chunks.next()
        except GatewayError:  # what came of a broken answer is passed on, to its last byte
            await send(body(last, more=True))
            raise

    def _blank_secrets(self) -> None:
        told = decoder(self._encoding)(self.content)
        blanked = self._tab.upstream.secrets.blanked(told)
        if blanked != told:
            self._kept, self._encoding, self._blanked = [blanked], None, True

    def _keep(self, chunk: bytes) -> None:
        self._size += len(chunk)
        if self._size <= READ_BYTES_MAX:
            self._kept.append(chunk)

    def _read(self) -> None:
        tab = self._tab
        tab.seen_bytes = self._size
        if self._size <= READ_BYTES_MAX:
            content = decoder(self._encoding)(self.content)
            traits = tab.call.traits
            if traits.hears:
                tab.reading = read_transcript(content)
            else:
                tab.reading = read_answer(content, draws=traits.draws)
            if tab.reading.usage is None:  # then only what was generated is to be paid for
                tab.seen_bytes = text_bytes(content) or self._size


def start(status: int, headers: RawHeaders) -> dict[str, Any]:
    if status in _WITHOUT_BODY:  # some providers state the length of the body that it cannot have
        headers = [(name, value) for name, value in headers if name != b"content-length"]
    return {"type": "http.response.start", "status": status, "headers": headers}


def body(content: bytes, *, more: bool) -> dict[str, Any]:
    return {"type": "http.response.body", "body": content, "more_body": more}


def is_event_stream(answer: Answer) -> bool:
    media = (answer.header("content-type") or "").partition(";")[0].strip().lower()
    return answer.status < 400 and media == "text/event-stream"
