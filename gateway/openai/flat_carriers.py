"""Our fields where everything is text: in the query of a URL, in the fields of a form.

An SDK that flattens ``{"customer_params": {"customer_identifier": "acme"}}`` writes
``customer_params[customer_identifier]=acme``; others put a dot, or the object as JSON.
"""

import json
import re
from collections.abc import Iterable
from typing import Any, Final, NamedTuple
from urllib.parse import unquote, unquote_to_bytes

from gateway.errors import InvalidCall
from gateway.openai.carriers import (
    CARRIERS,
    KEPT_CARRIERS,
    NO_CUSTOMER_FIELDS,
    CustomerFields,
)

OURS: Final = CARRIERS - KEPT_CARRIERS
_FLAGS: Final = frozenset({"disable_log", "request_breakdown"})
_NUMBERS: Final = frozenset({("customer_params", "rate_limit")})
_PATH: Final = re.compile(r"([^\[\].]+)((?:\[[^\[\]]*\]|\.[^\[\].]+)*)")
_STEP: Final = re.compile(r"\[([^\[\]]*)\]|\.([^\[\].]+)")
_WHOLE: Final = re.compile(r"[0-9]{1,18}")

Path = tuple[str, ...]


class Taken(NamedTuple):
    """A query without our fields, and these."""

    fields: CustomerFields
    rest: bytes


def from_query(query: bytes) -> Taken:
    """Take our fields out of a query; of the rest no byte changes.

    Raises:
        InvalidCall: a field is no UTF-8, is said twice, or names two customers.
    """
    if not query:
        return Taken(NO_CUSTOMER_FIELDS, query)
    found: list[tuple[Path, str]] = []
    kept = []
    for pair in query.split(b"&"):
        name, _, value = pair.replace(b"+", b" ").partition(b"=")
        path = own_path(unquote(name.decode("latin-1")))
        if path is None:
            kept.append(pair)
        else:
            found.append((path, text_of(path, unquote_to_bytes(value))))
    return Taken(fields_of(found), b"&".join(kept)) if found else Taken(NO_CUSTOMER_FIELDS, query)


def own_path(name: str) -> Path | None:
    """``customer_params[metadata][plan]`` as its steps, where it is one of our fields."""
    matched = _PATH.fullmatch(name)
    if matched is None or matched[1] not in OURS:
        return None
    return (matched[1], *(a or b for a, b in _STEP.findall(matched[2])))


def text_of(path: Path, raw: bytes) -> str:
    """The value of a field of ours.

    Raises:
        InvalidCall: it is no UTF-8.
    """
    try:
        return raw.decode()
    except UnicodeDecodeError as exc:
        name = ".".join(path)
        raise InvalidCall(f"`{name}` must be UTF-8.", code="invalid_customer", param=name) from exc


def fields_of(found: Iterable[tuple[Path, str]]) -> CustomerFields:
    """Put flat fields together again.

    Raises:
        InvalidCall: one is said twice, differently; or a number in it is too long to be read.
    """
    tree: dict[str, Any] = {}
    for path, text in found:
        _put(tree, path, path, _value(path, text))
    return CustomerFields(**tree) if tree else NO_CUSTOMER_FIELDS


def _value(path: Path, text: str) -> Any:
    if path == ("customer_params",) and text.lstrip().startswith("{"):
        try:
            return json.loads(text)  # exact: orjson makes floats of long integers
        except (ValueError, RecursionError):
            return text  # no object: refused as any other text
    if path[-1] in _FLAGS and text in ("true", "false"):
        return text == "true"
    return int(text) if path in _NUMBERS and _WHOLE.fullmatch(text) else text


def _put(tree: dict[str, Any], path: Path, left: Path, value: Any) -> None:
    """Hang `value` where `left` leads to; objects are joined."""
    step, rest = left[0], left[1:]
    there = tree.get(step)
    if rest and (there is None or isinstance(there, dict)):
        _put(tree.setdefault(step, {}), path, rest, value)
    elif isinstance(there, dict) and isinstance(value, dict):
        for name, inner in value.items():
            _put(there, (*path, name), (name,), inner)
    elif step not in tree:
        tree[step] = value
    elif rest or there != value:
        raise _said_twice(path)


def _said_twice(path: Path) -> InvalidCall:
    name = ".".join(path)
    conflict = path[-1] == "customer_identifier"
    return InvalidCall(
        f"`{name}` is said twice, differently: say it once.",
        code="customer_conflict" if conflict else "duplicate_field",
        param=name,
    )
