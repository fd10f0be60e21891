"""How long the audio of a transcript is, where nothing is said of its usage.

``verbose_json`` states its duration; subtitles say when the last of them ends.
"""

import math
import re
from typing import Final

_DURATION: Final = re.compile(rb'"duration": ?"?([0-9]{1,9}(?:\.[0-9]{1,9})?)')
_SUBTITLE: Final = re.compile(rb"--> ?(?:([0-9]{2,4}):)?([0-9]{2}):([0-9]{2})[.,]([0-9]{3})")
_HOUR, _MINUTE, _MILLI = 3_600, 60, 0.001


def heard_seconds(transcript: bytes) -> int | None:
    """In whole seconds, begun ones included; None: it does not tell."""
    stated = _DURATION.search(transcript)
    if stated is not None:
        return math.ceil(float(stated[1]))
    ends = [_end(*map(int, (h or 0, m, s, ms))) for h, m, s, ms in _SUBTITLE.findall(transcript)]
    return max(ends, default=None)


def _end(hours: int, minutes: int, seconds: int, millis: int) -> int:
    return math.ceil(hours * _HOUR + minutes * _MINUTE + seconds + millis * _MILLI)
