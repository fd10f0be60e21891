"""How each error looks on the wire to an OpenAI SDK, and to Anthropic's.

openai-python and openai-node retry 408, 409, 429 and 5xx unless ``x-should-retry`` says
otherwise, so it is always said; and they obey ``retry-after``, however long, so it is short
and never there for a used-up budget: when that resets stands in the body.
"""

import json
from enum import StrEnum
from typing import Final, NamedTuple

import orjson

from gateway.errors import (
    BudgetExceeded,
    BudgetInFlight,
    Conflict,
    GatewayBusy,
    GatewayError,
    InvalidCall,
    InvalidToken,
    LedgerUnavailable,
    MethodNotAllowed,
    NotFound,
    NotSupported,
    PermissionRefused,
    RateLimited,
    RequestTooLarge,
    UnsupportedMedia,
    UpstreamBroken,
    UpstreamTimeout,
    UpstreamUnreachable,
)

RETRY_AFTER_SECONDS_MAX: Final = 60
RETRY_AFTER_DETAIL: Final = "retry_after_seconds"


WireForm = tuple[int, list[tuple[bytes, bytes]], bytes]
"""Status, headers, body."""


class Surface(StrEnum):
    """Whose errors a client expects: an object with ``type`` and ``message``, of other types.

    Source: https://platform.claude.com/docs/en/api/errors.
    """

    OPENAI = "openai"
    ANTHROPIC = "anthropic"


class Wire(NamedTuple):
    """Status, OpenAI's ``error.type``, and whether sending the same again may help.

    The ``error.code`` is the error's own.
    """

    status: int
    type: str
    retry: bool


WIRE: Final[dict[type[GatewayError], Wire]] = {
    InvalidToken: Wire(401, "invalid_request_error", retry=False),
    InvalidCall: Wire(400, "invalid_request_error", retry=False),
    PermissionRefused: Wire(403, "invalid_request_error", retry=False),
    NotFound: Wire(404, "invalid_request_error", retry=False),
    MethodNotAllowed: Wire(405, "invalid_request_error", retry=False),
    Conflict: Wire(409, "invalid_request_error", retry=False),
    NotSupported: Wire(501, "invalid_request_error", retry=False),
    RequestTooLarge: Wire(413, "invalid_request_error", retry=False),
    UnsupportedMedia: Wire(415, "invalid_request_error", retry=False),
    BudgetExceeded: Wire(402, "insufficient_quota", retry=False),
    BudgetInFlight: Wire(429, "rate_limit_error", retry=True),
    RateLimited: Wire(429, "rate_limit_error", retry=True),
    UpstreamUnreachable: Wire(502, "server_error", retry=True),
    UpstreamTimeout: Wire(504, "server_error", retry=False),  # it was sent: it may be billed
    UpstreamBroken: Wire(502, "server_error", retry=False),
    LedgerUnavailable: Wire(503, "server_error", retry=True),
    GatewayBusy: Wire(503, "server_error", retry=True),
}

_ANTHROPICS: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "invalid_request_error",
    413: "request_too_large",
    415: "invalid_request_error",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}
"""Anthropic's ``error.type`` by status; any other is an ``api_error``."""

INTERNAL: Final = Wire(500, "server_error", retry=False)


def wire_form(
    error: GatewayError, *, reject_status: int = 402, surface: Surface = Surface.OPENAI
) -> WireForm:
    """Give `error` as status, headers and JSON body.

    Args:
        error: Its details become fields of the error object.
        reject_status: The status of a used-up budget: 402, or 429 for callers who
            catch openai's ``RateLimitError``.
        surface: Whose form.
    """
    kind = next((cls for cls in type(error).__mro__ if cls in WIRE), None)
    wire = WIRE[kind] if kind else INTERNAL
    status = reject_status if kind is BudgetExceeded else wire.status
    fields = _fields(str(error), wire, error.param, error.code)
    for name, detail in error.details.items():
        if name != RETRY_AFTER_DETAIL:
            fields.setdefault(name, detail)
    form = _form(status, fields, surface=surface, retry=wire.retry, retry_after=_retry_after(error))
    if isinstance(error, MethodNotAllowed):
        form[1].append((b"allow", error.allow.encode()))
    return form


def internal_error(surface: Surface = Surface.OPENAI) -> WireForm:
    """Answer for an exception nobody foresaw: it says nothing of the inside."""
    message = "The gateway failed. The operator finds the reason in its log."
    fields = _fields(message, INTERNAL, None, "internal_error")
    return _form(INTERNAL.status, fields, surface=surface, retry=INTERNAL.retry, retry_after=None)


def _fields(message: str, wire: Wire, param: str | None, code: str) -> dict[str, object]:
    return {"message": message, "type": wire.type, "param": param, "code": code}


def _retry_after(error: GatewayError) -> int | None:
    if isinstance(error, BudgetInFlight):
        return 1
    if isinstance(error, RateLimited):
        seconds = error.details.get(RETRY_AFTER_DETAIL, 1)
        return min(max(seconds, 1), RETRY_AFTER_SECONDS_MAX) if isinstance(seconds, int) else 1
    return None


def _form(
    status: int,
    fields: dict[str, object],
    *,
    surface: Surface,
    retry: bool,
    retry_after: int | None,
) -> WireForm:
    document: dict[str, object] = {"error": fields}
    if surface is Surface.ANTHROPIC:
        document = {"type": "error", **document}
        fields["type"] = _ANTHROPICS.get(status, "api_error")
    body = _json(document)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"x-should-retry", b"true" if retry else b"false"),
    ]
    if retry_after is not None:
        headers.append((b"retry-after", b"%d" % retry_after))
    return status, headers, body


def _json(document: object) -> bytes:
    try:
        return orjson.dumps(document, default=str)
    except orjson.JSONEncodeError:  # a lone surrogate quoted in a message, an int above 64 bits
        return json.dumps(document, default=str).encode("ascii")
