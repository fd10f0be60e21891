"""What a call may be held for: all that it can cost, or as little as is of use to it."""

from typing import NamedTuple


class Bound(NamedTuple):
    """In pico-USD, markup included.

    Attributes:
        wanted_pico: The most that the call can cost.
        least_pico: Granted less than this, it is refused.
        share: Of what remains, one in so many is the most to grant.
        input_pico: The most that its input can cost.
    """

    wanted_pico: int
    least_pico: int
    share: int = 1
    input_pico: int = 0
