"""Time, handed in: whoever needs the hour takes a `Clock`, so that a test can set it."""

import time
from datetime import UTC, datetime
from functools import lru_cache
from typing import Protocol


class Clock(Protocol):
    def now_ms(self) -> int:
        """Unix time in milliseconds."""
        ...

    def monotonic(self) -> float:
        """Seconds on a clock that never steps back; only differences mean anything."""
        ...


class SystemClock:
    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        return time.monotonic()


@lru_cache(maxsize=256)  # the ends of windows are told again and again
def rfc3339(instant_ms: int) -> str:
    """Format Unix milliseconds as ``2026-11-21T18:30:00Z`` (milliseconds only when not zero)."""
    moment = datetime.fromtimestamp(instant_ms / 1000, UTC)
    spec = "milliseconds" if instant_ms % 1000 else "seconds"
    return moment.isoformat(timespec=spec).replace("+00:00", "Z")
