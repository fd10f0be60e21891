"""Bounds: what a call may cost, and how little of that would still serve it."""

from dataclasses import dataclass
from typing import Final

AMOUNT_PICO_MAX: Final = 8 * 10**18
"""Of one call or one event, eight million dollars. A balance has no such end."""

SHARE_MAX: Final = 64


@dataclass(frozen=True, slots=True)
class Bound:
    """What to reserve for a call, in pico-USD.

    Attributes:
        wanted_pico: The most that it can cost; 0: it is free and passes every limit.
        least_pico: Less than this is of no use to it: then it is refused.
        share: 1, or n where the caller named no maximum: it gets the n-th part of what
            remains at most, so that the next call finds room; but never less than the least.
        input_pico: What its input costs at most, as part of the least.
    """

    wanted_pico: int
    least_pico: int
    share: int = 1
    input_pico: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.input_pico <= self.least_pico <= self.wanted_pico <= AMOUNT_PICO_MAX:
            raise ValueError(f"a bound that cannot be: {self}")
        if (self.wanted_pico > 0) != (self.least_pico > 0) or not 1 <= self.share <= SHARE_MAX:
            raise ValueError(f"a bound that cannot be: {self}")

    @classmethod
    def all_of(cls, amount_pico: int, *, input_pico: int = 0) -> "Bound":
        """All or nothing."""
        return cls(amount_pico, amount_pico, 1, input_pico)
