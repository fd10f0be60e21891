"""Finding every account and counter that a store has: one walk through its keys."""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from gateway.store.client import Store
from gateway.store.keys import ACCOUNTS_PATTERN, BOOKS_PATTERN, book_of

KEYS_A_STEP: Final = 1_000


@dataclass(slots=True)
class Known:
    """What a partition has: customer numbers, and the months of each one's daily counters."""

    numbers: set[int] = field(default_factory=set)
    months: defaultdict[int, set[str]] = field(default_factory=lambda: defaultdict(set))


async def survey(
    store: Store,
    *,
    counters: bool,
    pause_seconds: float = 0.0,
    progress: Callable[[float], None] | None = None,
) -> defaultdict[int, Known]:
    """Partition index -> what it has. What comes while it walks may be missing.

    Args:
        counters: With the months of counters; else accounts only.
        pause_seconds: Between two steps, so that a server hardly notices.
        progress: Told the share done, 0 to 1.

    Raises:
        LedgerUnavailable: the store is away.
    """
    found: defaultdict[int, Known] = defaultdict(Known)
    pattern = BOOKS_PATTERN if counters else ACCOUNTS_PATTERN
    keys_max = max(await store.command("DBSIZE"), 1)
    cursor, seen = b"0", 0
    while True:
        cursor, keys = await store.command("SCAN", cursor, "MATCH", pattern, "COUNT", KEYS_A_STEP)
        for key in keys:
            if book := book_of(key):
                known = found[book.partition]
                known.numbers.add(book.number)
                if book.month:
                    known.months[book.number].add(book.month)
        if cursor == b"0":
            return found
        seen += KEYS_A_STEP
        if progress is not None:
            progress(min(seen / keys_max, 1.0))
        await asyncio.sleep(pause_seconds)
