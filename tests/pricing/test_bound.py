"""What is held covers what can be billed: every card, tier, service, hour and scope."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pricing.book import PriceBook
from pricing.bound import output_within, upper_bound
from pricing.card import COMPONENTS, INPUT_COMPONENTS, UNPRICED, Price
from pricing.cost import UnpricedComponent, cost
from pricing.entry import parse_card
from pricing.money import div_half_even
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
                "fees": {
                    "web_search": {"rate": "10", "per": 1_000},
                    "file_search": {"rate": "2.5", "per": 700},
                    "request": {"rate": "0.005", "per": 3},
                },
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
    asked = draw(st.lists(st.sampled_from(sorted(price.fees)), unique=True)) if price.fees else []
    pieces = tuple((unit, draw(st.integers(0, 50))) for unit in asked if unit != "request")
    each = (("request", 1),) if "request" in price.fees else ()
    usage = used(**{f"{name}_tokens": draw(counts) for name in priced}, fees=(*pieces, *each))
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
            "fees": tuple((unit, count + draw(slack)) for unit, count in pieces),
        },
    )


EXAMPLES = pytest.mark.parametrize("examples", [80, pytest.param(500, marks=pytest.mark.slow)])


@EXAMPLES
def test_no_bill_within_the_bound_exceeds_it(examples) -> None:
    @settings(max_examples=examples)
    @given(calls())
    def check(call) -> None:
        price, usage, how, bound = call
        bill = cost(usage, price, **how)
        held = upper_bound(price, **bound, markup_ppm=how["markup_ppm"])
        assert bill.charge_pico <= held

    check()


@EXAMPLES
def test_what_an_amount_has_room_for_is_the_most_that_fits(examples) -> None:
    """upper_bound(tokens) <= amount < upper_bound(tokens + 1), to the pico-dollar."""
    settings(max_examples=examples)(given(calls(), st.integers(0, 10**15))(fits_exactly))()


def fits_exactly(call, extra_pico) -> None:
    price, _, how, bound = call
    known = {name: bound[name] for name in ("input_tokens", "fees")}
    known["markup_ppm"] = how["markup_ppm"]
    amount = upper_bound(price, output_tokens=0, **known) + extra_pico

    tokens = output_within(amount, price, **known)

    if tokens is None:
        assert upper_bound(price, output_tokens=0, **known) == upper_bound(
            price, output_tokens=10**9, **known
        )
        return
    assert upper_bound(price, output_tokens=tokens, **known) <= amount
    assert amount < upper_bound(price, output_tokens=tokens + 1, **known)


@given(calls(), st.lists(st.integers(0, 10**13), min_size=2, max_size=5))
def test_more_money_never_has_room_for_less(call, amounts) -> None:
    price, _, how, bound = call
    known = {"input_tokens": bound["input_tokens"], "markup_ppm": how["markup_ppm"]}

    rooms = [output_within(amount, price, **known) for amount in sorted(amounts)]

    assert rooms == sorted(rooms, key=lambda room: room or 0)


@pytest.mark.parametrize("amount", range(40))
def test_halves_are_rounded_to_even_when_fitting_too(amount) -> None:
    """At half a pico-dollar a token the bound of n is n / 2, half-even."""
    price = one({"base": {"input": "1", "output": "0.0000005"}})

    tokens = output_within(amount, price, input_tokens=0)

    bounds = [upper_bound(price, input_tokens=0, output_tokens=n) for n in range(100)]
    assert max(n for n, held in enumerate(bounds) if held <= amount) == tokens


def test_what_does_not_even_cover_the_input_has_room_for_nothing() -> None:
    price = one({"base": {"input": "1", "output": "1"}})

    assert -1 == output_within(999_999, price, input_tokens=1)
    assert 0 == output_within(1_000_000, price, input_tokens=1)


def test_a_price_by_the_request_holds_one_unasked() -> None:
    """A model that searches with every answer costs that, whoever asked."""
    price = one({"fees": {"request": {"rate": "5", "per": 1_000}}})

    assert 5 * 10**9 == upper_bound(price, input_tokens=10, output_tokens=10)
    assert output_within(5 * 10**9, price, input_tokens=10) is None


def test_pieces_are_held_at_their_fee() -> None:
    price = one({"base": {"input": "1"}, "fees": {"web_search": {"rate": "10", "per": 1_000}}})

    held = upper_bound(price, input_tokens=0, output_tokens=0, fees=(("web_search", 3),))

    assert 3 * 10**10 == held
    with pytest.raises(UnpricedComponent, match="file_search"):
        upper_bound(price, input_tokens=0, output_tokens=0, fees=(("file_search", 1),))


@pytest.mark.parametrize("unit", ["image", "image:small", "image:unheard-of"])
def test_the_dearest_kind_of_a_piece_is_held(unit) -> None:
    """Whichever was asked for: what is delivered may be another."""
    fees = {"image": {"rate": "5", "per": 4}, "image:small": {"rate": "1"}, "page": {"rate": "9"}}
    price = one({"fees": fees})

    assert 2_500_000_000_000 == upper_bound(
        price, input_tokens=0, output_tokens=0, fees=((unit, 2),)
    )


def test_the_dearest_request_is_held() -> None:
    price = one({"fees": {"request": {"rate": "1"}, "request:high": {"rate": "3"}}})

    assert 3 * 10**12 == upper_bound(price, input_tokens=0, output_tokens=0)


def one(price: dict[str, Any]) -> Price:
    return parse_card({"provider": "p", "model": "m", "prices": [price]}).prices[0]


def test_every_shipped_price_bounds_each_component_alone() -> None:
    for price in SHIPPED:
        for name in price.base.published():
            if price.free:
                continue
            is_input = name in INPUT_COMPONENTS
            used_up = used(**{f"{name}_tokens": 1_000})
            bill = cost(used_up, price, completed_ms=0)

            held = upper_bound(
                price, input_tokens=1_000 * is_input, output_tokens=1_000 * (not is_input)
            )
            assert 0 < bill.cost_pico <= held, price.id


@pytest.mark.parametrize(
    ("input_tokens", "pico"),
    [(500, 500 * 4_400_000), (1_000, 1_000 * 4_400_000), (1_001, 1_001 * 4_400_000)],
)
def test_the_dearest_hour_and_scope_are_held(input_tokens, pico) -> None:
    request_pico = div_half_even(5 * 10**9 * 11, 3 * 10)

    assert pico + request_pico == upper_bound(RICH, input_tokens=input_tokens, output_tokens=0)


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
