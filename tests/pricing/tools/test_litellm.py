"""LiteLLM's flat map, read into figures: names taken apart, units as they were published."""

import json
from decimal import Decimal
from fractions import Fraction

import pytest

from pricing.tools.litellm import Name, name_of, read


def row(**fields):
    return {"litellm_provider": "openai", "mode": "chat", **fields}


def only(key, **fields):
    (seen,) = read(json.dumps({key: row(**fields)}), "1.2.3")
    return seen


def numbers(rates):
    return {name: str(rate) for name, rate in rates.items()}


def test_rates_by_the_million_in_their_bands() -> None:
    seen = only(
        "gpt-9",
        input_cost_per_token=2.5e-06,
        output_cost_per_token=1e-05,
        cache_read_input_token_cost=2.5e-07,
        cache_creation_input_token_cost=3.125e-06,
        cache_creation_input_token_cost_above_1hr=5e-06,
        input_cost_per_token_above_272k_tokens=5e-06,
        input_cost_per_token_batches=1.25e-06,
        input_cost_per_token_above_272k_tokens_batches=2.5e-06,
        input_cost_per_token_priority=5e-06,
        max_input_tokens=922000,
        max_output_tokens=128000,
        supports_reasoning=True,
    )
    figures = seen.prices[0]

    assert ("openai", "gpt-9", "litellm 1.2.3", None) == (
        seen.provider,
        seen.name,
        seen.lineage,
        seen.scope,
    )
    assert (922000, 128000, True) == (seen.context, seen.max_output, seen.reasoning)
    assert {
        "input": "2.5",
        "output": "10",
        "cache_read": "0.25",
        "cache_write_5m": "3.125",
        "cache_write_1h": "5",
    } == numbers(figures.base)
    assert {"input": "5"} == numbers(figures.tiers[272_000])
    assert {"input": "1.25"} == numbers(figures.service["batch"].base)
    assert {"input": "2.5"} == numbers(figures.service["batch"].tiers[272_000])
    assert {"input": "5"} == numbers(figures.service["priority"].base)


@pytest.mark.parametrize(
    ("per_token", "per_million"),
    [(1.1e-06, "1.1"), (2.9999999999999997e-07, "0.3"), (4.4e-08, "0.044"), (0.0000625, "62.5")],
)
def test_the_noise_of_a_float_is_dropped(per_token, per_million) -> None:
    figures = only("gpt-9", input_cost_per_token=per_token).prices[0]

    assert per_million == str(figures.base["input"])


@pytest.mark.parametrize(
    ("fields", "unit", "rate", "per"),
    [
        ({"input_cost_per_second": 0.0001}, "second", "0.36", 3600),
        ({"input_cost_per_second": 0.0002833333}, "second", "1.02", 3600),
        ({"input_cost_per_character": 1.5e-05}, "character", "15", 1_000_000),
        ({"input_cost_per_query": 0.002, "mode": "rerank"}, "rerank", "2", 1_000),
        ({"ocr_cost_per_page": 0.004, "mode": "ocr"}, "page", "4", 1_000),
        ({"annotation_cost_per_page": 0.005, "mode": "ocr"}, "page:annotated", "5", 1_000),
        ({"output_cost_per_image": 0.04, "mode": "image_generation"}, "image", "0.04", 1),
        (
            {"search_context_cost_per_query": {"search_context_size_high": 0.01}},
            "web_search",
            "10",
            1_000,
        ),
    ],
)
def test_pieces_are_priced_in_the_unit_that_was_published(fields, unit, rate, per) -> None:
    fee = only("x", **fields).prices[0].fees[unit]

    assert (Decimal(rate), per) == fee


def test_searches_are_priced_by_size_where_size_matters() -> None:
    sizes = {"low": 0.005, "medium": 0.008, "high": 0.012}
    search = {f"search_context_size_{size}": cost for size, cost in sizes.items()}
    seen = only(
        "perplexity/sonar", litellm_provider="perplexity", search_context_cost_per_query=search
    )

    fees = seen.prices[0].fees
    assert ("sonar", 12, 5, 8) == (
        seen.name,
        fees["request"].rate,
        fees["request:low"].rate,
        fees["request:medium"].rate,
    )


def test_another_measure_beside_tokens_is_no_fee() -> None:
    others = {"input_cost_per_second": 0.0001, "input_cost_per_character": 1e-06}
    figures = only("x", input_cost_per_token=1e-06, **others).prices[0]

    assert {} == dict(figures.fees)


@pytest.mark.parametrize(
    ("key", "owner", "provider", "name"),
    [
        ("gpt-4o", "openai", "openai", Name("gpt-4o")),
        ("azure/eu/gpt-5", "azure", "azure", Name("gpt-5", "eu")),
        ("azure/global-standard/gpt-5", "azure", "azure", Name("gpt-5", "global")),
        (
            "azure/hd/1024-x-1792/dall-e-3",
            "azure",
            "azure",
            Name("dall-e-3", None, "hd-1024x1792", 1024 * 1792),
        ),
        ("bedrock/eu-west-1/meta.llama3", "bedrock", "bedrock", Name("meta.llama3", "eu-west-1")),
        ("groq/openai/gpt-oss-20b", "groq", "groq", Name("openai/gpt-oss-20b")),
        ("vertex_ai/meta/llama-4-maas", "vertex_ai-llama", "vertex", Name("meta/llama-4-maas")),
        ("perplexity/perplexity/sonar", "perplexity", "perplexity", Name("perplexity/sonar")),
        ("together_ai/Qwen/Qwen3", "together_ai", "together", Name("Qwen/Qwen3")),
        ("gemini/gemini-3-pro", "gemini", "google", Name("gemini-3-pro")),
    ],
)
def test_a_key_is_taken_apart(key, owner, provider, name) -> None:
    assert name == name_of(key, owner, provider)


def test_what_is_no_model_or_no_provider_of_ours_is_left_out() -> None:
    document = {
        "sora-2": row(mode="video_generation", input_cost_per_token=1e-06),
        "x": row(litellm_provider="replicate", input_cost_per_token=1e-06),
        "together-ai-up-to-4b": row(litellm_provider="together_ai", input_cost_per_token=1e-06),
        "bedrock/eu-west-1/1-month-commitment/a": row(litellm_provider="bedrock"),
    }

    assert [] == list(read(json.dumps(document), "1"))


def test_zero_is_told_from_unknown() -> None:
    assert only("x", input_cost_per_token=0.0, output_cost_per_token=0).free
    assert not only("x", input_cost_per_token=0.0, output_cost_per_token=1e-06).free
    assert not only("x").free


def test_regional_endpoints_multiply() -> None:
    seen = only("x", input_cost_per_token=1e-06, regional_endpoint_uplift_multiplier=1.1)

    assert {"regional": Fraction(11, 10)} == dict(seen.multipliers)
