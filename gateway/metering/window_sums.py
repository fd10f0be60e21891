"""What was spent in a customer's windows, as its events say it. Pure.

An entry that is charged names, in its last field, the windows in which it counts: the ids of
day, week, month, year and custom window that its account had open then, and the end of the
custom one, 0 for a kind in which it counts in none. Windows only move forward, so what an
account has in its open windows is the sum of the entries that name them.

Entries of older versions name none. What they count in is unknown: every window that had
begun by then may have a part of them.
"""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from gateway.customers.windows import CUSTOM, KINDS

NAME: Final = b"w"
_IDS: Final = re.compile(rb"\d{1,20}(?: \d{1,20}){5}")
_NUMBERS: Final = 2 + 3 * len(KINDS)


class Window(NamedTuple):
    """One, and what was counted in it, pico-USD; the id 0: none."""

    id: int = 0
    charge_pico: int = 0
    cost_pico: int = 0

    def plus(self, other: "Window") -> "Window":
        """What both say of the later of the two."""
        if self.id != other.id:
            return max(self, other)
        charge_pico = self.charge_pico + other.charge_pico
        return Window(self.id, charge_pico, self.cost_pico + other.cost_pico)


class InWindows(NamedTuple):
    """Of each kind, in the order of `KINDS`, the latest window.

    Attributes:
        unknown_until_ms: When the last charge was booked that names no windows; 0: none was.
        custom_end: Of the custom window, Unix seconds.
    """

    unknown_until_ms: int = 0
    windows: tuple[Window, ...] = (Window(),) * len(KINDS)
    custom_end: int = 0

    def plus(self, other: "InWindows") -> "InWindows":
        later = other if other.custom.id > self.custom.id else self
        return InWindows(
            max(self.unknown_until_ms, other.unknown_until_ms),
            tuple(a.plus(b) for a, b in zip(self.windows, other.windows, strict=True)),
            later.custom_end,
        )

    @property
    def custom(self) -> Window:
        return self.windows[KINDS.index(CUSTOM)]

    def written(self) -> str:
        """As a checkpoint has it; '' where no windows are known."""
        if not any(window.id for window in self.windows):
            return "" if self.unknown_until_ms else "0"
        numbers = (self.unknown_until_ms, *sum(self.windows, ()), self.custom_end)
        return " ".join(map(str, numbers))


NO_WINDOWS: Final = InWindows()


def read_windows(text: bytes, trimmed_ms: int) -> InWindows:
    """What was `written`; where no windows are known, until when trimming has come.

    Raises:
        ValueError: it is damaged.
    """
    numbers = [int(number) for number in text.split()] or [trimmed_ms]
    if len(numbers) == 1:
        return InWindows(numbers[0])
    if len(numbers) != _NUMBERS:
        raise ValueError(f"{len(numbers)} numbers; {_NUMBERS} are a checkpoint's windows")
    unknown_until_ms, *parts, custom_end = numbers
    windows = tuple(Window(*parts[at : at + 3]) for at in range(0, len(parts), 3))
    return InWindows(unknown_until_ms, windows, custom_end)


def named_in(entry: Sequence[bytes]) -> bytes | None:
    """The windows that an entry (field, value, field, value ...) names; None: none."""
    if entry[-2] == NAME and _IDS.fullmatch(entry[-1]):
        return entry[-1]
    return None


class WindowSums:
    """Adds up entries of one customer, in any order."""

    __slots__ = ("_sums", "_unknown_until_ms")

    def __init__(self) -> None:
        self._sums: dict[bytes, tuple[int, int]] = {}
        self._unknown_until_ms = 0

    def add(self, named: bytes | None, at_ms: int, charge_pico: int, cost_pico: int) -> None:
        if named is None:
            self._unknown_until_ms = max(self._unknown_until_ms, at_ms)
            return
        charge, cost = self._sums.get(named, (0, 0))
        self._sums[named] = (charge + charge_pico, cost + cost_pico)

    def total(self) -> InWindows:
        found = InWindows(self._unknown_until_ms)
        for named, amounts in self._sums.items():
            *ids, custom_end = map(int, named.split())
            windows = tuple(Window(i, *amounts) if i else Window() for i in ids)
            found = found.plus(InWindows(0, windows, custom_end))
        return found
