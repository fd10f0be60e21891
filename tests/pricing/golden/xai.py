"""xAI: long from 200,000 tokens on, tools by the call, names that others answer."""

from pricing.usage import Usage
from tests.pricing.golden.row import Bill, Change, Refusal

PRICING = "https://docs.x.ai/developers/pricing"
CARD = "https://docs.x.ai/developers/models/grok-4.20-0309"
MODELS = "https://api.x.ai/v1/language-models"
RETIRED = "https://docs.x.ai/docs/migration/may-15-retirement"
IMAGINE = "https://docs.x.ai/developers/migration/imagine-image-quality-nov-2"

BILLS = [
    Bill(
        "xai/grok-4.20",
        "199,999 tokens of two kinds",
        Usage(input_tokens=150_000, cache_read_tokens=49_999, output_tokens=10),
        "150000 at 1.25, 49999 at 0.2, 10 at 2.5",
        "0.1975248",
        CARD,
    ),
    Bill(
        "xai/grok-4.20",
        "200,000: the prompt has reached it",
        Usage(input_tokens=150_000, cache_read_tokens=50_000, output_tokens=10),
        "150000 at 2.5, 50000 at 0.4, 10 at 5",
        "0.39505",
        CARD,
    ),
    Bill(
        "xai/grok-4.20-0309",
        "199,999: by each of its names",
        Usage(input_tokens=150_000, cache_read_tokens=49_999, output_tokens=10),
        "150000 at 1.25, 49999 at 0.2, 10 at 2.5",
        "0.1975248",
        CARD,
    ),
    Bill(
        "xai/grok-4.20-0309",
        "200,000: the prompt has reached it",
        Usage(input_tokens=150_000, cache_read_tokens=50_000, output_tokens=10),
        "150000 at 2.5, 50000 at 0.4, 10 at 5",
        "0.39505",
        CARD,
    ),
    Bill(
        "xai/grok-4.20-beta",
        "199,999: by each of its names",
        Usage(input_tokens=150_000, cache_read_tokens=49_999, output_tokens=10),
        "150000 at 1.25, 49999 at 0.2, 10 at 2.5",
        "0.1975248",
        CARD,
    ),
    Bill(
        "xai/grok-4.20-beta",
        "200,000: the prompt has reached it",
        Usage(input_tokens=150_000, cache_read_tokens=50_000, output_tokens=10),
        "150000 at 2.5, 50000 at 0.4, 10 at 5",
        "0.39505",
        CARD,
    ),
    Bill(
        "xai/grok-4.20-reasoning",
        "199,999: by each of its names",
        Usage(input_tokens=150_000, cache_read_tokens=49_999, output_tokens=10),
        "150000 at 1.25, 49999 at 0.2, 10 at 2.5",
        "0.1975248",
        CARD,
    ),
    Bill(
        "xai/grok-4.20-reasoning",
        "200,000: the prompt has reached it",
        Usage(input_tokens=150_000, cache_read_tokens=50_000, output_tokens=10),
        "150000 at 2.5, 50000 at 0.4, 10 at 5",
        "0.39505",
        CARD,
    ),
    Bill(
        "xai/grok-4.20-0309",
        "199,999, in a batch: a fifth less",
        Usage(input_tokens=199_999, output_tokens=10),
        "199999 at 1, 10 at 2",
        "0.200019",
        CARD,
        tier="batch",
    ),
    Bill(
        "xai/grok-4.20-0309",
        "200,000, in a batch",
        Usage(input_tokens=200_000, output_tokens=10),
        "200000 at 2, 10 at 4",
        "0.40004",
        CARD,
        tier="batch",
    ),
    Bill(
        "xai/grok-4.7",
        "text, a picture, thoughts",
        Usage(
            input_tokens=1_000,
            cache_read_tokens=500,
            image_in_tokens=300,
            output_tokens=20,
            reasoning_tokens=400,
        ),
        "1300 at 2, 500 at 0.5, 420 at 6",
        "0.00537",
        PRICING,
    ),
    Bill(
        "xai/grok-4.7",
        "199,999, in a batch",
        Usage(input_tokens=199_000, cache_read_tokens=999, output_tokens=20),
        "199000 at 1.6, 999 at 0.4, 20 at 4.8",
        "0.3188956",
        MODELS,
        tier="batch",
    ),
    Bill(
        "xai/grok-4.7",
        "200,000, in a batch",
        Usage(input_tokens=199_000, cache_read_tokens=1_000, output_tokens=20),
        "199000 at 3.2, 1000 at 0.8, 20 at 9.6",
        "0.637792",
        MODELS,
        tier="batch",
    ),
    Bill(
        "xai/grok-4.7",
        "tools, each by its call",
        Usage(
            input_tokens=100,
            fees=(
                ("web_search", 9),
                ("tool:code_interpreter", 2),
                ("file_search", 3),
                ("file_search:attached", 4),
            ),
        ),
        "100 at 2, 9 at 5/1000, 2 at 5/1000, 3 at 2.5/1000, 4 at 10/1000",
        "0.1027",
        PRICING,
    ),
    Bill(
        "xai/grok-imagine-image-2.0",
        "a picture",
        Usage(fees=(("image", 2),)),
        "2 at 0.06/1",
        "0.12",
        IMAGINE,
    ),
    Bill(
        "xai/grok-imagine-image-2.0",
        "a plain one",
        Usage(fees=(("image:low-1024x1024", 2),)),
        "2 at 0.04/1",
        "0.08",
        IMAGINE,
    ),
    Bill(
        "xai/grok-imagine-image-2.0",
        "… of another size costs what any does",
        Usage(fees=(("image:low-2048x2048", 2),)),
        "2 at 0.06/1",
        "0.12",
        IMAGINE,
    ),
    Bill(
        "xai/grok-voice-3.0",
        "by the second of an hour",
        Usage(fees=(("second", 61),)),
        "61 at 4.8/3600",
        "0.081333333333",
        PRICING,
    ),
]

