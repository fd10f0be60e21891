"""A spool: where a large body lies between its arrival and its forwarding.

What a call is and who pays for it may stand behind the file that comes with it, and nothing
is sent before it is held; so an upload is read to its end first. A little of it stays in
memory, more goes to a file without a name, which is gone with this process however that
ends.
"""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import IO, Final

from gateway.errors import GatewayBusy
from gateway.openai.body import Edit
from gateway.openai.content import PIECE_BYTES

MEMORY_BYTES: Final = 1_048_576
"""Kept before any of it is written."""

RESERVE_BYTES: Final = 268_435_456
"""Left free on the disk: the store and the logs may live on the same one."""


class Spool:
    """Write it to its end, then read it; close it.

    Args:
        folder: Where its file would be.
    """

    def __init__(self, folder: Path) -> None:
        self.size = 0
        self._folder = folder
        self._memory = bytearray()
        self._file: IO[bytes] | None = None

    async def write(self, piece: bytes) -> None:
        """Add to it.

        Raises:
            GatewayBusy: the disk has no room for it.
        """
        self.size += len(piece)
        self._memory += piece
        if len(self._memory) >= MEMORY_BYTES:
            written, self._memory = self._memory, bytearray()
            try:
                await asyncio.to_thread(self._write_out, written)
            except OSError as exc:
                raise GatewayBusy("There is no room here for an upload; try again later.") from exc

    def edited(self, edits: Iterable[Edit]) -> "Edited":
        return Edited(self, sorted(edits))

    async def read(self, start: int, end: int) -> AsyncIterator[bytes]:
        """The bytes from `start` to `end`, in pieces of at most `PIECE_BYTES`."""
        on_disk = self.size - len(self._memory)
        while start < end:
            if start >= on_disk:
                piece = bytes(
                    self._memory[start - on_disk : min(end, start + PIECE_BYTES) - on_disk]
                )
            else:
                size = min(PIECE_BYTES, end - start, on_disk - start)
                piece = await asyncio.to_thread(self._read_back, start, size)
            start += len(piece)
            yield piece

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
        self._memory = bytearray()

    def _write_out(self, piece: bytearray) -> None:
        if self._file is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._file = tempfile.TemporaryFile(dir=self._folder, buffering=0)  # noqa: SIM115
        room = os.fstatvfs(self._file.fileno())
        if room.f_bavail * room.f_frsize < RESERVE_BYTES + len(piece):
            raise OSError("the disk is nearly full")
        left = memoryview(piece)
        while left:
            left = left[self._file.write(left) or 0 :]

    def _read_back(self, start: int, size: int) -> bytes:
        assert self._file is not None
        piece = os.pread(self._file.fileno(), size, start)
        if not piece:
            raise OSError("a spool is shorter than what was written")
        return piece


class Edited:
    """A spool's content with edits made: `len`, and its pieces as often as wanted."""

    def __init__(self, spool: Spool, edits: list[Edit]) -> None:
        self._spool = spool
        self._edits = edits

    def __len__(self) -> int:
        return self._spool.size + sum(len(e.text) - (e.end - e.start) for e in self._edits)

    async def pieces(self) -> AsyncIterator[bytes]:
        position = 0
        for edit in self._edits:
            assert position <= edit.start, "edits overlap"
            async for piece in self._spool.read(position, edit.start):
                yield piece
            if edit.text:
                yield edit.text
            position = edit.end
        async for piece in self._spool.read(position, self._spool.size):
            yield piece
