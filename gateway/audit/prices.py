"""Pricing an event again, from its tokens and the price that it names.

What cannot be worked out again is passed over: a price that is no longer in the book, or
is of another book; a charge that is the hold's, since nothing could be measured. Pure.
"""

from collections.abc import Iterator

from gateway.arithmetic import again_at, is_its_hold
from gateway.audit.differences import Difference, Finding
from gateway.event import PRICED_KINDS, UsageEvent
from gateway.rating import Rating


class Prices:
    def __init__(self, rating: Rating) -> None:
        self._rating = rating

    def check(self, partition: int, event: UsageEvent) -> Iterator[Difference]:
        """The amounts of an event that its tokens do not explain."""
        if event.kind not in PRICED_KINDS or event.unpriced or event.price_id is None:
            return
        if event.book_version != self._rating.book.version or is_its_hold(event):
            return
        models = filter(None, (event.served_model, event.model))
        price = self._rating.named(event.price_id, event.provider, models, event.at_ms)
        if price is None:
            return
        priced = [(int(c.cost_pico), int(c.charge_pico)) for c in again_at(event, price)]
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
