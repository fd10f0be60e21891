"""Reading the streams: entries in, events out, at most one batch of each at a time."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

from redis.exceptions import ResponseError

from gateway.event import UsageEvent, decode
from gateway.metering.sinks import Tail, each, stuck
from gateway.store.client import Store
from gateway.store.keys import Partition

BATCH_EVENTS_MAX: Final = 200
"""Of one partition in one step: what one `apply` carries."""

Start = tuple[Partition, str]
"""A stream, and the id after which to read; '' is the start."""

log = logging.getLogger(__name__)


class Reader:
    """Of one store.

    Attributes:
        skipped: Entries that were no events, as often as they were met.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.skipped = 0

    async def read(self, starts: Sequence[Start]) -> Mapping[Start, Tail]:
        """The tails that have something in them. A damaged stream or cursor has none.

        Raises:
            LedgerUnavailable: the store is away.
        """
        since = self._store.changes
        replies = await each(self._store, [_range(*start) for start in starts])
        tails: dict[Start, Tail] = {}
        for (partition, cursor), entries in zip(starts, replies, strict=True):
            if isinstance(entries, ResponseError):
                stuck(partition, cursor, entries)
            elif entries:
                tails[partition, cursor] = self._tail(partition, cursor, entries, since)
                await asyncio.sleep(0)
        return tails

    def _tail(self, partition: Partition, cursor: str, entries: list[Any], since: int) -> Tail:
        events: list[tuple[str, UsageEvent]] = []
        for stream_id, flat in entries:
            try:
                event = decode(flat)
            except ValueError as exc:
                self.skipped += 1
                log.warning(
                    "entry_skipped stream=%s id=%s error=%s",
                    partition.stream,
                    stream_id.decode(),
                    type(exc).__name__,
                )
            else:
                events.append((stream_id.decode(), event))
        return Tail(
            partition,
            cursor,
            last_id=entries[-1][0].decode(),
            events=events,
            length=len(entries),
            is_full=len(entries) >= BATCH_EVENTS_MAX,
            since=since,
        )


def _range(partition: Partition, cursor: str) -> tuple[str | int, ...]:
    start = f"({cursor}" if cursor else "-"
    return ("XRANGE", partition.stream, start, "+", "COUNT", BATCH_EVENTS_MAX)
