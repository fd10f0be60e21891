"""A zone's rate that a list took for everybody's is found beside the maker's own."""

import pytest

from pricing.entry import parse_card
from pricing.lint import lint
from pricing.makers import makers_cards, zone_rates

SOURCE = [{"url": "https://example.com/pricing", "seen": "2026-01-01"}]
MAKER = {"input": "2", "cache_read": "0.5", "output": "8"}
TENTH_MORE = {"input": "2.2", "cache_read": "0.55", "output": "8.8"}


def card_of(name, base=None, *more, **fields):
    provider, _, model = name.partition("/")
    price = {"id": f"{name}@2025-01-01", "from": "2025-01-01", "source": SOURCE, "base": base}
    limits = {"limits": {"context": 9_000, "max_output": 900}, "output_cap_field": "max_tokens"}
    entry = {"provider": provider, "model": model, **limits, "prices": [{**price, **fields}, *more]}
    return parse_card(entry)


def found(card, *makers):
    return [price.id for price, _ in zone_rates(card, makers_cards(makers))]


@pytest.mark.parametrize(
    ("cloud", "maker"),
    [
        ("azure/gpt-4-turbo", "openai/gpt-4-turbo"),
        ("azure/gpt-35-turbo", "openai/gpt-3.5-turbo"),
        ("azure/gpt-4-turbo-2024-04-09", "openai/gpt-4-turbo"),
        ("bedrock/anthropic.claude-opus-5", "anthropic/claude-opus-5"),
        ("bedrock/anthropic.claude-opus-4-5-20251101-v1:0", "anthropic/claude-opus-4-5"),
        ("bedrock/cohere.rerank-v3-5:0", "cohere/rerank-v3-5"),
        ("vertex/claude-opus-5@default", "anthropic/claude-opus-5"),
        ("vertex/claude-haiku-4-5@20251001", "anthropic/claude-haiku-4-5"),
        ("vertex/openai/gpt-oss-20b-maas", "openai/gpt-oss-20b"),
        ("vertex/gemini-2.5-pro", "google/gemini-2.5-pro"),
    ],
)
def test_a_tenth_above_the_maker_is_found_by_any_spelling(cloud, maker) -> None:
    assert [f"{cloud}@2025-01-01"] == found(card_of(cloud, TENTH_MORE), card_of(maker, MAKER))


@pytest.mark.parametrize(
    "base",
    [
        MAKER,
        {"input": "2.2", "output": "8"},  # one of several: another price, not another place
        {"input": "2.4", "cache_read": "0.6", "output": "9.6"},
        {"input": "1.8", "cache_read": "0.45", "output": "7.2"},
        {"audio_in": "2.2"},  # which the maker does not sell
    ],
)
def test_any_other_difference_is_a_price_of_its_own(base) -> None:
    assert [] == found(card_of("azure/gpt-x", base), card_of("openai/gpt-x", MAKER))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("together/gpt-x", "openai/gpt-x"),  # sells at prices of its own
        ("azure/gpt-x", "groq/gpt-x"),  # did not make it
        ("azure/gpt-x", "openai/gpt-x-mini"),
        ("azure/gpt-x-1106", "openai/gpt-x"),  # four figures are no date
        ("openai/gpt-x", "openai/gpt-x"),
    ],
)
def test_only_a_cloud_beside_the_maker_of_the_same_model(ours, theirs) -> None:
    assert [] == found(card_of(ours, TENTH_MORE), card_of(theirs, MAKER))


def test_the_price_of_the_same_day_is_compared() -> None:
    """The maker's fell by a tenth later: what it was when ours began counts."""
    later = {"id": "openai/gpt-x@2025-06-01", "from": "2025-06-01", "base": {"input": "1"}}
    maker = card_of("openai/gpt-x", {"input": "1.1"}, later, to="2025-06-01")
    ours = card_of("azure/gpt-x", {"input": "1.1"})
    since = card_of("azure/gpt-x", {"input": "1.1"}, **{"from": "2025-06-01"})

    assert [] == found(ours, maker)
    assert ["azure/gpt-x@2025-01-01"] == found(since, maker)


def test_one_that_is_corrected_is_looked_at_no_more() -> None:
    right = {"id": "right", "from": "2025-01-01", "base": MAKER, "corrects": "azure/x@2025-01-01"}
    maker = card_of("openai/x", MAKER)

    assert [] == found(card_of("azure/x", TENTH_MORE, right), maker)
    wrong_again = {**right, "base": TENTH_MORE}
    assert ["right"] == found(card_of("azure/x", TENTH_MORE, wrong_again), maker)


def test_lint_tells_it_unless_the_price_says_why() -> None:
    maker = card_of("openai/gpt-x", MAKER)
    reason = {"allow": {"zone-rate": "sold in single regions only"}}

    told = lint([card_of("azure/gpt-x", TENTH_MORE), maker])
    assert [("zone-rate", "azure/gpt-x", "azure/gpt-x@2025-01-01")] == [each[:3] for each in told]
    assert "a tenth above that of openai/gpt-x@2025-01-01" in told[0].text
    assert [] == lint([card_of("azure/gpt-x", TENTH_MORE, **reason), maker])
    assert ["allow"] == [
        each.rule for each in lint([card_of("azure/gpt-x", MAKER, **reason), maker])
    ]
