"""The price book: every card, found by provider and name.

`PriceBook.load` reads what `pricing.compile` wrote from the YAML files; nothing is fetched,
so two workers of one release bill alike. The configuration's own prices lie over it.

There are some thousand cards and a gateway bills a few dozen of them, so a card is made
from its entry when it is first asked for. That none is wrong was found out by the compiler.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from pathlib import Path
from typing import Any, Final

import orjson

from pricing.card import Card, Price
from pricing.entry import parse_card
from pricing.lint import overlaps
from pricing.names import NO_NAMES, Found, OwnNames, canonical_provider, resolve

__all__ = ["BOOK_PATH", "Found", "PriceBook"]

BOOK_PATH: Final = Path(__file__).parent / "data" / "book.json"
FOUND_CACHE_MAX: Final = 4096
"""Names come from callers, who may make up as many as they like."""

_OVERLAY_HASH_CHARS: Final = 12


class _Place:
    """Where a card stands in the book: the card itself, or the entry to make it from."""

    __slots__ = ("_card", "_entry", "model", "names", "provider")

    def __init__(self, entry: Mapping[str, Any], card: Card | None = None) -> None:
        self.provider = canonical_provider(entry["provider"])
        self.model: str = entry["model"]
        self.names: Sequence[str] = (self.model, *entry.get("match", ()))
        self._entry = entry
        self._card = card

    @classmethod
    def of(cls, card: Card) -> "_Place":
        return cls({"provider": card.provider, "model": card.model, "match": card.match}, card)

    @property
    def card(self) -> Card:
        if self._card is None:
            self._card = parse_card(self._entry)
        return self._card

    def price_ids(self) -> Iterator[str | None]:
        """The ids of its prices; None where an id is made with the card."""
        if self._card is not None:
            yield from (price.id for price in self._card.prices)
        else:
            yield from (price.get("id") for price in self._entry.get("prices", ({},)))


class _Index:
    """What `resolve` looks names up in."""

    def __init__(self, places: Iterable[_Place]) -> None:
        self._places = {(place.provider, name): place for place in places for name in place.names}

    def get(self, key: tuple[str, str]) -> Card | None:
        place = self._places.get(key)
        return None if place is None else place.card


class PriceBook:
    """Cards by provider and exact name; immutable but for the cache of names.

    Attributes:
        version: The SHA-256 of the book's content; with an overlay, "+" and its hash.
        own_names: What the operator's names stand for.
    """

    def __init__(self, cards: Sequence[Card], version: str) -> None:
        """Later cards win names over earlier ones, so that an overlay can be appended."""
        self._fill(map(_Place.of, cards), version)

    def _fill(self, places: Iterable[_Place], version: str) -> None:
        self.version = version
        self._all = list(places)  # those overlaid keep the names that no later one takes
        self._places: dict[tuple[str, str], _Place] = {}
        for place in self._all:
            key = (place.provider, place.model)
            self._places.pop(key, None)
            self._places[key] = place
        self._index = _Index(self._all)
        self.own_names = NO_NAMES
        self._found: dict[tuple[str, str, bool], Found] = {}
        self._by_price_id: dict[str | None, _Place] | None = None

    @classmethod
    def load(cls) -> "PriceBook":
        """The shipped book."""
        content = BOOK_PATH.read_bytes()
        return cls._of(map(_Place, orjson.loads(content)), hashlib.sha256(content).hexdigest())

    @classmethod
    def _of(cls, places: Iterable[_Place], version: str) -> "PriceBook":
        book = cls((), version)
        book._fill(places, version)
        return book

    def overlaid(self, entries: Sequence[Mapping[str, object]]) -> "PriceBook":
        """A book with `entries` laid over this one: an entry wins the names it lists.

        Raises:
            ValueError: names the entry (``prices[0]``), its field and the remedy.
        """
        if not entries:
            return self
        cards = []
        for number, entry in enumerate(entries):
            card = parse_card(entry, f"prices[{number}]")
            for finding in overlaps(card):
                raise ValueError(f"prices[{number}] ({card.provider}/{card.model}): {finding.text}")
            cards.append(card)
        content = orjson.dumps(list(map(dict, entries)), default=str, option=orjson.OPT_SORT_KEYS)
        version = f"{self.version}+{hashlib.sha256(content).hexdigest()[:_OVERLAY_HASH_CHARS]}"
        return PriceBook._of([*self._all, *map(_Place.of, cards)], version).named(self.own_names)

    def named(self, own_names: OwnNames) -> "PriceBook":
        """The same book, in which these names of the operator's are looked up first."""
        book = copy(self)
        book.own_names, book._found = own_names, {}  # noqa: SLF001 - it is of this class
        return book

    def find(self, provider: str, model: str, *, sent: bool = False) -> Found:
        """The card of a model, with the steps that led to it; unknown names have none.

        Args:
            sent: It is what the provider was sent, or has answered: no alias is looked for.
        """
        key = (provider, model, sent)
        found = self._found.get(key)
        if found is None:
            found = resolve(self._index, provider, model, self.own_names, sent=sent)
            if len(self._found) >= FOUND_CACHE_MAX:
                self._found.pop(next(iter(self._found)))
            self._found[key] = found
        return found

    def price(self, price_id: str) -> Price | None:
        """The price of that id, wherever in the book it stands."""
        if self._by_price_id is None:
            self._by_price_id = {
                each: place for place in self._places.values() for each in place.price_ids()
            }
        place = self._by_price_id.get(price_id)
        prices = place.card.prices if place else ()
        return next((price for price in prices if price.id == price_id), None)

    def providers(self) -> set[str]:
        """Who has cards here, by canonical name."""
        return {place.provider for place in self._all}

    def scopes(self, provider: str) -> set[str]:
        """The places that prices of a provider have factors for."""
        canonical = canonical_provider(provider)
        return {
            scope
            for place in self._all
            if place.provider == canonical
            for price in place.card.prices
            for scope in price.factors
        }

    def models(self, provider: str) -> list[Card]:
        """The cards of one provider, in the book's order."""
        canonical = canonical_provider(provider)
        return [place.card for place in self._places.values() if place.provider == canonical]

    def cards(self) -> Iterator[Card]:
        """Every card, in the book's order, made as it is asked for."""
        return (place.card for place in self._places.values())
