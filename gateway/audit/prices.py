"""Pricing an event again, from its tokens and the price that it names.

What cannot be worked out again is passed over: a price that is no longer in the book, or
is of another book; a charge that is the hold's, since nothing could be measured. Pure.
"""

from collections.abc import Iterator
from typing import Final

from gateway.audit.differences import Difference, Finding
from gateway.event import Kind, Source, UsageEvent
from gateway.rating import ANYWHERE, Rating
from pricing.card import Price
from pricing.cost import UnpricedComponent, cost

PRICED: Final = frozenset({Kind.SETTLE, Kind.EVENT})
"""An orphan is an upper bound; an adjust is a difference of two amounts."""

CLOCK_MS: Final = 5_000
"""By how much the end of a call, told from start and latency, may lie beside the hour's turn."""


class Prices:
    def __init__(self, rating: Rating) -> None:
        self._rating = rating

    def check(self, partition: int, event: UsageEvent) -> Iterator[Difference]:
        """The amounts of an event that its tokens do not explain."""
        if event.kind not in PRICED or event.unpriced or event.price_id is None:
            return
        if event.book_version != self._rating.book.version or _is_its_hold(event):
            return
        models = filter(None, (event.served_model, event.model))
        price = self._rating.named(event.price_id, event.provider, models, event.at_ms)
        if price is None:
            return
        priced = _again(event, price)
        amounts = (event.cost_pico, event.charge_pico)
        if not priced or amounts in priced:
            return
        pairs = zip(("cost", "charge"), priced[0], amounts, strict=True)
        for name, expected, found in pairs:
            if expected != found:
                yield Difference(
                    finding=Finding.PRICE,
                    partition=partition,
                    customer_number=event.customer_number,
                    subject=f"{event.request_id} {name}",
                    expected=expected,
                    found=found,
                )


def _is_its_hold(event: UsageEvent) -> bool:
    """The charge is what was held: an estimate was capped by it, or some tokens have no rate."""
    capped = event.source is Source.ESTIMATED
    no_rate = (event.error_code or "").startswith("unpriced_")
    return (capped or no_rate) and event.charge_pico == event.hold_pico


def _again(event: UsageEvent, price: Price) -> list[tuple[int, int]]:
    """Cost and charge, as they are at the call's end and, where hours count, close to it."""
    ended_ms = event.at_ms + (event.latency_ms or 0)
    found = []
    for beside_ms in (0, CLOCK_MS, -CLOCK_MS) if price.schedule else (0,):
        try:
            priced = cost(
                event.usage,
                price,
                markup_ppm=event.markup_ppm,
                service_tier=event.service_tier,
                scope=event.scope or ANYWHERE,
                completed_ms=ended_ms + beside_ms,
            )
        except UnpricedComponent:
            continue
        found.append((int(priced.cost_pico), int(priced.charge_pico)))
    return found
