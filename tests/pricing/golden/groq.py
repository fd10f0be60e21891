"""Groq: sound by the hour, batches that spare the cache, searches by the thousand."""

from pricing.usage import Usage
from tests.pricing.golden.row import Bill, Refusal

PRICING = "https://groq.com/pricing"

BILLS = [
    Bill(
        "groq/openai/gpt-oss-120b",
        "cached, and not",
        Usage(input_tokens=1_000, cache_read_tokens=1_000, output_tokens=100, reasoning_tokens=50),
        "1000 at 0.15, 1000 at 0.075, 150 at 0.6",
        "0.000315",
        PRICING,
    ),
    Bill(
        "groq/openai/gpt-oss-120b",
        "… in a batch: the cache is not halved",
        Usage(input_tokens=1_000, cache_read_tokens=1_000, output_tokens=100, reasoning_tokens=50),
        "1000 at 0.075, 1000 at 0.075, 150 at 0.3",
        "0.000195",
        PRICING,
        tier="batch",
    ),
    Bill(
        "groq/openai/gpt-oss-20b",
        "its own rates in a batch",
        Usage(input_tokens=1_000, cache_read_tokens=1_000, output_tokens=100),
        "1000 at 0.0375, 1000 at 0.0375, 100 at 0.15",
        "0.00009",
        PRICING,
        tier="batch",
    ),
    Bill(
        "groq/openai/gpt-oss-20b",
        "a search by itself",
        Usage(fees=(("web_search", 1),)),
        "1 at 5/1000",
        "0.005",
        PRICING,
    ),
    Bill(
        "groq/llama-3.3-70b-versatile",
        "cached tokens without a rate cost what input does",
        Usage(input_tokens=1_000, cache_read_tokens=500, output_tokens=10),
        "1500 at 0.59, 10 at 0.79",
        "0.0008929",
        PRICING,
    ),
    Bill(
        "groq/whisper-large-v3-turbo",
        "a second of an hour: 0.04 / 3600 leaves a rest",
        Usage(fees=(("second", 1),)),
        "1 at 0.04/3600",
        "0.000011111111",
        PRICING,
    ),
    Bill(
        "groq/whisper-large-v3-turbo",
        "… nine leave none",
        Usage(fees=(("second", 9),)),
        "9 at 0.04/3600",
        "0.0001",
        PRICING,
    ),
    Bill(
        "groq/playai-tts",
        "by the character",
        Usage(fees=(("character", 123),)),
        "123 at 50/1000000",
        "0.00615",
        PRICING,
    ),
]

REFUSALS = [
    Refusal(
        "groq/openai/gpt-oss-120b",
        "service_tier:performance",
        Usage(input_tokens=1),
        PRICING,
        tier="performance",
    ),
    Refusal("groq/openai/gpt-oss-120b", "tool:search", Usage(fees=(("tool:search", 1),)), PRICING),
    Refusal("groq/openai/gpt-oss-120b", "tool:python", Usage(fees=(("tool:python", 1),)), PRICING),
    Refusal(
        "groq/llama-3.3-70b-versatile",
        "service_tier:batch",
        Usage(input_tokens=1),
        PRICING,
        tier="batch",
    ),
]
