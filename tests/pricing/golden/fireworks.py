"""Fireworks: priority at a fifth more, names long and short."""

from pricing.usage import Usage
from tests.pricing.golden.row import Bill, Change, Refusal

SERVERLESS = "https://api.fireworks.ai/v1/serverless/models?format=nested"
PRICING = "https://fireworks.ai/pricing"

BILLS = [
    Bill(
        "fireworks/accounts/fireworks/models/gpt-oss-120b",
        "cached, and not",
        Usage(input_tokens=1_000, cache_read_tokens=1_000, output_tokens=100, reasoning_tokens=7),
        "1000 at 0.15, 1000 at 0.015, 107 at 0.6",
        "0.0002292",
        SERVERLESS,
    ),
    Bill(
        "fireworks/gpt-oss-120b",
        "… by its short name, priority",
        Usage(input_tokens=1_000, cache_read_tokens=1_000, output_tokens=100, reasoning_tokens=7),
        "1000 at 0.18, 1000 at 0.018, 107 at 0.72",
        "0.00027504",
        SERVERLESS,
        tier="priority",
    ),
    Bill(
        "fireworks/accounts/fireworks/models/deepseek-v4-pro",
        "what was corrected",
        Usage(input_tokens=1_000, cache_read_tokens=1_000, output_tokens=100),
        "1000 at 1.74, 1000 at 0.6, 100 at 3.48",
        "0.002688",
        SERVERLESS,
    ),
    Bill(
        "fireworks/accounts/fireworks/models/kimi-k2p5",
        "another",
        Usage(input_tokens=999, cache_read_tokens=1, output_tokens=1),
        "999 at 0.6, 1 at 0.1, 1 at 3",
        "0.0006025",
        PRICING,
    ),
]

CHANGES = [
    Change(
        "fireworks/accounts/fireworks/models/gpt-oss-120b",
        "the cache became dearer, priority's by as much",
        Usage(input_tokens=10, cache_read_tokens=1_000, output_tokens=10),
        "10 at 0.15, 1000 at 0.014, 10 at 0.6",
        "2026-10-19T00:00:00Z",
        "10 at 0.15, 1000 at 0.015, 10 at 0.6",
        SERVERLESS,
    ),
    Change(
        "fireworks/accounts/fireworks/routers/kimi-k3-us",
        "in the US alone: a tenth more became a half",
        Usage(input_tokens=100, cache_read_tokens=100, output_tokens=100),
        "100 at 3.3, 100 at 0.33, 100 at 16.5",
        "2026-09-01T00:00:00Z",
        "100 at 4.5, 100 at 0.45, 100 at 22.5",
        SERVERLESS,
    ),
    Change(
        "fireworks/accounts/fireworks/routers/ultramarine-1-flash-us",
        "a half more became none",
        Usage(input_tokens=100, cache_read_tokens=100, output_tokens=100),
        "100 at 0.225, 100 at 0.045, 100 at 0.75",
        "2026-11-03T00:00:00Z",
        "100 at 0.15, 100 at 0.03, 100 at 0.5",
        SERVERLESS,
    ),
]

REFUSALS = [
    Refusal(
        "fireworks/accounts/fireworks/models/gpt-oss-120b",
        "service_tier:batch",
        Usage(input_tokens=1),
        SERVERLESS,
        tier="batch",
    ),
    Refusal(
        "fireworks/accounts/fireworks/models/gpt-oss-120b",
        "cache_write_1h",
        Usage(cache_write_1h_tokens=1),
        SERVERLESS,
    ),
]
