"""Request bodies: read whole, within a size and a time."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from gateway.errors import InvalidCall, RequestTooLarge, UnsupportedMedia
from gateway.proxy.departure import ClientGone

Receive = Callable[[], Awaitable[Any]]


async def read_body(
    receive: Receive, headers: Mapping[bytes, bytes], *, bytes_max: int, seconds_max: float
) -> bytes:
    """Read a JSON body.

    Raises:
        UnsupportedMedia: it is declared to be something else, or compressed.
        RequestTooLarge: it is, or is declared to be, larger than `bytes_max`.
        InvalidCall: it did not arrive within `seconds_max`.
        ClientGone: the client left while sending.
    """
    _check_media(headers)
    declared = headers.get(b"content-length", b"0")
    if declared.isdigit() and int(declared) > bytes_max:
        raise _too_large(bytes_max)
    message = await _first(receive, seconds_max)
    if not message.get("more_body"):  # as good as always: one message, nothing to join
        body: bytes = message.get("body", b"")
        if len(body) > bytes_max:
            raise _too_large(bytes_max)
        return body
    parts = [message.get("body", b"")]
    size = len(parts[0])
    try:
        async with asyncio.timeout(seconds_max):
            while message.get("more_body"):
                message = await _next(receive)
                parts.append(message.get("body", b""))
                size += len(parts[-1])
                if size > bytes_max:
                    raise _too_large(bytes_max)
    except TimeoutError as exc:
        raise _too_slow(seconds_max) from exc
    return b"".join(parts)


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


def _check_media(headers: Mapping[bytes, bytes]) -> None:
    media = headers.get(b"content-type", b"application/json").partition(b";")[0].strip().lower()
    if media != b"application/json" and not media.endswith(b"+json"):
        raise UnsupportedMedia(
            "The body must be JSON: send 'Content-Type: application/json'.", param="content-type"
        )
    encoding = headers.get(b"content-encoding", b"identity").strip().lower()
    if encoding not in (b"identity", b""):
        raise UnsupportedMedia(
            "The body must not be compressed: send it without 'Content-Encoding'.",
            param="content-encoding",
        )


def _too_large(bytes_max: int) -> RequestTooLarge:
    return RequestTooLarge(f"The body is larger than {bytes_max:,} bytes.")


def _too_slow(seconds_max: float) -> InvalidCall:
    return InvalidCall(
        f"The body did not arrive within {seconds_max:g} seconds.", code="request_timeout"
    )
