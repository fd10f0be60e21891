"""The head of a request, in one piece; whatever would break out of its line is refused."""

import re
from typing import Final

from gateway.errors import InvalidCall
from gateway.proxy.headers import RawHeaders

KEPT_MAX: Final = 1_000
"""Request lines, and header names, that are remembered as good."""

_TARGET: Final = re.compile(rb"/[!-~]*")
_METHOD: Final = re.compile(r"[A-Z]{1,20}")
_NAME: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""Source: RFC 9110, section 5.6.2."""
_FRAMING: Final = frozenset(
    {b"host", b"content-length", b"transfer-encoding", b"connection", b"upgrade", b"expect"}
)


class HeadWriter:
    """Writes the heads of all requests to one host."""

    __slots__ = ("_host", "_lines", "_names")

    def __init__(self, host: bytes) -> None:
        self._host = host
        self._lines: dict[tuple[str, bytes], bytes] = {}
        self._names: set[bytes] = set()

    def write(self, method: str, target: bytes, headers: RawHeaders, length: int) -> bytes:
        """The request's head, up to and including the empty line.

        Raises:
            InvalidCall: a CR, LF or NUL somewhere, a header name or target that is none.
        """
        parts = [self._lines.get((method, target)) or self._line(method, target)]
        known = self._names
        for name, value in headers:
            if name not in known:
                self._check(name)
            parts += (name, b": ", value, b"\r\n")
        if length or method not in ("GET", "HEAD"):
            parts.append(b"content-length: %d\r\n\r\n" % length)
            lines = len(headers) + 4
        else:
            parts.append(b"\r\n")
            lines = len(headers) + 3
        head = b"".join(parts)
        if head.count(b"\n") != lines or head.count(b"\r") != lines or b"\0" in head:
            raise InvalidCall("A header of the call holds a line break or a NUL: remove it.")
        return head

    def _line(self, method: str, target: bytes) -> bytes:
        if not _METHOD.fullmatch(method) or not _TARGET.fullmatch(target):
            raise InvalidCall("The path of the call holds characters that no path may have.")
        line = b"%b %b HTTP/1.1\r\nhost: %b\r\n" % (method.encode(), target, self._host)
        if len(self._lines) < KEPT_MAX:
            self._lines[method, target] = line
        return line

    def _check(self, name: bytes) -> None:
        if not _NAME.fullmatch(name):
            raise InvalidCall("A header of the call has a name that is none.")
        if name.lower() in _FRAMING:
            raise InvalidCall("A header of the call would change its framing: remove it.")
        if len(self._names) < KEPT_MAX:
            self._names.add(name)
