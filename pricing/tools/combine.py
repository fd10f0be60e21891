"""Several lineages' figures for one name made one: agreement, the only one, or the higher.

Where two disagree, the higher is the careful reading: a customer's budget is then kept, and
the entry says what the other one was. A decision by hand (`pricing.tools.decided`) beats both.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Final

from pricing.card import OUTPUT_COMPONENTS
from pricing.tools.seen import Fee, Figures, Rates, tidy

CACHED: Final = ("cache_read", "cache_write_5m", "cache_write_1h", "audio_cached", "image_cached")

Found = Sequence[tuple[str, Figures]]
"""Figures with the lineage that they come from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreed:
    """One price as it is to be proposed.

    Attributes:
        differences: What the lineages do not agree on, one sentence each.
        agreements: How many rates two of them state alike.
        url, note, allow: As decided for this price alone.
    """

    figures: Figures
    lineages: tuple[str, ...]
    differences: tuple[str, ...] = ()
    agreements: int = 0
    url: str | None = None
    note: str | None = None
    allow: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Tally:
    differences: list[str] = field(default_factory=list)
    agreements: int = 0


def combine(found: Found) -> Agreed:
    """Make one price of what the lineages say of it."""
    tally = _Tally()
    figures = _combined([(lineage, each) for lineage, each in found if not each.empty], "", tally)
    return Agreed(
        figures=completed(figures),
        lineages=tuple(lineage for lineage, each in found if not each.empty),
        differences=tuple(tally.differences),
        agreements=tally.agreements,
    )


def completed(figures: Figures) -> Figures:
    """Fill in what a card states for every band, since nothing is inherited there.

    What costs as much as text in standard, images for instance, does so in every band. In
    other services a rate nobody states is the standard one. For long prompts cached input
    keeps its ratio to the input, as providers define it, and nothing gets cheaper.
    """
    tiers = _changing(figures.base, figures.tiers)
    service = {}
    for name, mode in figures.service.items():
        base = _filled(mode.base, figures.base)
        own = _changing(base, mode.tiers)
        higher = {over: _higher(base, rates) for over, rates in tiers.items()}
        service[name] = replace(mode, base=base, tiers=own or higher, service={})
    return replace(figures, tiers=tiers, service=service)


def _changing(base: Rates, tiers: Mapping[int, Rates]) -> dict[int, Rates]:
    """The tiers, complete; none where all of them cost what the base does."""
    complete = {over: _longer(rates, base) for over, rates in tiers.items()}
    return complete if any(rates != base for rates in complete.values()) else {}


def _filled(rates: Rates, base: Rates) -> Rates:
    filled = dict(rates)
    for component, rate in base.items():
        text = "output" if component in OUTPUT_COMPONENTS else "input"
        as_text = rate == base.get(text) and text in rates
        filled.setdefault(component, rates[text] if as_text else rate)
    return filled


def _longer(rates: Rates, base: Rates) -> Rates:
    ratio = rates["input"] / base["input"] if "input" in rates and base.get("input") else 1
    cached = {name: tidy(rate * ratio) for name, rate in base.items() if name in CACHED}
    return _higher(_filled({**cached, **rates}, base), base)


def _combined(found: Found, place: str, tally: _Tally) -> Figures:
    found = _at_one_threshold(found, place, tally)
    thresholds = sorted({over for _, each in found for over in each.tiers})
    modes = sorted({mode for _, each in found for mode in each.service})
    return Figures(
        from_day=next((each.from_day for _, each in found if each.from_day), None),
        base=_rates([(lineage, each.base) for lineage, each in found], place, tally),
        tiers={
            over: _rates(
                [(lineage, each.tiers.get(over, {})) for lineage, each in found],
                f"{place}over {over}, ",
                tally,
            )
            for over in thresholds
        },
        service={
            mode: _combined(
                [(lineage, each.service[mode]) for lineage, each in found if mode in each.service],
                f"{place}{mode} ",
                tally,
            )
            for mode in modes
        },
        fees=_fees(found, place, tally),
    )


def _at_one_threshold(found: Found, place: str, tally: _Tally) -> Found:
    """Above 200,000 and from 200,000 on are one tier, told differently: the lower begins it."""
    thresholds = {over for _, each in found for over in each.tiers}
    lower = {over: over - 1 for over in thresholds if over - 1 in thresholds}
    for over, from_over in lower.items():
        tally.differences.append(f"{place}a tier begins over {from_over}, or over {over}")
    return [
        (
            lineage,
            replace(each, tiers={lower.get(over, over): each.tiers[over] for over in each.tiers}),
        )
        for lineage, each in found
    ]


def _rates(found: Sequence[tuple[str, Rates]], place: str, tally: _Tally) -> Rates:
    rates: Rates = {}
    for component in _in_order(rates for _, rates in found):
        said = {lineage: rates[component] for lineage, rates in found if component in rates}
        rates[component] = _decide(said, f"{place}{component}", tally)
    return rates


def _fees(found: Found, place: str, tally: _Tally) -> dict[str, Fee]:
    fees = {}
    for unit in _in_order(each.fees for _, each in found):
        pers = {each.fees[unit].per for _, each in found if unit in each.fees}
        per = max(pers)
        said = {
            lineage: tidy(each.fees[unit].rate * per / each.fees[unit].per)
            for lineage, each in found
            if unit in each.fees
        }
        fees[unit] = Fee(_decide(said, f"{place}{unit}", tally), per)
    images = [fee for unit, fee in fees.items() if unit.startswith("image:")]
    if images:  # for a kind that nobody lists, the dearest
        fees.setdefault("image", max(images))
    return fees


def _in_order(mappings: Iterable[Mapping[str, object]]) -> list[str]:
    return list(dict.fromkeys(name for mapping in mappings for name in mapping))


def _decide(said: Mapping[str, Decimal], what: str, tally: _Tally) -> Decimal:
    highest = max(said.values())
    if len(set(said.values())) > 1:
        apart = ", ".join(f"{lineage} {amount:f}" for lineage, amount in said.items())
        tally.differences.append(f"{what}: {apart}")
    elif len(said) > 1:
        tally.agreements += 1
    return highest


def _higher(one: Rates, other: Rates) -> Rates:
    return {name: max(rate, other.get(name, rate)) for name, rate in one.items()}
