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
    encoding = headers.get(b"content-encoding", b"").strip().lower()
    if encoding not in IDENTITY:
        return await _inflated(receive, headers, limits, Inflater(encoding))
    check_declared(headers, limits.request_bytes)
    message = await _first(receive, limits.seconds)
    if not message.get("more_body"):  # as good as always: one message, nothing to join
        body: bytes = message.get("body", b"")
        if len(body) > limits.request_bytes:
            raise too_large(limits.request_bytes)
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
                    raise too_large(limits.request_bytes)
    except TimeoutError as exc:
        raise too_slow(limits.seconds) from exc
    return b"".join(parts)


async def _inflated(
    receive: Receive, headers: Mapping[bytes, bytes], limits: BodyLimits, inflater: Inflater
) -> bytes:
    check_declared(headers, limits.request_bytes)
    parts: list[bytes] = []
    size = 0
    async for piece in pieces(receive, bytes_max=limits.request_bytes, seconds_max=limits.seconds):
        for part in inflater.feed(piece):
            parts.append(part)
            size += len(part)
            if size > limits.decoded_bytes:
                raise RequestTooLarge(
                    f"The body is larger than {limits.decoded_bytes:,} bytes when decoded."
                )
            await asyncio.sleep(0)  # others' streams go on between two steps
    inflater.finish()
    return b"".join(parts)


async def pieces(receive: Receive, *, bytes_max: int, seconds_max: float) -> AsyncIterator[bytes]:
    """The body as it arrives.

    Raises:
        RequestTooLarge, InvalidCall, ClientGone: as `read_body`.
    """
    size = 0
    more = True
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds_max
    while more:
        try:
            async with asyncio.timeout_at(until):
                message = await _next(receive)
        except TimeoutError as exc:
            raise too_slow(seconds_max) from exc
        more = message.get("more_body", False)
        piece: bytes = message.get("body", b"")
        size += len(piece)
        if size > bytes_max:
            raise too_large(bytes_max)
        if piece:
            yield piece


def check_declared(headers: Mapping[bytes, bytes], bytes_max: int) -> None:
    """Refuse at once what says that it is too large.

    Raises:
        RequestTooLarge: it does.
    """
    declared = headers.get(b"content-length", b"0")
    if declared.isdigit() and int(declared) > bytes_max:
        raise too_large(bytes_max)


async def _first(receive: Receive, seconds_max: float) -> Any:
    try:
        async with asyncio.timeout(seconds_max):
            return await _next(receive)
    except TimeoutError as exc:
        raise too_slow(seconds_max) from exc


async def _next(receive: Receive) -> Any:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientGone
    return message


def _check_media(headers: Mapping[bytes, bytes]) -> None:
    media = headers.get(b"content-type", b"application/json").partition(b";")[0].strip().lower()
    if media != b"application/json" and not media.endswith(b"+json"):
        raise UnsupportedMedia(
            "The body must be JSON: send 'Content-Type: application/json'.", param="content-type"
        )


def too_large(bytes_max: int) -> RequestTooLarge:
    return RequestTooLarge(f"The body is larger than {bytes_max:,} bytes.")


def too_slow(seconds_max: float) -> InvalidCall:
    return InvalidCall(
        f"The body did not arrive within {seconds_max:g} seconds.", code="request_timeout"
    )
