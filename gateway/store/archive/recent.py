"""The latest calls of a few customers, some of each: what is asked per row of a list.

However many calls a customer has made, an index finds the latest at once.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Engine, bindparam, select

from gateway.store.archive.queries import is_usage
from gateway.store.archive.table import EVENTS

RECENT_MAX: Final = 100
"""Calls of each customer."""


@dataclass(frozen=True, slots=True)
class RecentCall:
    """What it asked, and how long it took; None for reported usage, which does not say."""

    model: str
    latency_ms: int | None


_RECENT: Final = (
    select(EVENTS.c.model, EVENTS.c.latency_ms)
    .where(
        EVENTS.c.customer_number == bindparam("number"),
        EVENTS.c.at_ms >= bindparam("start_ms"),
        EVENTS.c.at_ms < bindparam("end_ms"),
        is_usage(),
    )
    .order_by(EVENTS.c.at_ms.desc())
    .limit(RECENT_MAX)
)


class Recent:
    """Raises, from every method: as the archive does."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def of(
        self, numbers: Sequence[int], *, start_ms: int, end_ms: int
    ) -> Mapping[int, Sequence[RecentCall]]:
        """Customer number -> its latest calls within the span, at most `RECENT_MAX` of each."""
        return await asyncio.to_thread(self._of, numbers, start_ms, end_ms)

    def _of(
        self, numbers: Sequence[int], start_ms: int, end_ms: int
    ) -> dict[int, Sequence[RecentCall]]:
        span = {"start_ms": start_ms, "end_ms": end_ms}
        with self._engine.connect() as connection:
            return {
                number: [
                    RecentCall(*row)
                    for row in connection.execute(_RECENT, {"number": number, **span})
                ]
                for number in numbers
            }
