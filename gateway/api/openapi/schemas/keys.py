"""Temporary keys."""

from collections.abc import Mapping
from typing import Final

from gateway.api.openapi.schemas.fields import KEY_FIELDS
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
    page,
    several,
    some,
    whole,
)

KEYS: Final[Mapping[str, Schema]] = {
    "TemporaryKeyChange": some({n: s for n, s in KEY_FIELDS.items() if n != "app"}),
    "TemporaryKeyCreate": some(KEY_FIELDS),
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
}
