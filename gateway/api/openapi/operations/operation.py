"""What is said of one operation."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Key(StrEnum):
    """What opens an operation."""

    ADMIN = "admin"
    APP = "app"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one path.

    Attributes:
        says: In a line, what it does.
        query: The parameters that it takes.
        body, answer: Names in `schemas.SCHEMAS`; None: no body, or any.
        media: Of the answer, where that is no JSON.
        refusals: Statuses beside those that every operation of its kind has.
    """

    method: str
    path: str
    tag: str
    says: str
    key: Key = Key.ADMIN
    query: tuple[str, ...] = ()
    body: str | None = None
    answer: str | None = None
    status: int = 200
    media: tuple[str, ...] = ("application/json",)
    refusals: tuple[int, ...] = ()


PAGES: Final = ("page", "page_size")
"""What a list in pages reads of its query."""
