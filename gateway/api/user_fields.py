"""What a management request says of a customer: checked by the same parsers as a call's.

Every fault is reported at once, each under its field. Nothing is dropped here with a
warning: who manages is waiting for the answer.
"""

import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from gateway.api.answers import InvalidFields, MalformedBody
from gateway.customers import fields
from gateway.customers.fields import FIELDS, METADATA_BYTES_MAX, Canonical, Field
from gateway.customers.profile import ANONYMOUS, Profile
from gateway.errors import NotFound

IDENTIFIER: Final = "customer_identifier"
KEY_CHARACTERS_MAX: Final = 128
ELSEWHERE: Final = frozenset(
    {
        *("environment", "is_test", "organization", "organization_id", "organization_key"),
        "unique_organization_id",
    }
)
"""What Keywords AI's clients send along, for which there is nothing here: it is left aside."""

WRITABLE: Final[Mapping[str, Field]] = {**FIELDS, "blocked": Field(fields.flag, is_limit=False)}


def created(body: Any) -> tuple[str, dict[str, Canonical]]:
    """The identifier and the fields of a new customer.

    Raises:
        InvalidFields: names every faulty field.
    """
    content = _object(body)
    errors: dict[str, str] = {}
    identifier = _identifier(content, errors)
    change = _change(content, errors)
    if errors:
        raise InvalidFields(errors)
    return identifier, change


def changed(identifier: str, body: Any) -> dict[str, Canonical]:
    """The fields to change of a customer that exists; None removes one.

    Raises:
        InvalidFields: names every faulty field.
    """
    content = _object(body)
    errors: dict[str, str] = {}
    if IDENTIFIER in content and _identifier(content, errors) != identifier:
        errors[IDENTIFIER] = "An identifier cannot be changed; leave it out."
    change = _change(content, errors)
    if identifier == ANONYMOUS:
        limits = [name for name in change if name in FIELDS and FIELDS[name].is_limit]
        errors |= dict.fromkeys(limits, "The anonymous customer has no limits.")
    if errors:
        raise InvalidFields(errors)
    return change


@dataclass(frozen=True, slots=True)
class Credit:
    """What a customer is to be credited; `key` None: counted each time it is asked for."""

    amount_pico: int
    reason: str | None = None
    key: str | None = None


def credited(body: Any) -> Credit:
    """A credit.

    Raises:
        InvalidFields: names every faulty field.
    """
    content = _object(body)
    known: dict[str, Callable[[Any], Any]] = {
        "amount_usd": fields.credit,
        "reason": fields.text,
        "idempotency_key": _key,
    }
    errors = {n[:64]: "Unknown field. A credit has " + ", ".join(known) + "." for n in content}
    found: dict[str, Any] = {}
    for name, parse in known.items():
        errors.pop(name, None)
        try:
            if content.get(name) is not None:
                found[name] = parse(content[name])
        except ValueError as exc:
            errors[name] = f"{name} {exc}."
    if "amount_usd" not in {**found, **errors}:
        errors["amount_usd"] = "amount_usd is required."
    if errors:
        raise InvalidFields(errors)
    return Credit(found["amount_usd"], found.get("reason"), found.get("idempotency_key"))


def _key(value: object) -> str:
    if isinstance(value, str) and not 1 <= len(value) <= KEY_CHARACTERS_MAX:
        raise ValueError(f"must have 1 to {KEY_CHARACTERS_MAX} characters")
    return fields.text(value)


def check_merged_metadata(profile: Profile, change: Mapping[str, Canonical]) -> None:
    """Metadata is merged by key, so that a small change can still make it too large.

    Raises:
        InvalidFields: it would be.
    """
    added = change.get("metadata")
    if isinstance(added, dict):
        merged = orjson.dumps({**profile.metadata, **added})
        if len(merged) > METADATA_BYTES_MAX:
            problem = f"metadata must be at most {METADATA_BYTES_MAX} bytes of JSON after merging."
            raise InvalidFields({"metadata": problem})


def looked_up(text: str) -> str:
    """The canonical identifier of a customer that is asked for by `text`.

    Raises:
        NotFound: no customer can be called that.
    """
    if text == ANONYMOUS:
        return text
    try:
        return fields.identifier(unicodedata.normalize("NFC", text))
    except ValueError as exc:
        message = f"There is no customer {text[:64]!r}: an identifier {exc}."
        raise NotFound(message, code="customer_not_found") from exc


def _object(body: Any) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise MalformedBody("The body must be a JSON object.")
    return body


def _identifier(content: Mapping[str, Any], errors: dict[str, str]) -> str:
    if content.get(IDENTIFIER) is None:
        errors[IDENTIFIER] = f"{IDENTIFIER} is required."
        return ""
    try:
        return fields.identifier(content[IDENTIFIER])
    except ValueError as exc:
        errors[IDENTIFIER] = f"{IDENTIFIER} {exc}."
        return ""


def _change(content: Mapping[str, Any], errors: dict[str, str]) -> dict[str, Canonical]:
    change: dict[str, Canonical] = {}
    for name, value in content.items():
        if name == IDENTIFIER or name in ELSEWHERE:
            continue
        field = WRITABLE.get(name)
        if field is None:
            errors[name[:64]] = _unknown(name)
        elif value is None:
            change[name] = None
        else:
            try:
                change[name] = field.parse(value)
            except ValueError as exc:
                errors[name] = f"{name} {exc}."
    return change


def _unknown(name: str) -> str:
    meant = fields.resembling(name)
    hint = f"did you mean {meant}?" if meant else "known are " + ", ".join(sorted(WRITABLE)) + "."
    return f"Unknown field; {hint}"
