"""Both sides of where a real price begins, ends or changes; each as its provider publishes it.

A row is one edge: the page it is read from, and the bill before and after it. Amounts are worked
out by hand from the rates beside them. More of the same, with everything else that makes up a
bill, is in `test_golden.py`.
"""

from datetime import datetime
from typing import NamedTuple

import pytest

from pricing.book import PriceBook
from pricing.cost import UnpricedComponent, cost
from pricing.money import usd
from pricing.usage import Usage

BOOK = PriceBook.load()
NOW = "2026-11-27T12:00:00Z"


def ms(instant: str) -> int:
    return round(datetime.fromisoformat(instant).timestamp() * 1_000)


def bill(name, usage, at=NOW, *, scope="global", **how):
    provider, _, model = name.partition("/")
    card = BOOK.find(provider, model).card
    assert card is not None, name
    price = card.price_at(ms(at))
    assert price is not None, at
    return cost(usage, price, completed_ms=ms(at), scope=scope, **how)


class Threshold(NamedTuple):
    """`most` tokens of input cost `below`; with one more, all of them cost `above`."""

    name: str
    most: int
    below: str
    above: str
    source: str


THRESHOLDS = [
    # 2 and 4
    Threshold(
        "google/gemini-3.1-pro-preview",
        200_000,
        "0.4",
        "0.800004",
        "https://ai.google.dev/gemini-api/docs/pricing",
    ),
    # 0.10 and 0.50
    Threshold(
        "azure/claude-haiku-5-5",
        100_000,
        "0.01",
        "0.0500005",
        "https://platform.claude.com/docs/en/models/haiku-5-5/migration-guide",
    ),
    # 4 and 8
    Threshold(
        "openai/gpt-5.6-sol",
        272_000,
        "1.088",
        "2.176008",
        "https://developers.openai.com/api/docs/pricing",
    ),
    Threshold(
        "azure/gpt-5.6",
        272_000,
        "1.088",
        "2.176008",
        "https://azure.microsoft.com/en-us/pricing/details/azure-openai/",
    ),
    Threshold(
        "bedrock/openai.gpt-5.6-sol",
        272_000,
        "1.088",
        "2.176008",
        "https://docs.aws.amazon.com/bedrock/latest/userguide/model-card-openai-gpt-56-sol.html",
    ),
    # 2.50 and 5
    Threshold(
        "perplexity/openai/gpt-5.4",
        272_000,
        "0.68",
        "1.360005",
        "https://docs.perplexity.ai/docs/agent-api/models",
    ),
    # 1.25 and 2.50; from 200,000 on, not above it
    Threshold("xai/grok-4.20", 199_999, "0.24999875", "0.5", "https://api.x.ai/v1/language-models"),
]


@pytest.mark.parametrize("edge", THRESHOLDS, ids=lambda edge: edge.name)
def test_r42_one_token_more_reprices_all(edge: Threshold) -> None:
    for tokens, expected in ((edge.most, edge.below), (edge.most + 1, edge.above)):
        cached = tokens // 2  # … whatever its kind: all input counts
        assert expected == usd(bill(edge.name, Usage(input_tokens=tokens)).cost_pico)
        mixed = bill(edge.name, Usage(input_tokens=tokens - cached, cache_read_tokens=cached))
        assert mixed.rates is bill(edge.name, Usage(input_tokens=tokens)).rates


class Change(NamedTuple):
    """Until just before `instant` a call costs `before`, from then on `after`."""

    name: str
    usage: Usage
    before: str
    instant: str
    after: str
    source: str


MILLION = Usage(input_tokens=1_000_000)
ANSWER = Usage(output_tokens=1_000_000)
LONG = Usage(input_tokens=300_000)

