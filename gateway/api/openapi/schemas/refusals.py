"""What a refusal looks like, of either interface."""

from collections.abc import Mapping
from typing import Final

from gateway.api.openapi.schemas.shapes import (
    TEXT,
    Schema,
    maybe,
    several,
    whole,
)

REFUSALS: Final[Mapping[str, Schema]] = {
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
