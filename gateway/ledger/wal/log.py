"""The log of one living process: append-only, in segments, bounded.

A record is gathered, and written by whoever needs it on disk: the store's connection before
each batch, the proxy before it calls the upstream, else the end of the event loop's turn.
That order, intent before hold, `so far` before the upstream, final before settle, is what a
process that is killed can be reconstructed from.

A segment that is full or old is closed; what it says of calls that still run is repeated in
the next, so an old one is history only. It is kept for the replay window, in case the store
loses what it has acknowledged.
"""

import asyncio
import logging
import os
import secrets
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final

from gateway.ledger.wal.debts import Debts
from gateway.ledger.wal.files import Segment, abandoned, create, forget_unfinished, prepare
from gateway.ledger.wal.frames import frame
from gateway.ledger.wal.records import (
    HISTORY,
    Confirmed,
    Counted,
    Ending,
    Intent,
    KnownProfile,
    Record,
    SoFar,
    StoreIdentity,
)

REPLAY_WINDOW_MS: Final = 600_000
SEGMENT_BYTES_MAX: Final = 33_554_432
SEGMENT_MS_MAX: Final = 60_000
TOTAL_BYTES_MAX: Final = 536_870_912
KEEP_PAUSE_SECONDS: Final = 1.0
RETRY_SECONDS: Final = 1.0
ADOPTED_MS_MIN: Final = 60_000
"""A dead process' log outlives its replay by so much, in case that is lost too."""

BUFFER_BYTES_MAX: Final = 1_048_576
"""Of records that a full disk does not take; those of running calls are kept all the same."""

log = logging.getLogger(__name__)


