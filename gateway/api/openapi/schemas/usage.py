"""Calls one by one and summed up."""

from collections.abc import Mapping
from typing import Final

from gateway.api.log_rows import ROW_FIELDS
from gateway.api.openapi.schemas.shapes import (
    FLAG,
    NUMBER,
    OBJECT,
    TEXT,
    TIME,
    USD,
    WHOLE,
    Schema,
    maybe,
    named,
    page,
    ref,
    several,
    some,
    whole,
)

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
_USE: Final[Mapping[str, Schema]] = {
    "cost": NUMBER,
    "charge": NUMBER,
    "tokens": WHOLE,
    "requests": WHOLE,
}

USAGE: Final[Mapping[str, Schema]] = {
    "LogRow": some(named(_LOG_ROW, ROW_FIELDS)),
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
}
