"""Two price books side by side: what differs, and what of it nobody should adopt unseen.

    differences   every card and price that is new, closed, gone or has other rates
    leaps         what moves a bill by an order of magnitude: priced becomes free (or has no
                  price any more), free becomes priced, a rate moves more than tenfold

Pure: from two books to values.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Final

from pricing.book import PriceBook
from pricing.card import Card, Mode, Price, Rates
from pricing.names import canonical_provider
from pricing.scopes import EVERYWHERE, factor_in

LEAP_FACTOR_MAX: Final = 10
"""A rate that moves by more, either way, is adopted only when somebody has confirmed it."""


CODE_CHARS: Final = 12
_VERSION_CHARS: Final = 64
"""Of a book without an overlay: a SHA-256."""


class Kind(StrEnum):
    """What is told of a card (the first two) or of one of its prices."""

    NEW_CARD = "new card"
    GONE_CARD = "card gone"
    NEW = "new"
    CLOSED = "closed"
    CHANGED = "changed"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Move:
    """One rate before and after, femto-USD per token or piece; None: there is none.

    Attributes:
        name: ``base.input``, ``base over 200000.output``, ``service.flex.input``,
            ``fees.web_search``, ``multipliers.regional`` (a plain factor).
    """

    name: str
    before: Fraction | None
    after: Fraction | None

    @property
    def ratio(self) -> Fraction | None:
        """After by before; None where one of them is missing, or was zero."""
        if self.after is None or not self.before:
            return None
        return self.after / self.before


@dataclass(frozen=True, slots=True)
class Difference:
    """What differs of a card, or of one of its prices.

    Attributes:
        price_id: None where it is about the whole card.
        moves: The rates that differ: for a new price, from the one it follows.
    """

    kind: Kind
    card: str
    price_id: str | None = None
    moves: tuple[Move, ...] = ()


class Crossing(StrEnum):
    """Why a difference is a leap."""

    FREE = "becomes free"
    PRICED = "was free"
    UNPRICED = "has no price any more"
    JUMP = f"moves more than {LEAP_FACTOR_MAX}x"


@dataclass(frozen=True, slots=True)
class Leap:
    """One name whose bills would be of another order. `move` is None for a whole price."""

    provider: str
    model: str
    crossing: Crossing
    at_ms: int
    move: Move | None = None

    def __str__(self) -> str:
        of = f"{self.move.name} " if self.move else ""
        return f"{self.provider}/{self.model}: {of}{self.crossing}"


def code_of(version: str) -> str:
    """A book's version, short enough to be typed: by it somebody confirms this very book."""
    return version[:CODE_CHARS] + version[_VERSION_CHARS:]


def differences(before: PriceBook, after: PriceBook) -> Iterator[Difference]:
    """Everything that differs, card by card, by provider and model."""
    old, new = _by_name(before), _by_name(after)
    for key in sorted(old.keys() | new.keys()):
        name = "/".join(key)
        if key not in old:
            first = new[key].prices[-1]
            yield Difference(Kind.NEW_CARD, name, first.id, _moves({}, rates_of(first)))
        elif key not in new:
            yield Difference(Kind.GONE_CARD, name)
        else:
            yield from _of_card(name, old[key], new[key])


def leaps(before: PriceBook, after: PriceBook, now_ms: int) -> Iterator[Leap]:
    """What `after` bills by another order than `before`, now or once a known price begins.

    What `before` had no price for is none: it was never billed.
    """
    for provider, model, old, new in pairs(before, after):
        yield from leaps_of(provider, model, old, new, now_ms)


def pairs(before: PriceBook, after: PriceBook) -> Iterator[tuple[str, str, Card, Card | None]]:
    """By each name of `before` its card, and the one that answers to that name in `after`.

    Two cards that have met by one name are not told again by another.
    """
    seen: set[tuple[int, int]] = set()
    for provider, model in sorted(_names(before)):
        old = before.find(provider, model).card
        new = after.find(provider, model).card
        if old is not None and (id(old), id(new)) not in seen:
            seen.add((id(old), id(new)))
            yield provider, model, old, new


