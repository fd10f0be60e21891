"""Request bodies: read whole, within a size and a time, compressed or not."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.errors import InvalidCall, RequestTooLarge, UnsupportedMedia
from gateway.proxy.departure import ClientGone
from gateway.proxy.inflating import IDENTITY, Inflater

Receive = Callable[[], Awaitable[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyLimits:
    """What a body may be.

    Attributes:
        request_bytes: As it comes over the wire.
        decoded_bytes: What a compressed one may become.
        seconds: How long it may take to arrive.
    """

    request_bytes: int
    decoded_bytes: int
    seconds: float


async def read_body(receive: Receive, headers: Mapping[bytes, bytes], limits: BodyLimits) -> bytes:
    """Read a JSON body; a compressed one is inflated.

    Raises:
        UnsupportedMedia: it is declared to be something else, or of an unknown encoding.
        RequestTooLarge: it is, becomes, or is declared to be larger than it may.
        InvalidCall: it did not arrive in time, or is not of its encoding.
        ClientGone: the client left while sending.
    """
    _check_media(headers)
    check_declared(headers, limits.request_bytes)
    encoding = headers.get(b"content-encoding", b"").strip().lower()
    if encoding not in IDENTITY:
        return await _inflated(receive, headers, limits)
    message = await _first(receive, limits.seconds)
    if not message.get("more_body"):  # as good as always: one message, nothing to join
        body: bytes = message.get("body", b"")
        if len(body) > limits.request_bytes:
            raise _too_large(limits.request_bytes)
        return body
    parts = [message.get("body", b"")]
    size = len(parts[0])
    try:
        async with asyncio.timeout(limits.seconds):
            while message.get("more_body"):
                message = await _next(receive)
                parts.append(message.get("body", b""))
                size += len(parts[-1])
                if size > limits.request_bytes:
                    raise _too_large(limits.request_bytes)
    except TimeoutError as exc:
        raise _too_slow(limits.seconds) from exc
    return b"".join(parts)


async def _inflated(receive: Receive, headers: Mapping[bytes, bytes], limits: BodyLimits) -> bytes:
    at_most = {"bytes_max": limits.request_bytes, "decoded_max": limits.decoded_bytes}
    return b"".join([part async for part in decoded(receive, headers, limits, **at_most)])


async def decoded(
    receive: Receive,
    headers: Mapping[bytes, bytes],
    limits: BodyLimits,
    *,
    bytes_max: int,
    decoded_max: int,
) -> AsyncIterator[bytes]:
    """A body of any kind as it arrives, inflated if it is compressed.

    It may take as long as `limits` lets a body of `request_bytes` take, for each such part.

    Raises:
        UnsupportedMedia, RequestTooLarge, InvalidCall, ClientGone: as `read_body`.
    """
    encoding = headers.get(b"content-encoding", b"").strip().lower()
    inflater = None if encoding in IDENTITY else Inflater(encoding)
    size = 0
    async for piece in _pieces(receive, limits, bytes_max):
        for part in (piece,) if inflater is None else inflater.feed(piece):
            size += len(part)
            if size > decoded_max:
                raise RequestTooLarge(
                    f"The body is larger than {decoded_max:,} bytes when decoded."
                )
            yield part
            await asyncio.sleep(0)  # others' streams go on between two steps
    if inflater is not None:
        inflater.finish()


async def _pieces(receive: Receive, limits: BodyLimits, bytes_max: int) -> AsyncIterator[bytes]:
    size, more = 0, True
    loop = asyncio.get_running_loop()
    started = loop.time()
    while more:
        seconds = limits.seconds * (1 + size // limits.request_bytes)
        try:
            async with asyncio.timeout_at(started + seconds):
                message = await _next(receive)
        except TimeoutError as exc:
            raise _too_slow(seconds) from exc
        more = message.get("more_body", False)
        piece: bytes = message.get("body", b"")
        size += len(piece)
        if size > bytes_max:
            raise _too_large(bytes_max)
        if piece:
            yield piece


def check_declared(headers: Mapping[bytes, bytes], bytes_max: int) -> None:
    """Refuse at once what says that it is too large.

    Raises:
        RequestTooLarge: it does.
    """
    declared = headers.get(b"content-length", b"0")
    if declared.isdigit() and int(declared) > bytes_max:
        raise _too_large(bytes_max)


async def _first(receive: Receive, seconds_max: float) -> Any:
    try:
        async with asyncio.timeout(seconds_max):
            return await _next(receive)
    except TimeoutError as exc:
        raise _too_slow(seconds_max) from exc


async def _next(receive: Receive) -> Any:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientGone
    return message


def media_of(headers: Mapping[bytes, bytes]) -> bytes:
    """The type of a body, without its parameters; JSON where nothing is said."""
    return headers.get(b"content-type", b"application/json").partition(b";")[0].strip().lower()


def is_json(headers: Mapping[bytes, bytes]) -> bool:
    media = media_of(headers)
    return media == b"application/json" or media.endswith(b"+json")


def has_body(headers: Mapping[bytes, bytes]) -> bool:
    """Whether a request says that something follows its head."""
    return b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0"


def _check_media(headers: Mapping[bytes, bytes]) -> None:
    if not is_json(headers):
        raise UnsupportedMedia(
            "The body must be JSON: send 'Content-Type: application/json'.", param="content-type"
        )


def _too_large(bytes_max: int) -> RequestTooLarge:
    return RequestTooLarge(f"The body is larger than {bytes_max:,} bytes.")


def _too_slow(seconds_max: float) -> InvalidCall:
    return InvalidCall(
        f"The body did not arrive within {seconds_max:g} seconds.", code="request_timeout"
    )
