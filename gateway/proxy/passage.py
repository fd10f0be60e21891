"""What passes through unmetered: forwarded and relayed, neither held nor counted.

Only for what makes nothing that costs: reading, deleting and cancelling what a metered call
has made, counting tokens.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from gateway.errors import GatewayError
from gateway.openai.content import Content
from gateway.openai.flat_carriers import from_query
from gateway.proxy.client import Answer, Sent
from gateway.proxy.decoding import decoder, readable
from gateway.proxy.departure import Departure
from gateway.proxy.headers import RawHeaders, ours, to_client, to_upstream
from gateway.proxy.paths import Azure
from gateway.proxy.relay import Chunks, Send, body, is_event_stream, start
from gateway.proxy.upstream import Upstream

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Passing:
    """A request as it goes on.

    Attributes:
        path: If it is bytes, as the caller wrote it.
        query: The caller's.
        azure: Which of Azure's surfaces it came by.
        model: The upstream's name for it.
    """

    request_id: str
    method: str
    path: str | bytes
    headers: RawHeaders = field(repr=False)
    receive: Callable[[], Awaitable[Any]]
    send: Send
    query: bytes = field(default=b"", repr=False)
    azure: Azure | None = None
    model: str = ""
    content: bytes | Content = field(default=b"", repr=False)


class Reader(Protocol):
    """Reads along in an answer that passes."""

    def begin(self, answer: Answer) -> None: ...

    def read(self, chunk: bytes) -> bool:
        """Take `chunk` in; True: with it a stream has said its last."""
        ...

    async def end(self) -> None:
        """All of it was read, and the client has not seen its end yet. May come again."""
        ...


async def ask(passing: Passing, upstream: Upstream) -> Answer:
    """Forward it; the answer's body is still unread.

    Raises:
        UpstreamError: there is no answer.
    """
    headers = to_upstream(
        passing.headers, identity=False, passthrough=upstream.settings.passthrough
    )
    return await upstream.exchange(
        passing.method,
        passing.path,
        headers,
        passing.content,
        Sent(),
        model=passing.model,
        query=upstream.query_of(from_query(passing.query).rest, passing.azure),
    )


async def relay(
    passing: Passing, upstream: Upstream, answer: Answer, reader: Reader | None = None
) -> None:
    """Pass the answer on; the last of it waits for the reader, but no part of a stream does."""
    chunks = Chunks(answer, upstream.settings.timeouts.between_bytes)
    send = passing.send
    own = ours(request_id=passing.request_id)
    failed = answer.status >= 400
    encoding = answer.header("content-encoding")
    decodes = failed and encoding is not None and readable(encoding)
    decode = decoder(encoding if decodes else None)
    blanking = upstream.secrets.blanking()
    waits = reader is not None and not is_event_stream(answer)
    if reader is not None:
        reader.begin(answer)
    try:
        await send(start(answer.status, [*to_client(answer.headers, reframed=decodes), *own]))
        last = b""
        while (chunk := await chunks.next()) is not None:
            if reader is not None and reader.read(chunk):
                await reader.end()
            if failed:
                chunk = blanking.feed(decode(chunk))
            if waits:
                chunk, last = last, chunk
            if chunk:
                await send(body(chunk, more=True))
        if reader is not None:
            await reader.end()
        await send(body(last + blanking.finish(), more=False))
    except GatewayError as exc:
        # The head is out: ending without the last chunk leaves a visibly broken answer.
        log.warning("answer_broken request_id=%s code=%s", passing.request_id, exc.code)
    finally:
        chunks.close()


async def pass_on(passing: Passing, upstream: Upstream) -> None:
    """Forward and relay, for as long as the client waits."""
    async with Departure(passing.receive, lambda: None):
        await relay(passing, upstream, await ask(passing, upstream))
