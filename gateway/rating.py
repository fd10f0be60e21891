"""Rating: from a model's name and its usage to what is billed.

The one place that decides what an unknown model costs. It is never nothing: the call is
refused, or priced at a configured fallback, or let through with its cost left open.
"""

from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from msgspec import Struct

from pricing.book import PriceBook
from pricing.card import Card, Price
from pricing.cost import UnpricedComponent, cost
from pricing.money import FEMTO_PER_PICO, charge_pico
from pricing.scopes import GLOBAL, factor_in
from pricing.usage import Usage

REPORTED: Final = "reported"
"""The price id of what costs what its provider says."""

DRIFT_PERCENT_MAX: Final = 1
"""How far a provider's figure may lie beside ours."""


class Unpriced(StrEnum):
    """What happens to a model without a price, where no limit decides it."""

    ALLOW = "allow"
    REJECT = "reject"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fallback:
    """The price of what has none: USD per million tokens, decimal strings."""

    input_usd: str
    output_usd: str
    output_max_tokens: int


class Rated(Struct, frozen=True):
    """What is known of a model at an instant; `price` is None when it has none.

    Attributes:
        scope: Where its name says that it is served; None: it does not say.
        provider: Whose price it is: another's than the upstream's where the operator says so.
    """

    card: Card | None
    price: Price | None
    steps: tuple[str, ...]
    scope: str | None = None
    provider: str = ""

    @property
    def reasons(self) -> bool:
        return self.card is not None and self.card.reasoning

    def price_in(self, scope: str | None) -> Price | None:
        """Its price where it is served; None: nobody knows what it costs there.

        Args:
            scope: As an upstream is configured; None: as the name says, else anywhere.
        """
        place = scope or self.scope or GLOBAL
        known = self.price is not None and factor_in(self.price.factors, place) is not None
        return self.price if known else None


class Bill(Struct, frozen=True):
    """What a usage costs.

    Attributes:
        unpriced: There is no price: both amounts are 0 here and shown as null.
        problem: The component that the price has no rate for.
    """

    cost_pico: int = 0
    charge_pico: int = 0
    price_id: str | None = None
    unpriced: bool = False
    problem: str | None = None


class Rating:
    """Prices usage by the book, under the policy for what is not in it."""

    def __init__(self, book: PriceBook, *, unpriced: Unpriced | Fallback = Unpriced.ALLOW) -> None:
        self.book = book
        self._fallback: Card | None = None
        if isinstance(unpriced, Fallback):
            entry = {
                "provider": _FALLBACK,
                "model": _FALLBACK,
                "limits": {"max_output": unpriced.output_max_tokens},
                "base": {"input": unpriced.input_usd, "output": unpriced.output_usd},
            }
            self._fallback = PriceBook((), "").overlaid([entry]).find(_FALLBACK, _FALLBACK).card
        self.rejects_unpriced: Final = unpriced is Unpriced.REJECT
        self._pinned: Rating | None = None

    def adopt(self, book: PriceBook) -> None:
        """From now on price by `book`; who has pinned the old one goes on with it."""
        self.book, self._pinned = book, None

    def pinned(self) -> "Rating":
        """This rating as it is now, for ever: what a call is priced by from start to end."""
        if self._pinned is None:
            self._pinned = copy(self)
        return self._pinned

    @property
    def fallback_id(self) -> str | None:
        """The id under which the fallback bills; None: there is none."""
        return self._fallback.prices[0].id if self._fallback else None

    def rate(self, provider: str, model: str, at_ms: int, *, sent: bool = False) -> Rated:
        """What a model costs; one that the book does not price costs the fallback, if any.

        Args:
            sent: `model` is what the provider was sent: no alias is looked for.
        """
        found = self.known(provider, model, at_ms, sent=sent)
        if found.price is not None or self._fallback is None:
            return found
        price = self._fallback.price_at(at_ms)
        steps = (*found.steps, "fallback price")
        return Rated(self._fallback, price, steps, provider=found.provider)

    def known(self, provider: str, model: str, at_ms: int, *, sent: bool = False) -> Rated:
        """What the book says, without the fallback."""
        found = self.book.find(provider, model, sent=sent)
        price = found.card.price_at(at_ms) if found.card else None
        return Rated(found.card, price, found.steps, found.scope, found.provider)

    def served(self, asked: Rated, model: str, at_ms: int, scope: str | None = None) -> Rated:
        """What the model costs that a call was served by: that of its own, where it is known.

        Never the fallback: a name unknown to the book, or in that place, is no reason to leave
        a known price.

        Args:
            asked: What was asked for; `model` is what the answer names.
            scope: Where it was served; None: as the names say.
        """
        rated = self.known(asked.provider, model, at_ms, sent=True)
        if rated.price is None or (asked.price_in(scope) and not rated.price_in(scope)):
            return asked
        return rated

    def named(
        self, price_id: str, provider: str, models: Iterable[str], at_ms: int
    ) -> Price | None:
        """The price of that id: of one of the models at that instant, else anywhere in the book."""
        for model in models:
            price = self.rate(provider, model, at_ms).price
            if price is not None and price.id == price_id:
                return price
        return self.book.price(price_id)


def bill(
    rated: Rated,
    usage: Usage,
    *,
    markup_ppm: int = 0,
    service_tier: str | None = None,
    scope: str | None = None,
    completed_ms: int | None = None,
) -> Bill:
    """Price a usage; never raises, since the call has been made."""
    if rated.price is None:
        return Bill(unpriced=True)
    try:
        priced = cost(
            usage,
            rated.price,
            markup_ppm=markup_ppm,
            service_tier=service_tier,
            scope=scope or rated.scope or GLOBAL,
            completed_ms=completed_ms,
        )
    except UnpricedComponent as exc:
        return Bill(price_id=rated.price.id, unpriced=True, problem=exc.component)
    return Bill(priced.cost_pico, priced.charge_pico, priced.price_id)


def bill_reported(cost_pico: int, *, markup_ppm: int = 0) -> Bill:
    """What is billed where the provider's own figure is trusted."""
    charge = charge_pico(cost_pico * FEMTO_PER_PICO, markup_ppm)
    return Bill(cost_pico, charge, REPORTED)


def drifts(cost_pico: int, reported_pico: int) -> bool:
    """Whether our cost lies more than `DRIFT_PERCENT_MAX` beside the provider's figure."""
    return 100 * abs(cost_pico - reported_pico) > DRIFT_PERCENT_MAX * reported_pico


_FALLBACK: Final = "fallback"
