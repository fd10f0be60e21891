"""Customers, their groups and what is given to them."""

from collections.abc import Mapping
from typing import Final

from gateway.api.openapi.schemas.fields import GROUP_FIELDS, USER_FIELDS
from gateway.api.openapi.schemas.shapes import (
    FLAG,
    IDENTIFIER,
    NUMBER,
    OBJECT,
    TEXT,
    TIME,
    USD,
    WHOLE,
    Schema,
    maybe,
    page,
    several,
    some,
    whole,
)

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
_OVERSHOOT: Final[Mapping[str, Schema]] = {
    "overshoot_usd": whole(dict.fromkeys(("settle", "event", "limit"), USD)),
}

CUSTOMERS: Final[Mapping[str, Schema]] = {
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
            "total_cache_hits": maybe(WHOLE),
            "top_models": maybe({"type": "object", "additionalProperties": WHOLE}),
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
            **_OVERSHOOT,
            "usage_sources": whole(
                {
                    **dict.fromkeys(("reported_usd", "estimated_usd", "unresolved_usd"), USD),
                    "unpriced_requests": WHOLE,
                }
            ),
            "warnings": several(TEXT),
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
    "GroupChange": some(GROUP_FIELDS),
    "Group": whole(
        {
            "group_identifier": TEXT,
            "source": maybe(TEXT),
            **_PERIOD,
            **_LEFT,
            **_OVERSHOOT,
        }
    ),
    "GroupPage": page("Group"),
}
