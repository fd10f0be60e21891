"""Bills against a second calculation: slow, in fractions, from the price as it is written.

The one that runs takes short ways where a call is text alone, has no tier, no factor, no
piece. Whatever the price and the call, both come to the same amount, or refuse alike.
"""

from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from fractions import Fraction
from random import Random
from typing import Any

import pytest

from pricing.card import COMPONENTS, FALLBACKS, INPUT_COMPONENTS
from pricing.cost import STANDARD_SERVICE, UnpricedComponent, cost
from pricing.entry import parse_card
from pricing.usage import Usage

Entry = dict[str, Any]

TEXT = ("input", "cache_read", "output", "reasoning")
RATES = ("0", "0.0028", "0.15", "1.1", "2.5", "12.5", "75")
OVER = (0, 1_000, 272_000)
TOKENS = (0, 0, 0, 1, 7, 999, 1_000, 1_001, 272_000, 272_001, 10**9)
CASES = 100


def slow_cost(entry: Entry, usage: Usage, tier: str | None, scope: str) -> int | None:
    """In pico-USD; None: something has no rate."""
    band = entry["base"] | {"tiers": entry["tiers"]}
    if tier not in {None, *STANDARD_SERVICE}:
        if tier not in entry["service"]:
            return None
        band = entry["service"][tier]
    counts = {c: getattr(usage, f"{c}_tokens") for c in COMPONENTS}
    total = sum(counts[component] for component in INPUT_COMPONENTS)
    rates = {name: rate for name, rate in band.items() if name != "tiers"}
    for one in band["tiers"]:
        if total > one["over"]:
            rates = one["rates"]
    femto = Fraction(0)
    for component, tokens in counts.items():
        rate = rates.get(component, rates.get(FALLBACKS.get(component, "")))
        if tokens and rate is None:
            return None
        femto += tokens * Fraction(rate or 0) * 10**9
    pieces = slow_pieces(entry, usage)
    if None in pieces:
        return None
    femto += sum((amount for amount, same in filter(None, pieces) if not same), Fraction(0))
    everywhere = sum((amount for amount, same in filter(None, pieces) if same), Fraction(0))
    factors = {m["when"]["scope"]: Fraction(m["num"], m["den"]) for m in entry["multipliers"]}
    if factors and scope not in {*factors, "global"}:
        return None
    return rounded((femto * factors.get(scope, 1) + everywhere) / 1_000)


def slow_pieces(entry: Entry, usage: Usage) -> list[tuple[Fraction, bool] | None]:
    """Of each unit what it comes to, and whether it does everywhere; None: it has no fee."""
    found: list[tuple[Fraction, bool] | None] = []
    for unit, pieces in usage.fees:
        fee = entry["fees"].get(unit, entry["fees"].get(unit.partition(":")[0]))
        if fee is None:
            found += [None] if pieces else []
            continue
        billed = min(pieces, 1) if fee["once"] else pieces
        found.append((billed * Fraction(fee["rate"]) * 10**15 / fee["per"], fee["everywhere"]))
    return found


def rounded(value: Fraction) -> int:
    with localcontext(prec=120):
        exact = Decimal(value.numerator * 10**40 // value.denominator) / 10**40
        return int(exact.quantize(Decimal(1), ROUND_HALF_EVEN))


def rates(dice: Random, components: Sequence[str]) -> dict[str, str]:
    some = dice.sample(components, dice.randint(1, len(components)))
    return {name: dice.choice(RATES) for name in some}


def band(dice: Random, components: Sequence[str]) -> Entry:
    over = sorted(dice.sample(OVER, dice.randint(0, 2)))
    tiers = [{"over": tokens, "rates": rates(dice, components)} for tokens in over]
    return rates(dice, components) | {"tiers": tiers}


def a_price(dice: Random) -> Entry:
    """Of text or of everything, with and without what makes it less plain."""
    base = band(dice, dice.choice((TEXT, COMPONENTS)))
    tiers = base.pop("tiers")
    scopes = dice.sample(("us", "eu"), dice.randint(0, 2))
    units = dice.sample(("web_search", "image", "image:hd"), dice.randint(0, 3))
    return {
        "base": base | {"input": "2.5"},  # a price of zero is another matter
        "tiers": tiers,
        "service": {name: band(dice, COMPONENTS) for name in dice.sample(("flex", "batch"), 1)},
        "multipliers": [
            {"when": {"scope": name}, "num": 11, "den": dice.choice((3, 10))} for name in scopes
        ],
        "fees": {
            unit: {
                "rate": dice.choice(("0", "0.01", "7")),
                "per": dice.choice((1, 60, 1000, 3600)),
                "once": dice.choice((False, False, True)),
                "everywhere": dice.choice((False, True)),
            }
            for unit in units
        },
    }


def a_usage(dice: Random) -> Usage:
    components = dice.sample(COMPONENTS, dice.choice((1, 2, 3, len(COMPONENTS))))
    pieces = dice.sample(("web_search", "image", "image:hd", "image:low"), dice.choice((0, 0, 2)))
    return Usage(
        **{f"{component}_tokens": dice.choice(TOKENS) for component in components},
        fees=tuple((unit, dice.randint(0, 3)) for unit in pieces),
    )


@pytest.mark.parametrize("seed", range(8))
def test_a_bill_is_what_the_slow_calculation_says(seed) -> None:
    """To the last pico-dollar."""
    dice = Random(seed)
    refused = 0
    for _ in range(CASES):
        entry, usage = a_price(dice), a_usage(dice)
        tier = dice.choice((None, "default", "flex", "batch"))
        scope = dice.choice(("global", "us", "eu"))
        refused += not agree(entry, usage, tier, scope)

    assert 0 < refused < CASES


def agree(entry: Entry, usage: Usage, tier: str | None, scope: str) -> bool:
    """Both calculations, on the amount, or that there is none; whether there is one."""
    price = parse_card({"provider": "p", "model": "m", "prices": [entry]}).prices[0]
    expected = slow_cost(entry, usage, tier, scope)
    if expected is None:
        with pytest.raises(UnpricedComponent):
            cost(usage, price, service_tier=tier, scope=scope)
        return False
    bill = cost(usage, price, service_tier=tier, scope=scope)
    assert expected == bill.cost_pico == bill.charge_pico, (entry, usage, tier, scope)
    lines = [Fraction(item.quantity * item.rate_femto, item.per) for item in bill.items]
    assert expected == rounded(sum(lines, Fraction(0)) / 1_000)
    return True


@pytest.mark.parametrize(("tokens", "expected"), [(1, 0), (2, 1), (3, 2), (5, 2), (7, 4)])
def test_halves_go_to_the_even_number(tokens, expected) -> None:
    """At half a pico-dollar a token."""
    price: Entry = {"base": {"input": "0.0000005"}, "tiers": [], "multipliers": []}
    entry = price | {"service": {}, "fees": {}}

    assert agree(entry, Usage(input_tokens=tokens), None, "global")
    assert expected == slow_cost(entry, Usage(input_tokens=tokens), None, "global")
