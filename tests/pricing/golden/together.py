"""Together: one rate a model, and a cache where it has one."""

from pricing.usage import Usage
from tests.pricing.golden.row import Bill, Change, Refusal

MODELS = "https://api.together.ai/v1/models"
PRICING = "https://www.together.ai/pricing"

BILLS = [
    Bill(
        "together/moonshotai/Kimi-K2.6",
        "cached, and not",
        Usage(input_tokens=1_000, cache_read_tokens=1_000, output_tokens=100, reasoning_tokens=10),
        "1000 at 1.2, 1000 at 0.2, 110 at 4.5",
        "0.001895",
        MODELS,
    ),
    Bill(
        "together/MiniMaxAI/MiniMax-M3",
        "another",
        Usage(input_tokens=999, cache_read_tokens=1, output_tokens=1),
        "999 at 0.3, 1 at 0.06, 1 at 1.2",
        "0.00030096",
        MODELS,
    ),
    Bill(
        "together/Qwen/Qwen3-235B-A22B-Instruct-2507-tput",
        "what a list had with its comma one place off",
        Usage(input_tokens=1_000, output_tokens=1_000),
        "1000 at 0.2, 1000 at 0.6",
        "0.0008",
        PRICING,
    ),
]

CHANGES = [
    Change(
        "together/together/Tev1-4B-experimental",
        "became dearer by a twentieth",
        Usage(input_tokens=1_001),
        "1001 at 0.04",
        "2026-10-19T00:00:00Z",
        "1001 at 0.042",
        MODELS,
    ),
]

REFUSALS = [
    Refusal(
        "together/moonshotai/Kimi-K2.6",
        "service_tier:priority",
        Usage(input_tokens=1),
        MODELS,
        tier="priority",
    ),
    Refusal("together/moonshotai/Kimi-K2.6", "audio_in", Usage(audio_in_tokens=1), MODELS),
]
