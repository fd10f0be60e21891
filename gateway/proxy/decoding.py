"""Compressed answers, read beside: what cannot be read reads as nothing; all is bounded."""

import zlib
from collections.abc import Callable
from typing import Any, Final, Protocol

import brotli

from gateway.proxy.inflating import new_zstd, zstd

READ_BYTES_MAX: Final = 67_108_864
"""Beyond, an answer is still relayed, but no longer kept for its usage; no chunk of it is
decoded any further."""

_IDENTITY: Final = "identity"

Decode = Callable[[bytes], bytes]


def is_plain(content_encoding: str | None) -> bool:
    return _named(content_encoding) == _IDENTITY


def readable(content_encoding: str | None) -> bool:
    return is_plain(content_encoding) or _named(content_encoding) in READABLE


def decoder(content_encoding: str | None) -> Decode:
    """How to read the bytes of an answer, chunk by chunk."""
    if is_plain(content_encoding):
        return lambda chunk: chunk
    made = READABLE.get(_named(content_encoding))
    return (lambda _: b"") if made is None else made()


def _named(content_encoding: str | None) -> str:
    return (content_encoding or _IDENTITY).strip().lower()


class _Member(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int = ..., /) -> bytes: ...


class _Members:
    """Several compressed streams in a row are one body."""

    __slots__ = ("_member", "_new")

    def __init__(self, new: Callable[[], _Member]) -> None:
        self._new = new
        self._member = new()

    def __call__(self, chunk: bytes) -> bytes:
        parts, left = [], READ_BYTES_MAX
        try:
            while chunk and left:
                if self._member.eof:
                    self._member = self._new()
                parts.append(self._member.decompress(chunk, left))
                left -= len(parts[-1])
                chunk = self._member.unused_data
        except (zlib.error, zstd.ZstdError):
            pass
        return b"".join(parts)


class _Brotli:
    __slots__ = ("_stream",)

    def __init__(self) -> None:
        self._stream: Any = brotli.Decompressor()

    def __call__(self, chunk: bytes) -> bytes:
        parts, left = [], READ_BYTES_MAX
        try:
            while True:
                parts.append(self._stream.process(chunk, output_buffer_limit=left))
                left -= len(parts[-1])
                if left <= 0 or self._stream.is_finished() or self._stream.can_accept_more_data():
                    break
                chunk = b""
        except brotli.error:
            pass
        return b"".join(parts)


def _zlib() -> Decode:
    """By its header: gzip, or zlib, which is what deflate means."""
    return _Members(lambda: zlib.decompressobj(wbits=zlib.MAX_WBITS | 32))


READABLE: Final[dict[str, Callable[[], Decode]]] = {
    "gzip": _zlib,
    "x-gzip": _zlib,
    "deflate": _zlib,
    "zstd": lambda: _Members(new_zstd),
    "br": _Brotli,
}
