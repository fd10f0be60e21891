"""What looks wrong in a price book, before anybody is billed by it.

Pure functions from cards to findings. A price may state why something that looks wrong is
right: ``allow: {output-below-input: "…"}``; the reason is data, and reviewed as such.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from pricing.card import INPUT_COMPONENTS, Card, Mode, Price, Rates
from pricing.makers import makers_cards, zone_rates

JUMP_FACTOR_MAX: Final = 3
"""A price that moves by more from one entry to the next is more often a typing mistake."""

CACHED: Final = (
    ("cache_read", "input"),
    ("audio_cached", "audio_in"),
    ("image_cached", "image_in"),
)


class Finding(NamedTuple):
    """One thing to look at: which rule, as `allow` spells it, at which card and price."""

    rule: str
    card: str
    price_id: str | None
    text: str

    def __str__(self) -> str:
        return f"{self.card}: {self.rule}: {self.price_id or 'card'}: {self.text}"


def lint(cards: Iterable[Card]) -> list[Finding]:
    """Everything suspicious in `cards`, except what a price allows with a reason."""
    cards = list(cards)
    findings = [*shared_names(cards), *tier_edges(cards)]
    makers = makers_cards(cards)
    for card in cards:
        findings += [*overlaps(card), *gaps(card), *jumps(card), *limits(card)]
        zones = {price.id: text for price, text in zone_rates(card, makers)}
        for price in card.prices:
            findings += _wrong(card, price, zones.get(price.id))
    return findings


def _wrong(card: Card, price: Price, zone: str | None) -> Iterator[Finding]:
    """What the rules find in one price, and reasons for what they do not find."""
    found = {rule: list(check(price)) for rule, check in PRICE_RULES.items()}
    found["zone-rate"] = [zone] if zone else []
    for rule, texts in found.items():
        if rule not in price.allow:
            yield from (Finding(rule, _name(card), price.id, text) for text in texts)
    for rule in price.allow:  # one for what is not there (any more) would hide the next mistake
        if rule != "jump" and not found.get(rule):
            yield Finding("allow", _name(card), price.id, f"allow.{rule}: nothing here needs it")


def shared_names(cards: Sequence[Card]) -> Iterator[Finding]:
    """One name on two cards, or twice on one: which of them bills would be chance."""
    owner: dict[tuple[str, str], Card] = {}
    for card in cards:
        for name in card.match:
            other = owner.setdefault((card.provider, name), card)
            if other is not card or card.match.count(name) > 1:
                text = f"the name {name!r} is also {other.model}'s"
                yield Finding("shared-name", _name(card), None, text)


def tier_edges(cards: Sequence[Card]) -> Iterator[Finding]:
    """Two prices of a provider whose tiers begin one token apart: "over" beside "from … on".

    Both cannot be right of what the provider says once for all its models.
    """
    edges: dict[tuple[str, int], str] = {}
    live = [(card, price) for card in cards for price in _in_time(card)]
    for card, price in live:
        edges |= {(card.provider, tier.over_tokens): price.id for tier in price.tiers}
    for card, price in live:
        for tier in price.tiers:
            earlier = edges.get((card.provider, tier.over_tokens - 1))
            if earlier is not None:
                text = f"a tier begins over {tier.over_tokens}, a token after that of {earlier}"
                yield Finding("tier-edge", _name(card), price.id, text)


def overlaps(card: Card) -> Iterator[Finding]:
    """Two confirmed prices at one instant, neither of which corrects the other."""
    for earlier, later in pairwise(_in_time(card)):
        if earlier.to_ms is None or later.from_ms < earlier.to_ms:
            text = f"{earlier.id} still holds when {later.id} begins: close it with `to`"
            yield Finding("overlap", _name(card), later.id, text)


def gaps(card: Card) -> Iterator[Finding]:
    """An instant between two prices at which the model has none."""
    for earlier, later in pairwise(_in_time(card)):
        if earlier.to_ms is not None and later.from_ms > earlier.to_ms:
            text = f"nothing is priced between {earlier.id} and {later.id}"
            yield Finding("gap", _name(card), later.id, text)


def jumps(card: Card) -> Iterator[Finding]:
    """A rate that moves by more than `JUMP_FACTOR_MAX` from one price to the next."""
    for earlier, later in pairwise(_in_time(card)):
        if "jump" in later.allow:
            continue
        for component, rate in later.base.published().items():
            before = earlier.base.get(component) or 0
            low, high = sorted((before, rate))
            if low and high > low * JUMP_FACTOR_MAX:
                text = f"{component} moves by more than {JUMP_FACTOR_MAX} times since {earlier.id}"
                yield Finding("jump", _name(card), later.id, text)


def limits(card: Card) -> Iterator[Finding]:
    if card.context_tokens and (card.output_max_tokens or 0) > card.context_tokens:
        yield Finding("limits", _name(card), None, "the maximum output exceeds the context")
    if card.output_max_tokens and card.output_cap_field is None:
        yield Finding("limits", _name(card), None, "writes output but has no output_cap_field")


def _source(price: Price) -> Iterator[str]:
    if not price.sources:
        yield "has no source: give the url and the day it was seen"


def _one_source(price: Price) -> Iterator[str]:
    """A figure that one of the copied lists has and no other confirms."""
    if any(not source.lineages for source in price.sources):
        return
    lists = {lineage.split()[0] for source in price.sources for lineage in source.lineages}
    if len(lists) == 1:
        yield f"was seen in {lists.pop()} only"


def _start(price: Price) -> Iterator[str]:
    if "@" not in price.id:
        yield "the id should name the card and the day it begins: provider/model@2025-09-29"


def _zero(price: Price) -> Iterator[str]:
    if price.free:
        return
    for place, rates in _bands(price):
        for component, rate in rates.published().items():
            if rate == 0:
                yield f"{place}: {component} is zero without `free: true`"


def _output_below_input(price: Price) -> Iterator[str]:
    for place, rates in _bands(price):
        if rates.output is not None and rates.input is not None and rates.output < rates.input:
            yield f"{place}: output costs less than input"


def _cache_above_input(price: Price) -> Iterator[str]:
    for place, rates in _bands(price):
        for cached, fresh in CACHED:
            if _exceeds(rates, cached, rates, fresh):
                yield f"{place}: {cached} costs more than {fresh}"


def _write_below_input(price: Price) -> Iterator[str]:
    for place, rates in _bands(price):
        for write, other in (("cache_write_5m", "input"), ("cache_write_1h", "cache_write_5m")):
            if _exceeds(rates, other, rates, write):
                yield f"{place}: {write} costs less than {other}"


def _batch_above_standard(price: Price) -> Iterator[str]:
    for name, rates in _services(price, "batch", "flex"):
        for component in rates.published():
            if _exceeds(rates, component, price.base, component):
                yield f"service.{name}: {component} costs more than standard"


def _dearer_below_standard(price: Price) -> Iterator[str]:
    """What is sold as faster and costs less is one list's rate beside another's."""
    for name, rates in _services(price, "priority", "fast", "ultrafast"):
        for component in rates.published():
            if _exceeds(price.base, component, rates, component):
                yield f"service.{name}: {component} costs less than standard"


def _services(price: Price, *names: str) -> Iterator[tuple[str, Rates]]:
    """Those of these that it has, with their rates before any tier."""
    for name in names:
        if (mode := price.service.get(name)) is not None:
            yield name, mode.rates


def _tier_below_base(price: Price) -> Iterator[str]:
    for place, mode in price.modes():
        for low, high in pairwise([mode.rates, *(tier.rates for tier in mode.tiers)]):
            for component in low.published():
                if _exceeds(low, component, high, component):
                    yield f"{place}: {component} falls when the input is longer"


def _tiers_apart(price: Price) -> Iterator[str]:
    """What is long for one service is long for all: another start is a slip of somebody's."""
    starts = [tier.over_tokens for tier in price.tiers]
    for place, mode in price.modes():
        others = [tier.over_tokens for tier in mode.tiers]
        if starts and others and others != starts:
            yield f"{place}: has tiers over {others}, base over {starts}"


