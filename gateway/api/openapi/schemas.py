"""What requests and answers look like, as JSON Schema (2020-12).

What may be sent is made of the parsers' own tables: a field that is added there is described
here, or building the document fails.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from gateway.api import report, temporary_keys, user_fields
from gateway.api.log_rows import ROW_FIELDS
from gateway.customers import fields
from gateway.customers.groups import Group
from gateway.customers.windows import Duration

Schema = dict[str, Any]

TEXT: Final[Schema] = {"type": "string"}
FLAG: Final[Schema] = {"type": "boolean"}
WHOLE: Final[Schema] = {"type": "integer"}
NUMBER: Final[Schema] = {"type": "number"}
OBJECT: Final[Schema] = {"type": "object"}
TIME: Final[Schema] = {"type": "string", "format": "date-time"}
DAY: Final[Schema] = {"type": "string", "format": "date"}
USD: Final[Schema] = {
    "type": "string",
    "pattern": r"^-?\d+(\.\d{1,12})?$",
    "description": "USD, exact, as a decimal string.",
}
IDENTIFIER: Final[Schema] = {
    "type": "string",
    "minLength": 1,
    "maxLength": fields.TEXT_CHARACTERS_MAX,
    "description": "A customer, as the application calls it. Not starting with '~', no JSON.",
}


def maybe(schema: Schema) -> Schema:
    """Or null."""
    if "type" in schema and isinstance(schema["type"], str):
        return {**schema, "type": [schema["type"], "null"]}
    return {"anyOf": [schema, {"type": "null"}]}


def several(schema: Schema) -> Schema:
    return {"type": "array", "items": schema}


def whole(properties: Mapping[str, Schema], *, optional: tuple[str, ...] = ()) -> Schema:
    """An object that has all of these, and nothing else."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }


