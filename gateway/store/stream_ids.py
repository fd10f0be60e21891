"""Stream ids, ``<ms>-<seq>``: as text they do not compare, as pairs they do."""

from typing import Final

_SEQ_MAX: Final = 2**64 - 1

START: Final = (-1, 0)
"""Before every entry: what a cursor that has passed nothing, '', stands for."""


def halves(stream_id: str) -> tuple[int, int]:
    """A stream id in the form in which two of them compare; '' is `START`.

    Raises:
        ValueError: no stream id.
    """
    if not stream_id:
        return START
    ms, _, seq = stream_id.partition("-")
    return int(ms), int(seq)


def joined(ms: int, seq: int) -> str:
    return f"{ms}-{seq}"


def successor(stream_id: str) -> str:
    """The next id there could be."""
    ms, seq = halves(stream_id)
    return joined(ms + 1, 0) if seq >= _SEQ_MAX else joined(ms, seq + 1)


def before(instant_ms: int) -> str:
    """The last id there could be before an instant (Unix ms, > 0)."""
    return joined(instant_ms - 1, _SEQ_MAX)
