"""Any httpx transport as a `Client`: for tests, and for what the lean client does not do."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Final

import httpx

from gateway.errors import (
    GatewayBusy,
    InvalidCall,
    UpstreamBroken,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from gateway.openai.content import Content
from gateway.proxy.client import Sent
from gateway.proxy.headers import RawHeaders

POOL_SECONDS: Final = 5.0


class HttpxClient:
    """A `Client` for one origin over `transport`."""

    def __init__(
        self,
        base_url: str,
        transport: httpx.AsyncBaseTransport,
        *,
        connect_seconds: float | None = None,
    ) -> None:
        self._base = httpx.URL(base_url)
        self._transport = transport
        self._timeouts = {"connect": connect_seconds, "pool": POOL_SECONDS}

    async def exchange(
        self, method: str, target: bytes, headers: RawHeaders, body: bytes | Content, sent: Sent
    ) -> "_Answer":
        framed = [(b"host", self._base.netloc), *headers]
        if len(body) or method not in ("GET", "HEAD"):
            framed.append((b"content-length", b"%d" % len(body)))
        request = httpx.Request(
            method,
            self._base.copy_with(raw_path=target),
            headers=framed,
            stream=_Outgoing(body, sent),
            extensions={"timeout": self._timeouts},
        )
        with translated():
            response = await self._transport.handle_async_request(request)
        if not 200 <= response.status_code <= 599:
            await response.aclose()
            raise UpstreamBroken("The provider answered with a status that HTTP does not know.")
        return _Answer(response)

    async def aclose(self) -> None:
        await self._transport.aclose()


class _Outgoing(httpx.AsyncByteStream):
    def __init__(self, body: bytes | Content, sent: Sent) -> None:
        self._body = body
        self._sent = sent

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self._sent.maybe = True
        if isinstance(self._body, bytes):
            yield self._body
        else:
            async for piece in self._body.pieces():
                yield piece


class _Answer:
    """httpx closes what is cancelled while it reads, so a task of our own reads."""

    def __init__(self, response: httpx.Response) -> None:
        assert isinstance(response.stream, httpx.AsyncByteStream)
        self.status: Final = response.status_code
        self.headers: Final[RawHeaders] = [(n.lower(), v) for n, v in response.headers.raw]
        self._response = response
        self._chunks = aiter(response.stream)
        self._reading: asyncio.Task[bytes | None] | None = None
        self._closing: asyncio.Task[None] | None = None

    @property
    def ready(self) -> bool:
        return self._reading is not None and self._reading.done()

    def header(self, name: str) -> str | None:
        value: str | None = self._response.headers.get(name)
        return value

    async def next_chunk(self) -> bytes | None:
        if self._reading is None:
            self._reading = asyncio.create_task(self._read())
        try:
            chunk = await asyncio.shield(self._reading)
        except asyncio.CancelledError:
            if self._closing is not None:  # it is the reading that was cancelled, not we
                raise UpstreamBroken("The answer was closed before its end.") from None
            raise
        self._reading = None
        return chunk

    def close(self) -> None:
        if self._closing is None:
            self._closing = asyncio.create_task(self._end())

    async def _read(self) -> bytes | None:
        with translated():
            async for chunk in self._chunks:
                if chunk:
                    return chunk
        return None

    async def _end(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        await self._response.aclose()


@contextmanager
def translated() -> Iterator[None]:
    """Raise our errors for httpx's. Most specific first; a test proves it complete."""
    try:
        yield
    except httpx.PoolTimeout as exc:
        raise GatewayBusy("All connections to the provider are in use.") from exc
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol) as exc:
        raise UpstreamUnreachable("The provider could not be reached.") from exc
    except httpx.LocalProtocolError as exc:
        raise InvalidCall("The call cannot be sent on as HTTP.") from exc
    except httpx.TimeoutException as exc:
        raise UpstreamTimeout("The provider did not answer in time.") from exc
    except httpx.TransportError as exc:
        raise UpstreamBroken("The provider's answer broke off.") from exc
    except httpx.HTTPError as exc:
        raise UpstreamBroken("The provider's answer could not be read.") from exc
