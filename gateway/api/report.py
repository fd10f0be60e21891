"""Report: usage that an application counted by itself, as ``POST /v1/events`` takes it.

    appId  eventType  consumerId  inputTokens  inputTokensCached  outputTokens
    model  provider  eventId  timestamp  metadata

Strict: an unknown field, a count that is no whole number, a foreign type are faults of the
caller, and guessing what was meant would bill somebody wrongly.
"""

from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any, Final, NoReturn, TypeVar

import orjson
from msgspec import Struct

from gateway.api.times import instant
from gateway.customers import fields
from gateway.customers.apps import App
from gateway.customers.profile import ANONYMOUS
from gateway.errors import InvalidCall, PermissionRefused
from pricing.usage import Usage

TOKENS_MAX: Final = 10**9
EVENT_ID_CHARACTERS_MAX: Final = 128
TEXT_CHARACTERS_MAX: Final = 256
PAST_MS_MAX: Final = 35 * 24 * 3_600_000
AHEAD_MS_MAX: Final = 5 * 60_000
EVENT_TYPE: Final = "text_gen"

FIELDS: Final = (
    "appId",
    "eventType",
    "consumerId",
    "inputTokens",
    "inputTokensCached",
    "outputTokens",
    "model",
    "provider",
    "eventId",
    "timestamp",
    "metadata",
)
_KNOWN: Final = frozenset(FIELDS)

T = TypeVar("T")


class Report(Struct, frozen=True, kw_only=True):
    """One usage, checked.

    Attributes:
        customer: With the app's prefix; the anonymous customer where none is named.
        event_id: The caller's own; None: counted each time it is sent.
        at_ms: When it counts; never later than now.
        fingerprint: Hex digest of what was said, without the event id and what was left
            to a default: equal for a repetition.
    """

    customer: str
    event_id: str | None
    usage: Usage
    model: str
    provider: str | None
    at_ms: int
    metadata: Mapping[str, Any] | None
    fingerprint: str


def read_report(content: object, app: App, *, event_id: str | None, now_ms: int) -> Report:
    """Check one event.

    Args:
        event_id: Of the header ``Idempotency-Key``, if it was sent.

    Raises:
        InvalidCall: names the field at fault.
        PermissionRefused: the event is another app's.
    """
    if not isinstance(content, dict):
        raise InvalidCall("An event must be a JSON object.", code="invalid_json")
    if not _KNOWN.issuperset(content):
        unknown = next(name for name in content if name not in _KNOWN)
        known = ", ".join(FIELDS)
        _refuse(unknown[:64], f"is not a field of an event. Known are {known}", "unknown_field")
    _check_app(content, app)
    if _required(content, "eventType", _text) != EVENT_TYPE:
        _refuse("eventType", f"must be {EVENT_TYPE!r}")
    usage = _usage(content)
    customer = _customer(content.get("consumerId"))
    model, provider = _optional(content, "model", _text), _optional(content, "provider", _text)
    told_ms = _optional(content, "timestamp", lambda value: _timestamp(value, now_ms))
    metadata = _optional(content, "metadata", fields.metadata)
    if model is None and app.model is None:
        _refuse("model", "is required: the app has no default model", "missing_field")
    return Report(
        customer=app.customer_prefix + customer if customer else ANONYMOUS,
        event_id=_event_id(content, event_id),
        usage=usage,
        model=model or app.model or "",
        provider=provider,
        at_ms=now_ms if told_ms is None else min(told_ms, now_ms),
        metadata=metadata,
        fingerprint=_fingerprint(
            {
                "consumerId": customer,
                "inputTokens": usage.input_total,
                "inputTokensCached": usage.cache_read_tokens,
                "outputTokens": usage.output_tokens,
                "model": model,
                "provider": provider,
                "timestamp": told_ms,
                "metadata": metadata,
            }
        ),
    )


def checked_event_id(value: object, param: str) -> str:
    """An event id, or the ``Idempotency-Key`` that is the same thing.

    Raises:
        InvalidCall: it cannot be one.
    """
    if not isinstance(value, str) or not 1 <= len(value) <= EVENT_ID_CHARACTERS_MAX:
        _refuse(param, f"must be a string of 1 to {EVENT_ID_CHARACTERS_MAX} characters")
    if not value.isprintable():
        _refuse(param, "must not contain control characters")
    return value


def _check_app(content: Mapping[str, Any], app: App) -> None:
    if _required(content, "appId", _text) != app.id:
        raise PermissionRefused(
            f"This token belongs to app {app.id!r}; an event of another app needs that app's own.",
            param="appId",
            code="app_mismatch",
        )


def _usage(content: Mapping[str, Any]) -> Usage:
    input_tokens = _required(content, "inputTokens", _count)
    output_tokens = _required(content, "outputTokens", _count)
    cached = _parsed("inputTokensCached", content.get("inputTokensCached", 0), _count)
    if cached > input_tokens:
        _refuse("inputTokensCached", "must not be more than inputTokens, which it is part of")
    return Usage(
        input_tokens=input_tokens - cached, cache_read_tokens=cached, output_tokens=output_tokens
    )


def _customer(value: object) -> str | None:
    if value is None or value == "":
        return None
    return _parsed("consumerId", value, fields.identifier, "invalid_customer")


def _event_id(content: Mapping[str, Any], from_header: str | None) -> str | None:
    given = content.get("eventId")
    if given is None:
        return from_header
    event_id = checked_event_id(given, "eventId")
    if from_header is not None and from_header != event_id:
        _refuse("eventId", "is not the Idempotency-Key of the header; send one, or the same")
    return event_id


def _timestamp(value: object, now_ms: int) -> int:
    at_ms = instant(_text(value))
    if at_ms > now_ms + AHEAD_MS_MAX:
        raise ValueError("must not be more than 5 minutes ahead; check the clock that set it")
    if at_ms < now_ms - PAST_MS_MAX:
        raise ValueError("must not be more than 35 days back")
    return at_ms


def _fingerprint(said: Mapping[str, Any]) -> str:
    given = {name: value for name, value in said.items() if value is not None}
    return sha256(orjson.dumps(given, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _count(value: object) -> int:
    if type(value) is not int:  # a bool is an int to Python, not to a bill
        raise ValueError("must be a whole number of tokens")
    if not 0 <= value <= TOKENS_MAX:
        raise ValueError(f"must be between 0 and {TOKENS_MAX:,}")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= TEXT_CHARACTERS_MAX:
        raise ValueError(f"must be a string of 1 to {TEXT_CHARACTERS_MAX} characters")
    if not value.isprintable():
        raise ValueError("must not contain control characters")
    return value


def _required(content: Mapping[str, Any], name: str, parse: Callable[[Any], T]) -> T:
    if name not in content:
        _refuse(name, "is required", "missing_field")
    return _parsed(name, content[name], parse)


def _optional(content: Mapping[str, Any], name: str, parse: Callable[[Any], T]) -> T | None:
    """Null is the same as absent, except for counts."""
    value = content.get(name)
    return None if value is None else _parsed(name, value, parse)


def _parsed(name: str, value: object, parse: Callable[[Any], T], code: str | None = None) -> T:
    try:
        return parse(value)
    except ValueError as exc:
        raise InvalidCall(f"{name} {exc}.", param=name, code=code) from exc


def _refuse(name: str, problem: str, code: str | None = None) -> NoReturn:
    raise InvalidCall(f"{name} {problem}.", param=name, code=code)
