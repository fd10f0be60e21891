"""uvicorn's HTTP/1.1, strict about heads: bounded, not added to by trailers, never an upgrade."""

from typing import Final

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

HEAD_BYTES_MAX = 65_536
HEADERS_MAX = 128

FRAMING: Final = frozenset({b"content-length", b"transfer-encoding"})


class BoundedHttp(HttpToolsProtocol):
    """Refuses heads without end, leaves trailers out, and reads on where an upgrade is asked for.

    uvicorn's own parser keeps any number of header bytes, adds a body's trailers to its request's
    headers, and takes a body for another protocol's bytes where the client asks for one (Java's
    own client asks for h2c on every plain connection).
    """

    _kept = False
    """Whether what comes now is kept by the parser until it is complete: a head, or trailers."""
    _in_trailers = False
    _reported = False
    """Whether this read has told of anything that was kept."""
    _head_bytes = 0
    _unreported_bytes = 0
    _priming = False
    _framing: tuple[tuple[bytes, bytes], ...] = ()
    """Of a request that asks for an upgrade: the headers that say where its body ends."""
    _fault: str | None = None

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        try:
            self._read(data)
        except (httptools.HttpParserError, _HeadTooLarge):
            message = self._fault or "Invalid HTTP request received."
            self.logger.warning(message)
            self.send_400_response(message)

    def _read(self, data: bytes) -> None:
        self._reported = False
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._read_on(data[upgrade.args[0] :])
            return
        # The parser tells of a header only when it is complete.
        self._unreported_bytes = 0 if self._reported else self._unreported_bytes + len(data)
        if self._kept and self._head_bytes + self._unreported_bytes > HEAD_BYTES_MAX:
            raise self._too_large()

    def _read_on(self, rest: bytes) -> None:
        """Go on as if no upgrade had been asked for, which a server may (RFC 9110, 7.8)."""
        if framing := self._framing:
            self._framing = ()
            self.parser = httptools.HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            head = b"".join(b"%b: %b\r\n" % header for header in framing)
            self._priming = True
            self.parser.feed_data(b"POST / HTTP/1.1\r\n" + head + b"\r\n")
            self._priming = False
        if rest:
            self._read(rest)

    def on_message_begin(self) -> None:
        if self._priming:
            return
        self._kept = self._reported = True
        self._in_trailers = False
        self._head_bytes = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        if not self._priming:
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._priming:
            return
        self._reported = True
        self._head_bytes += len(name) + len(value)
        if len(self.headers) >= HEADERS_MAX or self._head_bytes > HEAD_BYTES_MAX:
            raise self._too_large()
        if not self._in_trailers:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._priming:
            return
        self._kept = False
        self._in_trailers = True
        if not self.url.startswith(b"/"):  # uvicorn would serve http://elsewhere/path as /path
            self._fault = "The target of a request must be a path."
            raise _NotAPath
        if self.parser.should_upgrade():
            self._framing = tuple(header for header in self.headers if header[0] in FRAMING)
        super().on_headers_complete()

    def on_chunk_header(self) -> None:
        # Behind the last one come trailers, not a body.
        self._kept = self._reported = True

    def on_body(self, body: bytes) -> None:
        self._kept = False
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self._framing:  # The parser skips the body of a request that asks for an upgrade.
            return
        self._kept = False
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Say it as OpenAI says errors, and hang up."""
        body = (
            b'{"error":{"message":"%b","type":"invalid_request_error","param":null,'
            b'"code":"invalid_http"}}' % msg.encode()
        )
        head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
        self.transport.write(STATUS_LINE[400] + head % len(body) + body)
        self.transport.close()

    def _too_large(self) -> "_HeadTooLarge":
        self._fault = (
            f"The request's headers are too large: at most {HEADERS_MAX} of them, "
            f"{HEAD_BYTES_MAX} bytes together."
        )
        return _HeadTooLarge()


class _HeadTooLarge(Exception):
    pass


class _NotAPath(Exception):
    pass
