"""What the scripts that admit answer."""

from enum import IntEnum


class Outcome(IntEnum):
    """What ``hold.lua``, ``scope_hold.lua`` and ``event.lua`` return."""

    HELD = 1
    EXCEEDED = 2
    IN_FLIGHT = 3
    RATE_LIMITED = 4
    POLICY = 5
    STALE = 6
    DUPLICATE = 7
