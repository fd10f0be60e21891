"""Usage that apps report, and what becomes of it."""

from collections.abc import Mapping
from typing import Final

from gateway.api import report
from gateway.api.openapi.schemas.shapes import (
    FLAG,
    IDENTIFIER,
    OBJECT,
    TEXT,
    TIME,
    USD,
    WHOLE,
    Schema,
    maybe,
    named,
    ref,
    several,
    some,
    whole,
)

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

EVENTS: Final[Mapping[str, Schema]] = {
    "Event": some(
        named(_REPORTED, report.FIELDS),
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
}