CHANGES = [
    # The long prompt's higher price was dropped: 10, then 5.
    Change(
        "anthropic/claude-opus-4-6",
        LONG,
        "3",
        "2026-03-13T00:00:00Z",
        "1.5",
        "https://platform.claude.com/docs/en/about-claude/pricing",
    ),
    Change(
        "vertex/claude-opus-4-6",
        LONG,
        "3",
        "2026-03-13T00:00:00Z",
        "1.5",
        "https://cloud.google.com/gemini-enterprise-agent-platform/generative-ai/pricing",
    ),
    Change(
        "openai/gpt-5.6-sol",
        ANSWER,
        "30",
        "2026-08-21T00:00:00Z",
        "20",
        "https://developers.openai.com/api/docs/pricing",
    ),
    Change(
        "azure/gpt-5.6",
        ANSWER,
        "30",
        "2026-08-21T00:00:00Z",
        "20",
        "https://azure.microsoft.com/en-us/pricing/details/azure-openai/",
    ),
    Change(
        "bedrock/openai.gpt-5.6-sol",
        ANSWER,
        "30",
        "2026-08-21T00:00:00Z",
        "20",
        "https://docs.aws.amazon.com/bedrock/latest/userguide/model-card-openai-gpt-56-sol.html",
    ),
    # A promotion that ended, and another that began.
    Change(
        "mistral/mistral-large-4",
        ANSWER,
        "2.09",
        "2026-10-20T00:00:00Z",
        "4.18",
        "https://docs.mistral.ai/models/mistral-large-4-0",
    ),
    Change(
        "mistral/mistral-large-4",
        ANSWER,
        "4.18",
        "2026-10-29T00:00:00Z",
        "2.1",
        "https://docs.mistral.ai/models/mistral-large-4-0",
    ),
    Change(
        "fireworks/accounts/fireworks/models/gpt-oss-120b",
        Usage(cache_read_tokens=1_000_000),
        "0.014",
        "2026-10-19T00:00:00Z",
        "0.015",
        "https://api.fireworks.ai/v1/serverless/models?format=nested",
    ),
    Change(
        "together/together/Tev1-4B-experimental",
        MILLION,
        "0.04",
        "2026-10-19T00:00:00Z",
        "0.042",
        "https://api.together.ai/v1/models",
    ),
    Change(
        "xai/grok-4.20",
        ANSWER,
        "6",
        "2026-04-30T00:00:00Z",
        "2.5",
        "https://api.x.ai/v1/language-models",
    ),
    # A correction: what was billed too low in the first months, and holds again after them.
    Change(
        "anthropic/claude-3-5-haiku-latest",
        ANSWER,
        "5",
        "2024-12-03T00:00:00Z",
        "4",
        "https://www.anthropic.com/news/trainium2-and-distillation",
    ),
    Change(
        "google/gemini-1.5-pro",
        Usage(input_tokens=128_001),
        "0.896007",
        "2024-10-01T00:00:00Z",
        "0.3200025",
        "https://developers.googleblog.com/en/updated-gemini-models-reduced-15-pro-pricing-increased-rate-limits-and-more/",
    ),
]


@pytest.mark.parametrize("edge", CHANGES, ids=lambda edge: f"{edge.name}@{edge.instant[:10]}")
def test_a_millisecond_apart(edge: Change) -> None:
    last = datetime.fromtimestamp((ms(edge.instant) - 1) / 1_000).astimezone().isoformat()

    assert edge.before == usd(bill(edge.name, edge.usage, last).cost_pico)
    assert edge.after == usd(bill(edge.name, edge.usage, edge.instant).cost_pico)


BEDROCK_OFFERS = (
    "https://pricing.us-east-1.amazonaws.com/offers/v1.0/aws/AmazonBedrock/current/us-east-1/"
    "index.json"
)
SERVED = [
    # name, tier, a million tokens of output, source
    ("bedrock/deepseek.v3.1", None, "1.68", BEDROCK_OFFERS),
    ("bedrock/deepseek.v3.1", "flex", "0.84", BEDROCK_OFFERS),
    ("bedrock/deepseek.v3.1", "batch", "0.84", BEDROCK_OFFERS),
    ("bedrock/deepseek.v3.1", "priority", "2.94", BEDROCK_OFFERS),
    (
        "bedrock/openai.gpt-6-astra",
        "ultrafast",
        "300",
        "https://docs.aws.amazon.com/bedrock/latest/userguide/model-card-openai-gpt-6-astra.html",
    ),
    (
        "google/gemini-3.1-pro-preview",
        "standard",
        "12",
        "https://ai.google.dev/gemini-api/docs/pricing",
    ),
    ("google/gemini-3.1-pro-preview", "flex", "6", "https://ai.google.dev/gemini-api/docs/pricing"),
    (
        "google/gemini-3.1-pro-preview",
        "priority",
        "21.6",
        "https://ai.google.dev/gemini-api/docs/pricing",
    ),
    (
        "vertex/gemini-2.5-pro",
        "priority",
        "18",
        "https://cloud.google.com/gemini-enterprise-agent-platform/generative-ai/pricing",
    ),
    ("azure/gpt-5.4", "batch", "7.5", "https://ai.azure.com/catalog/models/gpt-5.4"),
    ("azure/gpt-5.4", "priority", "30", "https://ai.azure.com/catalog/models/gpt-5.4"),
    (
        "anthropic/claude-opus-5-5",
        "standard",
        "20",
        "https://platform.claude.com/docs/en/about-claude/pricing",
    ),
    (
        "anthropic/claude-opus-5-5",
        "fast",
        "40",
        "https://platform.claude.com/docs/en/about-claude/pricing",
    ),
    (
        "mistral/codestral-2508",
        "batch",
        "0.45",
        "https://docs.mistral.ai/models/model-cards/codestral-25-08",
    ),
    (
        "fireworks/accounts/fireworks/models/gpt-oss-120b",
        "priority",
        "0.72",
        "https://api.fireworks.ai/v1/serverless/models?format=nested",
    ),
    ("xai/grok-4.20", "batch", "2", "https://api.x.ai/v1/language-models"),
]