def some(properties: Mapping[str, Schema], *, required: tuple[str, ...] = ()) -> Schema:
    """An object that may have these, and nothing else."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(required),
        "additionalProperties": False,
    }


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def page(of: str) -> Schema:
    """A list in pages, as Keywords AI has them."""
    return whole(
        {
            "count": WHOLE,
            "count_exact": {**FLAG, "description": "Only where it is false: count is a floor."},
            "next": maybe(TEXT),
            "previous": maybe(TEXT),
            "results": several(ref(of)),
        },
        optional=("count_exact",),
    )


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

_COUNT: Final[Schema] = {"type": "integer", "minimum": 0, "maximum": report.TOKENS_MAX}
_REPORTED: Final[Mapping[str, Schema]] = {
    "appId": TEXT,
    "eventType": {"const": report.EVENT_TYPE},
    "consumerId": maybe(IDENTIFIER),
    "inputTokens": _COUNT,
    "inputTokensCached": _COUNT,
    "outputTokens": _COUNT,
    "model": TEXT,
    "provider": TEXT,
    "eventId": {"type": "string", "minLength": 1, "maxLength": report.EVENT_ID_CHARACTERS_MAX},
    "timestamp": TIME,
    "metadata": OBJECT,
}

_TOKENS: Final = ("prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens")
_LOG_ROW: Final[Mapping[str, Schema]] = {
    "unique_id": TEXT,
    "timestamp": TIME,
    "customer_identifier": maybe(TEXT),
    "customer_email": maybe(TEXT),
    "model": maybe(TEXT),
    "provider_id": maybe(TEXT),
    "app": maybe(TEXT),
    "endpoint": maybe(TEXT),
    "status": {"type": "string", "enum": ["ok", "error", "aborted", "rejected", "unresolved"]},
    "status_code": WHOLE,
    "failed": FLAG,
    "stream": FLAG,
    **dict.fromkeys(_TOKENS, WHOLE),
    "cost": maybe(NUMBER),
    "charge": maybe(NUMBER),
    "latency": maybe(NUMBER),
    "time_to_first_token": maybe(NUMBER),
    "tokens_per_second": maybe(NUMBER),
    "finish_reason": maybe(TEXT),
    "metadata": maybe(OBJECT),
    "usage_source": maybe({"enum": ["reported", "estimated", "missing", "event"]}),
}
_USER_ROW: Final[Mapping[str, Schema]] = {
    "id": TEXT,
    "customer_identifier": TEXT,
    "name": maybe(TEXT),
    "email": maybe(TEXT),
    "first_seen": maybe(TIME),
    "last_active_timeframe": maybe(TIME),
    "active_days": WHOLE,
    "number_of_requests": WHOLE,
    "total_tokens": WHOLE,
    "total_cost": NUMBER,
    "average_latency": maybe(NUMBER),
    "average_ttft": maybe(NUMBER),
}
_PERIOD: Final[Mapping[str, Schema]] = {
    "period_budget": maybe(NUMBER),
    "budget_duration": TEXT,
    "total_period_usage": NUMBER,
    "period_start": TIME,
    "period_end": TIME,
    "total_budget": maybe(NUMBER),
    "total_usage": NUMBER,
}
_LEFT: Final[Mapping[str, Schema]] = {
    "spent_usd": USD,
    "held_usd": USD,
    "remaining_usd": maybe(USD),
    "resets_at": maybe(TIME),
}
_USE: Final[Mapping[str, Schema]] = {
    "cost": NUMBER,
    "charge": NUMBER,
    "tokens": WHOLE,
    "requests": WHOLE,
}


def _named(table: Mapping[str, Schema], names: tuple[str, ...]) -> Mapping[str, Schema]:
    assert set(table) == set(names), f"described are {sorted(table)}, there are {sorted(names)}"
    return table


def _writable(known: Mapping[str, Callable[..., Any]]) -> dict[str, Schema]:
    return {name: maybe(_PARSED[parse]) for name, parse in known.items()}


USER_FIELDS: Final = _writable({name: f.parse for name, f in user_fields.WRITABLE.items()})
_KEY_FIELDS: Final = {
    "app": TEXT,
    **{
        name: maybe(_OWN[name] if name in _OWN else _PARSED[parse])
        for name, (_, parse) in temporary_keys.FIELDS.items()
    },
}
_GROUP_FIELDS: Final = _writable(
    {name: fields.FIELDS[name].parse for name in Group.__struct_fields__}
)

SCHEMAS: Final[Mapping[str, Schema]] = {
    "UserRow": whole(_USER_ROW),
    "UserCreate": some(
        {"customer_identifier": {"anyOf": [IDENTIFIER, WHOLE]}, **USER_FIELDS},
        required=("customer_identifier",),
    ),
    "UserChange": some({"customer_identifier": IDENTIFIER, **USER_FIELDS}),
    "User": whole(
        {
            **_USER_ROW,
            **_PERIOD,
            "total_requests": WHOLE,
            "total_prompt_tokens": WHOLE,
            "total_completion_tokens": WHOLE,
            "total_cache_hits": WHOLE,
            "top_models": {"type": "object", "additionalProperties": WHOLE},
            "average_monthly_cost": NUMBER,
            "last_active": maybe(TIME),
            "created_at": maybe(TIME),
            "updated_at": maybe(TIME),
            "metadata": OBJECT,
            "group_identifier": maybe(TEXT),
            "markup_percentage": NUMBER,
            "rate_limit": maybe(WHOLE),
            "blocked": FLAG,
            "pinned": several(TEXT),
            **_LEFT,
            "credits_usd": USD,
            "carried_over_usd": USD,
            "overshoot_usd": whole(dict.fromkeys(("settle", "event", "limit"), USD)),
            "usage_sources": whole(
                {
                    **dict.fromkeys(("reported_usd", "estimated_usd", "unresolved_usd"), USD),
                    "unpriced_requests": WHOLE,
                }
            ),
        }
    ),
    "UserPage": page("UserRow"),
    "Filters": some(
        {
            "filters": {
                "type": "object",
                "additionalProperties": some({"operator": TEXT, "value": {}}, required=("value",)),
                "description": 'Like {"total_cost": {"operator": "gt", "value": [10.0]}}.',
            }
        }
    ),
    "Credit": some(
        {
            "amount_usd": {"anyOf": [USD, NUMBER], "description": "Signed."},
            "reason": TEXT,
            "idempotency_key": TEXT,
        },
        required=("amount_usd",),
    ),
    "CreditReceipt": whole(
        {
            "id": TEXT,
            "customer_identifier": TEXT,
            "amount_usd": USD,
            "reason": maybe(TEXT),
            "duplicate": FLAG,
            "credits_usd": USD,
            "remaining_usd": maybe(USD),
        }
    ),
    "GroupChange": some(_GROUP_FIELDS),
    "Group": whole(
        {
            "group_identifier": TEXT,
            "source": maybe(TEXT),
            **_PERIOD,
            **_LEFT,
        }
    ),
    "GroupPage": page("Group"),
    "LogRow": some(_named(_LOG_ROW, ROW_FIELDS)),
    "LogPage": page("LogRow"),
    "Log": {
        "type": "object",
        "description": "A row, the customer's card, and how the amount came about.",
        "properties": {
            **_LOG_ROW,
            "kind": TEXT,
            "customer": maybe(ref("UserRow")),
            **dict.fromkeys(("cost_usd", "charge_usd", "reported_cost_usd"), maybe(USD)),
            "hold_usd": USD,
            "output_cap": maybe(WHOLE),
            "line_items": several(OBJECT),
            "arithmetic": OBJECT,
            "price_id": maybe(TEXT),
            "book_version": maybe(TEXT),
            "adjustments": several(OBJECT),
        },
        "required": [*_LOG_ROW, "customer", "cost_usd", "charge_usd", "line_items", "arithmetic"],
    },
    "LogSummary": whole({"total_cost": NUMBER, "total_tokens": WHOLE, "number_of_requests": WHOLE}),
    "UsageSummary": whole(
        {
            "requests": WHOLE,
            "total_tokens": WHOLE,
            **dict.fromkeys(_TOKENS, WHOLE),
            "total_cost": NUMBER,
            "total_charge": NUMBER,
            **dict.fromkeys(("active_users", "errors", "rejected", "unpriced"), WHOLE),
        }
    ),
    "TopUsers": whole(
        {
            "data": several(
                whole({"customer_identifier": maybe(TEXT), "name": maybe(TEXT), **_USE})
            ),
            "other": whole(_USE),
        }
    ),
    "ActiveUsers": whole(
        {
            "data": several(
                whole({"date": TEXT, **dict.fromkeys(("active", "new", "returning"), WHOLE)})
            )
        }
    ),
    "CostByUser": whole(
        {
            "data": several(
                whole(
                    {
                        "date": TEXT,
                        "users": {"type": "object", "additionalProperties": NUMBER},
                        "other": NUMBER,
                    }
                )
            )
        }
    ),
    "Series": whole(
        {
            "data": several(
                whole(
                    {
                        "time": TIME,
                        "values": {"type": "object", "additionalProperties": maybe(NUMBER)},
                    }
                )
            )
        }
    ),
    "Event": some(
        _named(_REPORTED, report.FIELDS),
        required=("appId", "eventType", "inputTokens", "outputTokens"),
    ),
    "EventBatch": {
        "anyOf": [
            {**several(ref("Event")), "maxItems": 1_000},
            some({"events": {**several(ref("Event")), "maxItems": 1_000}}, required=("events",)),
        ]
    },
    "EventReceipt": whole(
        {
            "status": {"const": "accepted"},
            "eventId": TEXT,
            "duplicate": FLAG,
            "costUsd": maybe(USD),
        }
    ),
    "EventReceipts": whole(
        {
            **dict.fromkeys(("accepted", "duplicates", "rejected"), WHOLE),
            "results": several(
                whole(
                    {
                        "eventId": maybe(TEXT),
                        "status": {"enum": ["accepted", "duplicate", "conflict", "rejected"]},
                        "costUsd": maybe(USD),
                        "error": maybe(OBJECT),
                    }
                )
            ),
        }
    ),
    "TemporaryKeyChange": some({n: s for n, s in _KEY_FIELDS.items() if n != "app"}),
    "TemporaryKeyCreate": some(_KEY_FIELDS),
    "TemporaryKey": whole(
        {
            "id": TEXT,
            "prefix": TEXT,
            "created": TIME,
            "name": maybe(TEXT),
            "app": TEXT,
            "customer_identifier": maybe(TEXT),
            "models": several(TEXT),
            "revoked": FLAG,
            "expiry_date": maybe(TIME),
            "key_usage": WHOLE,
            "max_usage": WHOLE,
            "last_used": TIME,
            "rate_limit": maybe(WHOLE),
            "spending_limit": maybe(NUMBER),
            "spending_limit_usd": maybe(USD),
            "spending_in_period": NUMBER,
            "spent_usd": USD,
            "is_test": FLAG,
            "is_temporary": {"const": True},
            "api_key": {**TEXT, "description": "Only when it is made; nobody can read it again."},
        },
        optional=("api_key",),
    ),
    "TemporaryKeyPage": {
        **page("TemporaryKey"),
        "properties": {**page("TemporaryKey")["properties"], "current_filters": OBJECT},
    },
    "Webhooks": whole(
        {"results": several(whole({"url": TEXT, "events": several(TEXT), "allow_private": FLAG}))}
    ),
    "Delivery": whole(
        {
            "id": TEXT,
            "url": TEXT,
            "type": TEXT,
            "state": {"enum": ["pending", "taken", "given_up"]},
            "created": TIME,
            "attempts": WHOLE,
            "next_attempt": maybe(TIME),
            "status_code": maybe(WHOLE),
            "problem": maybe(TEXT),
            "delivered": maybe(TIME),
            "payload": OBJECT,
        }
    ),
    "DeliveryPage": page("Delivery"),
    "Queued": whole({"queued": WHOLE}),
    "Audit": whole(
        {
            "ok": maybe(FLAG),
            "checked_at": maybe(TIME),
            "partitions": WHOLE,
            "differences": several(OBJECT),
        }
    ),
    "Estimate": OBJECT,
    "Price": OBJECT,
    "Prices": OBJECT,
    "PricePage": {
        **page("Price"),
        "properties": {**page("Price")["properties"], "book_version": TEXT},
    },
    "PublicModels": {},
    "UnknownModel": some({"detail": TEXT, "near": several(TEXT)}, required=("detail",)),
    "Health": OBJECT,
    "ManagementError": {
        "anyOf": [
            whole(
                {
                    "detail": {"const": "Validation error"},
                    "errors": {"type": "object", "additionalProperties": several(TEXT)},
                }
            ),
            whole({"detail": TEXT}),
        ]
    },
    "OpenAIError": whole(
        {
            "error": {
                "type": "object",
                "properties": {
                    "message": TEXT,
                    "type": TEXT,
                    "param": maybe(TEXT),
                    "code": maybe(TEXT),
                },
                "required": ["message", "type", "param", "code"],
            }
        }
    ),
}
