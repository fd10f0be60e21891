"""Numbers as the compatible API has them: dollars and seconds as JSON floats.

For showing only: nothing here is ever added up, and each exact amount stands beside its
float as a ``*_usd`` string, or can be had from the events.
"""

from pricing.money import PICO_PER_USD


def dollars(amount_pico: int) -> float:
    """The double nearest to the amount."""
    return amount_pico / PICO_PER_USD


def dollars_or_none(amount_pico: int | None) -> float | None:
    return None if amount_pico is None else dollars(amount_pico)


def percent(ppm: int) -> float:
    return ppm / 10_000


def seconds(duration_ms: int | None) -> float | None:
    return None if duration_ms is None else duration_ms / 1000


def average_seconds(sum_ms: int, count: int) -> float | None:
    return sum_ms / count / 1000 if count else None