@pytest.mark.parametrize(("name", "tier", "expected", "source"), SERVED)
def test_r41_each_tier_has_its_own_rate(name, tier, expected, source) -> None:
    assert source.startswith("https://")
    assert expected == usd(bill(name, ANSWER, service_tier=tier).cost_pico)


@pytest.mark.parametrize(
    ("name", "tier"),
    [
        ("bedrock/openai.gpt-6-astra", "flex"),
        ("vertex/gemini-2.5-pro", "ultrafast"),
        ("mistral/codestral-2508", "priority"),
        ("cohere/command-a-03-2025", "flex"),
    ],
)
def test_r41_a_tier_that_is_not_sold_has_no_price(name, tier) -> None:
    with pytest.raises(UnpricedComponent, match=f"service_tier:{tier}"):
        bill(name, ANSWER, service_tier=tier)


PIECES = [
    # name, pieces, expected, source
    (
        "azure/cohere-rerank-v3.5",
        "rerank",
        3,
        "0.006",
        "https://azure.microsoft.com/en-us/pricing/details/azure-openai/",
    ),
    (
        "bedrock/cohere.rerank-v3-5:0",
        "rerank",
        3,
        "0.006",
        "https://docs.aws.amazon.com/bedrock/latest/userguide/model-card-cohere-rerank-3-5.md",
    ),
    ("cohere/rerank-v4.0-pro", "rerank", 3, "0.0075", "https://cohere.com/pricing"),
    (
        "vertex/semantic-ranker-default",
        "rerank",
        1,
        "0.001",
        "https://cloud.google.com/generative-ai-app-builder/pricing",
    ),
    (
        "azure/doc-intelligence/prebuilt-read",
        "page",
        7,
        "0.0105",
        "https://azure.microsoft.com/en-us/pricing/details/ai-document-intelligence/",
    ),
    (
        "bedrock/amazon.nova-canvas-v1:0",
        "image",
        2,
        "0.12",
        "https://aws.amazon.com/bedrock/pricing/",
    ),
    (
        "google/imagen-4.0-generate-001",
        "image",
        2,
        "0.08",
        "https://cloud.google.com/vertex-ai/generative-ai/pricing",
    ),
    ("xai/grok-imagine-image", "image", 2, "0.04", "https://docs.x.ai/docs/models"),
    # 0.04 a standard picture, 0.08 and 0.12 a fine one
    (
        "openai/dall-e-3",
        "image:standard-1024x1024",
        1,
        "0.04",
        "https://developers.openai.com/api/docs/pricing",
    ),
    (
        "openai/dall-e-3",
        "image:hd-1024x1024",
        1,
        "0.08",
        "https://developers.openai.com/api/docs/pricing",
    ),
    (
        "openai/dall-e-3",
        "image:hd-1792x1024",
        1,
        "0.12",
        "https://developers.openai.com/api/docs/pricing",
    ),
    # by the character: 50 and 13 a million
    ("groq/playai-tts", "character", 1, "0.00005", "https://groq.com/pricing"),
    (
        "mistral/voxtral-mini-tts-3",
        "character",
        999,
        "0.012987",
        "https://docs.mistral.ai/models/voxtral-mini-tts-3-0",
    ),
    # by the hour: 0.18 and 0.96, which seconds do and do not divide
    (
        "mistral/voxtral-mini-2602",
        "second",
        1,
        "0.00005",
        "https://docs.mistral.ai/models/model-cards/voxtral-mini-transcribe-26-02",
    ),
    ("vertex/chirp_2", "second", 3_600, "0.96", "https://cloud.google.com/speech-to-text/pricing"),
    (
        "vertex/chirp_2",
        "second",
        1,
        "0.000266666667",
        "https://cloud.google.com/speech-to-text/pricing",
    ),
    (
        "vertex/chirp_2",
        "second",
        2,
        "0.000533333333",
        "https://cloud.google.com/speech-to-text/pricing",
    ),
]


