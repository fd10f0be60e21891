"""What may be set, by the parser that checks it."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from gateway.api import temporary_keys, user_fields
from gateway.api.openapi.schemas.shapes import (
    FLAG,
    IDENTIFIER,
    TEXT,
    TIME,
    USD,
    Schema,
    maybe,
    several,
)
from gateway.customers import fields
from gateway.customers.groups import Group
from gateway.customers.windows import Duration

_BUDGET: Final[Schema] = {
    "anyOf": [{"type": "number", "minimum": 0, "maximum": 9_000_000}, USD],
    "description": "USD; 0 blocks, null: no limit.",
}

_PARSED: Final[Mapping[Callable[..., Any], Schema]] = {
    fields.text: {"type": "string", "maxLength": fields.TEXT_CHARACTERS_MAX},
    fields.email: {"type": "string", "format": "email", "maxLength": fields.TEXT_CHARACTERS_MAX},
    fields.metadata: {"type": "object", "description": "Merged by key; at most 4 KB."},
    fields.identifier: IDENTIFIER,
    fields.budget: _BUDGET,
    fields.duration: {"type": "string", "enum": [duration.value for duration in Duration]},
    fields.moment: {"type": "string", "description": "A date or datetime, ISO 8601."},
    fields.markup: {"type": "number", "minimum": 0, "maximum": fields.MARKUP_PERCENT_MAX},
    fields.rate_limit: {"type": "integer", "minimum": 1, "maximum": fields.RATE_LIMIT_MAX},
    fields.flag: FLAG,
}
"""By the parser that checks it."""

_OWN: Final[Mapping[str, Schema]] = {
    "expiry_date": TIME,
    "max_usage": {"type": "integer", "minimum": -1, "description": "-1: any number."},
    "rate_limit": {"type": "integer", "minimum": -1, "maximum": fields.RATE_LIMIT_MAX},
    "models": several(TEXT),
}
"""Of temporary keys: what has a parser of its own."""


def _writable(known: Mapping[str, Callable[..., Any]]) -> dict[str, Schema]:
    return {name: maybe(_PARSED[parse]) for name, parse in known.items()}


USER_FIELDS: Final = _writable({name: f.parse for name, f in user_fields.WRITABLE.items()})
KEY_FIELDS: Final = {
    "app": TEXT,
    **{
        name: maybe(_OWN[name] if name in _OWN else _PARSED[parse])
        for name, (_, parse) in temporary_keys.FIELDS.items()
    },
}
GROUP_FIELDS: Final = _writable(
    {name: fields.FIELDS[name].parse for name in Group.__struct_fields__}
)
