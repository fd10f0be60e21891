"""Rating: what has no price is never free, and what is billed is never a guess."""

import pytest
from msgspec.structs import replace

from gateway.rating import (
    REPORTED,
    Bill,
    Fallback,
    Rating,
    Unpriced,
    bill,
    bill_reported,
    drifts,
)
from pricing.book import PriceBook
from pricing.usage import Usage

NOW = 1_764_000_000_000
BOOK = PriceBook((), "test").overlaid(
    [
        {"provider": "p", "model": "paid", "base": {"input": "1", "output": "2"}},
        {"provider": "p", "model": "input-only", "base": {"input": "1"}},
        {"provider": "p", "model": "free", "free": True},
    ]
)
FALLBACK = Fallback(input_usd="10", output_usd="30", output_max_tokens=4096)
USAGE = Usage(input_tokens=1_000, output_tokens=100)
MICRO = 1_000_000


def billed(
    model: str, policy: Unpriced | Fallback = Unpriced.ALLOW, usage=USAGE, **options
) -> Bill:
    return bill(Rating(BOOK, unpriced=policy).rate("p", model, NOW), usage, **options)


def test_a_known_model_is_billed_by_its_card() -> None:
    """Cost at the card's rates; the charge with the markup, rounded once."""
    found = billed("paid", markup_ppm=125_000)
    assert (1_200 * MICRO, 1_350 * MICRO) == (found.cost_pico, found.charge_pico)
    assert not found.unpriced
    assert found.price_id


@pytest.mark.parametrize("policy", list(Unpriced))
def test_r12_an_unknown_model_is_unpriced_never_free(policy: Unpriced) -> None:
    """It is flagged, so that it is shown as unknown and re-rated later; nothing is invented."""
    rated = Rating(BOOK, unpriced=policy).rate("p", "unheard-of", NOW)
    assert rated.price is None
    assert Bill(unpriced=True) == bill(rated, USAGE)


def test_r12_the_policy_says_whether_it_may_be_called() -> None:
    """Refused, let through, or priced."""
    assert [False, True, False] == [
        Rating(BOOK, unpriced=policy).rejects_unpriced
        for policy in (Unpriced.ALLOW, Unpriced.REJECT, FALLBACK)
    ]


def test_r12_a_fallback_price_bills_what_is_unknown_and_only_that() -> None:
    """At the configured rates, marked as such; a known model keeps its own price."""
    found = billed("unheard-of", FALLBACK)
    assert 1_000 * 10 * MICRO + 100 * 30 * MICRO == found.cost_pico
    assert not found.unpriced
    assert "fallback" in (found.price_id or "")
    assert 1_200 * MICRO == billed("paid", FALLBACK).cost_pico
    rated = Rating(BOOK, unpriced=FALLBACK).rate("p", "unheard-of", NOW)
    assert "fallback price" == rated.steps[-1]
    assert rated.card is not None
    assert 4096 == rated.card.output_max_tokens


@pytest.mark.parametrize("policy", [*Unpriced, FALLBACK])
def test_r12_an_explicit_zero_is_a_price(policy) -> None:
    """Free is free, under every policy, and not unknown."""
    found = billed("free", policy)
    assert (0, 0, False) == (found.cost_pico, found.charge_pico, found.unpriced)
    assert found.price_id
    price = Rating(BOOK, unpriced=policy).rate("p", "free", NOW).price
    assert price is not None
    assert price.free


def test_a_component_without_a_rate_is_named() -> None:
    """The call has been made: it is not an error, it is unpriced, and says by what."""
    found = billed("input-only", usage=Usage(input_tokens=5, audio_out_tokens=7))
    assert found.unpriced
    assert (0, 0) == (found.cost_pico, found.charge_pico)
    assert "audio" in (found.problem or "")
    assert found.price_id


def test_no_usage_costs_nothing() -> None:
    """Under a price, zero tokens are zero."""
    assert (0, False) == (billed("paid", usage=Usage()).cost_pico, billed("paid").unpriced)