def _missing_components(price: Price) -> Iterator[str]:
    """Nothing is inherited, so a band that leaves a component out bills it by the fallback."""
    expected = price.base.published().keys()
    for place, rates in _bands(price):
        missing = expected - rates.published().keys()
        if missing:
            yield f"{place}: has no rate for {', '.join(sorted(missing))}, which base has"


def _tier_without_reads(price: Price) -> Iterator[str]:
    if price.tiers and not any(price.base.get(name) for name in INPUT_COMPONENTS):
        yield "has tiers by input but no input rate"


PRICE_RULES: Final[dict[str, Callable[[Price], Iterator[str]]]] = {
    "source": _source,
    "one-source": _one_source,
    "id": _start,
    "zero": _zero,
    "output-below-input": _output_below_input,
    "cache-above-input": _cache_above_input,
    "write-below-input": _write_below_input,
    "batch-above-standard": _batch_above_standard,
    "dearer-below-standard": _dearer_below_standard,
    "tier-below-base": _tier_below_base,
    "tiers-apart": _tiers_apart,
    "missing-component": _missing_components,
    "tier-without-input": _tier_without_reads,
}


def _in_time(card: Card) -> list[Price]:
    """The confirmed prices that no other one corrects, by their beginning."""
    corrected = {price.corrects for price in card.prices}
    live = [price for price in card.prices if price.confirmed and price.id not in corrected]
    return sorted(live, key=lambda price: price.from_ms)


def _bands(price: Price) -> Iterator[tuple[str, Rates]]:
    for place, mode in price.modes():
        yield from _mode_bands(place, mode)


def _mode_bands(place: str, mode: Mode) -> Iterable[tuple[str, Rates]]:
    yield place, mode.rates
    for tier in mode.tiers:
        yield f"{place}, over {tier.over_tokens}", tier.rates


def _exceeds(left: Rates, one: str, right: Rates, other: str) -> bool:
    high, low = left.get(one), right.get(other)
    return high is not None and low is not None and high > low


def _name(card: Card) -> str:
    return f"{card.provider}/{card.model}"
