"""What was used: calls one by one, summed up, and taken out."""

from typing import Final

from gateway.api import analytics, export, log_filters, logs
from gateway.api.openapi.operations.operation import Operation

_LOGS: Final = "Logs"
ANALYTICS: Final = "Analytics"

USAGE: Final = (
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
        tag=ANALYTICS,
        says="Sums over a span.",
        query=analytics.FILTERS,
        answer="UsageSummary",
    ),
    Operation(
        method="GET",
        path="/api/analytics/top-users",
        tag=ANALYTICS,
        says="Who used most.",
        query=(*analytics.FILTERS, "metric", "limit"),
        answer="TopUsers",
    ),
    Operation(
        method="GET",
        path="/api/analytics/daily-active-users",
        tag=ANALYTICS,
        says="How many customers called, new and returning.",
        query=analytics.FILTERS,
        answer="ActiveUsers",
    ),
    Operation(
        method="GET",
        path="/api/analytics/cost-by-user",
        tag=ANALYTICS,
        says="Cost over time, by the customers that cost most.",
        query=(*analytics.FILTERS, "metric", "limit"),
        answer="CostByUser",
    ),
    Operation(
        method="GET",
        path="/api/analytics/series",
        tag=ANALYTICS,
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
)
