"""Everything that can be asked of the gateway: one row an operation.

What a path reads of its query is named by the same constants that its handler checks by.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from gateway.api import analytics, export, log_filters, logs, prices, user_list
from gateway.openai.endpoints import Endpoint


class Key(StrEnum):
    """What opens an operation."""

    ADMIN = "admin"
    APP = "app"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one path.

    Attributes:
        says: In a line, what it does.
        query: The parameters that it takes.
        body, answer: Names in `schemas.SCHEMAS`; None: no body, or any.
        media: Of the answer, where that is no JSON.
        refusals: Statuses beside those that every operation of its kind has.
    """

    method: str
    path: str
    tag: str
    says: str
    key: Key = Key.ADMIN
    query: tuple[str, ...] = ()
    body: str | None = None
    answer: str | None = None
    status: int = 200
    media: tuple[str, ...] = ("application/json",)
    refusals: tuple[int, ...] = ()


_PAGES: Final = ("page", "page_size")
_USERS, _LOGS, _ANALYTICS = "Users", "Logs", "Analytics"
_KEYS, _PRICES, _GROUPS, _HOOKS = "Temporary keys", "Prices", "Groups", "Webhooks"
_USER: Final = "/api/users/{customer_identifier}"

_MANAGEMENT: Final = (
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
        query=_PAGES,
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
    Operation(
        method="GET",
        path="/api/request-logs/list",
        tag=_LOGS,
        says="List calls, reported usage and refusals.",
        query=(*log_filters.PARAMETERS, *logs.OF_PAGES),
        answer="LogPage",
    ),
    Operation(
        method="POST",
        path="/api/request-logs/list",
        tag=_LOGS,
        says="The same, with filters in the body.",
        query=(*log_filters.PARAMETERS, *logs.OF_PAGES),
        body="Filters",
        answer="LogPage",
    ),
    Operation(
        method="GET",
        path="/api/request-logs/{request_id}",
        tag=_LOGS,
        says="One call: its customer, and its cost line by line.",
        answer="Log",
        refusals=(404,),
    ),
    Operation(
        method="GET",
        path="/api/request-logs/summary",
        tag=_LOGS,
        says="Sums over what a list would show.",
        query=(*log_filters.PARAMETERS, *logs.FOREIGN),
        answer="LogSummary",
    ),
    Operation(
        method="POST",
        path="/api/request-logs/summary",
        tag=_LOGS,
        says="The same, with filters in the body.",
        query=(*log_filters.PARAMETERS, *logs.FOREIGN),
        body="Filters",
        answer="LogSummary",
    ),
    Operation(
        method="GET",
        path="/api/analytics/summary",
        tag=_ANALYTICS,
        says="Sums over a span.",
        query=analytics.FILTERS,
        answer="UsageSummary",
    ),
    Operation(
        method="GET",
        path="/api/analytics/top-users",
        tag=_ANALYTICS,
        says="Who used most.",
        query=(*analytics.FILTERS, "metric", "limit"),
        answer="TopUsers",
    ),
    Operation(
        method="GET",
        path="/api/analytics/daily-active-users",
        tag=_ANALYTICS,
        says="How many customers called, new and returning.",
        query=analytics.FILTERS,
        answer="ActiveUsers",
    ),
    Operation(
        method="GET",
        path="/api/analytics/cost-by-user",
        tag=_ANALYTICS,
        says="Cost over time, by the customers that cost most.",
        query=(*analytics.FILTERS, "metric", "limit"),
        answer="CostByUser",
    ),
    Operation(
        method="GET",
        path="/api/analytics/series",
        tag=_ANALYTICS,
        says="One measure over time, by model, app or customer.",
        query=(*analytics.FILTERS, "metric", "group_by", "limit"),
        answer="Series",
    ),
    Operation(
        method="GET",
        path="/api/export/usage",
        tag="Export",
        says="Every call of a span, as CSV, JSON lines or FOCUS; streamed.",
        query=export.PARAMETERS,
        media=("text/csv", "application/x-ndjson"),
    ),
    Operation(
        method="POST",
        path="/api/estimate",
        tag="Estimate",
        says="What a call would cost at most, and whether it would be let in. Nothing is sent.",
        query=("app",),
        body="Estimate",
        answer="Estimate",
        refusals=(400,),
    ),
    Operation(
        method="GET",
        path="/api/prices",
        tag=_PRICES,
        says="The price book.",
        query=prices.PARAMETERS,
        answer="PricePage",
    ),
    Operation(
        method="GET",
        path="/api/prices/{model}",
        tag=_PRICES,
        says="What a model costs and has cost, wherever it is served.",
        query=prices.OF_ONE,
        answer="Prices",
        refusals=(404,),
    ),
    Operation(
        method="GET",
        path="/api/prices/{provider}/{model}",
        tag=_PRICES,
        says="The same, of one provider.",
        query=prices.OF_ONE,
        answer="Prices",
        refusals=(404,),
    ),
    Operation(
        method="GET",
        path="/api/models/public",
        tag=_PRICES,
        says="Models and prices in Keywords AI's shape.",
        answer="PublicModels",
    ),
    Operation(
        method="GET",
        path="/api/temporary-keys",
        tag=_KEYS,
        says="List temporary keys.",
        query=_PAGES,
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
        query=(*_PAGES, "state"),
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
        tag="Operations",
        says="Do the books add up?",
        answer="Audit",
    ),
)

_DATA: Final = (
    *(
        Operation(
            method="POST",
            path=f"/v1/{endpoint.value}",
            tag="Calls",
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
        tag="Calls",
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

_OPERATING: Final = (
    Operation(
        method="GET",
        path="/livez",
        tag="Operations",
        says="Is the process alive?",
        key=Key.NONE,
        answer="Health",
    ),
    Operation(
        method="GET",
        path="/readyz",
        tag="Operations",
        says="Can it take calls?",
        key=Key.NONE,
        answer="Health",
        refusals=(503,),
    ),
    Operation(
        method="GET",
        path="/metrics",
        tag="Operations",
        says="Numbers for Prometheus.",
        key=Key.NONE,
        media=("text/plain",),
    ),
)

OPERATIONS: Final = (*_DATA, *_MANAGEMENT, *_OPERATING)

ALSO: Final = {
    **{f"{o.path}.csv": f"{o.path}, as CSV" for o in _MANAGEMENT if o.tag == _ANALYTICS},
    "/api/users": "/api/users/list, or create with POST",
    "/api/user/detail/{id}": "/api/users/{customer_identifier}",
    "/api/user/detail": "/api/users/{customer_identifier}",
    "/api/user/update/{id}": "/api/users/{customer_identifier}",
    "/api/user/update": "/api/users/{customer_identifier}",
    "/api/request-logs": "/api/request-logs/list",
}
"""Paths that are there for clients of other APIs -> what they are."""
