"""Finding every account and counter that a store has: one walk through its keys."""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from gateway.store.client import Store
from gateway.store.keys import ACCOUNTS_PATTERN, BOOKS_PATTERN, Book, book_of

KEYS_A_STEP: Final = 1_000


@dataclass(slots=True)
class Known:
    """What a partition has: customer numbers, the months of each one's daily counters, scopes."""

    numbers: set[int] = field(default_factory=set)
    months: defaultdict[int, set[str]] = field(default_factory=lambda: defaultdict(set))
    scopes: set[str] = field(default_factory=set)


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
        WrongPartitions: it was begun with another number of them.
    """
    found: defaultdict[int, Known] = defaultdict(Known)
    pattern = BOOKS_PATTERN if counters else ACCOUNTS_PATTERN
    servers = store.key_a_server()
    sizes = await asyncio.gather(*(store.command("DBSIZE", node_of=key) for key in servers))
    keys_max, seen = max(sum(sizes), 1), 0
    for server in servers:
        cursor = b""
        while cursor != b"0":
            cursor, keys = await store.command(
                *("SCAN", cursor or b"0", "MATCH", pattern, "COUNT", KEYS_A_STEP), node_of=server
            )
            for key in keys:
                if book := book_of(key):
                    store.keyspace.check(key, book.partition)
                    _enter(found[book.partition], book)
            seen += KEYS_A_STEP
            if progress is not None:
                progress(min(seen / keys_max, 1.0))
            await asyncio.sleep(pause_seconds)
    return found


def _enter(known: Known, book: Book) -> None:
    if book.scope is not None:
        known.scopes.add(book.scope)
    elif book.number is not None:
        known.numbers.add(book.number)
        if book.month:
            known.months[book.number].add(book.month)
