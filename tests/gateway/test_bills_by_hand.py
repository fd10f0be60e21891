"""Usage as providers document it, from the block to the bill, worked out by hand.

Rates are USD per million tokens, of the provider's page; `at` is a day on which they held.
"""

from typing import Any, NamedTuple

import pytest

from gateway.cli.prices.cost import priced
from pricing.book import PriceBook

BOOK = PriceBook.load()


class Case(NamedTuple):
    block: dict[str, Any]
    how: str
    expected: str
    source: str


CASES = [
    Case(
        {
            "provider": "perplexity",
            "model": "sonar-pro",
            "at": "2026-01-01",
            "usage": {
                "prompt_tokens": 8,
                "completion_tokens": 439,
                "total_tokens": 447,
                "search_context_size": "low",
                "cost": {
                    "input_tokens_cost": 2.4e-05,
                    "output_tokens_cost": 0.006585,
                    "request_cost": 0.006,
                    "total_cost": 0.012609,
                },
            },
        },
        "8 at 3, 439 at 15, and 6 a thousand requests: what the provider states",
        "0.012609",
        "https://docs.perplexity.ai/getting-started/pricing",
    ),
    Case(
        {
            "provider": "anthropic",
            "model": "claude-sonnet-4-5",
            "at": "2026-01-01",
            "usage": {
                "input_tokens": 2095,
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": 0,
                "output_tokens": 503,
                "server_tool_use": {"web_search_requests": 1},
            },
        },
        "2,095 at 3, 503 at 15, and 10 a thousand searches",
        "0.02383",
        "https://platform.claude.com/docs/en/about-claude/pricing",
    ),
    Case(
        {
            "provider": "anthropic",
            "model": "claude-sonnet-4-5",
            "at": "2026-01-01",
            "usage": {
                "input_tokens": 2048,
                "cache_read_input_tokens": 1800,
                "cache_creation_input_tokens": 248,
                "output_tokens": 503,
                "cache_creation": {
                    "ephemeral_5m_input_tokens": 148,
                    "ephemeral_1h_input_tokens": 100,
                },
            },
        },
        "2,048 at 3, 1,800 at 0.30, 148 at 3.75, 100 at 6, 503 at 15",
        "0.015384",
        "https://platform.claude.com/docs/en/about-claude/pricing",
    ),
    Case(
        {
            "provider": "anthropic",
            "model": "claude-opus-4-6",
            "at": "2026-06-01",
            "usage": {
                "input_tokens": 10000,
                "output_tokens": 1000,
                "service_tier": "batch",
                "inference_geo": "us",
            },
        },
        "half of 5 and 25, and a tenth more in the US",
        "0.04125",
        "https://platform.claude.com/docs/en/about-claude/pricing",
    ),
    Case(
        {
            "provider": "openai",
            "model": "gpt-4o-mini",
            "at": "2026-01-01",
            "usage": {"prompt_tokens": 48169, "completion_tokens": 10, "total_tokens": 48179},
        },
        "48,169 at 0.15 (one picture, the dearest), 10 at 0.60",
        "0.00723135",
        "https://developers.openai.com/api/docs/pricing",
    ),
    Case(
        {
            "provider": "openai",
            "model": "o3",
            "at": "2026-01-01",
            "usage": {
                "input_tokens": 75,
                "input_tokens_details": {"cached_tokens": 0},
                "output_tokens": 1186,
                "output_tokens_details": {"reasoning_tokens": 1024},
                "total_tokens": 1261,
            },
        },
        "75 at 2, 1,186 at 8: reasoning is in it",
        "0.009638",
        "https://developers.openai.com/api/docs/pricing",
    ),
    Case(
        {
            "provider": "openai",
            "model": "gpt-image-1",
            "at": "2026-01-01",
            "endpoint": "images/generations",
            "usage": {
                "total_tokens": 100,
                "input_tokens": 50,
                "output_tokens": 50,
                "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
            },
        },
        "10 at 5, 40 at 10, 50 at 40",
        "0.00245",
        "https://developers.openai.com/api/docs/pricing",
    ),
    Case(
        {
            "provider": "openai",
            "model": "gpt-4o-transcribe",
            "at": "2026-01-01",
            "usage": {
                "type": "tokens",
                "input_tokens": 14,
                "input_token_details": {"text_tokens": 10, "audio_tokens": 4},
                "output_tokens": 101,
                "total_tokens": 115,
            },
        },
        "10 and 4 at 2.50, 101 at 10",
        "0.001045",
        "https://developers.openai.com/api/docs/pricing",
    ),
    Case(
        {
            "provider": "openai",
            "model": "whisper-1",
            "at": "2026-01-01",
            "usage": {"type": "duration", "seconds": 9},
        },
        "9 seconds at 0.006 a minute",
        "0.0009",
        "https://developers.openai.com/api/docs/pricing",
    ),
    Case(
        {
            "provider": "deepseek",
            "model": "deepseek-chat",
            "at": "2026-01-01T12:00:00Z",
            "usage": {
                "prompt_tokens": 17,
                "completion_tokens": 9,
                "total_tokens": 26,
                "prompt_tokens_details": {"cached_tokens": 0},
                "prompt_cache_hit_tokens": 0,
                "prompt_cache_miss_tokens": 17,
            },
        },
        "17 at 0.28, 9 at 0.42",
        "0.00000854",
        "https://api-docs.deepseek.com/quick_start/pricing",
    ),
    Case(
        {
            "provider": "google",
            "model": "gemini-2.5-flash",
            "at": "2026-01-01",
            "usage": {
                "promptTokenCount": 1290,
                "candidatesTokenCount": 100,
                "thoughtsTokenCount": 900,
                "totalTokenCount": 2290,
                "promptTokensDetails": [
                    {"modality": "TEXT", "tokenCount": 10},
                    {"modality": "AUDIO", "tokenCount": 1280},
                ],
            },
        },
        "10 at 0.30, 1,280 of sound at 1, 1,000 at 2.50: thoughts are beside the answer",
        "0.003783",
        "https://ai.google.dev/gemini-api/docs/pricing",
    ),
    Case(
        {
            "provider": "google",
            "model": "gemini-2.5-flash-image",
            "at": "2026-01-01",
            "usage": {
                "promptTokenCount": 9,
                "candidatesTokenCount": 1290,
                "totalTokenCount": 1299,
                "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1290}],
            },
        },
        "9 at 0.30, 1,290 at 30",
        "0.0387027",
        "https://ai.google.dev/gemini-api/docs/pricing",
    ),
    Case(
        {
            "provider": "xai",
            "model": "grok-4-0709",
            "at": "2026-01-01",
            "usage": {
                "prompt_tokens": 37,
                "completion_tokens": 530,
                "total_tokens": 1365,
                "completion_tokens_details": {"reasoning_tokens": 798},
            },
        },
        "37 at 3, 1,328 at 15: reasoning is beside the answer",
        "0.020031",
        "https://docs.x.ai/developers/pricing",
    ),
    Case(
        {
            "provider": "groq",
            "model": "llama-3.3-70b-versatile",
            "at": "2026-01-01",
            "usage": {
                "queue_time": 0.03,
                "prompt_tokens": 18,
                "prompt_time": 0.0006,
                "completion_tokens": 556,
                "completion_time": 0.46,
                "total_tokens": 574,
                "total_time": 0.46,
            },
        },
        "18 at 0.59, 556 at 0.79",
        "0.00044986",
        "https://groq.com/pricing",
    ),
    Case(
        {
            "provider": "mistral",
            "model": "mistral-embed",
            "at": "2026-01-01",
            "usage": {"prompt_tokens": 15, "completion_tokens": 0, "total_tokens": 15},
        },
        "15 at 0.10",
        "0.0000015",
        "https://mistral.ai/pricing",
    ),
    Case(
        {
            "provider": "cohere",
            "model": "command-a-03-2025",
            "at": "2026-01-01",
            "usage": {
                "billed_units": {"input_tokens": 5, "output_tokens": 418},
                "tokens": {"input_tokens": 71, "output_tokens": 418},
            },
        },
        "5 at 2.50, 418 at 10: what is billed, not what was read",
        "0.0041925",
        "https://cohere.com/pricing",
    ),
    Case(
        {
            "provider": "cohere",
            "model": "rerank-v3.5",
            "at": "2026-01-01",
            "usage": {"billed_units": {"search_units": 1}},
        },
        "2 a thousand searches",
        "0.002",
        "https://cohere.com/pricing",
    ),
    Case(
        {
            "provider": "bedrock",
            "model": "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "at": "2026-01-01",
            "usage": {"inputTokens": 30, "outputTokens": 628, "totalTokens": 658},
        },
        "30 at 3, 628 at 15, and a tenth more in a region",
        "0.010461",
        "https://aws.amazon.com/bedrock/pricing/",
    ),
    Case(
        {
            "provider": "voyage",
            "model": "voyage-3.5",
            "at": "2026-01-01",
            "usage": {"total_tokens": 10},
        },
        "10 at 0.06",
        "0.0000006",
        "https://docs.voyageai.com/docs/pricing",
    ),
    Case(
        {
            "provider": "openrouter",
            "model": "anything",
            "usage": {
                "prompt_tokens": 194,
                "completion_tokens": 2,
                "total_tokens": 196,
                "cost": 0,
                "is_byok": True,
                "cost_details": {"upstream_inference_cost": 0.00197},
            },
        },
        "a key of one's own: what its provider took",
        "0.00197",
        "https://openrouter.ai/docs/use-cases/usage-accounting",
    ),
    Case(
        {
            "provider": "together",
            "model": "deepseek-ai/DeepSeek-V3.1",
            "at": "2026-01-01",
            "usage": {"prompt_tokens": 1000, "completion_tokens": 1000, "total_tokens": 2000},
        },
        "1,000 at 0.60, 1,000 at 1.70",
        "0.0023",
        "https://www.together.ai/pricing",
    ),
    Case(
        {
            "provider": "vertex",
            "model": "gemini-2.5-pro",
            "at": "2026-01-01",
            "usage": {
                "promptTokenCount": 300000,
                "cachedContentTokenCount": 100000,
                "candidatesTokenCount": 1000,
                "totalTokenCount": 301000,
            },
        },
        "200,000 at 2.50, 100,000 at 0.25, 1,000 at 15: over 200,000",
        "0.54",
        "https://cloud.google.com/vertex-ai/generative-ai/pricing",
    ),
    Case(
        {
            "provider": "mistral",
            "model": "voxtral-mini-2602",
            "at": "2026-11-01",
            "usage": {
                "prompt_audio_seconds": 203,
                "prompt_tokens": 4,
                "total_tokens": 3264,
                "completion_tokens": 635,
                "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 2625},
            },
        },
        "203 seconds at 0.18 an hour, and no tokens: it is sold by its length",
        "0.01015",
        "https://docs.mistral.ai/api/endpoint/audio/transcriptions",
    ),
    Case(
        {
            "provider": "xai",
            "model": "grok-4.3",
            "at": "2026-08-24",
            "usage": {
                "input_tokens": 33065,
                "input_tokens_details": {"cached_tokens": 18368},
                "output_tokens": 3441,
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": 36506,
                "num_sources_used": 0,
                "num_server_side_tools_used": 10,
                "cost_in_usd_ticks": 806473500,
                "server_side_tool_usage_details": {
                    "web_search_calls": 0,
                    "x_search_calls": 10,
                    "code_interpreter_calls": 0,
                    "file_search_calls": 0,
                    "mcp_calls": 0,
                    "document_search_calls": 0,
                    "image_generation_calls": 0,
                },
                "context_details": {"input_tokens": 14673, "output_tokens": 2865},
            },
        },
        "14,697 at 1.25, 18,368 at 0.20, 3,441 at 2.50, ten searches at 5 a thousand: as it states",
        "0.08064735",
        "https://docs.x.ai/developers/pricing",
    ),
    Case(
        {
            "provider": "bedrock",
            "model": "global.anthropic.claude-opus-5",
            "at": "2026-11-01",
            "usage": {
                "inputTokens": 12,
                "outputTokens": 30,
                "totalTokens": 1342,
                "cacheReadInputTokens": 100,
                "cacheWriteInputTokens": 1200,
                "cacheDetails": [
                    {"inputTokens": 1000, "ttl": "1h"},
                    {"inputTokens": 200, "ttl": "5m"},
                ],
            },
        },
        "12 at 5, 100 at 0.50, 200 at 6.25, 1,000 at 10, 30 at 25",
        "0.01211",
        "https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_TokenUsage.html",
    ),
    Case(
        {
            "provider": "openai",
            "model": "gpt-realtime-2",
            "at": "2026-11-01",
            "usage": {
                "total_tokens": 253,
                "input_tokens": 132,
                "output_tokens": 121,
                "input_token_details": {
                    "text_tokens": 119,
                    "audio_tokens": 13,
                    "image_tokens": 0,
                    "cached_tokens": 64,
                    "cached_tokens_details": {"text_tokens": 64, "audio_tokens": 0},
                },
                "output_token_details": {"text_tokens": 30, "audio_tokens": 91},
            },
        },
        "55 at 4, 64 at 0.40, 13 of sound at 32, 30 at 24, 91 of sound at 64",
        "0.0072056",
        "https://developers.openai.com/api/docs/guides/realtime-costs",
    ),
    Case(
        {
            "provider": "google",
            "model": "gemini-2.5-flash",
            "at": "2026-11-01",
            "usage": {
                "promptTokenCount": 100,
                "toolUsePromptTokenCount": 50,
                "cachedContentTokenCount": 40,
                "candidatesTokenCount": 20,
                "thoughtsTokenCount": 30,
                "totalTokenCount": 200,
            },
        },
        "60 and what tools brought, 50, at 0.30; 40 at 0.03; 50 at 2.50",
        "0.0001592",
        "https://ai.google.dev/api/generate-content#UsageMetadata",
    ),
    Case(
        {
            "provider": "perplexity",
            "model": "sonar-deep-research",
            "at": "2026-01-01",
            "usage": {
                "prompt_tokens": 33,
                "completion_tokens": 7163,
                "total_tokens": 7196,
                "citation_tokens": 20016,
                "num_search_queries": 28,
                "reasoning_tokens": 73997,
                "search_context_size": "low",
            },
        },
        "33 and 20,016 of citations at 2, 7,163 at 8, 73,997 at 3, 28 searches at 5 a thousand",
        "0.459393",
        "https://docs.perplexity.ai/getting-started/pricing",
    ),
    Case(
        {
            "provider": "anthropic",
            "model": "claude-opus-5",
            "at": "2026-11-01",
            "usage": {
                "input_tokens": 45,
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": 0,
                "output_tokens": 1234,
                "iterations": [
                    {"type": "compaction", "input_tokens": 180000, "output_tokens": 3500},
                    {"type": "message", "input_tokens": 23000, "output_tokens": 1000},
                ],
            },
        },
        "45 and the compaction's 180,000 at 5, 1,234 and its 3,500 at 25",
        "1.018575",
        "https://platform.claude.com/docs/en/build-with-claude/compaction",
    ),
    Case(
        {
            "provider": "azure",
            "model": "gpt-4.1",
            "at": "2026-11-01",
            "deployment_scope": "eu",
            "usage": {
                "completion_tokens": 557,
                "completion_tokens_details": {"audio_tokens": 0, "reasoning_tokens": 0},
                "prompt_tokens": 1518,
                "prompt_tokens_details": {"audio_tokens": 0, "cached_tokens": 1408},
                "total_tokens": 2075,
            },
        },
        "110 at 2, 1,408 at 0.50, 557 at 8, and a tenth more in Europe's zone",
        "0.005918",
        "https://azure.microsoft.com/en-us/pricing/details/azure-openai/",
    ),
    Case(
        {
            "provider": "fireworks",
            "model": "gpt-oss-120b",
            "at": "2026-11-01",
            "usage": {
                "prompt_tokens": 200,
                "total_tokens": 260,
                "completion_tokens": 60,
                "prompt_tokens_details": {"cached_tokens": 128},
            },
        },
        "72 at 0.15, 128 at 0.015, 60 at 0.60",
        "0.00004872",
        "https://api.fireworks.ai/v1/serverless/models",
    ),
    Case(
        {
            "provider": "deepseek",
            "model": "deepseek-flash",
            "at": "2026-11-27T02:00:00Z",
            "usage": {
                "prompt_tokens": 16,
                "completion_tokens": 10,
                "total_tokens": 26,
                "prompt_cache_hit_tokens": 0,
                "prompt_cache_miss_tokens": 16,
                "completion_tokens_details": {"reasoning_tokens": 4},
            },
        },
        "16 at 0.30, 10 at 1.20: a Friday, ten in the morning in Beijing",
        "0.0000168",
        "https://api-docs.deepseek.com/quick_start/pricing",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.block['model']}: {case.how}")
def test_r11_a_documented_block_costs_what_its_page_says(case: Case) -> None:
    answer = priced(case.block, BOOK)

    assert case.expected == answer.get("cost_usd"), answer
