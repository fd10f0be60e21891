"""How far the flusher is behind, by the store's own word: every worker says the same."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gateway.store.client import Store

WAITING_MAX: Final = 1_000
"""Counted in one partition."""

CURSORS: Final = ("flush", "archive")


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """Of all partitions.

    Attributes:
        entries: In the streams: what has not been trimmed.
        holds: Calls that are being served, or whose gateway is gone.
        waiting: By cursor, the events behind it, counted up to `WAITING_MAX` a partition.
        lag_ms: By cursor, the age of the oldest of them; 0 when there is none.
    """

    entries: int
    holds: int
    waiting: Mapping[str, int]
    lag_ms: Mapping[str, int]


async def backlog(store: Store) -> Backlog:
    """Raises LedgerUnavailable: the store is away."""
    replies = await asyncio.gather(
        *(
            store.script("backlog", [p.cursors, p.stream, p.holds], [WAITING_MAX, *CURSORS])
            for p in store.keyspace.partitions
        )
    )
    waiting = dict.fromkeys(CURSORS, 0)
    lag_ms = dict.fromkeys(CURSORS, 0)
    for now, _, _, *of_cursors in replies:
        for cursor, count, oldest in zip(CURSORS, of_cursors[::2], of_cursors[1::2], strict=True):
            waiting[cursor] += count
            if oldest:
                age_ms = int(now) - int(oldest.split(b"-")[0])
                lag_ms[cursor] = max(lag_ms[cursor], age_ms)
    return Backlog(
        entries=sum(reply[1] for reply in replies),
        holds=sum(reply[2] for reply in replies),
        waiting=waiting,
        lag_ms=lag_ms,
    )
