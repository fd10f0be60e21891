"""A proposed card in YAML reads back as what was proposed, whatever its names look like."""

from decimal import Decimal
from fractions import Fraction

import pytest
from ruamel.yaml import YAML

from pricing.entry import parse_card
from pricing.tools.combine import Agreed
from pricing.tools.merge import Proposal
from pricing.tools.seen import Fee, Figures
from pricing.tools.write import card_lines


def written(provider, name, figures, **fields):
    price = Agreed(figures=figures, lineages=("one 1", "two 2"))
    card = Proposal(
        provider=provider, names=(name,), prices=(price,), context=10, max_output=5, **fields
    )
    (entry,) = YAML(typ="safe", pure=True).load("\n".join(card_lines(card, "2026-11-28")))
    return parse_card(entry)


TEXT = Figures(base={"input": Decimal("0.10"), "output": Decimal("1E+2")})


@pytest.mark.parametrize("name", ["m", "007", "1e5", "no", "ft:a", "a@b", "a/b:c", "null", "~x"])
def test_names_are_texts(name) -> None:
    assert (name,) == written("p" if name else "", name, TEXT, url="https://p.example").match


@pytest.mark.parametrize(
    ("provider", "name", "field"),
    [
        ("openai", "gpt-4o", "max_completion_tokens"),
        ("azure", "gpt-5.4", "max_completion_tokens"),
        ("azure", "o3", "max_completion_tokens"),
        ("azure", "gpt-4o", "max_tokens"),  # its older API versions know no other
        ("azure", "gpt-oss-120b", "max_tokens"),
        ("azure", "Llama-3.3-70B-Instruct", "max_tokens"),
        ("groq", "o3", "max_tokens"),
    ],
)
def test_the_field_that_limits_the_output(provider, name, field) -> None:
    assert field == written(provider, name, TEXT).output_cap_field


def test_every_part_of_a_price_is_written() -> None:
    figures = Figures(
        base=TEXT.base,
        tiers={7: {"input": Decimal(1), "output": Decimal(200)}},
        service={"batch": TEXT, "flex": Figures(base=TEXT.base, tiers={7: TEXT.base})},
        fees={"page": Fee(Decimal(4), 1000), "image:a-1x1": Fee(Decimal("0.04"), 1)},
    )
    price = written("openai", "m", figures, multipliers={"eu": Fraction(11, 10)}).prices[0]

    assert (10**8, 10**11) == (price.base.input, price.base.output)
    assert [(7, 10**9)] == [(tier.over_tokens, tier.rates.input) for tier in price.tiers]
    assert ([], [7]) == tuple(
        [tier.over_tokens for tier in price.service[name].tiers] for name in ("batch", "flex")
    )
    assert {"page", "image:a-1x1"} == price.fees.keys()
    assert {"global": (1, 1), "eu": (11, 10)} == dict(price.factors)
    assert "https://developers.openai.com/api/docs/pricing" == price.sources[0].url


@pytest.mark.parametrize(
    ("provider", "scopes"),
    [("azure", ("global",)), ("bedrock", ("global", "regional")), ("openai", None)],
)
def test_what_a_list_says_nothing_of_is_not_the_same_everywhere(provider, scopes) -> None:
    assert scopes == written(provider, "m", TEXT).prices[0].scopes


def test_a_free_price_has_nothing_else() -> None:
    price = written("openai", "m", Figures(), free=True).prices[0]

    assert price.free
    assert {} == dict(price.fees)
