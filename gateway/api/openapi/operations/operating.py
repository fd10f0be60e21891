"""What keeps it running: temporary keys, webhooks, the books, health."""

from typing import Final

from gateway.api.openapi.operations.operation import PAGES, Key, Operation

_KEYS, _HOOKS, _OPERATIONS = "Temporary keys", "Webhooks", "Operations"

OPERATING: Final = (
    Operation(
        method="GET",
        path="/api/temporary-keys",
        tag=_KEYS,
        says="List temporary keys.",
        query=PAGES,
        answer="TemporaryKeyPage",
    ),
    Operation(
        method="POST",
        path="/api/temporary-keys",
        tag=_KEYS,
        says="Make a key that ends; the only answer that has it.",
        body="TemporaryKeyCreate",
        answer="TemporaryKey",
        status=201,
    ),
    Operation(
        method="GET",
        path="/api/temporary-keys/{id}",
        tag=_KEYS,
        says="One key and its use.",
        answer="TemporaryKey",
        refusals=(404,),
    ),
    Operation(
        method="PATCH",
        path="/api/temporary-keys/{id}",
        tag=_KEYS,
        says="Change or revoke a key; null removes.",
        body="TemporaryKeyChange",
        answer="TemporaryKey",
        refusals=(404,),
    ),
    Operation(
        method="DELETE",
        path="/api/temporary-keys/{id}",
        tag=_KEYS,
        says="Forget a key.",
        status=204,
        refusals=(404,),
    ),
    Operation(
        method="GET",
        path="/api/webhooks",
        tag=_HOOKS,
        says="Where alerts go.",
        answer="Webhooks",
    ),
    Operation(
        method="POST",
        path="/api/webhooks/test",
        tag=_HOOKS,
        says="Send a test everywhere.",
        answer="Queued",
        status=202,
        refusals=(409,),
    ),
    Operation(
        method="GET",
        path="/api/webhooks/deliveries",
        tag=_HOOKS,
        says="What became of each delivery.",
        query=(*PAGES, "state"),
        answer="DeliveryPage",
    ),
    Operation(
        method="POST",
        path="/api/webhooks/deliveries/{id}/retry",
        tag=_HOOKS,
        says="Try one again now.",
        answer="Queued",
        status=202,
        refusals=(404,),
    ),
    Operation(
        method="GET",
        path="/api/audit",
        tag=_OPERATIONS,
        says="Do the books add up?",
        answer="Audit",
    ),
)

HEALTH: Final = (
    Operation(
        method="GET",
        path="/livez",
        tag=_OPERATIONS,
        says="Is the process alive?",
        key=Key.NONE,
        answer="Health",
    ),
    Operation(
        method="GET",
        path="/readyz",
        tag=_OPERATIONS,
        says="Can it take calls?",
        key=Key.NONE,
        answer="Health",
        refusals=(503,),
    ),
    Operation(
        method="GET",
        path="/metrics",
        tag=_OPERATIONS,
        says="Numbers for Prometheus.",
        key=Key.NONE,
        media=("text/plain",),
    ),
)
