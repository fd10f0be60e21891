"""Prices of a cloud beside those of the model's own maker.

Azure, Bedrock and Vertex AI sell most models at their maker's rates, and a tenth dearer in a
region or a zone. A list that copies a zone's rate as if it were everybody's bills a tenth too
much, and looks like any other price: only the maker's shows it.
"""

import re
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Final

from pricing.card import Card, Price, Rates

CLOUDS: Final = frozenset({"azure", "bedrock", "vertex"})
MAKERS: Final = frozenset({"anthropic", "cohere", "deepseek", "google", "mistral", "openai", "xai"})

ZONE_FACTOR: Final = Fraction(11, 10)
"""What each of them asks for a place, on top of what the model costs everywhere."""

_HEAD: Final = re.compile(r"^(?:[a-z-]+[./])")
_TAIL: Final = re.compile(r"(?:@default|-maas|(?:-v[0-9])?:[0-9]+|-v[0-9])$")
_DATE: Final = re.compile(r"[-@](?:20[0-9]{2}-[0-9]{2}-[0-9]{2}|20[0-9]{6})$")

Makers = dict[str, Card]


def makers_cards(cards: Iterable[Card]) -> Makers:
    """The makers' own cards, by each of their names."""
    return {name: card for card in cards if card.provider in MAKERS for name in card.match}


def zone_rates(card: Card, makers: Makers) -> Iterator[tuple[Price, str]]:
    """A cloud's prices whose every rate is a tenth above the maker's: those of one place.

    Of prices with the rates of several places, these are the ones for everywhere.
    """
    maker = _same(card, makers) if card.provider in CLOUDS else None
    if maker is None:
        return
    corrected = {price.corrects for price in card.prices}
    for price in card.prices:
        if price.id in corrected:
            continue
        theirs = maker.price_at(price.from_ms) or maker.prices[-1]
        if _ratios(price.base, theirs.base) == {ZONE_FACTOR}:
            yield price, f"every rate is a tenth above that of {theirs.id}"


def _same(card: Card, makers: Makers) -> Card | None:
    """The same model, as its maker spells it: without the cloud's own parts of the name."""
    for name in card.match:
        bare = _TAIL.sub("", _HEAD.sub("", name)).replace("gpt-35", "gpt-3.5")
        for spelled in (name, bare, _DATE.sub("", bare)):
            if spelled in makers:
                return makers[spelled]
    return None


def _ratios(ours: Rates, theirs: Rates) -> set[Fraction]:
    return {
        Fraction(rate, other)
        for component, rate in ours.published().items()
        if (other := theirs.get(component))
    }
