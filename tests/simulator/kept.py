"""What is known of a store at one moment, to be gone back to when the store does."""

import pickle
from typing import Any, ClassVar


class Kept:
    """Attributes: KEPT: the names of the attributes that change with the store."""

    KEPT: ClassVar[tuple[str, ...]]

    def keep(self) -> bytes:
        return pickle.dumps([getattr(self, name) for name in self.KEPT])

    def go_back(self, kept: bytes) -> None:
        values: list[Any] = pickle.loads(kept)
        for name, value in zip(self.KEPT, values, strict=True):
            setattr(self, name, value)
