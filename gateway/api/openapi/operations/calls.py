"""What apps ask: calls that are forwarded, and usage that is reported."""

from typing import Final

from gateway.api.openapi.operations.operation import Key, Operation
from gateway.openai.endpoints import Endpoint

_CALLS: Final = "Calls"

CALLS: Final = (
    *(
        Operation(
            method="POST",
            path=f"/v1/{endpoint.value}",
            tag=_CALLS,
            says="Forwarded to the provider and metered; body and answer are the provider's own.",
            key=Key.APP,
            body="Call",
            answer="Call",
            refusals=(402, 403, 404, 429, 502, 503, 504),
        )
        for endpoint in Endpoint
    ),
    Operation(
        method="GET",
        path="/v1/models",
        tag=_CALLS,
        says="The models that the app may use.",
        key=Key.APP,
        answer="Call",
    ),
    Operation(
        method="POST",
        path="/v1/events",
        tag="Events",
        says="Report usage that did not pass the gateway, one or up to 1,000 at once.",
        key=Key.APP,
        body="Events",
        answer="EventAnswer",
        status=202,
        refusals=(403, 409),
    ),
)
