"""From what the lineages list to proposed cards: pair names, combine figures, group.

Names pair up exactly, or by the tests that genai-prices has instead of names. Dated names of
one model that cost the same become one card. A region's own figures become a multiplier
where one factor explains all of them, and a card by that name where none does.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from fractions import Fraction
from typing import Final

from pricing.tools.combine import Agreed, combine, completed
from pricing.tools.genai import Offer
from pricing.tools.seen import Figures, Rates, Seen

ROUNDING_MAX: Final = Decimal("0.012")
"""Published regional rates are rounded to two or three digits."""

UPLIFTS: Final = (Fraction(11, 10), Fraction(6, 5), Fraction(13, 10), Fraction(132, 100))
"""Factors that providers name; others are looked at one by one."""

BEDROCK_REGIONAL: Final = ("us", "eu", "apac", "jp", "au", "ca")
_BEDROCK_PROFILE = re.compile(rf"(global|us-gov|{'|'.join(BEDROCK_REGIONAL)})\.")
_DATE = re.compile(r"[-@](20\d\d-?\d\d-?\d\d|2[3-9](0[1-9]|1[0-2])|default|latest|00\d)$")
_DAY = re.compile(r"(20\d\d)-?(0[1-9]|1[0-2])-?([0-3]\d)(?!\d)")
GEMINI: Final = re.compile(r"gemini|gemma|imagen|learnlm|lyria|nano-banana")


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A card to be: everything but the day it was made.

    Attributes:
        prices: By rising instant, the last one open.
        announced: Those after it.
    """

    provider: str
    names: tuple[str, ...]
    prices: tuple[Agreed, ...]
    announced: tuple[Agreed, ...] = ()
    context: int | None = None
    max_output: int | None = None
    reasoning: bool = False
    free: bool = False
    url: str | None = None
    multipliers: Mapping[str, Fraction] = field(default_factory=dict)

    @property
    def model(self) -> str:
        return min(self.names, key=lambda name: (_DATE.search(name) is not None, len(name), name))

    @property
    def from_day(self) -> str | None:
        """The day in its oldest dated name."""
        found = (_DAY.search(name) for name in self.names)
        return min(("-".join(day.groups()) for day in found if day), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """What genai-prices offers, and the day on which it is read."""

    offers: Sequence[Offer]
    lineage: str
    today: str

    def of(self, seen: Seen) -> Offer | None:
        """The offer for a name; at Bedrock rather the one for its global profile."""
        names = [seen.name]
        if seen.provider == "bedrock":
            names = [f"global.{seen.name}", *([] if seen.scope == "global." else names)]
        for name in names:
            for offer in self.offers:
                if seen.provider in offer.providers and offer.matches(name):
                    return None if offer.by_hour or not offer.prices else offer
        return None

    def split(self, offer: Offer) -> tuple[list[Figures], Figures, list[Figures]]:
        """Its prices before today's, today's, and those announced."""
        prices = [_unwritten(each) if GEMINI.search(offer.id) else each for each in offer.prices]
        begun = [each for each in prices if (each.from_day or "") <= self.today]
        return begun[:-1], begun[-1], prices[len(begun) :]


def propose(
    current: Iterable[Seen], shelf: Shelf, earlier: Iterable[Iterable[Seen]] = ()
) -> list[Proposal]:
    """Pair, combine and group.

    Args:
        current: LiteLLM's map of today.
        earlier: Older ones, the newest first: for the names that today's no longer has.
    """
    rows = _by_name(map(_without_storage, current))
    proposals = [_proposal(seen, shelf) for seen in _without_scopes(rows)]
    known = {(each.provider, name) for each in proposals for name in each.names}
    for seen in _gone(earlier, known):
        proposals.append(_proposal(seen, shelf))
        known.add((seen.provider, seen.name))
    proposals += _only_offered(shelf, known)
    scoped = _scopes(proposals, rows)
    return sorted(_grouped(scoped), key=lambda each: (each.provider, each.model))


def _by_name(seen: Iterable[Seen]) -> dict[tuple[str, str, str | None], Seen]:
    """Rows of one name in one scope as one: an image model has a row for each size."""
    rows: dict[tuple[str, str, str | None], Seen] = {}
    for each in seen:
        scope, name = each.scope, each.name
        if each.provider == "bedrock" and scope is None:
            name = name.removeprefix("invoke/")
            region, dot, rest = name.partition(".")
            if dot and region in {*BEDROCK_REGIONAL, "global", "us-gov"}:
                scope, name = f"{region}.", rest
        key = (each.provider, name, scope)
        row = replace(each, name=name, scope=scope)
        rows[key] = _joined(rows[key], row) if key in rows else row
    return rows


def _without_storage(seen: Seen) -> Seen:
    """Gemini's caches are paid by the hour, which the lists give as a price of writing them."""
    if not GEMINI.search(seen.name):
        return seen
    return replace(seen, prices=tuple(map(_unwritten, seen.prices)))


def _unwritten(figures: Figures) -> Figures:
    def without(rates: Rates) -> Rates:
        return {name: rate for name, rate in rates.items() if not name.startswith("cache_write")}

    return replace(
        figures,
        base=without(figures.base),
        tiers={over: without(rates) for over, rates in figures.tiers.items()},
        service={name: _unwritten(mode) for name, mode in figures.service.items()},
    )


def _joined(one: Seen, other: Seen) -> Seen:
    """Two rows of one lineage: what only one states, and the higher of what both do."""
    figures = combine([(one.lineage, one.prices[-1]), (other.lineage, other.prices[-1])]).figures
    fees = {} if figures.base else dict(figures.fees)
    searches = {unit: fee for unit, fee in figures.fees.items() if not unit.startswith("image")}
    return replace(
        one,
        prices=(replace(figures, fees=fees or searches),),
        context=one.context or other.context,
        max_output=one.max_output or other.max_output,
        url=one.url or other.url,
        reasoning=one.reasoning or other.reasoning,
        free=one.free and other.free,
    )


def _without_scopes(rows: Mapping[tuple[str, str, str | None], Seen]) -> Iterator[Seen]:
    """The row that a name's base rates are taken from: global, unscoped, or all there is."""
    names = dict.fromkeys((provider, name) for provider, name, _ in rows)
    for provider, name in names:
        scopes = [scope for p, n, scope in rows if (p, n) == (provider, name)]
        first = next((s for s in ("global.", "global", None) if s in scopes), scopes[0])
        yield rows[provider, name, first]


def _gone(earlier: Iterable[Iterable[Seen]], known: set[tuple[str, str]]) -> Iterator[Seen]:
    for seen in earlier:
        for (provider, name, scope), row in _by_name(map(_without_storage, seen)).items():
            if scope in {None, "global.", "global"} and (provider, name) not in known:
                yield row


def _proposal(seen: Seen, shelf: Shelf | None) -> Proposal:
    offer = shelf.of(seen) if shelf else None
    found = [(seen.lineage, seen.prices[-1])]
    past: list[Agreed] = []
    announced: list[Agreed] = []
    if shelf is not None and offer is not None:
        before, now, after = shelf.split(offer)
        found.append((shelf.lineage, now))
        past = [_alone(each, shelf) for each in before]
        announced = [_alone(each, shelf) for each in after]
    return Proposal(
        provider=seen.provider,
        names=(seen.name,),
        prices=(*past, combine(found)),
        announced=tuple(announced),
        context=(offer and offer.context) or seen.context,
        max_output=0 if seen.reads_only else seen.max_output,
        reasoning=seen.reasoning,
        free=seen.free,
        url=seen.url,
        multipliers=seen.multipliers,
    )


def _alone(figures: Figures, shelf: Shelf) -> Agreed:
    return Agreed(figures=completed(figures), lineages=(shelf.lineage,))


def _only_offered(shelf: Shelf, known: set[tuple[str, str]]) -> Iterator[Proposal]:
    for offer in shelf.offers:
        if offer.by_hour or not offer.prices:
            continue
        providers = offer.providers
        if len(providers) > 1:
            providers = ("google",) if GEMINI.match(offer.id) else ("vertex",)
        for provider in providers:
            paired = any(p == provider and offer.matches(name) for p, name in known)
            names = offer.names or ((offer.id,) if offer.matches(offer.id) else ())
            new = tuple(name for name in names if (provider, name) not in known)
            if provider == "bedrock":
                new = tuple(name for name in new if not _BEDROCK_PROFILE.match(name))
            if not new or (paired and not offer.names):
                continue
            before, now, after = shelf.split(offer)
            proposal = Proposal(
                provider=provider,
                names=new,
                prices=tuple(_alone(each, shelf) for each in (*before, now)),
                announced=tuple(_alone(each, shelf) for each in after),
                context=offer.context,
                max_output=None if now.base.get("output") else 0,
            )
            yield _from_global(proposal, offer, shelf)


def _from_global(proposal: Proposal, offer: Offer, shelf: Shelf) -> Proposal:
    """Where Bedrock's regional and global rates are listed apart: the latter, and a factor."""
    kind, dot, rest = offer.id.partition(".")
    twin = next((each for each in shelf.offers if each.id == f"global.{rest}"), None)
    if kind != "regional" or not dot or twin is None:
        return proposal
    figures = shelf.split(twin)[1]
    factor = _factor(figures, proposal.prices[-1].figures)
    if factor is None or factor == 1:
        return proposal
    return replace(
        proposal,
        prices=tuple(_alone(each, shelf) for each in twin.prices),
        multipliers={"regional": factor},
    )


def _scopes(
    proposals: Iterable[Proposal], rows: Mapping[tuple[str, str, str | None], Seen]
) -> Iterator[Proposal]:
    """Explain a region's figures by a factor; else they are a card by the region's name."""
    regions: dict[tuple[str, str], list[Seen]] = defaultdict(list)
    for (provider, name, scope), row in rows.items():
        if scope is not None:
            regions[provider, name].append(row)
    for proposal in proposals:
        base = proposal.prices[-1].figures
        factors: dict[str, Fraction] = {}
        apart = []
        rows_here = regions.get((proposal.provider, proposal.names[0]), [])
        for row in sorted(rows_here, key=lambda row: (row.scope != "us.", row.scope or "")):
            scope = row.scope or ""
            factor = _factor(base, row.prices[-1])
            own = f"{scope}{row.name}" if scope.endswith(".") else None
            where = _scope_name(scope)
            if factor is None or factors.get(where, factor) != factor:
                apart.append((own, row))
            elif where != "global":
                factors[where] = factor
        factors = {where: factor for where, factor in factors.items() if factor != 1}
        yield replace(proposal, multipliers={**proposal.multipliers, **factors})
        for own, row in apart:
            if own is not None:
                alone = replace(row, name=own)
                yield replace(_proposal(alone, None), multipliers={})


def _scope_name(scope: str) -> str:
    """As calls say it: Bedrock's prefixes all mean ``regional``, but for government clouds."""
    prefix = scope.removesuffix(".")
    if prefix == scope or prefix in {"global", "us-gov"}:
        return prefix
    return "regional"


def _factor(base: Figures, scoped: Figures) -> Fraction | None:
    """The one factor between all common rates, if it is one that providers name."""
    pairs = [(rate, base.base[name]) for name, rate in scoped.base.items() if name in base.base]
    pairs += [
        (rate, base.tiers[over][name])
        for over, rates in scoped.tiers.items()
        if over in base.tiers
        for name, rate in rates.items()
        if name in base.tiers[over]
    ]
    if not pairs and scoped.fees == base.fees:
        return Fraction(1)
    if not pairs:
        return None
    for factor in (Fraction(1), *UPLIFTS):
        exact = Decimal(factor.numerator) / factor.denominator
        if all(abs(rate / (other * exact) - 1) <= ROUNDING_MAX for rate, other in pairs):
            return factor
    return None


def _grouped(proposals: Iterable[Proposal]) -> Iterator[Proposal]:
    groups: dict[tuple[str, str], list[Proposal]] = defaultdict(list)
    for proposal in proposals:
        stem = proposal.names[0]
        while _DATE.search(stem):
            stem = _DATE.sub("", stem)
        stem = stem.removeprefix("accounts/fireworks/models/")
        same = groups[proposal.provider, stem]
        for number, other in enumerate(same):
            if _alike(other, proposal):
                same[number] = _together(other, proposal)
                break
        else:
            same.append(proposal)
    for same in groups.values():
        yield from same


def _alike(one: Proposal, other: Proposal) -> bool:
    return (
        [each.figures for each in one.prices] == [each.figures for each in other.prices]
        and [each.figures for each in one.announced] == [each.figures for each in other.announced]
        and one.free == other.free
        and dict(one.multipliers) == dict(other.multipliers)
    )


def _together(one: Proposal, other: Proposal) -> Proposal:
    lineages = [
        replace(each, lineages=tuple(dict.fromkeys((*each.lineages, *twin.lineages))))
        for each, twin in zip(one.prices, other.prices, strict=True)
    ]
    return replace(
        one,
        names=tuple(dict.fromkeys((*one.names, *other.names))),
        prices=tuple(lineages),
        context=max(one.context or 0, other.context or 0) or None,
        max_output=one.max_output if one.max_output is not None else other.max_output,
        reasoning=one.reasoning or other.reasoning,
        url=one.url or other.url,
    )
