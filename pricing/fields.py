"""Reading a mapping that a person wrote: every complaint says where, what and what instead.

The readers of single values raise a ValueError with the problem alone; `Fields` puts the
place in front of it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn, TypeVar

T = TypeVar("T")


class Fields:
    """A mapping that knows where it stands, so that every complaint can say so."""

    def __init__(self, value: object, where: str) -> None:
        self.where = where
        if not isinstance(value, Mapping):
            self.fail("", f"must be a mapping, not {shown(value)}")
        self.mapping: Mapping[str, object] = value

    def fail(self, field: str, problem: str) -> NoReturn:
        place = f"{self.where}.{field}" if self.where and field else self.where or field
        raise ValueError(f"{place or 'entry'}: {problem}")

    def only(self, known: frozenset[str] | set[str]) -> None:
        for name in self.mapping:
            if name not in known:
                self.fail(str(name), f"unknown field; there are {', '.join(sorted(known))}")

    def optional(self, name: str, read: Callable[[object], T]) -> T | None:
        value = self.mapping.get(name)
        if value is None:
            return None
        try:
            return read(value)
        except ValueError as exc:
            self.fail(name, str(exc))

    def need(self, name: str, read: Callable[[object], T]) -> T:
        value = self.optional(name, read)
        if value is None:
            self.fail(name, "is missing")
        return value

    def text(self, name: str) -> str:
        return self.need(name, text)

    def texts(self, name: str) -> tuple[str, ...]:
        return tuple(self.optional(name, texts) or ())

    def flag(self, name: str) -> bool:
        return bool(self.optional(name, flag))

    def inner(self, name: str) -> "Fields":
        """The mapping at `name`; an empty one when it is absent."""
        value = self.mapping.get(name)
        return Fields({} if value is None else value, f"{self.where}.{name}")

    def each(self, name: str) -> list["Fields"]:
        """The mappings of the list at `name`."""
        items = self.optional(name, sequence) or ()
        return [Fields(item, f"{self.where}.{name}[{n}]") for n, item in enumerate(items)]

    def children(self) -> list[tuple[str, "Fields"]]:
        return [(str(name), self.inner(name)) for name in self.mapping]


def text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"must be a text, not {shown(value)}")
    return value


def texts(value: object) -> tuple[str, ...]:
    return tuple(text(item) for item in sequence(value))


def sequence(value: object) -> Sequence[object]:
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise ValueError(f"must be a list, not {shown(value)}")
    return value


def flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"must be true or false, not {shown(value)}")
    return value


def count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"must be a whole number, not {shown(value)}")
    return value


def one_of(choices: tuple[str, ...]) -> Callable[[object], str]:
    def read(value: object) -> str:
        if value not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}, not {shown(value)}")
        return str(value)

    return read


def decimal(value: object) -> str:
    """Amounts are strings: a float has lost the digits as published."""
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise ValueError(f'write the amount as a string, such as "0.15", not {shown(value)}')


def shown(value: object) -> str:
    """A value as an error may show it: short, since it may be anything."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
