"""Webhooks, the books, prices, health."""

from collections.abc import Mapping
from typing import Final

from gateway.api.openapi.schemas.shapes import (
    FLAG,
    OBJECT,
    TEXT,
    TIME,
    WHOLE,
    Schema,
    maybe,
    page,
    several,
    some,
    whole,
)

OPERATING: Final[Mapping[str, Schema]] = {
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
}
