"""What is held covers what can be billed: every card, tier, service, hour and scope."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pricing.book import PriceBook
from pricing.card import COMPONENTS, INPUT_COMPONENTS, UNPRICED
from pricing.cost import cost, upper_bound
from pricing.entry import parse_card
from pricing.usage import Usage

SHIPPED = [price for card in PriceBook.load().cards() for price in card.prices]
RICH = parse_card(
    {
        "provider": "p",
        "model": "m",
        "prices": [
            {
                "base": dict.fromkeys(COMPONENTS, "1"),
                "tiers": [{"over": 1_000, "rates": dict.fromkeys(COMPONENTS, "3")}],
                "service": {
                    "flex": {
                        **dict.fromkeys(COMPONENTS, "0.5"),
                        "tiers": [{"over": 500, "rates": dict.fromkeys(COMPONENTS, "0.7")}],
                    }
                },
                "schedule": [
                    {
                        "utc": ["00:00-12:00"],
                        "rates": dict.fromkeys(COMPONENTS, "4"),
                        "tiers": [],
                    }
                ],
                "multipliers": [
                    {"when": {"scope": "regional"}, "num": 11, "den": 10},
                    {"when": {"scope": "cheap"}, "num": 1, "den": 2},
                ],
            }
        ],
    }
).prices[0]


def used(**counts: Any) -> Usage:
    return Usage(**counts)


@st.composite
def calls(draw):
    """A price, a usage of what it has rates for, and a bound that the usage keeps to."""
    price = draw(st.sampled_from([*SHIPPED, RICH]))
    service = draw(st.sampled_from([None, *price.service]))
    mode = price.service[service] if service else price.standard
    bands = [mode.rates, *(tier.rates for tier in mode.tiers)]
    priced = [
        name
        for number, name in enumerate(COMPONENTS)
        if all(band.billed[number] != UNPRICED for band in bands)
    ]
    near = st.sampled_from([bound.over_tokens for bound in price.bounds])
    counts = st.one_of(st.integers(0, 2_000_000), near, near.map(lambda edge: edge + 1))
    usage = used(**{f"{name}_tokens": draw(counts) for name in priced})
    slack = st.integers(0, 1_000)
    return (
        price,
        usage,
        {
            "service_tier": service,
            "scope": draw(st.sampled_from(["global", *(m.scope for m in price.multipliers)])),
            "completed_ms": draw(st.integers(0, 2 * 10**12)),
            "markup_ppm": draw(st.sampled_from([0, 1, 125_000, 2_000_000])),
        },
        {
            "input_tokens": usage.input_total + draw(slack),
            "output_tokens": usage.output_total + draw(slack),
        },
    )


@settings(max_examples=500)
@given(calls())
def test_no_bill_within_the_bound_exceeds_it(call) -> None:
    price, usage, how, bound = call

    bill = cost(usage, price, **how)
    held = upper_bound(price, **bound, markup_ppm=how["markup_ppm"])

    assert bill.charge_pico <= held


@pytest.mark.parametrize("price", SHIPPED, ids=lambda price: price.id)
def test_every_shipped_price_bounds_each_component_alone(price) -> None:
    for name in price.base.published():
        is_input = name in INPUT_COMPONENTS
        bound = {"input_tokens": 1_000 * is_input, "output_tokens": 1_000 * (not is_input)}
        bill = cost(used(**{f"{name}_tokens": 1_000}), price)

        assert 0 < bill.cost_pico <= upper_bound(price, **bound)


@pytest.mark.parametrize(
    ("input_tokens", "pico"),
    [(500, 500 * 4_400_000), (1_000, 1_000 * 4_400_000), (1_001, 1_001 * 4_400_000)],
)
def test_the_dearest_hour_and_scope_are_held(input_tokens, pico) -> None:
    assert pico == upper_bound(RICH, input_tokens=input_tokens, output_tokens=0)


def test_a_tier_out_of_reach_is_not_held() -> None:
    book = PriceBook.load()
    card = book.find("anthropic", "claude-sonnet-4-5").card
    assert card is not None
    price = card.prices[0]

    below = upper_bound(price, input_tokens=200_000, output_tokens=0)
    above = upper_bound(price, input_tokens=200_001, output_tokens=0)

    assert 200_000 * 6_000_000 == below  # the one-hour cache write
    assert 200_001 * 12_000_000 == above


def test_a_free_call_holds_nothing() -> None:
    card = parse_card({"provider": "local", "model": "llama3", "free": True})

    assert 0 == upper_bound(card.prices[0], input_tokens=10**6, output_tokens=10**6)
