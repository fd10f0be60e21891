"""Rates: when the next call would pass, as the scripts hold.lua and key_use.lua decide it."""

from typing import Final

MINUTE_US: Final = 60_000_000


def wait_ms(tat_us: int, per_minute: int, now_ms: int) -> int:
    """How long until one more call passes; 0: now.

    GCRA: one call each interval, a burst of a whole minute's worth.

    Args:
        tat_us: When the calls so far would all have come at that pace, Unix µs.
    """
    now_us = now_ms * 1000
    next_us = max(tat_us, now_us) + MINUTE_US // per_minute
    return max(0, -(-(next_us - now_us - MINUTE_US) // 1000))
