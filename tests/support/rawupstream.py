"""An upstream made of bytes: it answers whatever a test says, well-formed or not."""

import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field

from tests.support.rawhttp import unchunked

Script = Callable[[socket.socket, "Asked"], None]


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it stood on the wire, names in lower case."""

    line: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes

    def header(self, name: bytes) -> bytes | None:
        return next((value for n, value in self.headers if n == name), None)


@dataclass
class RawUpstream:
    """Set `script` (or `answers`) before each call; `asked` is what arrived, newest last."""

    url: str = ""
    script: Script = lambda _, __: None
    asked: list[Asked] = field(default_factory=list)

    def answers(self, *parts: bytes) -> None:
        """Send these bytes to whoever asks, then close."""
        self.script = lambda connection, _: connection.sendall(b"".join(parts))

    def answers_each(self, *answers: bytes) -> None:
        """Send one answer a call, in this order."""
        left = list(answers)
        self.script = lambda connection, _: connection.sendall(left.pop(0))


@contextmanager
def raw_upstream() -> Iterator[RawUpstream]:
    upstream = RawUpstream()

    def take(connection: socket.socket) -> None:
        asked = _read(connection)
        if asked is not None:
            upstream.asked.append(asked)
            upstream.script(connection, asked)

    with taking(take) as url:
        upstream.url = url
        yield upstream


@contextmanager
def taking(take: Callable[[socket.socket], None]) -> Iterator[str]:
    """A provider whose connections `take` serves, byte by byte; its URL."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):
                take(self.request)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as served:
        served.daemon_threads = True
        thread = threading.Thread(target=served.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{served.server_address[1]}"
        finally:
            served.shutdown()
            thread.join()


@contextmanager
def deaf() -> Iterator[str]:
    """The URL of a host that never takes a connection: whoever calls goes on dialling."""
    with socket.socket() as listening, ExitStack() as fillers:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        at = listening.getsockname()
        for _ in range(4):
            filler = fillers.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(at)
        yield f"http://127.0.0.1:{at[1]}"


def head_of(connection: socket.socket) -> tuple[bytes, bytes]:
    """A request's head in lower case, and what came of its body with it."""
    got = b""
    while b"\r\n\r\n" not in got:
        piece = connection.recv(1_000)
        if not piece:
            raise ConnectionResetError
        got += piece
    head, _, rest = got.partition(b"\r\n\r\n")
    return head.lower(), rest


def _read(connection: socket.socket) -> Asked | None:
    got = b""
    while b"\r\n\r\n" not in got:
        piece = connection.recv(65_536)
        if not piece:
            return None
        got += piece
    head, _, rest = got.partition(b"\r\n\r\n")
    line, *lines = head.split(b"\r\n")
    pairs = (each.partition(b":") for each in lines)
    headers = [(name.lower(), value.strip()) for name, _, value in pairs]
    named = dict(headers)
    if b"expect" in named:
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    if named.get(b"transfer-encoding") == b"chunked":
        while not (body := unchunked(rest))[1]:
            rest += _more(connection)
        return Asked(line, headers, body[0])
    length = int(named.get(b"content-length", 0))
    whole = bytearray(rest)  # bytes would be copied with every piece
    while len(whole) < length:
        whole += _more(connection)
    return Asked(line, headers, bytes(whole))


def _more(connection: socket.socket) -> bytes:
    piece = connection.recv(65_536)
    if not piece:
        raise ConnectionResetError
    return piece


def answer(body: bytes, *headers: str, status: str = "200 OK", length: int | None = None) -> bytes:
    """A whole answer; `length` lies about its size."""
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body) if length is None else length}"]
    if not any(header.lower().startswith("content-type") for header in headers):
        lines.append("content-type: application/json")
    return "\r\n".join([*lines, *headers, "connection: close", "", ""]).encode("latin-1") + body


def stream(*frames: bytes, headers: tuple[str, ...] = (), end: bool = True) -> bytes:
    """A chunked event stream, one chunk a frame; `end`: with the last chunk."""
    lines = ["HTTP/1.1 200 OK", "content-type: text/event-stream", "transfer-encoding: chunked"]
    head = "\r\n".join([*lines, *headers, "connection: close", "", ""]).encode()
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(frame), frame) for frame in frames)
    return head + chunks + (b"0\r\n\r\n" if end else b"")
