"""Fields of a body that must have the right type where they are read, and stand there once."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from gateway.errors import InvalidCall


def integer(document: Mapping[str, Any], key: str, *, least: int) -> int | None:
    """A whole number of at least `least`; None: absent or null.

    Raises:
        InvalidCall: it is something else.
    """
    number = document.get(key)
    if number is None:
        return None
    if not isinstance(number, int) or isinstance(number, bool):  # from 2^64 on it is a float
        raise wrong_type(key, "a whole number below 2^64, written without point or exponent")
    if number < least:
        raise InvalidCall(f"`{key}` must be at least {least}.", param=key)
    return number


def flag(document: Mapping[str, Any], key: str) -> bool:
    """True or false; absent and null are false.

    Raises:
        InvalidCall: it is something else.
    """
    value = document.get(key)
    if value is None or isinstance(value, bool):
        return bool(value)
    raise wrong_type(key, "true or false")


def wrong_type(param: str, wanted: str) -> InvalidCall:
    return InvalidCall(f"`{param}` must be {wanted}.", code="invalid_type", param=param)


def refuse_duplicates(keys: Iterable[str], read: Collection[str], prefix: str = "") -> None:
    """Refuse a key of `read` that stands twice: it could be read otherwise elsewhere.

    Raises:
        InvalidCall: names it, `prefix` before it.
    """
    seen: set[str] = set()
    for key in keys:
        if key in seen and key in read:
            name = prefix + key
            raise InvalidCall(
                f"`{name}` stands twice in the body: send it once.",
                code="duplicate_field",
                param=name,
            )
        seen.add(key)
