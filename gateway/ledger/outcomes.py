"""What the scripts that admit are told of limits, and what they answer."""

from enum import IntEnum

from gateway.customers.profile import Terms
from gateway.store.client import Part


class Outcome(IntEnum):
    """What ``hold.lua``, ``scope_hold.lua`` and ``event.lua`` return."""

    HELD = 1
    EXCEEDED = 2
    IN_FLIGHT = 3
    RATE_LIMITED = 4
    POLICY = 5
    STALE = 6
    DUPLICATE = 7


def limits_of(terms: Terms) -> tuple[Part, Part, Part]:
    """Window kind and amount of the period limit, then the total limit; empty for none."""
    period, total = terms.limits.period_budget_pico, terms.limits.total_budget_pico
    return (
        terms.period_kind or "",
        "" if period is None else period,
        "" if total is None else total,
    )
