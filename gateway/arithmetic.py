"""The arithmetic of one event: its amounts worked out again, line by line, from what it keeps.

An event keeps its usage, the id of its price, how it was served, when, and the markup; a
price is never edited. So the lines need not be kept: they are the same at any later time,
whatever else the book has become. Where they do not come to what was booked, `Why` says
why, and no lines are shown: they would explain another amount.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from gateway.event import PRICED_KINDS, Kind, Source, UsageEvent
from gateway.rating import REPORTED, Rating
from pricing.card import Price, Window
from pricing.compare import factor_of
from pricing.cost import Cost, LineItem, UnpricedComponent, cost
from pricing.money import FEMTO_PER_PICO, usd
from pricing.scopes import GLOBAL
from pricing.usage import TOKEN_BUCKETS, Usage

Json = dict[str, Any]

CLOCK_MS: Final = 5_000
"""By how much the end of a call, told from start and latency, may lie beside the hour's turn."""

BASE: Final = "base"


class Why(StrEnum):
    """Why an event has no lines, in the order in which it is looked at."""

    NOTHING_USED = "Nothing was used: it was refused, or ended before anything was billed."
    UNRESOLVED = "The end of this call is unknown: what was held for it is counted until it is."
    DIFFERENCE = "An adjustment: the difference between what was booked and what is right."
    UNPRICED = "No price was known for this model, so no cost was booked."
    HELD = "The charge is what was held: an estimate may not pass it, or a part had no rate."
    REPORTED = "The provider's own figure was booked, as this upstream is configured."
    PRICE_GONE = "The price is in no book that is here."
    NO_RATE = "The price in this book has no rate for something that was used."
    OTHER_PRICE = "The price in this book has other rates than the one that was booked with."


@dataclass(frozen=True, slots=True)
class Band:
    """Which rates of a price were used.

    Attributes:
        mode: ``base``, ``service.flex``, ``schedule[0]``: the place in the price's entry.
        over_tokens: The tier: the total input was above this; None: no tier.
        window: The hours, for a schedule.
    """

    mode: str = BASE
    over_tokens: int | None = None
    window: Window | None = None


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """How an event's cost and charge came about.

    Attributes:
        price: Its price, where it is known.
        cost: Worked out again; its amounts are the booked ones.
        why: There is none, or other amounts come out.
    """

    event: UsageEvent
    price: Price | None = None
    cost: Cost | None = None
    why: Why | None = None

    @property
    def items(self) -> tuple[LineItem, ...]:
        return self.cost.items if self.cost else ()

    @property
    def sum_femto(self) -> int:
        """Of the lines as they are shown."""
        return sum(item.amount_femto for item in self.items)

    @property
    def rounding_femto(self) -> int:
        """What the one rounding added: the lines and this are the cost, exactly."""
        return self.event.cost_pico * FEMTO_PER_PICO - self.sum_femto if self.cost else 0

    @property
    def band(self) -> Band | None:
        return band_of(self.cost) if self.cost else None


def arithmetic(event: UsageEvent, rating: Rating) -> Arithmetic:
    """Work out what an event's amounts are made of."""
    if event.kind not in PRICED_KINDS or event.price_id is None:
        return Arithmetic(event, why=_BY_KIND.get(event.kind, Why.UNPRICED))
    if event.price_id == REPORTED:
        return Arithmetic(event, why=Why.REPORTED)
    models = filter(None, (event.served_model, event.model))
    price = rating.named(event.price_id, event.provider, models, event.at_ms)
    if price is None:
        return Arithmetic(event, why=Why.PRICE_GONE)
    found = [] if event.unpriced else list(again_at(event, price))
    for again in found:
        if (again.cost_pico, again.charge_pico) == (event.cost_pico, event.charge_pico):
            return Arithmetic(event, price, again)
    if is_its_hold(event) and not event.unpriced:
        return Arithmetic(event, price, why=Why.HELD)
    return Arithmetic(event, price, why=Why.OTHER_PRICE if found else Why.NO_RATE)


_BY_KIND: Final = {
    Kind.ORPHAN: Why.UNRESOLVED,
    Kind.ADJUST: Why.DIFFERENCE,
    Kind.RELEASE: Why.NOTHING_USED,
    Kind.CREDIT: Why.NOTHING_USED,
    Kind.REFUSE: Why.NOTHING_USED,
}


def again_at(event: UsageEvent, price: Price) -> Iterator[Cost]:
    """What the event costs at a price: at its end and, where hours count, close to it."""
    for beside_ms in (0, CLOCK_MS, -CLOCK_MS) if price.schedule else (0,):
        try:
            yield cost(
                event.usage,
                price,
                markup_ppm=event.markup_ppm,
                service_tier=event.service_tier,
                scope=event.scope or GLOBAL,
                completed_ms=event.at_ms + (event.latency_ms or 0) + beside_ms,
            )
        except UnpricedComponent:
            continue


def is_its_hold(event: UsageEvent) -> bool:
    """The charge is what was held: an estimate was capped by it, or some tokens have no rate."""
    capped = event.source is Source.ESTIMATED
    no_rate = (event.error_code or "").startswith("unpriced_")
    return (capped or no_rate) and event.charge_pico == event.hold_pico


def band_of(priced: Cost) -> Band:
    """Which of its price's rates were used."""
    price, rates = priced.price, priced.rates
    for place, mode in price.modes():
        found = [tier.over_tokens for tier in mode.tiers if tier.rates is rates]
        if found or mode.rates is rates:
            windows = (w for w in price.schedule if w.mode is mode)
            return Band(place, found[0] if found else None, next(windows, None))
    return Band()


def item_json(item: LineItem) -> Json:
    """`amount` is `quantity` times `rate` by `per`, in USD."""
    return {
        "component": item.component,
        "quantity": item.quantity,
        "rate": femto_usd(item.rate_femto),
        "per": item.per,
        "amount": femto_usd(item.amount_femto),
        "fallback_from": item.fallback_from,
    }


def arithmetic_json(found: Arithmetic) -> Json:
    """What the lines do not say: which rates, the factor, markup and rounding. Money in USD."""
    band, priced = found.band, found.cost
    factor = factor_of(priced.price, priced.scope) if priced else None
    event = found.event
    return {
        "rates": band.mode if band else None,
        "tier_over_input_tokens": band.over_tokens if band else None,
        "scope": priced.scope if priced else None,
        "multiplier": None if factor is None else str(factor),
        "sum_usd": femto_usd(found.sum_femto) if priced else None,
        "rounding_usd": femto_usd(found.rounding_femto) if priced else None,
        "markup_usd": usd(event.charge_pico - event.cost_pico) if priced else None,
        "explanation": found.why.value if found.why else None,
    }


def usage_json(usage: Usage) -> Json:
    """The buckets that have something in them, and the totals as OpenAI counts them."""
    buckets = {name: count for name in TOKEN_BUCKETS if (count := getattr(usage, name))}
    return {
        "input_total": usage.input_total,
        "output_total": usage.output_total,
        **buckets,
        **({"fees": dict(usage.fees)} if usage.fees else {}),
    }


def femto_usd(amount_femto: int) -> str:
    """Femto-USD as an exact decimal string of USD: a rate can be finer than a pico-dollar."""
    return format(Decimal(amount_femto).scaleb(-15).normalize(), "f")