def test_a_trusted_figure_is_billed_as_it_is() -> None:
    """To the pico-dollar, with the markup on top, under an id that is no price's."""
    found = bill_reported(123_457, markup_ppm=100_000)

    assert Bill(123_457, 135_803, REPORTED) == found  # 135,802.7
    assert Bill(0, 0, REPORTED) == bill_reported(0, markup_ppm=100_000)


@pytest.mark.parametrize(
    ("cost", "reported", "expected"),
    [
        (1_000, 1_000, False),
        (1_010, 1_000, False),  # exactly one percent
        (1_011, 1_000, True),
        (990, 1_000, False),
        (989, 1_000, True),
        (0, 0, False),
        (1, 0, True),
        (0, 1, True),
    ],
)
def test_what_lies_beside_a_providers_figure(cost, reported, expected) -> None:
    """More than one percent of it, on either side."""
    assert expected == drifts(cost, reported)


PER_REQUEST = PriceBook((), "test").overlaid(
    [
        {
            "provider": "p",
            "model": "m",
            "prices": [
                {
                    "id": "p/m@1",
                    "source": [{"url": "https://p.example", "seen": "2026-01-01"}],
                    "base": {"input": "1", "output": "2"},
                    "multipliers": [{"when": {"scope": "us"}, "num": 11, "den": 10}],
                    "fees": {"request": {"rate": "5", "per": 1000}},
                }
            ],
        }
    ]
)


def test_a_request_is_billed_once_where_it_has_a_price() -> None:
    """Whether the usage counts it or not."""
    rated = Rating(PER_REQUEST).rate("p", "m", NOW)
    counted = Usage(input_tokens=1_000, output_tokens=100, fees=(("request", 1),))

    assert 1_200 * MICRO + 5_000 * MICRO == bill(rated, USAGE).cost_pico
    assert bill(rated, USAGE).cost_pico == bill(rated, counted).cost_pico


def test_a_name_may_say_where_it_is_served() -> None:
    """The answer's own word goes before it."""
    rated = replace(Rating(PER_REQUEST).rate("p", "m", NOW), scope="us")

    assert bill(rated, USAGE, scope="us").cost_pico == bill(rated, USAGE).cost_pico
    assert bill(rated, USAGE, scope="global").cost_pico < bill(rated, USAGE).cost_pico


def test_a_place_that_the_price_does_not_know_is_named() -> None:
    """It costs something else there, nobody here knows what: the call is unpriced, and says so."""
    found = bill(Rating(PER_REQUEST).rate("p", "m", NOW), USAGE, scope="moon")

    assert Bill(price_id="p/m@1", unpriced=True, problem="scope:moon") == found


@pytest.mark.parametrize(
    ("scope", "factor"), [(None, 10), ("us", 11), ("US", 11), ("global", 10), ("Global", 10)]
)
def test_a_place_with_a_price_of_its_own(scope, factor) -> None:
    rated = Rating(PER_REQUEST).rate("p", "m", NOW)

    assert 620 * MICRO * factor == bill(rated, USAGE, scope=scope).cost_pico


@pytest.mark.parametrize(
    ("asked", "scope", "billed"),
    [
        ("here", "us", "here"),  # the dated name has no price there, what was asked for has
        ("here", None, "here-2026-01-01"),
        ("here", "eu", "here-2026-01-01"),  # neither has
        ("nobody's", "us", "here-2026-01-01"),
    ],
)
def test_a_served_name_without_a_price_there_leaves_a_known_one(asked, scope, billed) -> None:
    """Azure answers with a dated name, and lists have the places of the other one."""
    base = {"base": {"input": "1", "output": "4"}}
    us = {"multipliers": [{"when": {"scope": "us"}, "num": 11, "den": 10}]}
    rating = Rating(
        PriceBook((), "").overlaid(
            [
                {"provider": "p", "model": "here", "prices": [base | us]},
                {
                    "provider": "p",
                    "model": "here-2026-01-01",
                    "prices": [base | {"scopes": ["global"]}],
                },
            ]
        )
    )
    found = rating.served(rating.rate("p", asked, NOW), "here-2026-01-01", NOW, scope)

    assert found.card is not None
    assert billed == found.card.model
