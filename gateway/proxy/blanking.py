"""Errors without our keys: some providers repeat a key that they refuse, not the caller's own."""

from collections.abc import Iterable, Sequence
from typing import Final

SECRET_CHARS_MIN: Final = 16
"""Shorter settings (a version, a region) are no secrets, and may stand in any text."""


class Secrets:
    """What an upstream was told and its callers are not to be."""

    def __init__(self, values: Iterable[str]) -> None:
        self._all = [value.encode() for value in values if len(value) >= SECRET_CHARS_MIN]

    def blanked(self, text: bytes) -> bytes:
        """`text` with asterisks in their place; its length stays."""
        for secret in self._all:
            if secret in text:
                text = text.replace(secret, b"*" * len(secret))
        return text

    def blanking(self) -> "Blanking":
        return Blanking(self, self._all)


class Blanking:
    """The same for a text that comes in pieces: what may become a secret waits for the next."""

    def __init__(self, secrets: Secrets, values: Sequence[bytes]) -> None:
        self._secrets = secrets
        self._values = values
        self._held = b""

    def feed(self, piece: bytes) -> bytes:
        text = self._secrets.blanked(self._held + piece)
        held = max((_begun(text, value) for value in self._values), default=0)
        self._held = text[len(text) - held :]
        return text[: len(text) - held]

    def finish(self) -> bytes:
        """What waited in vain."""
        held, self._held = self._held, b""
        return held


def _begun(text: bytes, value: bytes) -> int:
    """How much of the beginning of `value` stands at the end of `text`."""
    longest = min(len(value) - 1, len(text))
    return next((size for size in range(longest, 0, -1) if text.endswith(value[:size])), 0)
