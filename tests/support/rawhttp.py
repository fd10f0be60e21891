"""HTTP by hand: what no client library would send, and every byte that comes back."""

import asyncio
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

SECONDS_MAX = 10.0


@dataclass(frozen=True, slots=True)
class Raw:
    """An answer as it stood on the wire; `body` is freed of its chunks.

    Attributes:
        whole: It came to its proper end: all of its length, or the last chunk.
    """

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    whole: bool

    def json(self) -> Any:
        return json.loads(self.body)

    def header(self, name: str) -> bytes | None:
        return next((v for n, v in self.headers if n.lower() == name.encode()), None)


@contextmanager
def connected(url: str) -> Iterator[socket.socket]:
    parts = urlsplit(url)
    assert parts.hostname
    with socket.create_connection((parts.hostname, parts.port or 80), SECONDS_MAX) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield connection


def request(path, body=b"", *, method="POST", **headers):
    """A request that closes its connection; underscores in header names become dashes."""
    lines = {
        "host": "gateway",
        "content-type": "application/json",
        "content-length": str(len(body)),
        "connection": "close",
    }
    lines |= {name.replace("_", "-"): value for name, value in headers.items()}
    shown = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value is not None)
    return f"{method} {path} HTTP/1.1\r\n{shown}\r\n".encode("latin-1") + body


def exchange(url: str, sent: bytes) -> Raw:
    """Send bytes; the answer, up to the end of the connection."""
    with connected(url) as connection:
        connection.sendall(sent)
        return parse(to_the_end(connection))


async def exchanged(url: str, sent: bytes) -> Raw:
    """As `exchange`, for many at once: nothing is pooled, so a thousand cost what they should."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        writer.write(sent)
        return parse(await reader.read())
    finally:
        writer.close()


def to_the_end(connection: socket.socket) -> bytes:
    got = bytearray()
    try:
        while piece := connection.recv(65_536):
            got += piece
    except ConnectionResetError:
        pass
    return bytes(got)


def until(connection: socket.socket, mark: bytes) -> bytes:
    """Read on until `mark` has been seen."""
    got = bytearray()
    while mark not in got:
        piece = connection.recv(65_536)
        assert piece, f"the connection ended before {mark!r}: {bytes(got)!r}"
        got += piece
    return bytes(got)


def parse(got: bytes) -> Raw:
    head, _, rest = got.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    headers = [(name, value.strip()) for name, _, value in (line.partition(b":") for line in lines)]
    known = {name.lower(): value for name, value in headers}
    if known.get(b"transfer-encoding") == b"chunked":
        body, whole = unchunked(rest)
    else:
        body, whole = rest, len(rest) == int(known.get(b"content-length", len(rest)))
    return Raw(int(first.split()[1]), headers, body, whole)


def unchunked(rest: bytes) -> tuple[bytes, bool]:
    """A body freed of its chunks, and whether its last one is there."""
    body = bytearray()
    while True:
        size, found, rest = rest.partition(b"\r\n")
        if not found:
            return bytes(body), False
        length = int(size, 16)
        if length == 0:
            return bytes(body), True
        body += rest[:length]
        if len(rest) < length + 2:
            return bytes(body), False
        rest = rest[length + 2 :]
