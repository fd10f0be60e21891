"""Where lists agree, where they do not, and what a card needs that none of them says."""

from decimal import Decimal

from pricing.tools.combine import combine
from pricing.tools.seen import Fee, Figures


def rates(**texts):
    return {name: Decimal(text) for name, text in texts.items()}


def both(one, other):
    return combine([("one 1", one), ("other 2", other)])


def test_what_both_say_is_agreed_and_what_one_says_is_taken() -> None:
    agreed = both(
        Figures(base=rates(input="2", output="8")),
        Figures(base=rates(input="2.0", cache_read="0.5")),
    )

    assert rates(input="2", output="8", cache_read="0.5") == agreed.figures.base
    assert (1, ()) == (agreed.agreements, agreed.differences)
    assert ("one 1", "other 2") == agreed.lineages


def test_the_higher_of_two_is_taken_and_told() -> None:
    agreed = both(
        Figures(base=rates(input="2"), fees={"page": Fee(Decimal(4), 1_000)}),
        Figures(base=rates(input="3"), fees={"page": Fee(Decimal("0.005"), 1)}),
    )

    assert rates(input="3") == agreed.figures.base
    assert {"page": Fee(Decimal(5), 1_000)} == dict(agreed.figures.fees)
    assert ("input: one 1 2, other 2 3", "page: one 1 4, other 2 5") == agreed.differences


def test_a_list_that_has_nothing_is_no_source() -> None:
    assert ("one 1",) == both(Figures(base=rates(input="2")), Figures()).lineages


def test_a_service_states_every_rate_of_standard() -> None:
    base = rates(input="2", image_in="2", cache_read="0.5", output="8")
    figures = both(
        Figures(base=base, service={"batch": Figures(base=rates(input="1", output="4"))}),
        Figures(),
    ).figures

    batch = rates(input="1", image_in="1", cache_read="0.5", output="4")
    assert batch == figures.service["batch"].base


def test_a_long_prompt_keeps_the_ratio_of_the_cache_and_gets_no_cheaper() -> None:
    base = rates(input="2", cache_read="0.2", cache_write_1h="4", audio_in="9", output="8")
    tiers = {100: rates(input="4", audio_in="1", output="12")}
    figures = both(Figures(base=base, tiers=tiers), Figures()).figures

    longer = rates(input="4", cache_read="0.4", cache_write_1h="8", audio_in="9", output="12")
    assert {100: longer} == dict(figures.tiers)


def test_a_service_without_tiers_of_its_own_has_those_of_standard() -> None:
    figures = both(
        Figures(
            base=rates(input="2", output="8"),
            tiers={100: rates(input="4", output="12")},
            service={
                "batch": Figures(base=rates(input="1", output="4")),
                "priority": Figures(base=rates(input="5", output="9")),
            },
        ),
        Figures(),
    ).figures

    assert {100: rates(input="4", output="12")} == dict(figures.service["batch"].tiers)
    assert {100: rates(input="5", output="12")} == dict(figures.service["priority"].tiers)


def test_a_tier_that_changes_nothing_is_none() -> None:
    figures = both(
        Figures(
            base=rates(input="2", output="8"),
            tiers={100: rates(input="2")},
            service={"batch": Figures(base=rates(input="1", output="4"))},
        ),
        Figures(),
    ).figures

    assert ({}, {}) == (dict(figures.tiers), dict(figures.service["batch"].tiers))


def test_above_and_from_are_one_threshold() -> None:
    agreed = both(
        Figures(base=rates(input="2"), tiers={200_000: rates(input="4")}),
        Figures(base=rates(input="2"), tiers={199_999: rates(input="4")}),
    )

    assert {199_999: rates(input="4")} == dict(agreed.figures.tiers)
    assert ("a tier begins over 199999, or over 200000",) == agreed.differences


def test_a_picture_of_no_known_kind_costs_what_the_dearest_does() -> None:
    fees = {"image:small": Fee(Decimal(1), 1), "image:large": Fee(Decimal(3), 1)}

    assert Fee(Decimal(3), 1) == both(Figures(fees=fees), Figures()).figures.fees["image"]
