"""What is wrong with a config: where, what, and what to write instead.

A message never contains a value: any of them may be a secret, also one in the wrong place.
"""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault at `path` (``("apps", 0, "token")``), on `line` of the file, from 1."""

    path: Path
    message: str
    line: int | None = None

    def __str__(self) -> str:
        where = f"line {self.line}: " if self.line else ""
        return f"{where}{dotted(self.path)}: {self.message}" if self.path else where + self.message


class ConfigError(Exception):
    """The config cannot be used; `faults` are all that were found, in the file's order."""

    def __init__(self, faults: Sequence[Fault], *, origin: str = "config") -> None:
        super().__init__(faults, origin)
        self.faults = tuple(sorted(faults, key=lambda fault: fault.line or 0))
        self.origin = origin

    def __str__(self) -> str:
        return "\n".join(f"{self.origin}: {fault}" for fault in self.faults)


def dotted(path: Path) -> str:
    """Spell a path as people do: ``apps[0].token``."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """``; did you mean "token"?`` when one of `known` is near `word`, else nothing."""
    near = difflib.get_close_matches(str(word), list(known), n=1, cutoff=0.6)
    return f'; did you mean "{near[0]}"?' if near else ""
