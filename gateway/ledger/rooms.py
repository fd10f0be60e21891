"""Rooms: what the limits of an account have left."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from gateway.customers.profile import Terms
from gateway.customers.windows import CUSTOM
from gateway.ledger.results import Balance, Spent
from gateway.ledger.rules import Count

_NOTHING: Final = Spent()


@dataclass(frozen=True, slots=True)
class Room:
    """What one limit has left; amounts in pico-USD.

    Attributes:
        limit: Whose it is and which, as a refusal names it: ``group_period_budget``.
        left_pico: Below zero: overspent.
    """

    limit: str
    left_pico: int


def rooms_of(prefix: str, terms: Terms, balance: Balance, count: Count) -> Iterator[Room]:
    """Of each limit; `prefix` says whose it is."""
    limits, held = terms.limits, balance.held_pico
    if limits.period_budget_pico is not None:
        spent = balance.by_kind.get(terms.period_kind or CUSTOM, _NOTHING).of(count)
        yield Room(f"{prefix}period_budget", limits.period_budget_pico - spent - held)
    if limits.total_limit_pico is not None:
        left_pico = limits.total_limit_pico - balance.spent.of(count) - held
        yield Room(f"{prefix}total_budget", left_pico)
