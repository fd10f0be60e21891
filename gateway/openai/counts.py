"""Counts in data from outside: what is one, and where it stands under any of its names.

Whatever a block holds, a number between zero and `TOKENS_MAX` comes out, or none.
"""

from collections.abc import Mapping
from typing import Any, Final

TOKENS_MAX: Final = 10**12
"""A count beyond this is no count."""

Block = Mapping[str, Any]

NOTHING: Final[Block] = {}


class UsageUnreadable(Exception):
    """There is a block, but no count in it that makes sense."""


def count(value: object) -> int | None:
    """A whole number in range (2.0 is one, True and "2" are not), or None."""
    if type(value) is float and value.is_integer() and value <= TOKENS_MAX:
        value = int(value)
    return value if type(value) is int and 0 <= value <= TOKENS_MAX else None


def whole(block: Block, names: tuple[str, ...]) -> int | None:
    """The first stated count, or None.

    Raises:
        UsageUnreadable: it is stated, but no count: that spoils the block.
    """
    for name in names:
        value = block.get(name)
        if value is not None:
            found = count(value)
            if found is None:
                raise UsageUnreadable(f"{name} is not a count")
            return found
    return None


def part(block: Block, names: tuple[str, ...]) -> int:
    """The first count above zero. A part that is no number is none."""
    if block:
        for name in names:
            value = block.get(name)
            if value and (found := count(value)):  # most are absent, or zero
                return found
    return 0


def inner(block: Block, names: tuple[str, ...]) -> Block:
    """The first of the named objects that has something in it, else an empty one."""
    for name in names:
        found = block.get(name)
        if found and isinstance(found, dict):
            return found
    return NOTHING
