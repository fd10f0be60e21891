"""Which sums make up a span: days where they fit, quarters of an hour at its edges, else rows.

Every instant of the span is in exactly one piece, so that what pieces say adds up to what the
rows say, in every zone.
"""

from dataclasses import replace
from enum import Enum
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from gateway.store.archive.days import QUARTER_MS, Days
from gateway.store.archive.queries import LogFilter
from gateway.store.archive.slots import Slotting
from gateway.store.archive.sums import State


class Source(Enum):
    DAYS = "days"
    QUARTERS = "quarters"
    ROWS = "rows"


class Piece(NamedTuple):
    """``[start_ms, end_ms)``, and where its figures are."""

    source: Source
    start_ms: int
    end_ms: int

    def of(self, wanted: LogFilter) -> LogFilter:
        return replace(wanted, start_ms=self.start_ms, end_ms=self.end_ms)


FAR_MS: Final = 4_000 * 86_400_000
"""Longer spans are no page's: their days are not looked for."""


def cover(
    wanted: LogFilter, slots: Slotting | None, state: State, *, quarters: bool = True
) -> list[Piece]:
    """The pieces of a span that has a start and an end, the days first.

    Args:
        quarters: Whether what is asked is known of them, too.
    """
    start_ms, end_ms = wanted.start_ms, wanted.end_ms
    assert start_ms is not None
    assert end_ms is not None
    if not state.is_whole or end_ms - start_ms > FAR_MS:
        return [Piece(Source.ROWS, start_ms, end_ms)] if start_ms < end_ms else []
    found: list[Piece] = []
    edges = [(start_ms, end_ms)]
    days = Days(ZoneInfo(state.zone)).within(start_ms, end_ms)
    if days and all(slots is None or slots.of(a) == slots.of(b - 1) for a, b in days):
        first, last = days[0][0], days[-1][1]
        found.append(Piece(Source.DAYS, first, last))
        edges = [(start_ms, first), (last, end_ms)]
    quarters = quarters and (slots is None or slots.holds(QUARTER_MS))
    for start, end in edges:
        found += _edge(start, end, quarters=quarters)
    return found


def _edge(start_ms: int, end_ms: int, *, quarters: bool) -> list[Piece]:
    first, last = -(-start_ms // QUARTER_MS) * QUARTER_MS, end_ms // QUARTER_MS * QUARTER_MS
    if not quarters or first >= last:
        return [Piece(Source.ROWS, start_ms, end_ms)] if start_ms < end_ms else []
    whole = [
        Piece(Source.ROWS, start_ms, first),
        Piece(Source.QUARTERS, first, last),
        Piece(Source.ROWS, last, end_ms),
    ]
    return [piece for piece in whole if piece.start_ms < piece.end_ms]
