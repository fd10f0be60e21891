"""Compressed request bodies, inflated piece by piece, so that what they become is bounded.

A few kilobytes can stand for gigabytes: nothing is inflated beyond the next step before
somebody has looked at how much there is by now.
"""

import sys
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Final, Protocol

from gateway.errors import InvalidCall, UnsupportedMedia

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

__all__ = ["IDENTITY", "STEP_BYTES", "Inflater", "new_zstd", "zstd"]

STEP_BYTES: Final = 262_144
"""Inflated in one go: about a tenth of a millisecond's to a millisecond's work."""

_ZSTD_WINDOW_LOG_MAX: Final = 23
"""8 MB: what a Content-Encoding may ask a decoder to keep (RFC 9659)."""

_GZIP: Final = zlib.MAX_WBITS | 16

IDENTITY: Final = frozenset({b"", b"identity"})


class _Member(Protocol):
    """One compressed stream of those that a body can be made of.

    Attributes:
        eof: It has come to its end; `unused_data` is what stands behind it.
    """

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...

    def step(self, data: bytes) -> tuple[bytes, bytes]:
        """At most `STEP_BYTES` of what there is, and what of `data` was not looked at yet."""
        ...


class _Zlib:
    def __init__(self, wbits: int) -> None:
        self._inflate = zlib.decompressobj(wbits)

    @property
    def eof(self) -> bool:
        return self._inflate.eof

    @property
    def unused_data(self) -> bytes:
        return self._inflate.unused_data

    def step(self, data: bytes) -> tuple[bytes, bytes]:
        return self._inflate.decompress(data, STEP_BYTES), self._inflate.unconsumed_tail


def new_zstd() -> zstd.ZstdDecompressor:
    window: dict[int, int] = {zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG_MAX}
    return zstd.ZstdDecompressor(options=window)


class _Zstd:
    def __init__(self) -> None:
        self._inflate = new_zstd()

    @property
    def eof(self) -> bool:
        return self._inflate.eof

    @property
    def unused_data(self) -> bytes:
        return self._inflate.unused_data

    def step(self, data: bytes) -> tuple[bytes, bytes]:
        return self._inflate.decompress(data, STEP_BYTES), b""


_MEMBERS: Final[Mapping[bytes, Callable[[], _Member]]] = {
    b"gzip": lambda: _Zlib(_GZIP),
    b"x-gzip": lambda: _Zlib(_GZIP),
    b"deflate": lambda: _Zlib(zlib.MAX_WBITS),
    b"zstd": _Zstd,
}


class Inflater:
    """Inflates a body of one encoding; several members in a row are one body.

    Args:
        encoding: The value of ``Content-Encoding``.

    Raises:
        UnsupportedMedia: it is none that we read.
    """

    def __init__(self, encoding: bytes) -> None:
        made = _MEMBERS.get(encoding.strip().lower())
        if made is None:
            raise UnsupportedMedia(
                "The body's Content-Encoding is not known here: send it as gzip, deflate or "
                "zstd (one of them), or uncompressed without 'Content-Encoding'.",
                param="content-encoding",
            )
        self._new = made
        self._member = made()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What `data` becomes, in steps of at most `STEP_BYTES`.

        Raises:
            InvalidCall: it is not of this encoding.
        """
        while data or not self._member.eof:
            if self._member.eof:
                self._member = self._new()
            try:
                out, data = self._member.step(data)
            except (zlib.error, zstd.ZstdError) as exc:
                raise _unreadable() from exc
            if out:
                yield out
            if self._member.eof:
                data = self._member.unused_data
            elif len(out) < STEP_BYTES and not data:
                return

    def finish(self) -> None:
        """Take note that nothing more comes.

        Raises:
            InvalidCall: there should have.
        """
        if not self._member.eof:
            raise _unreadable()


def _unreadable() -> InvalidCall:
    return InvalidCall(
        "The body is not what its Content-Encoding says, or is cut short.",
        code="invalid_encoding",
        param="content-encoding",
    )
