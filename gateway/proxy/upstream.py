"""An upstream: one provider account. Sends a call, translates what goes wrong.

The seam to the HTTP client is `httpx.AsyncBaseTransport.handle_async_request`; nothing
above this file knows which client is below. `httpx.AsyncClient` with its cookies,
redirects and hooks stays off the call path.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Final

import httpx

from gateway.errors import (
    GatewayBusy,
    UpstreamBroken,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from gateway.proxy.headers import CREDENTIALS, RawHeaders

CONNECTIONS_MAX: Final = 10_000
KEEPALIVE_SECONDS: Final = 30.0
URLS_MAX: Final = 1_000
UNCOUNTED_MAX: Final = 1_000
"""Models remembered for refusing to be asked for usage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Seconds; None: unbounded."""

    connect: float | None = 5.0
    first_byte: float | None = 600.0
    between_bytes: float | None = 120.0
    total: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamSettings:
    """One provider account.

    Attributes:
        provider: Whose prices and usage dialect.
        base_url: Up to and including ``/v1``; no trailing slash.
        api_key: None: the upstream wants none, or the caller's own.
        passthrough: The caller's key goes upstream; its app token is in a header of ours.
        auth: The header that carries the key: ``authorization`` as a bearer, or another.
        models: Globs of the models it serves.
        include_usage: Whether streams may be asked for their usage.
    """

    name: str
    provider: str
    base_url: str
    api_key: str | None = field(default=None, repr=False)
    passthrough: bool = False
    auth: str = "bearer"
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    models: tuple[str, ...] = ("*",)
    include_usage: bool = True
    timeouts: Timeouts = Timeouts()


class Answer:
    """An upstream's answer: its head, and a body still to be read. Close it."""

    def __init__(self, response: httpx.Response) -> None:
        self.status: Final = response.status_code
        self.headers: Final[RawHeaders] = response.headers.raw
        self._response = response

    def header(self, name: str) -> str | None:
        value: str | None = self._response.headers.get(name)
        return value

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body's bytes, as they were sent to us.

        Raises:
            UpstreamBroken: the connection ended before the body did.
        """
        assert isinstance(self._response.stream, httpx.AsyncByteStream)
        with translated():
            async for chunk in self._response.stream:
                yield chunk

    async def aclose(self) -> None:
        await self._response.aclose()


class Outgoing(httpx.AsyncByteStream):
    """A body on its way; `sent` tells whether a byte of it may have left."""

    def __init__(self, body: bytes) -> None:
        self.sent = False
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self.sent = True
        yield self._body


class Upstream:
    """Sends calls to one provider account over a pool of connections."""

    def __init__(
        self, settings: UpstreamSettings, *, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self.settings = settings
        self._transport = transport or new_transport()
        self._base = httpx.URL(settings.base_url)
        self._own_headers: RawHeaders = [
            (b"host", self._base.netloc),
            *((n.lower().encode(), v.encode()) for n, v in settings.headers.items()),
        ]
        self._own_names = frozenset(name for name, _ in self._own_headers)
        self._urls: dict[str, httpx.URL] = {}
        self._uncounted: set[str] = set()

    def serves(self, model: str) -> bool:
        return any(fnmatchcase(model, glob) for glob in self.settings.models)

    def counts_streams(self, model: str) -> bool:
        """Whether streams of this model may be asked for their usage."""
        return self.settings.include_usage and model not in self._uncounted

    def refused_to_count(self, model: str) -> None:
        if len(self._uncounted) < UNCOUNTED_MAX:
            self._uncounted.add(model)

    async def send(self, path: str, headers: RawHeaders, body: Outgoing, length: int) -> Answer:
        """Forward a call; returns with the answer's head.

        Raises:
            UpstreamUnreachable: nothing was sent.
            UpstreamTimeout, UpstreamBroken: it may have been.
            GatewayBusy: no connection was free.
        """
        framed = [*headers, (b"content-length", str(length).encode())]
        return await self._exchange("POST", path, framed, body)

    async def get(self, path: str, headers: RawHeaders) -> Answer:
        return await self._exchange("GET", path, headers, httpx.ByteStream(b""))

    async def aclose(self) -> None:
        await self._transport.aclose()

    async def _exchange(
        self, method: str, path: str, headers: RawHeaders, body: httpx.AsyncByteStream
    ) -> Answer:
        if self.settings.headers:  # the operator's word counts, not the caller's
            headers = [pair for pair in headers if pair[0] not in self._own_names]
        request = httpx.Request(
            method,
            self._url(path),
            headers=[*self._own_headers, *self._credentials(), *headers],
            stream=body,
            extensions={"timeout": {"connect": self.settings.timeouts.connect, "pool": 5.0}},
        )
        try:
            async with asyncio.timeout(self.settings.timeouts.first_byte):
                with translated():
                    response = await self._transport.handle_async_request(request)
        except TimeoutError as exc:
            raise UpstreamTimeout("The provider did not begin to answer in time.") from exc
        if not 200 <= response.status_code <= 599:
            await response.aclose()
            raise UpstreamBroken("The provider answered with a status that HTTP does not know.")
        return Answer(response)

    def _url(self, path: str) -> httpx.URL:
        url = self._urls.get(path)
        if url is None:
            raw = self._base.raw_path.partition(b"?")[0].rstrip(b"/") + b"/" + path.encode()
            url = self._base.copy_with(raw_path=raw)
            if self.settings.query:
                url = url.copy_merge_params(dict(self.settings.query))
            if len(self._urls) < URLS_MAX:
                self._urls[path] = url
        return url

    def _credentials(self) -> RawHeaders:
        key = self.settings.api_key
        if key is None:
            return []
        if self.settings.auth == "bearer":
            return [(CREDENTIALS[0], f"Bearer {key}".encode())]
        return [(self.settings.auth.encode(), key.encode())]


def new_transport() -> httpx.AsyncBaseTransport:
    return httpx.AsyncHTTPTransport(
        verify=ssl.create_default_context(),
        limits=httpx.Limits(
            max_connections=CONNECTIONS_MAX,
            max_keepalive_connections=CONNECTIONS_MAX,
            keepalive_expiry=KEEPALIVE_SECONDS,
        ),
        retries=0,
    )


@contextmanager
def translated() -> Iterator[None]:
    """Raise our errors for httpx's. Most specific first; a test proves it complete."""
    try:
        yield
    except httpx.PoolTimeout as exc:
        raise GatewayBusy("All connections to the provider are in use.") from exc
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol) as exc:
        raise UpstreamUnreachable("The provider could not be reached.") from exc
    except httpx.TimeoutException as exc:
        raise UpstreamTimeout("The provider did not answer in time.") from exc
    except httpx.TransportError as exc:
        raise UpstreamBroken("The provider's answer broke off.") from exc
    except httpx.HTTPError as exc:
        raise UpstreamBroken("The provider's answer could not be read.") from exc
