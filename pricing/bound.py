"""What a call can cost at most, and how much output an amount has room for.

    bound = (input * rate + output * rate + Σ pieces * fee) * multipliers * (1 + markup)

Every token is taken at the dearest rate that can apply to it: of all components, tiers
that this much input can reach, service tiers, hours and scopes. The sum is rounded as a
charge is, so that no charge within the same tokens and pieces can be higher.
"""

from typing import Final

from pricing.card import Price
from pricing.cost import piece_rate
from pricing.money import FEMTO_PER_PICO, PPM, Pico, charge_pico

Fees = tuple[tuple[str, int], ...]
"""Pieces by unit, as in `pricing.usage.Usage.fees`."""


def upper_bound(
    price: Price, *, input_tokens: int, output_tokens: int, fees: Fees = (), markup_ppm: int = 0
) -> Pico:
    """The most that a call of at most so many tokens and pieces can be charged, in pico-USD.

    Args:
        fees: The pieces it can ask for at most. A price by the request counts one unasked.

    Raises:
        UnpricedComponent: the price has no fee for a piece.
    """
    rest, output_femto = _rates(price, input_tokens)
    per = price.pieces_per
    femto = (rest + output_tokens * output_femto) * per + _pieces_femto(price, fees)
    return charge_pico(femto * price.dearest_num, markup_ppm, per=per * price.dearest_den)


def output_within(
    amount_pico: int, price: Price, *, input_tokens: int, fees: Fees = (), markup_ppm: int = 0
) -> int | None:
    """The most output tokens whose `upper_bound` is no more than `amount_pico`.

    Returns:
        None: output costs nothing, so any number is. Negative: not even the rest fits.

    Raises:
        UnpricedComponent: the price has no fee for a piece.
    """
    rest, output_femto = _rates(price, input_tokens)
    if output_femto == 0:
        return None
    per = price.pieces_per
    femto = rest * per + _pieces_femto(price, fees)
    # A charge is num / den, rounded half to even. It is no more than the amount while
    # 2 * num <= den * (2 * amount + 1); where the two are equal, only if the amount is even.
    factor = 2 * price.dearest_num * (PPM + markup_ppm)
    room = PPM * FEMTO_PER_PICO * per * price.dearest_den * (2 * amount_pico + 1)
    return (room - amount_pico % 2 - factor * femto) // (factor * output_femto * per)


def _rates(price: Price, input_tokens: int) -> tuple[int, int]:
    """What the input costs, and one token of output, in femto-USD."""
    bound = price.bounds[0]
    for higher in price.bounds[1:]:
        if input_tokens <= higher.over_tokens:
            break
        bound = higher
    return input_tokens * bound.input_femto, bound.output_femto


def _pieces_femto(price: Price, fees: Fees) -> int:
    """Of all pieces, each of the dearest kind it can be of; times the price's `pieces_per`."""
    if price.each_request:
        fees = (*fees, ("request", 1))
    return sum(
        count * piece_rate(unit, count, price, dearest=not unit.startswith(_OWN_KINDS))
        for unit, count in (price.billed_pieces(fees) if price.recounts else fees)
    )


_OWN_KINDS: Final = "container:"
"""Of these the call itself says the kind, and the provider keeps to it."""