class Log:
    """Append records; all of it is synchronous and quick, but for `synced`.

    Attributes:
        strict: Callers wait for the disk itself (fdatasync), not only for the kernel.
        failing: The disk did not take the last write. Calls go on, or not, as the caller says.
        errors: Writes that failed.
    """

    def __init__(
        self,
        folder: Path,
        *,
        strict: bool = False,
        segment_bytes_max: int = SEGMENT_BYTES_MAX,
        total_bytes_max: int = TOTAL_BYTES_MAX,
    ) -> None:
        self.folder = folder
        self.strict = strict
        self._segment_bytes_max = segment_bytes_max
        self._total_bytes_max = total_bytes_max
        self._process = f"{time.time_ns() // 1_000_000:012x}-{secrets.token_hex(4)}"
        self._count = 0
        self._segments: list[Segment] = []
        self._opened_ms = 0
        self._buffer: list[bytes] = []
        self._running: dict[str, list[bytes]] = {}
        self._identity = b""
        self._is_due = False
        self._readers = 0
        self._syncing: asyncio.Task[None] | None = None
        self._unsynced: set[Segment] = set()
        self._writes = self._synced_writes = 0
        self._retry_at = 0.0
        self.failing = False
        self.errors = 0

    def open(self) -> None:
        """Begin.

        Raises:
            OSError: `folder` cannot be written to.
        """
        prepare(self.folder)
        forget_unfinished(self.folder, _now_ms() - ADOPTED_MS_MIN)
        self._begin_segment()

    def intend(self, intent: Intent) -> None:
        self._running[intent.request_id] = [self._append(intent)]

    def so_far(self, so_far: SoFar) -> None:
        written = self._append(so_far)
        if (frames := self._running.get(so_far.request_id)) is not None:
            frames[1:] = [written]

    def end(self, ending: Ending) -> None:
        self._running[ending.request_id] = [self._append(ending)]

    def confirm(self, request_id: str) -> None:
        """The store knows the end of this call, or never had a hold of it."""
        self._running.pop(request_id, None)
        self._append(Confirmed(request_id))

    def counted(self, counted: Counted) -> None:
        self._append(counted)

    def know(self, profile: KnownProfile) -> None:
        self._append(profile)

    def sent_to(self, identity: str) -> None:
        """What follows is sent to this store."""
        self._identity = frame(StoreIdentity(identity).payload())
        self._gather(self._identity)

    def leave_on_disk(self, request_id: str) -> bool:
        """Remember a call's end no longer; `left_on_disk` finds it again.

        Returns:
            Whether it is there. If not, the disk is full, and the caller has to remember.
        """
        self.flush()
        if self.failing or request_id not in self._running:
            return False
        del self._running[request_id]
        self._segments[-1].pinned = True
        return True

    def left_on_disk(self) -> tuple[list[Segment], list[Ending]]:
        """The ends that only the disk remembers, and the segments to `unpin` once paid."""
        self.flush()
        pinned = [segment for segment in self._segments if segment.pinned]
        if not pinned:
            return [], []
        self._turn_over()
        debts = Debts()
        for segment in self._segments[self._segments.index(pinned[0]) :]:
            debts.add(segment.records())
        running = self._running
        return pinned, [e for e in debts.unconfirmed() if e.request_id not in running]

    async def history(self) -> AsyncIterator[Debts]:
        """What ended in the replay window, by segment, the newest first.

        The logs of dead processes that were taken over are among them.
        """
        self.flush()
        self._readers += 1
        try:
            for segment in reversed(self._segments.copy()):
                debts = Debts()
                await asyncio.to_thread(debts.add, segment.records(HISTORY))
                yield debts
        finally:
            self._readers -= 1

    async def take_over(self) -> list[tuple[Debts, list[Segment]]]:
        """Take the logs of dead processes: what each owes, and its segments, now pinned."""
        taken = []
        for debts, segments in await asyncio.to_thread(_abandoned_debts, self.folder):
            if debts.are_none:
                for segment in segments:
                    segment.drop()
                continue
            taken.append((debts, segments))
            for segment in segments:
                segment.pinned = True
                segment.newest_ms = max(
                    segment.newest_ms, _now_ms() - REPLAY_WINDOW_MS + ADOPTED_MS_MIN
                )
            self._segments[:0] = segments
        return taken

    def unpin(self, segments: list[Segment], paid: list[Ending]) -> None:
        """Note at their end how what `segments` owed was paid: the store may lose it yet."""
        content = b"".join(
            frame(record.payload()) for e in paid for record in (e, Confirmed(e.request_id))
        )
        newest_ms = segments[-1].newest_ms
        try:
            segments[-1].append(content)
        except OSError as exc:
            self._note_failure(exc)
        segments[-1].newest_ms = newest_ms
        for segment in segments:
            segment.pinned = False

    def flush(self) -> None:
        """Hand what has gathered to the kernel: it survives this process from here on."""
        self._is_due = False
        if not self._buffer or not self._segments:  # nothing to write, or nowhere any more
            return
        if self.failing and not self._try_again():
            return
        content = b"".join(self._buffer)
        try:
            self._segments[-1].append(content)
        except OSError as exc:
            self._note_failure(exc)
            return
        self._buffer.clear()
        self._writes += 1
        self._unsynced.add(self._segments[-1])

    async def written(self) -> None:
        """Return when what has gathered survives this process; if `strict`, the machine too."""
        if self.strict:
            await self.synced()
        else:
            self.flush()

    async def synced(self) -> None:
        """Return when all that has gathered is on the disk, or the log is `failing`."""
        self.flush()
        wanted = self._writes
        while self._synced_writes < wanted and not self.failing:
            if self._syncing is None:
                self._syncing = asyncio.create_task(self._sync())
            await asyncio.shield(self._syncing)

    def step(self) -> None:
        """Close what is full or old, drop what is history."""
        self.flush()
        now_ms = _now_ms()
        newest = self._segments[-1]
        if newest.written_bytes > len(self._identity) and (
            newest.written_bytes > self._segment_bytes_max
            or now_ms - self._opened_ms > SEGMENT_MS_MAX
        ):
            self._turn_over()
        self._drop_while(lambda segment: segment.newest_ms < now_ms - REPLAY_WINDOW_MS)
        if self.size_bytes > self._total_bytes_max:
            log.warning("wal_full bytes=%d", self.size_bytes)
            self._drop_while(lambda _: self.size_bytes > self._total_bytes_max)

    async def keep(self) -> None:
        """Step, and bring what was written to the disk, for ever."""
        while True:
            await asyncio.sleep(KEEP_PAUSE_SECONDS)
            self.step()
            await self.synced()

    @property
    def size_bytes(self) -> int:
        return sum(segment.written_bytes for segment in self._segments)

    @property
    def running(self) -> int:
        """Calls whose end the store does not know yet."""
        return len(self._running)

    async def close(self) -> None:
        """Let go of the files: the next process takes them over, for what is in them."""
        await self.synced()
        for segment in self._segments:
            if segment.written_bytes <= len(self._identity):
                segment.drop()
            else:
                segment.close()
        self._segments.clear()

    def abandon(self) -> None:
        """Let go of the files as the kernel does for a process that is killed."""
        self._buffer.clear()
        for segment in self._segments:
            segment.close()
        self._segments.clear()

    def _append(self, record: Record) -> bytes:
        written = frame(record.payload())
        self._gather(written)
        return written

    def _gather(self, written: bytes) -> None:
        self._buffer.append(written)
        if not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self.flush)

    def _turn_over(self) -> None:
        try:
            self._begin_segment()
            self.failing = False
        except OSError as exc:
            self._note_failure(exc)

    def _begin_segment(self) -> None:
        """A new file, which begins with all that is still running."""
        segment = create(self.folder, self._process, self._count)
        self._count += 1
        carried = b"".join(written for frames in self._running.values() for written in frames)
        try:
            segment.append(self._identity + carried)
        except OSError:
            segment.drop()
            raise
        self._segments.append(segment)
        self._opened_ms = _now_ms()
        self._writes += 1
        self._unsynced.add(segment)

    def _try_again(self) -> bool:
        """What the disk has not taken of running calls begins a new segment."""
        if sum(map(len, self._buffer)) > BUFFER_BYTES_MAX:
            self._buffer.clear()
        if time.monotonic() < self._retry_at:
            return False
        self._turn_over()
        if not self.failing:
            log.warning("wal_written_again errors=%d", self.errors)
        return not self.failing

    def _drop_while(self, is_over: Callable[[Segment], bool]) -> None:
        """Drop the oldest, in order: what confirms an ending stands behind it."""
        while len(self._segments) > 1 and not self._readers:
            oldest = self._segments[0]
            if oldest.pinned or not is_over(oldest):
                return
            self._unsynced.discard(oldest)
            oldest.drop()
            del self._segments[0]

    async def _sync(self) -> None:
        segments, self._unsynced = self._unsynced, set()
        writes = self._writes
        self._readers += 1
        try:
            await asyncio.to_thread(_sync_all, segments)
            self._synced_writes = writes
        except OSError as exc:
            self._note_failure(exc)
        finally:
            self._readers -= 1
            self._syncing = None

    def _note_failure(self, problem: OSError) -> None:
        self.errors += 1
        self._retry_at = time.monotonic() + RETRY_SECONDS
        if not self.failing:
            self.failing = True
            log.error("wal_not_written folder=%s error=%s", self.folder, problem.strerror)


def _sync_all(segments: set[Segment]) -> None:
    for segment in segments:
        os.fdatasync(segment.fd)


def _abandoned_debts(folder: Path) -> list[tuple[Debts, list[Segment]]]:
    taken = []
    for segments in abandoned(folder):
        debts = Debts()
        for segment in segments:
            debts.add(segment.records())
        taken.append((debts, segments))
    return taken


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
