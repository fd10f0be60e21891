"""Crash points: die here, to see what is left.

``FAREBOX_CRASH_AT=after_hold`` kills the process, as `kill -9` does, where it passes the
point of that name; ``after_hold:3`` when it passes for the third time. For tests of what
docs/reliability.md promises; where it is not set, a point costs one comparison.
"""

import os
import signal
from collections.abc import Mapping
from typing import Final

VARIABLE: Final = "FAREBOX_CRASH_AT"

POINTS: Final = frozenset(
    {
        "after_intent",
        "after_hold",
        "after_sent",
        "mid_stream",
        "before_final",
        "after_final",
        "after_settle",
        "flusher_read",
        "roster_written",
        "flusher_counted",
        "flusher_archived",
    }
)

is_armed = False
_point: str | None = None
_left = 1


def arm(environ: Mapping[str, str]) -> None:
    """Read the point, once, at the start of a process.

    Raises:
        ValueError: there is no such point.
    """
    global is_armed, _point, _left
    told = environ.get(VARIABLE)
    if not told:
        return
    point, _, count = told.partition(":")
    if point not in POINTS:
        raise ValueError(f"{VARIABLE}: {point!r} is none of {', '.join(sorted(POINTS))}")
    is_armed, _point, _left = True, point, int(count or 1)


def at(point: str) -> None:
    if point == _point:
        _die()


def _die() -> None:
    global _left  # noqa: PLW0603
    _left -= 1
    if not _left:
        os.kill(os.getpid(), signal.SIGKILL)
