"""Reports: what was used, over a span of time in any zone. Numbers only, no HTTP.

Analytics and the dashboard ask here. A question is a `Span` (from, to, how it is cut, in
whose days) and a `Filter`; answers are integers: tokens, calls, pico-USD. What the counters
can say (whole days of the reporting zone, every app and model) is taken from them; all else
comes from the archive, with the same numbers.
"""

from gateway.reports.reports import Reports
from gateway.reports.span import Granularity, Span, SpanTooLong
from gateway.reports.values import (
    NOTHING,
    Active,
    Filter,
    GroupBy,
    Measure,
    Pace,
    Shares,
    Slot,
    Top,
    TopUsers,
)

__all__ = [
    "NOTHING",
    "Active",
    "Filter",
    "Granularity",
    "GroupBy",
    "Measure",
    "Pace",
    "Reports",
    "Shares",
    "Slot",
    "Span",
    "SpanTooLong",
    "Top",
    "TopUsers",
]
