"""The cost of a call: integers times integers, rounded once at the end.

    cost   = (Σ tokens * rate + Σ pieces * fee) * multipliers + Σ pieces * fee everywhere
    charge = cost * (1 + markup), from the same unrounded sum

The rates are one row of the price: that of the service tier the provider really used,
else of the hour in which the call was completed, and there the tier of its total input.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from operator import mul
from typing import Any, Final, NamedTuple

from msgspec import structs

from pricing.card import (
    COMPONENTS,
    FREE_FEE,
    INPUT_COMPONENTS,
    UNPRICED,
    Mode,
    Price,
    Rates,
    Tier,
)
from pricing.money import FEMTO_PER_PICO, Pico, charge_pico, div_half_even
from pricing.scopes import EVERYWHERE, GLOBAL, Factor, factor_in
from pricing.usage import Usage, amounts, token_counts

STANDARD_SERVICE: Final = frozenset(
    {"", "auto", "default", "on_demand", "standard", "standard_only"}
)
"""What providers call the service that the base rates are for."""


INPUT_BUCKETS: Final = len(INPUT_COMPONENTS)
"""So many of a usage's buckets, the first ones, are input."""


class UnpricedComponent(ValueError):
    """Something was used that the price has no rate for; billing it at another is a guess.

    Attributes:
        component: ``audio_in``, ``web_search``, ``service_tier:flex``, ``scope:eu`` …
    """

    def __init__(self, component: str, price_id: str) -> None:
        super().__init__(f"price {price_id} has no rate for {component}")
        self.component = component


@dataclass(frozen=True, slots=True)
class LineItem:
    """One line of a bill: `quantity` * `rate_femto` / `per`.

    Attributes:
        component: One of `pricing.card.COMPONENTS` or `FEE_UNITS`, the latter perhaps qualified.
        rate_femto: Multipliers included.
        amount_femto: For display: exact unless the division leaves a rest, then rounded
            half-even. The bill adds up the exact quotients.
        fallback_from: The component or unit whose rate was borrowed, if this one has none.
    """

    component: str
    quantity: int
    rate_femto: int
    per: int
    amount_femto: int
    fallback_from: str | None = None


class Cost(NamedTuple):
    """What the provider bills and what the customer is charged, in pico-USD.

    A tuple, as one is made for every call, and a frozen dataclass takes four times as long.

    Attributes:
        usage, price, rates, scope: What it was worked out from.
    """

    cost_pico: Pico
    charge_pico: Pico
    price_id: str
    usage: Usage
    price: Price
    rates: Rates
    scope: str

    @property
    def items(self) -> tuple[LineItem, ...]:
        """The bill's lines, worked out when asked for: most bills are never opened."""
        return tuple(_lines(self))


_tuple: Final = tuple.__new__
"""Makes a `Cost` in half the time of calling it: that would go through Python once more."""


def cost(
    usage: Usage,
    price: Price,
    *,
    markup_ppm: int = 0,
    service_tier: str | None = None,
    scope: str = GLOBAL,
    completed_ms: int | None = None,
) -> Cost:
    """Price `usage`, in pico-USD, rounded half-even once, at the end.

    Args:
        usage: Buckets that never overlap; all of them count towards a tier's threshold.
        price: The card's price at the instant the request began.
        markup_ppm: Parts per million on top, for the charge alone.
        service_tier: As the provider served it; as it was asked for, if it did not say.
        scope: Where it was served: ``global``, ``regional`` …
        completed_ms: When the answer was complete, Unix ms; needed by prices with a schedule.

    Raises:
        UnpricedComponent: tokens, pieces, a service tier or a scope that the price has no
            rate for.
        ValueError: the price has a schedule and `completed_ms` is missing.
    """
    counts = amounts(usage)
    mode = price.standard
    if service_tier is not None or price.schedule:
        mode = price.service.get(service_tier or "") or _mode(price, service_tier, completed_ms)
    femto, rates = _tokens(counts, mode)
    per = 1
    if femto >= UNPRICED:
        femto = _without_rates(femto, usage, price, rates)
    if price.recounts:
        usage = _recounted(usage, price, used=bool(femto))
    if fees := usage.fees:
        per, piece_rates = price.pieces_per, price.piece_rates
        femto *= per
        for unit, quantity in fees:
            femto += quantity * (piece_rates.get(unit) or piece_rate(unit, quantity, price))
    if price.factors:
        factor = price.factors.get(scope) or _factor(price, scope)
        if factor is not EVERYWHERE:
            femto, per = _elsewhere(femto, per, factor, usage, price)
    cost_pico = div_half_even(femto, FEMTO_PER_PICO * per)
    charge = charge_pico(femto, markup_ppm, per=per) if markup_ppm else cost_pico
    return _tuple(Cost, (cost_pico, charge, price.id, usage, price, rates, scope))


