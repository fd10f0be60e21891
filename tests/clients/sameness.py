"""Whether two requests are the same but for what the gateway may change."""

import json
import re
from typing import Any

from tests.support.rawupstream import Asked

OURS = frozenset({b"customer_params", b"customer_identifier"})
"""Fields of ours, as JSON and as forms have them."""

HOP = frozenset(
    {
        b"accept-encoding",
        b"api-key",
        b"authorization",
        b"connection",
        b"content-length",
        b"expect",
        b"host",
        b"transfer-encoding",
        b"x-api-key",
    }
)
"""Headers that are the gateway's to write."""

ENCODINGS = frozenset({b"gzip", b"deflate", b"br", b"zstd", b"identity"})


def target(asked: Asked) -> bytes:
    """Method, path and query, without the way."""
    return re.sub(rb" /[^/]+/", b" /", asked.line, count=1)


def told(asked: Asked) -> list[tuple[bytes, bytes]]:
    """The request's headers that must not change, in any order."""
    pairs = [(n, _settled(asked, v)) for n, v in asked.headers if n not in HOP]
    return sorted(pair for pair in pairs if not pair[0].startswith(b"x-farebox-"))


def content(asked: Asked, *, injected: bool) -> Any:
    """The request's body with its order and spelling kept and our fields taken out.

    Args:
        injected: Without the wish for usage, too.
    """
    if asked.body.startswith(b"{"):
        ours = {name.decode() for name in OURS} | ({"stream_options"} if injected else set())
        pairs = json.loads(asked.body, object_pairs_hook=list, parse_float=str)
        return [pair for pair in pairs if pair[0] not in ours]
    body = _settled(asked, asked.body)
    parts = body.split(b"--BOUNDARY")
    return [part for part in parts if not re.search(rb'name="customer_', part)]


def encodings(asked: Asked) -> set[bytes]:
    value = asked.header(b"accept-encoding") or b""
    return {part.partition(b";")[0].strip() for part in value.split(b",")} - {b""}


def asked_for_usage(asked: Asked) -> bool:
    return b'"stream_options"' in asked.body


def _settled(asked: Asked, value: bytes) -> bytes:
    """With one boundary for all forms: each call makes up its own."""
    kind = asked.header(b"content-type") or b""
    boundary = re.search(rb'boundary="?([^";]+)', kind)
    return value.replace(boundary[1], b"BOUNDARY") if boundary else value
