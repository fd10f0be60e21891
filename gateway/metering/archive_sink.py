"""Events into the archive: each one a row, all partitions in one transaction."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from gateway import crash
from gateway.clock import Clock
from gateway.metering.sinks import Tail, cursors_of, move, outcome
from gateway.store.archive import Archive, ArchivedEvent
from gateway.store.client import Store
from gateway.store.keys import Partition

RETRY_SECONDS: Final = 2.0

log = logging.getLogger(__name__)


class ArchiveSink:
    """Writes each event as a row, all partitions in one transaction."""

    name = "archive"

    def __init__(self, store: Store, archive: Archive, clock: Clock) -> None:
        self._store = store
        self._archive = archive
        self._clock = clock
        self._retry_at = float("-inf")

    @property
    def is_ready(self) -> bool:
        """False for a moment after a failure: a full disk is not asked twenty times a second."""
        return self._clock.monotonic() >= self._retry_at

    async def cursors(self, partitions: Sequence[Partition]) -> Sequence[str]:
        return await cursors_of(self._store, self.name, partitions)

    async def take(self, tails: Sequence[Tail]) -> list[bool]:
        rows = [
            ArchivedEvent(tail.partition.index, stream_id, event)
            for tail in tails
            for stream_id, event in tail.events
        ]
        try:
            await self._archive.add(rows)
            crash.at("flusher_archived")
        except (SQLAlchemyError, OSError) as exc:
            self._retry_at = self._clock.monotonic() + RETRY_SECONDS
            # Not str(exc): SQLAlchemy puts the row into it.
            cause = getattr(exc, "orig", exc)
            log.warning("archive_failed error=%s rows=%d", cause, len(rows))
            return [False] * len(tails)
        done = await asyncio.gather(
            *(move(self._store, self.name, tail, {}) for tail in tails), return_exceptions=True
        )
        return [outcome(self.name, *pair) for pair in zip(tails, done, strict=True)]