def _tokens(counts: tuple[Any, ...], mode: Mode) -> tuple[int, Rates]:
    """Σ tokens * rate, at the rates that their total input comes to.

    Most calls are text alone, and four products take half as long as twelve.
    """
    rates, tiers = mode
    text, cached, w5m, w1h, a_in, a_cached, i_in, i_cached, said, thought, a_out, i_out, _ = counts
    if w5m or w1h or a_in or a_cached or i_in or i_cached or a_out or i_out:
        if tiers:
            rates = _long(rates, tiers, sum(counts[:INPUT_BUCKETS]))
        return sum(map(mul, counts, rates.billed)), rates
    if tiers and text + cached > tiers[0][0]:
        rates = _long(rates, tiers, text + cached)
    rate = rates.billed
    return text * rate[0] + cached * rate[1] + said * rate[8] + thought * rate[9], rates


def _long(rates: Rates, tiers: tuple[Tier, ...], input_total: int) -> Rates:
    """Those of the last tier that begins below so much input."""
    for over_tokens, higher in tiers:
        if input_total <= over_tokens:
            break
        rates = higher
    return rates


def _elsewhere(femto: int, per: int, factor: Factor, usage: Usage, price: Price) -> tuple[int, int]:
    """The bill times the factor of its place, but for the fees that are the same in each."""
    num, den = factor
    same = sum(
        quantity * piece_rate(unit, quantity, price)
        for unit, quantity in usage.fees
        if (fee := price.fee(unit)) is not None and fee.everywhere
    )
    return (femto - same) * num + same * den, per * den


def _factor(price: Price, scope: str) -> Factor:
    factor = factor_in(price.factors, scope)
    if factor is None:
        raise UnpricedComponent(f"scope:{scope.lower()}", price.id)
    return factor


def piece_rate(unit: str, quantity: int, price: Price, *, dearest: bool = False) -> int:
    """What one piece costs, in femto-USD times the price's `pieces_per`.

    Args:
        dearest: At the dearest kind of its unit.

    Raises:
        UnpricedComponent: the price has no fee for it.
    """
    kind = unit.partition(":")[0]
    if dearest:
        rate = price.dearest_pieces.get(kind)
    else:
        rate = price.piece_rates.get(unit, price.piece_rates.get(kind))
    if rate is not None:
        return rate
    if not quantity or price.free or kind == "request":
        return 0  # it is in the price of the tokens
    raise UnpricedComponent(unit, price.id)


def _recounted(usage: Usage, price: Price, *, used: bool) -> Usage:
    """With the pieces as the price counts them.

    Where each request is billed, one that used anything is one, if nobody counted it.
    """
    fees = price.billed_pieces(usage.fees)
    if price.each_request and used:
        told = any(unit.partition(":")[0] == "request" for unit, _ in fees)
        fees = fees if told else (*fees, ("request", 1))
    return usage if fees == usage.fees else structs.replace(usage, fees=fees)


def _mode(price: Price, service_tier: str | None, completed_ms: int | None) -> Mode:
    """Of a service that the price does not list: the standard one, or an error."""
    if service_tier is not None and service_tier not in STANDARD_SERVICE and not price.free:
        raise UnpricedComponent(f"service_tier:{service_tier}", price.id)
    if not price.schedule:
        return price.standard
    if completed_ms is None:
        raise ValueError(f"price {price.id} depends on the hour: completed_ms is needed")
    return price.mode_at(completed_ms)


def _without_rates(femto: int, usage: Usage, price: Price, rates: Rates) -> int:
    """What tokens cost where some may have no rate: beside pieces that are sold instead, nothing.

    Mistral counts the words of a transcription, too, and bills its seconds.

    Raises:
        UnpricedComponent: tokens are sold here, or no piece was.
    """
    if price.by_piece and any(quantity and price.fee(unit) for unit, quantity in usage.fees):
        return 0
    for component, quantity, rate in zip(
        COMPONENTS, token_counts(usage), rates.billed, strict=True
    ):
        if quantity and rate == UNPRICED:
            raise UnpricedComponent(component, price.id)
    return femto  # so many that it looks like it


def _lines(bill: Cost) -> Iterator[LineItem]:
    usage, price, rates = bill.usage, bill.price, bill.rates
    num, den = _factor(price, bill.scope)
    for component, quantity, rate in zip(
        COMPONENTS, token_counts(usage), rates.billed, strict=True
    ):
        if quantity:
            billed = 0 if rate == UNPRICED else rate  # beside pieces
            yield _line(component, quantity, billed * num, den, rates.fallback(component))
    for unit, quantity in usage.fees:
        fee = price.fee(unit) or (FREE_FEE if price.free else None)
        if quantity and fee:
            kind = unit.partition(":")[0]
            borrowed = None if unit in price.fees or unit == kind else kind
            times, over = EVERYWHERE if fee.everywhere else (num, den)
            yield _line(unit, quantity, fee.rate_femto * times, fee.per * over, borrowed)


def _line(
    component: str, quantity: int, rate_femto: int, per: int, fallback_from: str | None
) -> LineItem:
    amount = div_half_even(quantity * rate_femto, per)
    return LineItem(component, quantity, rate_femto, per, amount, fallback_from)
