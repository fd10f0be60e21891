"""The price book: every card, found by provider and name.

`PriceBook.load` reads what `pricing.compile` wrote from the YAML files; nothing is fetched,
so two workers of one release bill alike. The configuration's own prices lie over it.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import orjson

from pricing.card import Card
from pricing.entry import parse_card
from pricing.lint import overlaps
from pricing.names import Found, canonical_provider, resolve

__all__ = ["BOOK_PATH", "Found", "PriceBook"]

BOOK_PATH: Final = Path(__file__).parent / "data" / "book.json"
FOUND_CACHE_MAX: Final = 4096
"""Names come from callers, who may make up as many as they like."""

_OVERLAY_HASH_CHARS: Final = 12


class PriceBook:
    """Cards by provider and exact name; immutable but for the cache of names.

    Attributes:
        version: The SHA-256 of the book's content; with an overlay, "+" and its hash.
    """

    def __init__(self, cards: Sequence[Card], version: str) -> None:
        """Later cards win names over earlier ones, so that an overlay can be appended."""
        self.version = version
        self._cards: dict[tuple[str, str], Card] = {}
        for card in cards:
            key = (canonical_provider(card.provider), card.model)
            self._cards.pop(key, None)  # to the end: it must win again in the next overlay
            self._cards[key] = card
        self._index = {
            (canonical_provider(card.provider), name): card for card in cards for name in card.match
        }
        self._found: dict[tuple[str, str], Found] = {}

    @classmethod
    def load(cls) -> "PriceBook":
        """The shipped book."""
        content = BOOK_PATH.read_bytes()
        cards = [parse_card(entry) for entry in orjson.loads(content)]
        return cls(cards, hashlib.sha256(content).hexdigest())

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
        return PriceBook([*self._cards.values(), *cards], version)

    def find(self, provider: str, model: str) -> Found:
        """The card of a model, with the steps that led to it; unknown names have none."""
        key = (provider, model)
        found = self._found.get(key)
        if found is None:
            found = resolve(self._index, provider, model)
            if len(self._found) >= FOUND_CACHE_MAX:
                self._found.pop(next(iter(self._found)))
            self._found[key] = found
        return found

    def models(self, provider: str) -> list[Card]:
        """The cards of one provider, in the book's order."""
        canonical = canonical_provider(provider)
        return [card for (owner, _), card in self._cards.items() if owner == canonical]

    def cards(self) -> list[Card]:
        """Every card, in the book's order."""
        return list(self._cards.values())
