"""Each rule finds what it is for, and nothing in a price that is right."""

import pytest

from pricing.entry import parse_card
from pricing.lint import lint

SOURCE = [{"url": "https://example.com/pricing", "seen": "2026-01-01"}]
LOW: dict[str, object] = {"input": "1", "cache_read": "0.1", "output": "4"}
LONG: dict[str, object] = {"over": 9, "rates": {"input": "3", "cache_read": "0.3", "output": "9"}}
RIGHT = {
    "id": "p/m@2025-01-01",
    "from": "2025-01-01",
    "source": SOURCE,
    "base": {"input": "2", "cache_read": "0.2", "output": "8"},
}


def card_of(*prices, **fields):
    return parse_card(
        {
            "provider": "p",
            "model": "m",
            "limits": {"context": 1000, "max_output": 100},
            "output_cap_field": "max_tokens",
            "prices": list(prices),
            **fields,
        }
    )


def rules(*cards):
    return [finding.rule for finding in lint(cards)]


def test_a_right_price_has_no_finding() -> None:
    assert [] == rules(card_of(RIGHT))


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"source": []}, "source"),
        ({"source": [{**SOURCE[0], "lineage": ["litellm 1.2"]}]}, "one-source"),
        ({"source": [{**SOURCE[0], "lineage": ["litellm 1.2", "litellm 1.1"]}]}, "one-source"),
        ({"id": "nameless"}, "id"),
        ({"base": {"input": "2", "output": "0"}}, "zero"),
        ({"base": {"input": "2", "output": "1"}}, "output-below-input"),
        ({"base": {"input": "2", "cache_read": "3", "output": "8"}}, "cache-above-input"),
        ({"base": {"input": "2", "cache_write_5m": "1", "output": "8"}}, "write-below-input"),
        (
            {"base": {"input": "2", "cache_write_5m": "3", "cache_write_1h": "2", "output": "8"}},
            "write-below-input",
        ),
        (
            {"service": {"batch": {"input": "3", "cache_read": "0.1", "output": "4"}}},
            "batch-above-standard",
        ),
        (
            {"service": {"priority": {"input": "2.5", "cache_read": "0.2", "output": "7"}}},
            "dearer-below-standard",
        ),
        (
            {"tiers": [{"over": 9, "rates": {"input": "1", "cache_read": "0.3", "output": "9"}}]},
            "tier-below-base",
        ),
        (
            {"tiers": [LONG], "service": {"batch": LOW | {"tiers": [LONG | {"over": 10}]}}},
            "tiers-apart",
        ),
        ({"tiers": [{"over": 9, "rates": {"input": "3", "output": "9"}}]}, "missing-component"),
        ({"service": {"flex": {"input": "1", "output": "4"}}}, "missing-component"),
    ],
)
def test_a_suspicious_price_is_found_unless_a_reason_is_given(change, rule) -> None:
    assert rule in rules(card_of({**RIGHT, **change}))
    assert rule not in rules(card_of({**RIGHT, **change, "allow": {rule: "so says the page"}}))


@pytest.mark.parametrize(
    "lineages", [[[]], [["litellm 1.2", "genai-prices 0.1"]], [["litellm 1.2"], []]]
)
def test_two_lists_or_the_page_itself_are_sources_enough(lineages) -> None:
    source = [{**SOURCE[0], "lineage": lists} for lists in lineages]

    assert [] == rules(card_of({**RIGHT, "source": source}))


@pytest.mark.parametrize("rule", ["zero", "no-such-rule"])
def test_a_reason_for_nothing_is_found(rule) -> None:
    assert ["allow"] == rules(card_of({**RIGHT, "allow": {rule: "once it was"}}))


def follow(**change):
    return {**RIGHT, "id": "p/m@2025-06-01", "from": "2025-06-01", **change}


@pytest.mark.parametrize(
    ("first", "second", "found"),
    [
        ({"to": "2025-06-01"}, {}, []),
        ({}, {}, ["overlap"]),
        ({"to": "2025-06-02"}, {}, ["overlap"]),
        ({"to": "2025-05-31"}, {}, ["gap"]),
        ({}, {"status": "announced"}, []),
        ({}, {"corrects": "p/m@2025-01-01"}, []),
        ({"to": "2025-06-01"}, {"base": {"input": "6", "output": "24"}}, []),
        ({"to": "2025-06-01"}, {"base": {"input": "6.01", "output": "24"}}, ["jump"]),
        (
            {"to": "2025-06-01"},
            {"base": {"input": "0.5", "output": "8"}, "allow": {"jump": "announced"}},
            [],
        ),
    ],
)
def test_one_price_at_each_instant(first, second, found) -> None:
    assert found == rules(card_of({**RIGHT, **first}, follow(**second)))


def test_one_name_on_two_cards_is_found() -> None:
    other = card_of({**RIGHT, "id": "p/n@2025-01-01"}, model="n", match=["m"])

    assert ["shared-name"] == rules(card_of(RIGHT), other)


def test_a_name_twice_on_one_card_is_found() -> None:
    assert "shared-name" in rules(card_of(RIGHT, match=["a", "a"]))


def tiered(over, **fields):
    rates = {"input": "3", "cache_read": "0.3", "output": "9"}
    price = {**RIGHT, "id": f"p/{over}@2025-01-01", "tiers": [{"over": over, "rates": rates}]}
    return card_of(price, **{"model": f"m-{over}", **fields})


def test_tiers_that_begin_a_token_apart_are_found() -> None:
    """One provider's "over 200,000" beside its "from 200,000 on": one of them is misread."""
    found = lint([tiered(199_999), tiered(200_000), tiered(128_000)])

    assert [("tier-edge", "p/m-200000")] == [(each.rule, each.card) for each in found]
    assert "a token after that of p/199999@2025-01-01" in found[0].text


@pytest.mark.parametrize(
    "others",
    [
        [tiered(200_001)],  # two apart
        [tiered(199_998, provider="q")],  # another provider's page
    ],
)
def test_tiers_further_apart_or_elsewhere_are_other_tiers(others) -> None:
    assert [] == rules(tiered(199_999), *others)


def test_a_tier_that_was_corrected_is_compared_no_more() -> None:
    wrong = {**RIGHT, "id": "wrong", "tiers": [{"over": 200_000, "rates": LONG["rates"]}]}
    right = {**wrong, "id": "right", "corrects": "wrong", "tiers": [{**LONG, "over": 199_999}]}

    assert "tier-edge" not in rules(card_of(wrong, right), tiered(199_999))


@pytest.mark.parametrize(
    "fields",
    [{"limits": {"context": 10, "max_output": 11}}, {"output_cap_field": None}],
)
def test_limits_that_cannot_be_are_found(fields) -> None:
    assert ["limits"] == rules(card_of(RIGHT, **fields))


def test_a_finding_reads_as_a_line() -> None:
    finding = lint([card_of({**RIGHT, "source": []})])[0]

    assert (
        "p/m: source: p/m@2025-01-01: has no source: give the url and the day it was seen"
        == str(finding)
    )
