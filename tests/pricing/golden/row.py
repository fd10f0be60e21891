"""One bill, as it is worked out on paper.

Read a row as: "`model`, used so, costs `usd`, since `page` has these figures". The figures
stand in `worked` as the page has them, each beside what it is for, so that a row can be
checked against the page without the book:

    1000 at 5                     tokens, at USD a million
    3 at 10/1000                  pieces, at USD for so many
    x 11/10                       of all that stands before it

`usd` is written out as well: neither the table's arithmetic nor the engine's is believed alone.
"""

from fractions import Fraction
from typing import NamedTuple

from pricing.usage import Usage

TODAY = "2026-11-27T12:00:00Z"
"""A Friday."""

MILLION = 1_000_000


class Bill(NamedTuple):
    """`at` is when the call began, `completed` when it was answered, if that matters."""

    model: str
    what: str
    usage: Usage
    worked: str
    usd: str
    page: str
    tier: str | None = None
    scope: str | None = None
    at: str = TODAY
    completed: str | None = None


class Change(NamedTuple):
    """Until just before `instant` the usage costs `before`, from then on `after`."""

    model: str
    what: str
    usage: Usage
    before: str
    instant: str
    after: str
    page: str


class Refusal(NamedTuple):
    """What no page prices there: `component` has no rate, and nothing is billed."""

    model: str
    component: str
    usage: Usage
    page: str
    tier: str | None = None
    scope: str | None = None


def worked_out(sum_: str) -> Fraction:
    """The dollars that a `Bill.worked` comes to."""
    total = Fraction(0)
    for term in sum_.split(", "):
        if term.startswith("x "):
            total *= Fraction(term.removeprefix("x "))
            continue
        quantity, _, rate = term.partition(" at ")
        price, _, per = rate.partition("/")
        total += Fraction(quantity) * Fraction(price) / (int(per) if per else MILLION)
    return total
