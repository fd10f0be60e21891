"""Request bodies: read with a cap, decoded as strict JSON."""

import json
from typing import Any, Final

import orjson
from starlette.requests import Request

from gateway.api.answers import MalformedBody
from gateway.errors import RequestTooLarge, UnsupportedMedia

_JSON_TYPES: Final = frozenset({"application/json", "text/json"})


async def read_json(request: Request, bytes_max: int) -> Any:
    """The body's JSON value.

    Raises:
        UnsupportedMedia: another content type, or a compressed body.
        RequestTooLarge: more than `bytes_max`; the rest is not read.
        MalformedBody: no JSON, or an object that has a key twice.
    """
    return decode(await read_raw_json(request, bytes_max))


async def read_raw_json(request: Request, bytes_max: int) -> bytes:
    """The body, said to be JSON; raises as `read_json`, but for what is in it."""
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media not in _JSON_TYPES and not (media.startswith("application/") and "+json" in media):
        raise UnsupportedMedia("Send the body as JSON, with 'Content-Type: application/json'.")
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise UnsupportedMedia("Send the body uncompressed, without 'Content-Encoding'.")
    return await _read(request, bytes_max)


def decode(body: bytes) -> Any:
    """Strict JSON: UTF-8, no NaN, no key twice, bounded nesting.

    A key that stands twice could be checked as one and counted as the other.
    """
    try:
        value = orjson.loads(body)
        json.loads(body, object_pairs_hook=_refuse_repeated)
    except (ValueError, RecursionError) as exc:
        problem = "nested too deeply" if isinstance(exc, RecursionError) else str(exc)
        raise MalformedBody(f"The body is not valid JSON: {problem}.") from exc
    return value


async def _read(request: Request, bytes_max: int) -> bytes:
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared[:20]) > bytes_max:
        raise _too_large(bytes_max)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > bytes_max:
            raise _too_large(bytes_max)
    return bytes(body)


def _too_large(bytes_max: int) -> RequestTooLarge:
    return RequestTooLarge(f"The body has more than {bytes_max} bytes, which is the most.")


def _refuse_repeated(pairs: list[tuple[str, Any]]) -> None:
    if len(dict(pairs)) == len(pairs):
        return
    seen = set()
    for name, _ in pairs:
        if name in seen:
            raise ValueError(f"the key {name[:64]!r} stands twice")
        seen.add(name)
