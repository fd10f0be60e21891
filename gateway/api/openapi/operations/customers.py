"""Customers and their groups."""

from typing import Final

from gateway.api import user_list
from gateway.api.openapi.operations.operation import PAGES, Operation

_USERS, _GROUPS = "Users", "Groups"
_USER: Final = "/api/users/{customer_identifier}"

CUSTOMERS: Final = (
    Operation(
        method="GET",
        path="/api/users/list",
        tag=_USERS,
        says="List customers: sorted, searched, filtered, in pages.",
        query=user_list.PARAMETERS,
        answer="UserPage",
    ),
    Operation(
        method="POST",
        path="/api/users/list",
        tag=_USERS,
        says="The same, with filters in the body.",
        query=user_list.PARAMETERS,
        body="Filters",
        answer="UserPage",
    ),
    Operation(
        method="POST",
        path="/api/users/create",
        tag=_USERS,
        says="Create a customer without a call.",
        body="UserCreate",
        answer="User",
        status=201,
        refusals=(409,),
    ),
    Operation(
        method="GET",
        path=_USER,
        tag=_USERS,
        says="One customer: its limits, what it has used, what is left.",
        answer="User",
        refusals=(404,),
    ),
    Operation(
        method="PATCH",
        path=_USER,
        tag=_USERS,
        says="Change, block or unblock a customer; null removes. What is set here is pinned.",
        body="UserChange",
        answer="User",
        refusals=(404,),
    ),
    Operation(
        method="DELETE",
        path=_USER,
        tag=_USERS,
        says="Delete a customer. What was spent stays counted, under its number.",
        status=204,
        refusals=(404,),
    ),
    Operation(
        method="POST",
        path=f"{_USER}/credits",
        tag=_USERS,
        says="Give a customer money beside its total budget, or take it back.",
        body="Credit",
        answer="CreditReceipt",
        status=201,
        refusals=(404, 409),
    ),
    Operation(
        method="GET",
        path="/api/groups",
        tag=_GROUPS,
        says="List groups.",
        query=PAGES,
        answer="GroupPage",
    ),
    Operation(
        method="GET",
        path="/api/groups/{group_identifier}",
        tag=_GROUPS,
        says="One group: its limits and what is left of them.",
        answer="Group",
        refusals=(404,),
    ),
    Operation(
        method="PUT",
        path="/api/groups/{group_identifier}",
        tag=_GROUPS,
        says="Set a group's limits, in force at once.",
        body="GroupChange",
        answer="Group",
        refusals=(404,),
    ),
    Operation(
        method="DELETE",
        path="/api/groups/{group_identifier}",
        tag=_GROUPS,
        says="Take back what was set; what the configuration says is in force again.",
        status=204,
        refusals=(404,),
    ),
)
