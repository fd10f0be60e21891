"""The price book as people and programs read it: cards as JSON, what serves a name, near names.

What is shown is what bills: rates in USD per million tokens and fees in USD, as exact
decimal strings, each price with its span and its sources.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import pairwise
from typing import Any, Final

from gateway.arithmetic import femto_usd
from gateway.clock import rfc3339
from pricing.book import PriceBook
from pricing.card import WEEK_MINUTES, Card, Mode, Price, Rates, Window
from pricing.money import usd_per_million
from pricing.names import Found

Json = dict[str, Any]

NEAR_MAX: Final = 5
NEAR_CUTOFF: Final = 0.6
DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_DAY_MINUTES: Final = WEEK_MINUTES // 7


@dataclass(frozen=True, slots=True)
class Match:
    """A card that answers to a name at a provider, and how the name led to it."""

    provider: str
    found: Found
    card: Card


def providers_of(book: PriceBook) -> list[str]:
    return sorted({card.provider for card in book.cards()})


def matches(book: PriceBook, name: str, provider: str | None = None) -> list[Match]:
    """Every card that `name` leads to; ``openai/gpt-4o`` names its provider itself.

    Args:
        provider: Only there; else wherever the name is known.
    """
    asked = [(provider, name)] if provider else [(each, name) for each in providers_of(book)]
    before, slash, rest = name.partition("/")
    if not provider and slash:
        asked.insert(0, (before, rest))
    seen: dict[int, Match] = {}
    for at, model in asked:
        found = book.find(at, model)
        if found.card is not None:
            seen.setdefault(id(found.card), Match(at, found, found.card))
    return list(seen.values())


def near(book: PriceBook, name: str, provider: str | None = None) -> list[str]:
    """Names in the book that look like `name`, as ``provider/model``, the likest first."""
    spelled: dict[str, list[str]] = {}
    for card in book.cards():
        if provider in (None, card.provider):
            for match in card.match:
                spelled.setdefault(match, []).append(f"{card.provider}/{match}")
    bare = name.rpartition("/")[2]
    likest = get_close_matches(bare, spelled, n=NEAR_MAX, cutoff=NEAR_CUTOFF)
    return [full for match in likest for full in spelled[match]][:NEAR_MAX]


def card_json(card: Card, at_ms: int) -> Json:
    """Everything the book says of a card; `in_force` marks the price of `at_ms`."""
    in_force = card.price_at(at_ms)
    return {
        **head_json(card),
        "aliases": [name for name in card.match if name != card.model],
        "reasoning": card.reasoning,
        "output_cap_field": card.output_cap_field,
        "prices": [price_json(price, in_force=price is in_force) for price in card.prices],
    }


def row_json(card: Card, at_ms: int) -> Json:
    """A card in a list: what it costs at `at_ms`, in standard service."""
    price = card.price_at(at_ms)
    return {
        **head_json(card),
        "price_id": price.id if price else None,
        "free": price.free if price else False,
        "from": _instant(price.from_ms) if price else None,
        "usd_per_million": _rates(price.base) if price and not price.free else {},
        "fees": _fees(price) if price else {},
    }


def head_json(card: Card) -> Json:
    return {
        "provider": card.provider,
        "model": card.model,
        "limits": {"context": card.context_tokens, "max_output": card.output_max_tokens},
    }


def price_json(price: Price, *, in_force: bool) -> Json:
    return {
        "id": price.id,
        "in_force": in_force,
        "from": _instant(price.from_ms),
        "to": None if price.to_ms is None else rfc3339(price.to_ms),
        "status": "confirmed" if price.confirmed else "announced",
        "corrects": price.corrects,
        "free": price.free,
        **({} if price.free else _mode(price.standard)),
        "service": {name: _mode(mode) for name, mode in price.service.items()},
        "schedule": [
            {"utc": hours_text(window), **_mode(window.mode)} for window in price.schedule
        ],
        "multipliers": [m._asdict() for m in price.multipliers],
        "scopes": price.scopes,
        "fees": _fees(price),
        "sources": [
            {name: told for name, told in source._asdict().items() if told}
            for source in price.sources
        ],
    }


def hours_text(window: Window) -> str:
    """``Mon 01:00-04:00, Tue 01:00-04:00``; a span over midnight stands in two parts."""
    return ", ".join(
        f"{DAYS[start // _DAY_MINUTES]} {_time(start)}-{_time(end - 1, 1)}"
        for start, end in _days_apart(window)
    )


def public_models(book: PriceBook, at_ms: int) -> Iterator[Json]:
    """Keywords AI's rows of models, of the cards that have a price now.

    Costs are floats, USD per million tokens, as there.
    """
    for card in book.cards():
        price = card.price_at(at_ms)
        if price is not None:
            yield {
                "model_name": card.model,
                "max_context_window": card.context_tokens,
                "input_cost": _million(price.base.input),
                "output_cost": _million(price.base.output),
                "rate_limit": None,
                "provider": {
                    "provider_name": card.provider,
                    "provider_id": card.provider,
                    "moderation": None,
                    "credential_fields": ["api_key"],
                },
            }


def _mode(mode: Mode) -> Json:
    return {
        "usd_per_million": _rates(mode.rates),
        "tiers": [
            {"over_input_tokens": tier.over_tokens, "usd_per_million": _rates(tier.rates)}
            for tier in mode.tiers
        ],
    }


def _rates(rates: Rates) -> Mapping[str, str]:
    return {name: usd_per_million(rate) for name, rate in rates.published().items()}


def _fees(price: Price) -> Json:
    """USD for `per` pieces; `once` a call, `everywhere` the same: where that is so."""
    return {
        unit: {"usd": femto_usd(fee.rate_femto), "per": fee.per}
        | {name: True for name in ("once", "everywhere") if getattr(fee, name)}
        for unit, fee in price.fees.items()
    }


def _instant(from_ms: int) -> str | None:
    return rfc3339(from_ms) if from_ms else None


def _million(rate_femto: int | None) -> float:
    return float(usd_per_million(rate_femto or 0))


def _days_apart(window: Window) -> Sequence[tuple[int, int]]:
    parts = []
    for start, end in window.minutes:
        midnights = range((start // _DAY_MINUTES + 1) * _DAY_MINUTES, end, _DAY_MINUTES)
        parts += list(pairwise([start, *midnights, end]))
    return parts


def _time(minute: int, more: int = 0) -> str:
    of_day = minute % _DAY_MINUTES + more
    return f"{of_day // 60:02d}:{of_day % 60:02d}"