CHANGES = [
    Change(
        "xai/grok-4.20",
        "fell, output by more than half",
        Usage(input_tokens=1_000, cache_read_tokens=100, output_tokens=100),
        "1000 at 2, 100 at 0.2, 100 at 6",
        "2026-04-30T00:00:00Z",
        "1000 at 1.25, 100 at 0.2, 100 at 2.5",
        MODELS,
    ),
    Change(
        "xai/grok-3",
        "retired at noon in San Francisco, and answered by Grok 4.3",
        Usage(input_tokens=1_000, cache_read_tokens=100, output_tokens=100),
        "1000 at 3, 100 at 0.75, 100 at 15",
        "2026-05-15T19:00:00Z",
        "1000 at 1.25, 100 at 0.2, 100 at 2.5",
        RETIRED,
    ),
    Change(
        "xai/grok-3",
        "… which has long prompts",
        Usage(input_tokens=200_000, output_tokens=10),
        "200000 at 3, 10 at 15",
        "2026-05-15T19:00:00Z",
        "200000 at 2.5, 10 at 5",
        RETIRED,
    ),
    Change(
        "xai/grok-voice-3.0",
        "became dearer by more than half",
        Usage(fees=(("second", 60),)),
        "60 at 3/3600",
        "2026-08-05T00:00:00Z",
        "60 at 4.8/3600",
        PRICING,
    ),
]

REFUSALS = [
    Refusal("xai/grok-4.7", "service_tier:flex", Usage(input_tokens=1), PRICING, tier="flex"),
    Refusal("xai/grok-4.7", "audio_in", Usage(audio_in_tokens=1), PRICING),
    Refusal("xai/grok-4.7", "tool:view_image", Usage(fees=(("tool:view_image", 1),)), PRICING),
]
