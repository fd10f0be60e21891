"""A form's fields as a document: values are strings, and what was attached is its size."""

from collections.abc import Mapping
from typing import Any, NamedTuple


class Attached(NamedTuple):
    """A file that came with a call."""

    size_bytes: int


def attached(document: Mapping[str, Any]) -> list[Attached]:
    """Every file, in whatever field."""
    found = []
    for value in document.values():
        several = value if isinstance(value, list) else (value,)
        found += [one for one in several if isinstance(one, Attached)]
    return found
