"""Mistral: promotions to the instant, pages plain and annotated, sound by the hour."""

from pricing.usage import Usage
from tests.pricing.golden.row import Bill, Change, Refusal

PRICING = "https://mistral.ai/pricing"
LARGE = "https://docs.mistral.ai/models/mistral-large-4-0"
CARDS = "https://docs.mistral.ai/models/model-cards"
MODELS = "https://docs.mistral.ai/models"

BILLS = [
    Bill(
        "mistral/mistral-medium-latest",
        "cached, and not",
        Usage(input_tokens=1_000, cache_read_tokens=1_000, output_tokens=100),
        "1000 at 1.5, 1000 at 0.15, 100 at 7.5",
        "0.0024",
        CARDS,
    ),
    Bill(
        "mistral/mistral-medium-latest",
        "… in a batch: half of all",
        Usage(input_tokens=1_000, cache_read_tokens=1_000, output_tokens=100),
        "1000 at 0.75, 1000 at 0.075, 100 at 3.75",
        "0.0012",
        CARDS,
        tier="batch",
    ),
    Bill(
        "mistral/mistral-medium-latest",
        "a write to the cache costs what input does",
        Usage(cache_write_5m_tokens=1_000),
        "1000 at 1.5",
        "0.0015",
        CARDS,
    ),
    Bill(
        "mistral/mistral-embed",
        "what it reads",
        Usage(input_tokens=15),
        "15 at 0.1",
        "0.0000015",
        MODELS,
    ),
    Bill(
        "mistral/mistral-ocr-2505",
        "a plain page",
        Usage(fees=(("page", 11),)),
        "11 at 1/1000",
        "0.011",
        PRICING,
    ),
    Bill(
        "mistral/mistral-ocr-2505",
        "an annotated one: three times that",
        Usage(fees=(("page:annotated", 11),)),
        "11 at 3/1000",
        "0.033",
        PRICING,
    ),
    Bill(
        "mistral/mistral-ocr-4-1",
        "some of both in one document",
        Usage(
            fees=(
                ("page", 9),
                ("page:annotated", 2),
            )
        ),
        "9 at 4/1000, 2 at 5/1000",
        "0.046",
        CARDS,
    ),
    Bill(
        "mistral/voxtral-mini-2602",
        "by the second of an hour",
        Usage(fees=(("second", 59),)),
        "59 at 0.18/3600",
        "0.00295",
        CARDS,
    ),
    Bill(
        "mistral/voxtral-mini-tts-3",
        "by the character",
        Usage(fees=(("character", 77),)),
        "77 at 13/1000000",
        "0.001001",
        MODELS,
    ),
]

CHANGES = [
    Change(
        "mistral/mistral-large-4",
        "the first promotion ended",
        Usage(input_tokens=1_000, cache_read_tokens=1_000, output_tokens=1_000),
        "1000 at 0.68, 1000 at 0.07, 1000 at 2.09",
        "2026-10-20T00:00:00Z",
        "1000 at 1.36, 1000 at 0.14, 1000 at 4.18",
        LARGE,
    ),
    Change(
        "mistral/mistral-large-4",
        "… and the second began",
        Usage(input_tokens=1_000, cache_read_tokens=1_000, output_tokens=1_000),
        "1000 at 1.36, 1000 at 0.14, 1000 at 4.18",
        "2026-10-29T00:00:00Z",
        "1000 at 0.7, 1000 at 0.07, 1000 at 2.1",
        LARGE,
    ),
    Change(
        "mistral/mistral-medium-latest",
        "the name passed to another model",
        Usage(input_tokens=1_000, cache_read_tokens=100, output_tokens=10),
        "1000 at 0.4, 100 at 0.04, 10 at 2",
        "2026-06-16T00:00:00Z",
        "1000 at 1.5, 100 at 0.15, 10 at 7.5",
        PRICING,
    ),
    Change(
        "mistral/mistral-small-latest",
        "so did this one",
        Usage(input_tokens=1_000, cache_read_tokens=1_000, output_tokens=10),
        "2000 at 0.1, 10 at 0.3",
        "2026-03-16T00:00:00Z",
        "1000 at 0.15, 1000 at 0.015, 10 at 0.6",
        PRICING,
    ),
    Change(
        "mistral/ministral-8b-latest",
        "and this",
        Usage(input_tokens=1_000, cache_read_tokens=1_000, output_tokens=10),
        "2000 at 0.1, 10 at 0.1",
        "2025-12-02T00:00:00Z",
        "1000 at 0.15, 1000 at 0.015, 10 at 0.15",
        PRICING,
    ),
    Change(
        "mistral/mistral-ocr-latest",
        "annotated pages cost what plain ones did, then had a price",
        Usage(fees=(("page:annotated", 10),)),
        "10 at 1/1000",
        "2025-05-22T00:00:00Z",
        "10 at 3/1000",
        PRICING,
    ),
    Change(
        "mistral/mistral-ocr-latest",
        "plain pages doubled",
        Usage(fees=(("page", 10),)),
        "10 at 1/1000",
        "2025-12-18T00:00:00Z",
        "10 at 2/1000",
        PRICING,
    ),
    Change(
        "mistral/mistral-ocr-latest",
        "… and again",
        Usage(
            fees=(
                ("page", 10),
                ("page:annotated", 1),
            )
        ),
        "10 at 2/1000, 1 at 3/1000",
        "2026-06-23T00:00:00Z",
        "10 at 4/1000, 1 at 5/1000",
        PRICING,
    ),
    Change(
        "mistral/voxtral-small-2507",
        "output became dearer",
        Usage(input_tokens=1_000, cache_read_tokens=100, output_tokens=1_000),
        "1000 at 0.1, 100 at 0.01, 1000 at 0.3",
        "2026-08-11T00:00:00Z",
        "1000 at 0.1, 100 at 0.01, 1000 at 0.4",
        PRICING,
    ),
]

REFUSALS = [
    Refusal(
        "mistral/mistral-medium-latest",
        "service_tier:priority",
        Usage(input_tokens=1),
        CARDS,
        tier="priority",
    ),
    Refusal(
        "mistral/mistral-medium-latest", "cache_write_1h", Usage(cache_write_1h_tokens=1), CARDS
    ),
    Refusal("mistral/mistral-ocr-4-1", "character", Usage(fees=(("character", 1),)), CARDS),
]