def leaps_of(provider: str, model: str, old: Card, new: Card | None, now_ms: int) -> Iterator[Leap]:
    """Those between two cards, at the first instant that has any."""
    for at_ms in sorted({now_ms, *_begins(old, now_ms), *_begins(new, now_ms)}):
        found = list(_leaps_at(old, new, at_ms))
        if found:
            yield from (Leap(provider, model, crossing, at_ms, m) for crossing, m in found)
            return


def rates_of(price: Price) -> dict[str, Fraction]:
    """Every rate of a price by its place, femto-USD per token or piece; factors as they are."""
    found: dict[str, Fraction] = {}
    for place, mode in price.modes():
        for band, rates in bands_of(mode):
            where = place if band is None else f"{place} over {band}"
            for component, rate in rates.published().items():
                found[f"{where}.{component}"] = Fraction(rate)
    for unit, fee in price.fees.items():
        found[f"fees.{unit}"] = Fraction(fee.rate_femto, fee.per)
    for scope in {multiplier.scope for multiplier in price.multipliers}:
        found[f"multipliers.{scope}"] = factor_of(price, scope)
    return found


def factor_of(price: Price, scope: str) -> Fraction:
    """What everything is multiplied with where a call is served in `scope`."""
    return Fraction(*(factor_in(price.factors, scope) or EVERYWHERE))


def bands_of(mode: Mode) -> Iterator[tuple[int | None, Rates]]:
    """Rates of a mode, with the threshold above which they hold; None: from the first token."""
    yield None, mode.rates
    for tier in mode.tiers:
        yield tier.over_tokens, tier.rates


def _of_card(name: str, old: Card, new: Card) -> Iterator[Difference]:
    before = {price.id: price for price in old.prices}
    after = {price.id: price for price in new.prices}
    for price_id, price in after.items():
        if price_id not in before:
            follows = old.price_at(price.from_ms)
            moves = _moves(rates_of(follows) if follows else {}, rates_of(price))
            yield Difference(Kind.NEW, name, price_id, moves)
            continue
        same = before[price_id]
        moves = _moves(rates_of(same), rates_of(price))
        flags = [(one.free, one.confirmed, dict(one.fees), one.scopes) for one in (same, price)]
        if moves or flags[0] != flags[1]:
            yield Difference(Kind.CHANGED, name, price_id, moves)
        elif (same.from_ms, same.to_ms) != (price.from_ms, price.to_ms):
            yield Difference(Kind.CLOSED if price.to_ms else Kind.CHANGED, name, price_id)
    for price_id in before:
        if price_id not in after:
            yield Difference(Kind.GONE, name, price_id)


def _leaps_at(old: Card, new: Card | None, at_ms: int) -> Iterator[tuple[Crossing, Move | None]]:
    before, after = old.price_at(at_ms), new.price_at(at_ms) if new else None
    if before is None or before is after:
        return
    if after is None:
        if not before.free:
            yield Crossing.UNPRICED, None
    elif before.free != after.free:
        yield (Crossing.FREE if after.free else Crossing.PRICED), None
    elif not before.free:
        for move in _moves(rates_of(before), rates_of(after)):
            crossing = _crossing(move)
            if crossing is not None:
                yield crossing, move


def _crossing(move: Move) -> Crossing | None:
    if move.before is None or move.after is None:
        return None
    if not move.before or not move.after:
        return Crossing.PRICED if move.after else Crossing.FREE
    low, high = sorted((move.before, move.after))
    return Crossing.JUMP if high > low * LEAP_FACTOR_MAX else None


def _moves(before: Mapping[str, Fraction], after: Mapping[str, Fraction]) -> tuple[Move, ...]:
    names = [*after, *(name for name in before if name not in after)]
    moves = (Move(name, before.get(name), after.get(name)) for name in names)
    return tuple(move for move in moves if move.before != move.after)


def _begins(card: Card | None, now_ms: int) -> Iterator[int]:
    if card is not None:
        yield from (p.from_ms for p in card.prices if p.confirmed and p.from_ms > now_ms)


def _by_name(book: PriceBook) -> dict[tuple[str, str], Card]:
    return {(canonical_provider(card.provider), card.model): card for card in book.cards()}


def _names(book: PriceBook) -> set[tuple[str, str]]:
    return {(card.provider, name) for card in book.cards() for name in card.match}
