"""What is forwarded as a body, where that is too large to be held as bytes."""

from collections.abc import AsyncIterator, Iterable
from typing import Protocol

from gateway.openai.body import Edit


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
