"""From lists to cards: names paired, dated names together, regions as factors."""

from decimal import Decimal
from fractions import Fraction

import pytest

from pricing.tools.genai import Offer
from pricing.tools.merge import Shelf, propose
from pricing.tools.seen import Figures, Seen


def figures(input_rate, from_day=None, **rates):
    base = {"input": Decimal(input_rate), "output": Decimal(input_rate) * 4}
    return Figures(from_day=from_day, base={**base, **rates})


def seen(name, input_rate="1", provider="openai", **fields):
    return Seen(
        lineage="litellm 1",
        provider=provider,
        name=name,
        prices=(figures(input_rate),),
        **fields,
    )


def offer(*prices, names=(), provider="openai", matches=None, by_hour=False):
    return Offer(
        providers=(provider,),
        id=names[0] if names else "none",
        names=tuple(names),
        matches=matches or (lambda name: name in names),
        prices=prices,
        context=None,
        by_hour=by_hour,
    )


def shelf(*offers):
    return Shelf(offers=offers, lineage="genai-prices 2", today="2026-11-28")


def cards(rows, *offers, earlier=()):
    return {card.model: card for card in propose(rows, shelf(*offers), earlier)}


def rate(card, number=-1):
    return str(card.prices[number].figures.base["input"])


def test_dated_names_that_cost_the_same_are_one_card() -> None:
    found = cards([seen("m-2025-08-07"), seen("m"), seen("m-2026-01-01", "2"), seen("m-pro")])

    assert {"m", "m-2026-01-01", "m-pro"} == found.keys()
    assert {"m", "m-2025-08-07"} == set(found["m"].names)
    assert "2025-08-07" == found["m"].from_day
    assert found["m-pro"].from_day is None


def test_two_lists_that_know_a_name_are_its_sources() -> None:
    found = cards([seen("m")], offer(figures("1"), names=["m"]))

    assert ("litellm 1", "genai-prices 2") == found["m"].prices[-1].lineages
    assert ["m"] == list(found)


def test_past_prices_stay_and_coming_ones_are_announced() -> None:
    known = offer(figures("5"), figures("1", "2026-08-21"), figures("9", "2026-12-01"), names=["m"])
    card = cards([seen("m")], known)["m"]

    assert ["5", "1"] == [rate(card, 0), rate(card, 1)]
    assert ("litellm 1", "genai-prices 2") == card.prices[1].lineages
    assert ["2026-12-01"] == [each.figures.from_day for each in card.announced]


def test_a_price_by_the_hour_is_left_to_people() -> None:
    found = cards([seen("m")], offer(figures("7"), names=["m"], by_hour=True))

    assert ("litellm 1",) == found["m"].prices[-1].lineages


def test_names_that_only_an_older_map_has() -> None:
    found = cards([seen("m")], earlier=[[seen("m", "9"), seen("gone", "3")], [seen("gone", "4")]])

    assert ("1", "3") == (rate(found["m"]), rate(found["gone"]))


def test_an_older_map_is_a_list_like_any_other() -> None:
    found = cards([], offer(figures("2"), names=["gone"]), earlier=[[seen("gone", "3")]])

    assert "3" == rate(found["gone"])
    assert ("litellm 1", "genai-prices 2") == found["gone"].prices[-1].lineages
    assert found["gone"].prices[-1].differences


@pytest.mark.parametrize(
    ("rates", "factors", "own"),
    [
        ({"global.": "10", "us.": "11", "eu.": "11"}, {"regional": "11/10"}, []),
        (
            {"global.": "10", "us.": "11", "us-gov.": "12"},
            {"regional": "11/10", "us-gov": "6/5"},
            [],
        ),
        ({None: "10", "us.": "10", "eu.": "13"}, {}, ["eu.a.m"]),
        ({None: "10", "us.": "17"}, {}, ["us.a.m"]),
        ({None: "10", "eu-west-1": "12"}, {"eu-west-1": "6/5"}, []),
    ],
)
def test_bedrock_regions_are_a_factor_or_a_card(rates, factors, own) -> None:
    """`us.` says what all prefixes mean; one that costs otherwise keeps its own name."""
    rows = []
    for scope, price in rates.items():
        prefix = scope if scope and scope.endswith(".") else ""
        where = None if prefix else scope
        rows.append(seen(f"{prefix}a.m", price, "bedrock", scope=where))
    found = cards(rows)

    assert "10" == rate(found["a.m"])
    assert {where: Fraction(text) for where, text in factors.items()} == dict(
        found["a.m"].multipliers
    )
    assert own == [name for name in found if name != "a.m"]


def test_azure_zones_are_factors_even_where_they_were_rounded() -> None:
    rows = [seen("m", "0.15", "azure"), seen("m", "0.165", "azure", scope="eu")]
    rows.append(seen("m", "0.17", "azure", scope="us"))  # no factor that anybody names

    assert {"eu": Fraction(11, 10)} == dict(cards(rows)["m"].multipliers)


def test_the_global_offer_is_the_base_and_the_regional_one_a_factor() -> None:
    offers = [
        offer(figures("8"), names=["global.a.m"], provider="bedrock"),
        Offer(
            providers=("bedrock",),
            id="regional.a.m",
            names=("a.m", "us.a.m"),
            matches=lambda name: name in {"a.m", "us.a.m"},
            prices=(figures("8.8"),),
            context=1000,
            by_hour=False,
        ),
    ]
    found = cards([], *offers)

    assert ["a.m"] == list(found)
    assert ("8", {"regional": Fraction(11, 10)}) == (rate(found["a.m"]), found["a.m"].multipliers)


def test_geminis_storage_is_not_a_price_of_writing() -> None:
    stored = Seen(
        lineage="litellm 1",
        provider="google",
        name="gemini-9",
        prices=(figures("1", cache_write_5m=Decimal("4.5")),),
    )

    assert {"input", "output"} == cards([stored])["gemini-9"].prices[-1].figures.base.keys()
