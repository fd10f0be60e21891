"""Native forms in OpenAI's words: what is told, what is left alone, what cannot be told."""

import pytest

from gateway.openai.counts import UsageUnreadable
from gateway.openai.dialects import MODALITIES_MAX, in_openai_form
from gateway.openai.usage import usage_from
from pricing.usage import Usage


@pytest.mark.parametrize(
    "block",
    [
        {"prompt_tokens": 1, "completion_tokens": 2},
        {"input_tokens": 1, "output_tokens": 2, "cache_read_input_tokens": 3},
        {"prompt_tokens": 1, "completion_tokens": 2, "promptTokenCount": 9, "totalTokenCount": 9},
        {"prompt_tokens": 1, "completion_tokens": 2, "tokens": 9, "inputTokens": 9},
        {"prompt_tokens": 1, "prompt_audio_seconds": None},
        {},
    ],
)
def test_openais_own_words_are_left_alone(block) -> None:
    """Also where a proxy adds the provider's words to them."""
    assert block is in_openai_form(block)


def gemini(prompt=100, **counts):
    return {"promptTokenCount": prompt, **counts}


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (gemini(), Usage(input_tokens=100)),
        (gemini(totalTokenCount=100), Usage(input_tokens=100)),
        (gemini(candidatesTokenCount=5), Usage(input_tokens=100, output_tokens=5)),
        (gemini(responseTokenCount=5), Usage(input_tokens=100, output_tokens=5)),
        (
            gemini(candidatesTokenCount=5, thoughtsTokenCount=7),
            Usage(input_tokens=100, output_tokens=5, reasoning_tokens=7),
        ),
        (
            gemini(candidatesTokenCount=5, totalTokenCount=112),
            Usage(input_tokens=100, output_tokens=5, reasoning_tokens=7),
        ),
        (
            gemini(None, candidatesTokenCount=5, totalTokenCount=112, thoughtsTokenCount=7),
            Usage(input_tokens=100, output_tokens=5, reasoning_tokens=7),
        ),
        (gemini(cachedContentTokenCount=300), Usage(cache_read_tokens=100)),
        (
            gemini(
                toolUsePromptTokenCount=50,
                toolUsePromptTokensDetails=[{"modality": "IMAGE", "tokenCount": 30}],
            ),
            Usage(input_tokens=120, image_in_tokens=30),
        ),
        (
            gemini(promptTokensDetails=[None, 7, {}, {"modality": "AUDIO"}, {"tokenCount": 3}]),
            Usage(input_tokens=100),
        ),
        (gemini(promptTokensDetails={"AUDIO": 3}), Usage(input_tokens=100)),
        (
            gemini(promptTokensDetails=[{"modality": "AUDIO", "tokenCount": 500}]),
            Usage(audio_in_tokens=100),
        ),
        (
            gemini(promptTokensDetails=[{"modality": "AUDIO", "tokenCount": 1}] * 90),
            Usage(input_tokens=100 - MODALITIES_MAX, audio_in_tokens=MODALITIES_MAX),
        ),
    ],
)
def test_gemini(block, expected) -> None:
    assert expected == usage_from(block)


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ({"billed_units": {"input_tokens": 3}}, Usage(input_tokens=3)),
        ({"billed_units": {"output_tokens": 3}}, Usage(output_tokens=3)),
        ({"billed_units": {"search_units": 3}}, Usage(fees=(("rerank", 3),))),
        ({"billed_units": {"search_units": 0}}, Usage()),
        (
            {"billed_units": {"input_tokens": 3, "output_tokens": 1, "search_units": 2}},
            Usage(input_tokens=3, output_tokens=1, fees=(("rerank", 2),)),
        ),
        (
            {"billed_units": {}, "tokens": {"input_tokens": 3, "output_tokens": 1}},
            Usage(input_tokens=3, output_tokens=1),
        ),
        (
            {"prompt_tokens": 9, "completion_tokens": 9, "billed_units": {"input_tokens": 3}},
            Usage(input_tokens=3),
        ),
    ],
)
def test_cohere(block, expected) -> None:
    assert expected == usage_from(block)


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ({"inputTokens": 3, "outputTokens": 4}, Usage(input_tokens=3, output_tokens=4)),
        (
            {"inputTokens": 3, "outputTokens": 4, "cacheWriteInputTokens": 9, "cacheDetails": [7]},
            Usage(input_tokens=3, cache_write_5m_tokens=9, output_tokens=4),
        ),
        (
            {
                "inputTokens": 3,
                "outputTokens": 4,
                "cacheWriteInputTokens": 9,
                "cacheDetails": [{"ttl": "1h", "inputTokens": 50}],
            },
            Usage(input_tokens=3, cache_write_1h_tokens=9, output_tokens=4),
        ),
    ],
)
def test_converse(block, expected) -> None:
    assert expected == usage_from(block)


@pytest.mark.parametrize(
    "block",
    [
        {"promptTokenCount": -1},
        {"promptTokenCount": "9"},
        {"promptTokenCount": 9, "candidatesTokenCount": 1e30},
        {"totalTokenCount": 0},
        {"promptTokenCount": None},
        {"billed_units": {"classifications": 4}},
        {"billed_units": {"input_tokens": "3"}},
        {"billed_units": 7},
        {"tokens": 7},
        {"inputTokens": -3, "outputTokens": 4},
        {"prompt_audio_seconds": 5, "prompt_tokens": -1},
    ],
)
def test_what_cannot_be_told(block) -> None:
    with pytest.raises(UsageUnreadable):
        usage_from(block)
