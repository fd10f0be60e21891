"""Who used most in a span of days, without a look at everybody.

Each day has its customers by what they used, the greatest first. Whoever is in none of the
first places of any day can have used no more than the last of these places together: once
enough of those who are in one have used more than that, nobody else can be among the greatest.
(Fagin's threshold algorithm.)
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Final

from sqlalchemy import Connection, select

from gateway.store.archive.slots import SlotUse
from gateway.store.archive.sums import CUSTOMER_DAYS, LIMB

PLACES_MIN: Final = 32
PLACES_MAX: Final = 2_048
"""Of each day; whoever asks for more sums up everybody."""

_RANKED: Final = {"cost_pico": "cost_high", "tokens": "tokens", "requests": "requests"}
"""Number of `SlotUse` -> column with an index."""


def greatest(
    connection: Connection,
    starts: Sequence[int],
    metric: str,
    limit: int,
    of_these: Callable[[Collection[int]], list[SlotUse]],
) -> list[SlotUse] | None:
    """As `rank_of` of everybody, cut to `limit`; None: that is not found out in this way."""
    if metric not in _RANKED:
        return None
    places = max(PLACES_MIN, 2 * limit)
    while places <= PLACES_MAX:
        seen, bound = _first_places(connection, starts, metric, places)
        found = rank_of(of_these(seen), metric)
        if bound is None or (len(found) >= limit and getattr(found[limit - 1], metric) > bound):
            return found[:limit]
        places *= 4
    return None


def _first_places(
    connection: Connection, starts: Sequence[int], metric: str, places: int
) -> tuple[set[int], int | None]:
    """Who is in the first places of any day, and the most that others can have; None: all are."""
    column = CUSTOMER_DAYS.c[_RANKED[metric]]
    unit = LIMB if metric == "cost_pico" else 1
    seen: set[int] = set()
    bound: int | None = None
    for start_ms in starts:
        rows = connection.execute(
            select(CUSTOMER_DAYS.c.customer_number, column)
            .where(CUSTOMER_DAYS.c.start_ms == start_ms)
            .order_by(column.desc())
            .limit(places)
        ).all()
        seen.update(number for number, _ in rows)
        if len(rows) == places:
            # Of an amount its high limb is compared: below the next.
            bound = (bound or 0) + max((rows[-1][1] + (unit > 1)) * unit, 0)
    return seen, bound


def rank_of(everybody: Iterable[SlotUse], metric: str) -> list[SlotUse]:
    """Those that used anything, the greatest first; who is nobody's customer is left out."""
    used = [
        one
        for one in everybody
        if one.key and (one.requests or one.tokens or one.cost_pico or one.charge_pico)
    ]
    return sorted(used, key=lambda one: (-getattr(one, metric), one.key))
