r"""Halves of characters: escapes like ``\ud83d`` without the other half of their pair.

Programs that cut a text within an emoji send them (JavaScript's strings are made of halves),
and whether that is an error is for the provider to say. Our parser has no such strings, so it
reads U+FFFD in their place.
"""

import re
from typing import Any, Final

import orjson

_ESCAPE: Final = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"  # a pair
    rb"|(u[dD][89a-fA-F][0-9a-fA-F]{2})"  # a half
    rb"|.)",
    re.DOTALL,
)


def loads(text: bytes) -> Any:
    """What the JSON `text` says, for reading; what is forwarded stays as it came.

    Raises:
        orjson.JSONDecodeError: it is no JSON.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        whole = without_halves(text)
        if whole == text:
            raise
        return orjson.loads(whole)


def without_halves(text: bytes) -> bytes:
    """The same JSON, byte for byte as long, with U+FFFD in place of each half."""
    return _ESCAPE.sub(lambda match: rb"\ufffd" if match[1] else match[0], text)
