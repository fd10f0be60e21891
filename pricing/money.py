"""Money as whole pico-dollars.

One pico-dollar is 1e-12 USD: a price of $0.0028 per million tokens is 2,800 of
them per token. An int64 holds nine million dollars. Rates are kept one step finer,
in femto-dollars (1e-15 USD), so that half-price and x1.1 rates stay whole too.
"""

from decimal import Decimal, InvalidOperation
from typing import NewType

Pico = NewType("Pico", int)
Femto = NewType("Femto", int)

PICO_PER_USD = 10**12
FEMTO_PER_USD = 10**15
FEMTO_PER_PICO = 1_000
EXPONENT_MAX = 30
PPM = 1_000_000
"""Parts per million: the unit of a markup (12.5 % is 125,000)."""


def pico_usd(amount: str | int | Decimal) -> Pico:
    """Convert a decimal dollar amount, exactly.

    Raises:
        ValueError: not a finite decimal number, or finer than one pico-dollar.
    """
    return Pico(_scaled(amount, PICO_PER_USD, "one pico-dollar"))


def femto_per_token(usd_per_million: str | int | Decimal) -> Femto:
    """Convert a published rate, USD per million tokens, exactly.

    Raises:
        ValueError: not a finite decimal number, or finer than one femto-dollar a token.
    """
    return Femto(_scaled(usd_per_million, FEMTO_PER_USD // 1_000_000, "one femto-dollar a token"))


def usd_per_million(rate_femto: int) -> str:
    """Format a rate in femto-USD per token as published: ``"0.15"`` USD per million tokens."""
    return usd(rate_femto * 1_000)


def usd(amount_pico: int) -> str:
    """Format as the shortest exact decimal string: ``"0.00021"``, ``"10"``, ``"-3.5"``."""
    whole, rest = divmod(abs(amount_pico), PICO_PER_USD)
    text = f"{whole}.{rest:012d}".rstrip("0").rstrip(".")
    return f"-{text}" if amount_pico < 0 else text


def div_half_even(numerator: int, denominator: int) -> int:
    """Divide, rounding half to even. `denominator` is positive."""
    quotient = numerator // denominator
    twice = 2 * (numerator - quotient * denominator)  # half the time of divmod
    if twice > denominator or (twice == denominator and quotient % 2):
        return quotient + 1
    return quotient


def charge_pico(cost_femto: int, markup_ppm: int, *, per: int = 1) -> Pico:
    """Mark up an unrounded cost: femto-USD in, pico-USD out, rounded half-even once.

    The cost is the rational `cost_femto` / `per`: a rate by the hour rarely divides evenly.
    """
    return Pico(div_half_even(cost_femto * (PPM + markup_ppm), PPM * FEMTO_PER_PICO * per))


def _scaled(amount: str | int | Decimal, factor: int, grain: str) -> int:
    try:
        number = Decimal(amount)
    except InvalidOperation as exc:
        raise ValueError(f"{amount!r} is not a decimal number") from exc
    if not number.is_finite():
        raise ValueError(f"{amount!r} is not a finite number")
    if number and not -EXPONENT_MAX <= number.adjusted() <= EXPONENT_MAX:
        raise ValueError(f"{amount} USD is out of range")  # 1e999999999 would fill the memory
    numerator, denominator = number.as_integer_ratio()
    whole, rest = divmod(numerator * factor, denominator)
    if rest:
        raise ValueError(f"{amount} USD is finer than {grain}")
    return whole
