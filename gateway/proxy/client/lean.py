"""Our own HTTP/1.1 client: a stack of idle connections to one provider, O(1) a call.

Nothing is retried after it was written. A connection that ended while it was idle is
noticed (by the loop, and when it was idle for long by asking the kernel) and another is
taken; but when the provider closes one at the very moment a request is written to it, that
call breaks: nobody can tell whether a POST was processed, and it might be billed twice.
"""

import asyncio
import ssl
from typing import Final
from urllib.parse import SplitResult, urlsplit

from gateway.errors import GatewayBusy, UpstreamUnreachable
from gateway.openai.content import Content
from gateway.proxy.client import Sent
from gateway.proxy.client.connection import Connection
from gateway.proxy.client.dial import dial, new_ssl_context
from gateway.proxy.client.head import HeadWriter
from gateway.proxy.client.reading import Arriving
from gateway.proxy.headers import RawHeaders

CONNECTIONS_MAX: Final = 10_000
CONNECT_SECONDS: Final = 5.0
KEEPALIVE_SECONDS: Final = 30.0
PORTS: Final = {"http": 80, "https": 443}


class HttptoolsClient:
    """A `Client` for one origin.

    Args:
        base_url: Its scheme and authority count; the path belongs to the targets.
        connect_seconds: For name, connection and handshake together; None: unbounded.
        ssl_context: For https; None: the system's authorities, verified.
        keepalive_seconds: How long a connection may be idle and still be used.
        connections_max: Open at once, idle ones counted.

    Attributes:
        active: Connections of running calls, those being opened among them.
    """

    def __init__(
        self,
        base_url: str,
        *,
        connect_seconds: float | None = CONNECT_SECONDS,
        ssl_context: ssl.SSLContext | None = None,
        keepalive_seconds: float = KEEPALIVE_SECONDS,
        connections_max: int = CONNECTIONS_MAX,
    ) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in PORTS or parts.hostname is None:
            raise ValueError("an upstream's base_url must be an http(s) URL")
        self._host = parts.hostname
        self._port = parts.port or PORTS[parts.scheme]
        self._ssl = ssl_context
        if parts.scheme == "http":
            self._ssl = None
        elif ssl_context is None:
            self._ssl = new_ssl_context()
        self._connect_seconds = connect_seconds
        self._keepalive_seconds = keepalive_seconds
        self._connections_max = connections_max
        self._heads = HeadWriter(_authority(parts))
        self._idle: dict[Connection, None] = {}  # oldest first
        self._open: set[Connection] = set()
        self._expiry: asyncio.TimerHandle | None = None
        self._closed = False
        self.active = 0

    @property
    def idle(self) -> int:
        """Connections that wait for a call."""
        return len(self._idle)

    async def exchange(
        self, method: str, target: bytes, headers: RawHeaders, body: bytes | Content, sent: Sent
    ) -> Arriving:
        head = self._heads.write(method, target, headers, len(body))
        loop = asyncio.get_running_loop()
        connection = self._pop(loop.time()) or await self._new(loop)
        answer = connection.begin(head, body, sent, bodiless=method == "HEAD")
        try:
            if isinstance(body, bytes):
                await answer.head()
            else:
                await self._answered(connection, answer, body)
        except BaseException:
            answer.close()
            raise
        return answer

    @staticmethod
    async def _answered(connection: Connection, answer: Arriving, body: Content) -> None:
        """Write `body` until the answer begins; an upstream that refuses need not read it all."""
        feeding = asyncio.create_task(connection.feed(body))
        try:
            await answer.head()
        finally:
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)

    async def aclose(self) -> None:
        """End all connections; answers still arriving break off."""
        self._closed = True
        if self._expiry is not None:
            self._expiry.cancel()
        for connection in list(self._open):
            connection.abort()
        await asyncio.sleep(0)  # a turn in which the transports end

    def _pop(self, now: float) -> Connection | None:
        while self._idle:
            connection, _ = self._idle.popitem()
            expired = now - connection.idle_since > self._keepalive_seconds
            if not expired and not connection.stale(now):
                self.active += 1
                return connection
            connection.abort()
        return None

    async def _new(self, loop: asyncio.AbstractEventLoop) -> Connection:
        if self._closed or self.active >= self._connections_max:
            raise GatewayBusy("All connections to the provider are in use.")
        self.active += 1
        try:
            connection = await dial(
                lambda: Connection(loop, done=self._done, lost=self._lost),
                self._host,
                self._port,
                ssl_context=self._ssl,
                seconds=self._connect_seconds,
            )
            if not connection.alive:
                raise UpstreamUnreachable("The provider closed the connection at once.")
            self._open.add(connection)
            if self._closed:
                connection.abort()
                raise GatewayBusy("The gateway is closing.")
        except BaseException:
            self.active -= 1
            raise
        return connection

    def _done(self, connection: Connection, again: bool) -> None:
        self.active -= 1
        if not again:
            return
        loop = asyncio.get_running_loop()
        connection.idle_since = loop.time()
        self._idle[connection] = None
        if self._expiry is None:
            self._expiry = loop.call_later(self._keepalive_seconds, self._expire)

    def _lost(self, connection: Connection) -> None:
        self._idle.pop(connection, None)
        self._open.discard(connection)

    def _expire(self) -> None:
        """End what has been idle for too long; one timer for all."""
        self._expiry = None
        loop = asyncio.get_running_loop()
        now = loop.time()
        while self._idle:
            oldest = next(iter(self._idle))
            remaining = oldest.idle_since + self._keepalive_seconds - now
            if remaining > 0:
                self._expiry = loop.call_later(remaining, self._expire)
                return
            oldest.abort()


def _authority(parts: SplitResult) -> bytes:
    """The Host header: an IPv6 address in brackets, a default port left out."""
    host = parts.netloc.rpartition("@")[2].lower()
    return host.removesuffix(f":{PORTS[parts.scheme]}").encode("ascii")
