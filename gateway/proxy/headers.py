"""Headers: what goes upstream, what comes back, what we add.

Deny-lists, so that whatever a client or a provider invents passes. Names are lower-case
bytes, as ASGI has them.
"""

from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import quote, unquote_to_bytes

from gateway.errors import InvalidToken
from gateway.proxy.decoding import READABLE

RawHeaders = list[tuple[bytes, bytes]]

HOP_BY_HOP: Final = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
"""Source: RFC 9110, section 7.6.1."""

CREDENTIALS: Final = (b"authorization", b"api-key", b"x-api-key")

_NOT_UPSTREAM: Final = (
    HOP_BY_HOP
    | frozenset(CREDENTIALS)
    | {
        b"accept-encoding",
        b"content-encoding",
        b"content-length",
        b"cookie",
        b"expect",
        b"forwarded",
        b"host",
    }
    | {b"openai-organization", b"openai-project"}
)
_WITH_ITS_KEY: Final = frozenset(CREDENTIALS) | {b"openai-organization", b"openai-project"}
"""What a caller who brings a key of its own says with it."""

_NOT_BACK: Final = HOP_BY_HOP | {b"date", b"set-cookie"}  # our server writes its own date
_OURS: Final = b"x-farebox-"
APP_TOKEN: Final = b"x-farebox-app-token"
"""Where the app token is when the caller's own key is in `CREDENTIALS`."""

_READABLE: Final = frozenset(name.encode() for name in READABLE)

WARNINGS_CHARS_MAX: Final = 1_024
"""Clients give up on answers whose head is too long."""


def app_token(headers: Mapping[bytes, bytes]) -> str | None:
    """The caller's token, from any of the headers that SDKs use."""
    if value := headers.get(APP_TOKEN, b"").strip():
        return value.decode("latin-1")
    scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
    if scheme.lower() == b"bearer" and token.strip():
        return token.strip().decode("latin-1")
    for name in CREDENTIALS[1:]:
        if value := headers.get(name, b"").strip():
            return value.decode("latin-1")
    return None


def query_without(token: str | None, query: bytes) -> bytes:
    """A query without what is the caller's token once more: some clients send it there too."""
    if not query or token is None:
        return query
    told = token.encode("latin-1")
    return b"&".join(
        pair for pair in query.split(b"&") if unquote_to_bytes(pair.partition(b"=")[2]) != told
    )


def refuse_without_key(passthrough: bool, headers: Mapping[bytes, bytes]) -> None:
    """Refuse a call that is to bring the upstream's key, and has the app token in its place.

    Raises:
        InvalidToken: it does.
    """
    if passthrough and APP_TOKEN not in headers:
        raise InvalidToken(
            "This model is called with a key of your own: send the app token in "
            f"'{APP_TOKEN.decode()}', and the provider's key as the api_key."
        )


def to_upstream(
    headers: Iterable[tuple[bytes, bytes]], *, identity: bool, passthrough: bool = False
) -> RawHeaders:
    """What of a caller's headers an upstream sees, its key not yet among them.

    Args:
        identity: Ask for an answer that is not compressed, since we read along in it.
        passthrough: The caller brings the upstream's key; it goes along.
    """
    headers = list(headers)
    dropped = _NOT_UPSTREAM
    if passthrough:
        dropped = dropped - _WITH_ITS_KEY
        headers = _without_app_token(headers)
    named = _named_by_connection(headers)
    passed = [
        (name, value)
        for name, value in headers
        if name not in dropped and name not in named and not _private(name)
    ]
    if identity:
        passed.append((b"accept-encoding", b"identity"))
    else:
        asked = [value for name, value in headers if name == b"accept-encoding"]
        if asked and b"accept-encoding" not in named:
            passed.append((b"accept-encoding", _readable(b",".join(asked))))
    return passed


def to_client(headers: Iterable[tuple[bytes, bytes]], *, reframed: bool) -> RawHeaders:
    """What of an upstream's headers the client sees.

    Args:
        reframed: The body may differ from the upstream's, so its length and encoding go.
    """
    lowered = [(name.lower(), value) for name, value in headers]
    named = _named_by_connection(lowered)
    dropped = _NOT_BACK | named
    if reframed:
        dropped |= {b"content-length", b"content-encoding"}
    return [(n, v) for n, v in lowered if n not in dropped and not n.startswith(_OURS)]


def ours(
    *,
    request_id: str,
    customer: str | None = None,
    remaining_usd: str | None = None,
    resets_at: str | None = None,
    charge_usd: str | None = None,
    cost_usd: str | None = None,
    output_cap_tokens: int | None = None,
    warnings: Iterable[str] = (),
    overhead_ms: float | None = None,
) -> RawHeaders:
    """The ``x-farebox-*`` headers of an answer; what is None is left out."""
    values = {
        b"request-id": request_id,
        b"customer": quote(customer, safe="") if customer else None,
        b"charge-usd": charge_usd,
        b"cost-usd": cost_usd,
        b"budget-remaining-usd": remaining_usd,
        b"budget-resets-at": resets_at,
        b"output-cap": str(output_cap_tokens) if output_cap_tokens is not None else None,
        b"warnings": "; ".join(warnings)[:WARNINGS_CHARS_MAX] or None,
        b"overhead-ms": f"{overhead_ms:.2f}" if overhead_ms is not None else None,
    }
    return [(_OURS + name, _printable(value)) for name, value in values.items() if value]


def _without_app_token(headers: RawHeaders) -> RawHeaders:
    """The headers but those credentials that are the app token once more."""
    tokens = {value.strip() for name, value in headers if name == APP_TOKEN}
    return [
        (name, value)
        for name, value in headers
        if name not in CREDENTIALS or value.strip().rpartition(b" ")[2] not in tokens
    ]


def _private(name: bytes) -> bool:
    return name.startswith(_OURS) or (name.startswith(b"x-data-") and name.endswith(b"-params"))


def _named_by_connection(headers: Iterable[tuple[bytes, bytes]]) -> frozenset[bytes]:
    values = [value for name, value in headers if name == b"connection"]
    if not values:
        return frozenset()
    return frozenset(token.strip().lower() for token in b",".join(values).split(b","))


def _readable(accept_encoding: bytes) -> bytes:
    """The encodings asked for, without those in which we could not read the usage."""
    asked = [part.strip() for part in accept_encoding.split(b",")]
    kept = [part for part in asked if part.partition(b";")[0].strip().lower() in _READABLE]
    return b", ".join(kept) or b"identity"


def _printable(value: str) -> bytes:
    """ASCII without control characters: a header cannot be split by a customer's name."""
    escaped = value.encode("ascii", "backslashreplace")
    if value.isprintable():  # as good as always, and far cheaper
        return escaped
    return bytes(b if 0x20 <= b < 0x7F else 0x20 for b in escaped)
