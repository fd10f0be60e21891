"""Who pays for a call, and what the call says of them.

The customer can be named by several carriers; this is the one place that reads them, so
that the check, the meter and the event can never disagree about who it was.
"""

import base64
import binascii
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import unquote

import orjson

from gateway.customers import fields
from gateway.customers.apps import App, Identity, ParamsPolicy
from gateway.customers.fields import FIELDS, PROFILE_FIELDS, Canonical
from gateway.customers.profile import ANONYMOUS
from gateway.errors import InvalidCall, PermissionRefused
from gateway.openai.carriers import ABSENT, NO_CUSTOMER_FIELDS, CustomerFields, over

CUSTOMER_HEADER: Final = b"x-farebox-customer"
PARAMS_HEADERS: Final = (b"x-data-keywordsai-params", b"x-data-respan-params")
_NAMING_HEADERS: Final = frozenset({CUSTOMER_HEADER, *PARAMS_HEADERS})
PARAMS_BYTES_MAX: Final = 16_384

RECORDED_FIELDS: Final = ("thread_identifier", "custom_identifier", "disable_log")
RECORDED_CHARACTERS_MAX: Final = 256
_BESIDE: Final = ("group_identifier", *RECORDED_FIELDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """The customer of one call.

    Attributes:
        change: Fields of the customer that the call sets; None: set to "none".
        recorded: What goes into the event beside it.
        warnings: What was dropped, for ``x-farebox-warnings``.
    """

    customer: str
    change: Mapping[str, Canonical]
    recorded: Mapping[str, Any]
    warnings: tuple[str, ...]

    @property
    def disables_log(self) -> bool:
        """Whether what is asked and answered must not be kept, only its figures."""
        return self.recorded.get("disable_log") is True


def refuse_repeated(headers: Iterable[tuple[bytes, bytes]]) -> None:
    """Refuse a call in which a header that names the customer stands twice, differently.

    Raises:
        InvalidCall: it does; it could be read as one customer here and another elsewhere.
    """
    seen: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in _NAMING_HEADERS and seen.setdefault(name, value) != value:
            shown = name.decode()
            raise InvalidCall(
                f"{shown} stands twice in this call, with different values. Send it once.",
                param=shown,
                code="customer_conflict",
            )


def identify(
    app: App,
    body: CustomerFields,
    headers: Mapping[bytes, bytes],
    query: CustomerFields = NO_CUSTOMER_FIELDS,
    *,
    bound: str | None = None,
) -> Caller:
    """Read every carrier that counts for this app.

    Where two say something else of the same field, the body goes before the query, and that
    before the headers; they must not name two customers.

    Args:
        bound: The customer that the call's token is for: it needs no carrier, and may not name
            another, nor move its own limits.
        headers: Lower-case names; of a repeated one, any.

    Raises:
        InvalidCall: a carrier is malformed, two disagree, or a limit is faulty.
        PermissionRefused: a carrier names another customer than the token is for.
    """
    warnings: list[str] = []
    from_headers = [
        (name, _header_params(headers[name], name)) for name in PARAMS_HEADERS if name in headers
    ]
    given = [holder["customer_params"] for _, holder in from_headers]
    named = list(_header_names(headers, from_headers))
    policy = app.customer_params
    if app.identity is Identity.ANY or bound is not None:
        for said, where in ((query, "query: "), (body, "")):
            params = _object(said.customer_params, f"{where}customer_params")
            named += _names(said, params or {}, where)
            given.append(params)
        body = over(over(body, query), _beside(from_headers))
    else:
        if _says_anything(body) or _says_anything(query):
            warnings.append(
                f"{app.id} names its customers in headers: what else names one is left out"
            )
        body = over(_beside(from_headers), replace(body, group_identifier=ABSENT))
    if bound is not None:
        _refuse_others(bound, named)
        named = [("token", bound)]
        if policy is ParamsPolicy.FULL:
            policy = ParamsPolicy.PROFILE
    if not named and any(one is not None for one in given):
        raise InvalidCall(
            "customer_params needs a customer_identifier.",
            param="customer_params.customer_identifier",
            code="invalid_customer",
        )
    customer = _agreed(named)
    if customer is None and app.user_is_customer and app.identity is Identity.ANY:
        customer = _from_user(body, warnings)
    if customer is None:
        return Caller(
            customer=ANONYMOUS, change={}, recorded=_recorded(body), warnings=tuple(warnings)
        )
    merged = {name: value for one in given if one for name, value in one.items()}
    change = dict(_change(merged, policy, warnings))
    if body.group_identifier not in (ABSENT, None) and "group_identifier" not in change:
        group = {"group_identifier": body.group_identifier}
        change |= dict(_change(group, policy, warnings, prefix=""))
    return Caller(
        customer=app.customer_prefix + customer,
        change=change,
        recorded=_recorded(body),
        warnings=tuple(warnings),
    )


def _beside(from_headers: Iterable[tuple[bytes, Mapping[str, Any]]]) -> CustomerFields:
    """What such headers say beside who the customer is."""
    said = {n: holder[n] for _, holder in from_headers for n in _BESIDE if n in holder}
    return CustomerFields(**said) if said else NO_CUSTOMER_FIELDS


def _says_anything(said: CustomerFields) -> bool:
    ours = (said.customer_params, said.customer_identifier, said.group_identifier)
    return any(value is not ABSENT for value in ours)


def _names(
    said: CustomerFields, params: Mapping[str, Any], where: str
) -> Iterator[tuple[str, Any]]:
    if "customer_identifier" in params:
        yield f"{where}customer_params.customer_identifier", params["customer_identifier"]
    if said.customer_identifier is not ABSENT:
        yield f"{where}customer_identifier", said.customer_identifier


def _header_names(
    headers: Mapping[bytes, bytes], from_headers: Iterable[tuple[bytes, Mapping[str, Any]]]
) -> Iterator[tuple[str, Any]]:
    if CUSTOMER_HEADER in headers:
        name = CUSTOMER_HEADER.decode()
        try:
            yield name, unquote(headers[CUSTOMER_HEADER].decode(), errors="strict")
        except UnicodeDecodeError as exc:
            raise InvalidCall(
                f"{name} must be percent-encoded UTF-8.", param=name, code="invalid_customer"
            ) from exc
    for header, content in from_headers:
        for holder, path in ((content["customer_params"] or {}, "customer_params."), (content, "")):
            if "customer_identifier" in holder:
                yield (
                    f"{header.decode()}: {path}customer_identifier",
                    holder["customer_identifier"],
                )


def _header_params(raw: bytes, name: bytes) -> dict[str, Any]:
    """The JSON object of an ``X-Data-...-Params`` header, plain or in base64.

    Its `customer_params` is an object, or None where it has none.
    """
    shown = name.decode()
    raw = raw.strip()
    try:
        if len(raw) > PARAMS_BYTES_MAX:
            raise ValueError
        if not raw.startswith(b"{"):
            raw = base64.b64decode(raw, validate=True)
        content = orjson.loads(raw)
    except (ValueError, binascii.Error) as exc:
        raise InvalidCall(
            f"{shown} must be a JSON object, or base64 of one, of at most "
            f"{PARAMS_BYTES_MAX} bytes.",
            param=shown,
            code="invalid_customer",
        ) from exc
    holder = _object(content, shown) or {}
    params = _object(holder.get("customer_params", ABSENT), f"{shown}: customer_params")
    return {**holder, "customer_params": params}


def _refuse_others(bound: str, named: list[tuple[str, Any]]) -> None:
    for name, value in named:
        if _identifier(value, name) != bound:
            raise PermissionRefused(
                f"{name} names another customer than the one that this token is for. "
                "Leave it out, or name that one.",
                param=name,
                code="customer_mismatch",
            )


def _agreed(named: list[tuple[str, Any]]) -> str | None:
    customers = {name: _identifier(value, name) for name, value in named}
    if len(set(customers.values())) > 1:
        raise InvalidCall(
            "This call names different customers in "
            + " and ".join(customers)
            + ". Name one customer, or the same in each.",
            param=next(iter(customers)),
            code="customer_conflict",
        )
    return next(iter(customers.values()), None)


def _identifier(value: object, param: str) -> str:
    try:
        return fields.identifier(value)
    except ValueError as exc:
        raise InvalidCall(f"{param} {exc}.", param=param, code="invalid_customer") from exc


def _from_user(body: CustomerFields, warnings: list[str]) -> str | None:
    for name in ("user", "safety_identifier"):
        value = getattr(body, name)
        if value in (ABSENT, None):
            continue
        try:
            return fields.identifier(value)
        except ValueError as exc:
            warnings.append(f"{name} {exc}; the call is anonymous")
    return None


def _change(
    params: Mapping[str, Any],
    policy: ParamsPolicy,
    warnings: list[str],
    prefix: str = "customer_params.",
) -> Iterator[tuple[str, Canonical]]:
    for name, value in params.items():
        if name == "customer_identifier":
            continue
        field = FIELDS.get(name)
        if field is None:
            _refuse_resembling(name, prefix)
            warnings.append(f"{prefix}{name[:64]}: unknown field")
        elif policy is ParamsPolicy.IGNORE or (
            policy is ParamsPolicy.PROFILE and name not in PROFILE_FIELDS
        ):
            warnings.append(f"{prefix}{name}: this app may not set it")
        elif value is None:
            yield name, None
        else:
            try:
                yield name, field.parse(value)
            except ValueError as exc:
                if field.is_limit:
                    raise InvalidCall(
                        f"{prefix}{name} {exc}.", param=f"{prefix}{name}", code="invalid_value"
                    ) from exc
                warnings.append(f"{prefix}{name} {exc}")


def _refuse_resembling(name: str, prefix: str) -> None:
    meant = fields.resembling(name)
    if meant is not None:
        raise InvalidCall(
            f"{prefix}{name[:64]} is not a field; did you mean {meant}?",
            param=f"{prefix}{name[:64]}",
            code="unknown_field",
        )


def _recorded(body: CustomerFields) -> dict[str, Any]:
    """Fields that only the event keeps; oversized or odd ones are dropped.

    Integers that JSON has and an event has not become text.
    """
    recorded: dict[str, Any] = {}
    for name in RECORDED_FIELDS:
        value = getattr(body, name)
        if isinstance(value, int) and not -_INT64 <= value < _INT64:
            value = str(value) if abs(value) < _LONG else None
        if isinstance(value, int) or (isinstance(value, str) and _is_recordable(value)):
            recorded[name] = value
    return recorded


def _is_recordable(value: str) -> bool:
    return len(value) <= RECORDED_CHARACTERS_MAX and fields.is_unicode(value)


def _object(value: object, param: str) -> dict[str, Any] | None:
    """The object, or None where there is none."""
    if value in (ABSENT, None):
        return None
    if not isinstance(value, dict):
        raise InvalidCall(f"{param} must be an object.", param=param, code="invalid_customer")
    return value


_INT64: Final = 2**63
_LONG: Final = 10 ** (RECORDED_CHARACTERS_MAX - 1)
