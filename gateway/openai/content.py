"""What is forwarded as a body, where that is too large to be held as bytes."""

from collections.abc import AsyncIterator, Iterable
from typing import Final, Protocol

from gateway.openai.body import Edit, apply

COPIED_BYTES_MAX: Final = 1_048_576
"""A larger body is forwarded in pieces."""

PIECE_BYTES: Final = 262_144
"""Read at a time."""


class Content(Protocol):
    """A body of known size, read piece by piece; it can be read again."""

    def __len__(self) -> int: ...

    def pieces(self) -> AsyncIterator[bytes]: ...


class Stored(Protocol):
    """A body that lies somewhere else."""

    @property
    def size(self) -> int: ...

    def edited(self, edits: Iterable[Edit]) -> Content:
        """The body with `edits` made, which must not overlap; every other byte stays."""
        ...


def edited(body: bytes, edits: list[Edit]) -> bytes | Content:
    """`body` with `edits` made; a large one is not copied."""
    if len(body) > COPIED_BYTES_MAX:
        return Kept(body).edited(edits)
    return apply(body, edits) if edits else body


class Kept:
    """A body in memory that is too large to be copied: its edits are made as it is read."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    @property
    def size(self) -> int:
        return len(self._body)

    def edited(self, edits: Iterable[Edit]) -> "KeptEdited":
        return KeptEdited(self._body, sorted(edits))


class KeptEdited:
    def __init__(self, body: bytes, edits: list[Edit]) -> None:
        self._body = body
        self._edits = edits

    def __len__(self) -> int:
        return len(self._body) + sum(len(e.text) - (e.end - e.start) for e in self._edits)

    async def pieces(self) -> AsyncIterator[bytes]:
        position = 0
        for edit in (*self._edits, Edit(len(self._body), len(self._body), b"")):
            assert position <= edit.start, "edits overlap"
            for start in range(position, edit.start, PIECE_BYTES):
                yield self._body[start : min(start + PIECE_BYTES, edit.start)]
            if edit.text:
                yield edit.text
            position = edit.end
