"""Query strings: known names only, each with a parser; a fault names the parameter."""

from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeVar

from starlette.requests import Request

from gateway.api.answers import InvalidFields

PAGE_MAX: Final = 1_000_000
PAGE_SIZE_MAX: Final = 1_000
TEXT_CHARACTERS_MAX: Final = 512
DIGITS_MAX: Final = 18

T = TypeVar("T")


class Query:
    """The parameters of one request.

    Args:
        known: What this path reads; anything else is refused, since a filter that is
            ignored shows rows that were not asked for.

    Raises:
        InvalidFields: an unknown parameter, one that is given twice, or one with NUL.
    """

    def __init__(self, request: Request, known: Iterable[str]) -> None:
        names = sorted(known)
        errors = {}
        self._values: dict[str, str] = {}
        for name, value in request.query_params.multi_items():
            if name not in names:
                has = ", ".join(names) or "none"
                errors[name[:64]] = f"Unknown parameter. This path knows {has}."
            elif name in self._values:
                errors[name] = "Give it once."
            elif "\0" in value:  # nothing that is kept has one, and PostgreSQL takes none
                errors[name] = f"{name} must not contain NUL."
            self._values[name] = value
        if errors:
            raise InvalidFields(errors)

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def get(self, name: str, parse: Callable[[str], T]) -> T | None:
        """The parsed value; None when the parameter is absent or empty.

        Raises:
            InvalidFields: `parse` raised a ValueError, which says what is expected.
        """
        value = self._values.get(name, "")
        if not value:
            return None
        try:
            return parse(value)
        except ValueError as exc:
            raise InvalidFields({name: f"{name} {exc}."}) from exc

    def text(self, name: str) -> str | None:
        return self.get(name, _text)

    def whole(self, name: str, low: int, high: int) -> int | None:
        return self.get(name, lambda value: _whole(value, low, high))

    def page(self, page_size: int) -> tuple[int, int]:
        """The parameters `page` (from 1) and `page_size`, which defaults to the one given."""
        return (
            self.whole("page", 1, PAGE_MAX) or 1,
            self.whole("page_size", 1, PAGE_SIZE_MAX) or page_size,
        )

    def choice(self, name: str, choices: Mapping[str, T]) -> T | None:
        return self.get(name, lambda value: _chosen(value, choices))


def page_of(
    request: Request, results: list[dict[str, object]], *, count: int, page: int, page_size: int
) -> dict[str, object]:
    """A page of a list, with the addresses of its neighbours."""
    return {
        "count": count,
        "next": _neighbour(request, page + 1) if page * page_size < count else None,
        "previous": _neighbour(request, page - 1) if page > 1 else None,
        "results": results,
    }


def _neighbour(request: Request, page: int) -> str:
    return str(request.url.include_query_params(page=page))


def _text(value: str) -> str:
    if len(value) > TEXT_CHARACTERS_MAX:
        raise ValueError(f"must have at most {TEXT_CHARACTERS_MAX} characters")
    return value


def _whole(value: str, low: int, high: int) -> int:
    digits = value.isascii() and value.isdecimal() and len(value) <= DIGITS_MAX
    if not (digits and low <= int(value) <= high):
        raise ValueError(f"must be a whole number from {low} to {high:,}")
    return int(value)


def _chosen(value: str, choices: Mapping[str, T]) -> T:
    if value not in choices:
        raise ValueError("must be one of " + ", ".join(choices))
    return choices[value]
