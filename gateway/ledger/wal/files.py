"""Segments: the files of the log, and who owns them.

A file ``data_dir/wal/<process>.<n>.wal`` is locked by the process that writes it for as
long as it lives; the kernel lets go of the lock whatever kills the process. A file that can
be locked is a dead process' log. Only its owner may open the folder and what is in it.
"""

import fcntl
import logging
import os
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.ledger.wal.frames import payloads
from gateway.ledger.wal.records import Record, read

SUFFIX: Final = ".wal"
DAMAGED: Final = ".damaged"

log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Segment:
    """One file of a log, locked.

    Attributes:
        written_bytes: How much of it is whole.
        newest_ms: When something was last added to it, Unix ms.
        pinned: It says of a call's end what nothing else says; it must stay.
    """

    path: Path
    fd: int
    written_bytes: int = 0
    newest_ms: int = 0
    pinned: bool = False

    def append(self, content: bytes) -> None:
        """Write all of `content`, or nothing.

        Raises:
            OSError: the disk does not take it.
        """
        done = 0
        try:
            while done < len(content):
                done += os.write(self.fd, content[done:] if done else content)
        except OSError:
            if done:  # what follows a torn frame could not be read
                os.ftruncate(self.fd, self.written_bytes)
            raise
        self.written_bytes += done
        self.newest_ms = time.time_ns() // 1_000_000

    def records(self, beginnings: tuple[bytes, ...] = (b"",)) -> Iterator[Record]:
        """Those whose payload begins so."""
        content = os.pread(self.fd, self.written_bytes, 0)
        for _, payload in payloads(content):
            if payload.startswith(beginnings) and (record := read(payload)) is not None:
                yield record

    def close(self) -> None:
        os.close(self.fd)

    def drop(self) -> None:
        self.path.unlink(missing_ok=True)
        os.close(self.fd)


def prepare(folder: Path) -> None:
    """Make the folder, and keep others out of it."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)


def create(folder: Path, process: str, number: int) -> Segment:
    """A new file, locked before others can see it under its name."""
    path = folder / f"{process}.{number:06d}{SUFFIX}"
    fresh = path.with_suffix(".new")
    fd = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fresh.rename(path)
    except BaseException:
        os.close(fd)
        raise
    return Segment(path, fd, newest_ms=time.time_ns() // 1_000_000)


def abandoned(folder: Path) -> Iterator[list[Segment]]:
    """The logs of dead processes, now locked by us: of each, its segments, oldest first.

    All of a log or nothing: whose owner is dropping his files one by one, or who shares the
    log with another heir, would read half of what it tells.
    """
    by_process = defaultdict(list)
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        by_process[path.name.split(".", 1)[0]].append(path)
    for paths in by_process.values():
        segments: list[Segment] = []
        for path in paths:
            segment = _claimed(path)
            if segment is None:
                break
            segments.append(segment)
        if len(segments) == len(paths):
            yield segments
        else:
            for segment in segments:
                segment.close()


def _claimed(path: Path) -> Segment | None:
    """The file, if its process is dead; what of it cannot be read is put aside."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_APPEND)
    except FileNotFoundError:
        return None
    except OSError as exc:
        log.error("wal_not_readable file=%s error=%s", path.name, exc.strerror)  # noqa: TRY400
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    stat = os.fstat(fd)
    if stat.st_nlink == 0:  # its owner has just dropped it
        os.close(fd)
        return None
    whole = _whole_bytes(os.pread(fd, stat.st_size, 0))
    segment = Segment(path, fd, whole, newest_ms=stat.st_mtime_ns // 1_000_000)
    if whole < stat.st_size:
        _put_aside(segment, stat.st_size)
    return segment


def _whole_bytes(content: bytes) -> int:
    end = 0
    for end, _ in payloads(content):  # noqa: B007 - the last one counts
        pass
    return end


def _put_aside(segment: Segment, size_bytes: int) -> None:
    """Copy what cannot be read to ``<name>.damaged``, so that the file ends where it is whole."""
    rest = os.pread(segment.fd, size_bytes - segment.written_bytes, segment.written_bytes)
    aside = segment.path.with_suffix(SUFFIX + DAMAGED)
    fd = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(fd, rest)
        os.fsync(fd)
    finally:
        os.close(fd)
    os.ftruncate(segment.fd, segment.written_bytes)
    log.warning(
        "wal_damaged file=%s whole_bytes=%d kept_aside_bytes=%d",
        segment.path.name,
        segment.written_bytes,
        len(rest),
    )


def forget_unfinished(folder: Path, older_than_ms: int) -> None:
    """Remove files that a process made and died before it wrote to them."""
    for path in folder.glob("*.new"):
        with suppress(FileNotFoundError):
            if path.stat().st_mtime_ns // 1_000_000 < older_than_ms:
                path.unlink()
