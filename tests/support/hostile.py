"""A provider that says whatever a test wants, byte for byte, on a real socket."""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

SECONDS_MAX = 15.0
"""A test on a hostile server never hangs: after this it fails."""


@dataclass(slots=True, kw_only=True)
class Peer:
    """The server's end of one connection; `number` counts them from 1."""

    number: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def request(self) -> tuple[bytes, bytes]:
        """The next request's head and body.

        Raises:
            IncompleteReadError, ConnectionError: there is none.
        """
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        return head, await self.reader.readexactly(length)

    async def say(self, content: bytes) -> None:
        if self.writer.transport.is_closing():  # uvloop makes a RuntimeError of it
            raise ConnectionResetError
        self.writer.write(content)
        await self.writer.drain()

    async def gone(self) -> None:
        """Wait until the client has ended the connection."""
        while await self.reader.read(65_536):
            pass

    def close(self) -> None:
        self.writer.close()

    def reset(self) -> None:
        """End it the hard way: an RST, whatever was read or not."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


Script = Callable[[Peer], Awaitable[None]]


@dataclass(slots=True)
class Hostile:
    """A running server.

    Attributes:
        url: Up to and including the port.
        connections: Those accepted so far.
        ended: Those whose script has returned or failed, by number.
    """

    url: str
    port: int
    connections: int = 0
    ended: dict[int, BaseException | None] = field(default_factory=dict)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def until_connected(self, number: int) -> None:
        """Wait until `number` connections were accepted."""
        while self.connections < number:
            self.changed.clear()
            await self.changed.wait()

    async def until_ended(self, number: int) -> None:
        """Wait until the script of connection `number` is over."""
        while number not in self.ended:
            self.changed.clear()
            await self.changed.wait()


@asynccontextmanager
async def hostile(
    script: Script, *, host: str = "127.0.0.1", ssl_context: ssl.SSLContext | None = None
) -> AsyncIterator[Hostile]:
    """Run `script` for each connection; it is closed when the script returns."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        running.connections += 1
        running.changed.set()
        number = running.connections
        problem: BaseException | None = None
        try:
            await script(Peer(number=number, reader=reader, writer=writer))
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError) as exc:
            problem = exc
        finally:
            writer.close()
            tasks.discard(task)
            running.ended[number] = problem
            running.changed.set()

    async with asyncio.timeout(SECONDS_MAX):
        server = await asyncio.start_server(
            serve, host, 0, ssl=ssl_context, backlog=2_048, limit=1_048_576
        )
        port = server.sockets[0].getsockname()[1]
        name = f"[{host}]" if ":" in host else host
        running = Hostile(f"{'https' if ssl_context else 'http'}://{name}:{port}", port)
        try:
            yield running
        finally:
            server.close()
            for task in list(tasks):
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def answering(*answers: bytes) -> Script:
    """A script: each request of a connection gets the next answer, the last one for ever."""

    async def script(peer: Peer) -> None:
        said = 0
        while True:
            await peer.request()
            await peer.say(answers[min(said, len(answers) - 1)])
            said += 1

    return script


def once(answer: bytes) -> Script:
    """A script: one answer, and the connection is closed."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(answer)

    return script


def whole(body: bytes, *, status: bytes = b"200 OK", more: bytes = b"") -> bytes:
    """An answer of known length."""
    return b"HTTP/1.1 %b\r\ncontent-length: %d\r\n%b\r\n%b" % (status, len(body), more, body)