@pytest.mark.parametrize(("name", "unit", "count", "expected", "source"), PIECES)
def test_what_is_sold_by_the_piece(name, unit, count, expected, source) -> None:
    assert source.startswith("https://")
    assert expected == usd(bill(name, Usage(fees=((unit, count),))).cost_pico)


@pytest.mark.parametrize(
    ("name", "scope", "expected"),
    [
        # https://docs.aws.amazon.com/bedrock/latest/userguide/model-card-deepseek-deepseek-v3-2.md
        ("bedrock/deepseek.v3.2", "global", "1.85"),
        ("bedrock/deepseek.v3.2", "us-east-1", "1.85"),  # a region that is not dearer
        ("bedrock/deepseek.v3.2", "ap-south-1", "2.22"),
        # https://platform.claude.com/docs/en/build-with-claude/data-residency
        ("anthropic/claude-opus-4-6", "us", "27.5"),
        # https://docs.aws.amazon.com/bedrock/latest/userguide/model-card-openai-gpt-56-sol.html
        ("bedrock/openai.gpt-5.6-sol", "regional", "22"),
        ("bedrock/openai.gpt-5.6-sol", "eu-west-1", "22"),
        # https://azure.microsoft.com/en-us/pricing/details/azure-openai/
        ("azure/gpt-5.6", "eu", "22"),
    ],
)
def test_the_place_multiplies(name, scope, expected) -> None:
    assert expected == usd(bill(name, ANSWER, scope=scope).cost_pico)


@pytest.mark.parametrize("name", ["azure/gpt-5.6", "anthropic/claude-opus-4-6"])
def test_a_place_that_no_page_prices_is_not_billed_as_everywhere(name) -> None:
    with pytest.raises(UnpricedComponent, match="scope:apac"):
        bill(name, ANSWER, scope="apac")


@pytest.mark.parametrize(
    ("seconds", "markup_ppm", "cost_usd", "charge_usd"),
    [
        # Chirp 2, 0.96 an hour: a second is 266,666,666.66… pico-USD.
        (1, 0, "0.000266666667", "0.000266666667"),
        (1, 500_000, "0.000266666667", "0.0004"),  # of the unrounded: not 0.000400000001
        (2, 500_000, "0.000533333333", "0.0008"),  # … nor 0.0007999999995
        (1, 1, "0.000266666667", "0.000266666933"),
    ],
)
def test_a_markup_is_of_the_unrounded_cost(seconds, markup_ppm, cost_usd, charge_usd) -> None:
    usage = Usage(fees=(("second", seconds),))

    made = bill("vertex/chirp_2", usage, markup_ppm=markup_ppm)

    assert (cost_usd, charge_usd) == (usd(made.cost_pico), usd(made.charge_pico))


@pytest.mark.parametrize(
    ("tokens", "markup_ppm", "charge_pico"),
    [
        # gpt-oss-20b's cached input at Groq, 0.0375 a million: 37,500 pico-USD a token.
        (1, 0, 37_500),
        (1, 40, 37_502),  # 37,501.5: a half, to the even one above
        (3, 40, 112_504),  # 112,504.5: a half, to the even one below
        (1, 39, 37_501),
    ],
)
def test_halves_of_a_charge_go_to_the_even_number(tokens, markup_ppm, charge_pico) -> None:
    """https://groq.com/pricing."""
    usage = Usage(cache_read_tokens=tokens)

    made = bill("groq/openai/gpt-oss-20b", usage, markup_ppm=markup_ppm)

    assert charge_pico == made.charge_pico
