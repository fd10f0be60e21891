"""Everything that can be asked of the gateway: one row an operation.

What a path reads of its query is named by the same constants that its handler checks by.
"""

from typing import Final

from gateway.api.openapi.operations.calls import CALLS
from gateway.api.openapi.operations.customers import CUSTOMERS
from gateway.api.openapi.operations.operating import HEALTH, OPERATING
from gateway.api.openapi.operations.operation import Key, Operation
from gateway.api.openapi.operations.prices import PRICES
from gateway.api.openapi.operations.usage import ANALYTICS, USAGE

__all__ = ["ALSO", "OPERATIONS", "Key", "Operation"]

OPERATIONS: Final = (*CALLS, *CUSTOMERS, *USAGE, *PRICES, *OPERATING, *HEALTH)

ALSO: Final = {
    **{f"{o.path}.csv": f"{o.path}, as CSV" for o in USAGE if o.tag == ANALYTICS},
    "/api/users": "/api/users/list, or create with POST",
    "/api/user/detail/{id}": "/api/users/{customer_identifier}",
    "/api/user/detail": "/api/users/{customer_identifier}",
    "/api/user/update/{id}": "/api/users/{customer_identifier}",
    "/api/user/update": "/api/users/{customer_identifier}",
    "/api/request-logs": "/api/request-logs/list",
}
"""Paths that are there for clients of other APIs -> what they are."""
