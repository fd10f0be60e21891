"""Bills of real models, worked out by hand from the providers' own pages, to the last digit.

Each table states the page. Where something begins or ends (a tier, an hour, a price), there
is a case on either side of it.
"""

from datetime import datetime

import pytest

from pricing.book import PriceBook
from pricing.cost import UnpricedComponent, cost
from pricing.money import usd
from pricing.usage import Usage

BOOK = PriceBook.load()
TODAY = "2026-11-27T12:00:00Z"  # a Friday
MILLION = Usage(input_tokens=1_000_000)


def ms(instant):
    return round(datetime.fromisoformat(instant).timestamp() * 1_000)


def bill(name, usage, at=TODAY, *, completed=None, scope=None, **how):
    """The bill of a call to ``provider/model`` that begins at `at`."""
    provider, _, model = name.partition("/")
    found = BOOK.find(provider, model)
    assert found.card is not None, found.steps
    price = found.card.price_at(ms(at))
    assert price is not None, at
    where = scope or found.scope or "global"
    return cost(usage, price, completed_ms=ms(completed or at), scope=where, **how)


def dollars(*arguments, **how):
    return usd(bill(*arguments, **how).cost_pico)


@pytest.mark.parametrize(
    ("name", "tokens", "expected"),
    [
        # https://platform.claude.com/docs/en/about-claude/pricing
        ("anthropic/claude-sonnet-4-5", 200_000, "0.6"),
        ("anthropic/claude-sonnet-4-5", 200_001, "1.200006"),
        ("anthropic/claude-haiku-5-5", 100_000, "0.01"),
        ("anthropic/claude-haiku-5-5", 100_001, "0.0500005"),
        ("anthropic/claude-opus-5", 1_000_000, "5"),  # no tier at all
        # https://aws.amazon.com/bedrock/pricing/
        ("bedrock/global.anthropic.claude-sonnet-4-5-20250929-v1:0", 200_000, "0.6"),
        ("bedrock/global.anthropic.claude-sonnet-4-5-20250929-v1:0", 200_001, "1.200006"),
        ("bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0", 200_000, "0.66"),
        ("bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0", 200_001, "1.3200066"),
        # https://developers.openai.com/api/docs/pricing
        ("openai/gpt-5.4", 272_000, "0.68"),
        ("openai/gpt-5.4", 272_001, "1.360005"),
        ("openai/gpt-6-astra", 272_000, "2.72"),
        ("openai/gpt-6-astra", 272_001, "5.44002"),
        # https://azure.microsoft.com/en-us/pricing/details/azure-openai/
        ("azure/gpt-5.4-2026-03-05", 272_000, "0.68"),
        ("azure/gpt-5.4-2026-03-05", 272_001, "1.360005"),
        # https://ai.google.dev/gemini-api/docs/pricing
        ("google/gemini-2.5-pro", 200_000, "0.25"),
        ("google/gemini-2.5-pro", 200_001, "0.5000025"),
        # https://cloud.google.com/vertex-ai/generative-ai/pricing
        ("vertex/google/gemini-2.5-pro", 200_000, "0.25"),
        ("vertex/google/gemini-2.5-pro", 200_001, "0.5000025"),
        # https://docs.x.ai/developers/pricing: from 200,000 tokens on
        ("xai/grok-4.7", 199_999, "0.399998"),
        ("xai/grok-4.7", 200_000, "0.8"),
    ],
)
def test_r42_a_long_prompt_reprices_the_whole_request(name, tokens, expected) -> None:
    assert expected == dollars(name, Usage(input_tokens=tokens))


@pytest.mark.parametrize(
    ("cached", "fresh", "expected"),
    [(199_999, 1, "0.0600027"), (200_000, 1, "0.120006"), (0, 200_001, "1.200006")],
)
def test_r42_cached_tokens_count_towards_the_threshold(cached, fresh, expected) -> None:
    """Claude Sonnet 4.5: 3 and 0.30 up to 200,000 tokens of input, 6 and 0.60 above."""
    usage = Usage(input_tokens=fresh, cache_read_tokens=cached)

    assert expected == dollars("anthropic/claude-sonnet-4-5", usage)


@pytest.mark.parametrize(
    ("name", "tier", "tokens", "expected"),
    [
        # https://developers.openai.com/api/docs/pricing: 2.50, flex and batch half, priority twice
        ("openai/gpt-5.4", None, 100_000, "0.25"),
        ("openai/gpt-5.4", "default", 100_000, "0.25"),
        ("openai/gpt-5.4", "flex", 100_000, "0.125"),
        ("openai/gpt-5.4", "batch", 100_000, "0.125"),
        ("openai/gpt-5.4", "priority", 100_000, "0.5"),
        # https://openai.com/api-priority-processing/: 5 and 12.50, both without long context
        ("openai/gpt-5.4", "priority", 272_000, "1.36"),
        ("openai/gpt-5.4", "fast", 272_000, "1.36"),
        ("openai/gpt-5.5", "priority", 272_000, "3.4"),
        ("openai/gpt-5.5", "default", 272_001, "2.72001"),
        ("openai/gpt-5.4", "flex", 272_000, "0.34"),
        ("openai/gpt-5.4", "flex", 272_001, "0.6800025"),
        ("openai/gpt-6-sol", "fast", 272_001, "2.176008"),
        # https://platform.claude.com/docs/en/about-claude/pricing
        ("anthropic/claude-opus-5", "batch", 100_000, "0.25"),
        # https://groq.com/pricing
        ("groq/openai/gpt-oss-120b", "on_demand", 100_000, "0.015"),
        ("groq/openai/gpt-oss-120b", "batch", 100_000, "0.0075"),
    ],
)
def test_r41_the_served_tier_and_the_length_decide_together(name, tier, tokens, expected) -> None:
    assert expected == dollars(name, Usage(input_tokens=tokens), service_tier=tier)


@pytest.mark.parametrize("model", ["gpt-5.4", "gpt-5.5", "gpt-5.5-2026-04-23"])
@pytest.mark.parametrize("tier", ["priority", "fast"])
def test_r41_a_length_that_a_tier_excludes_has_no_price_there(model, tier) -> None:
    """https://openai.com/api-priority-processing/ "excludes long context": over 272,000."""
    with pytest.raises(UnpricedComponent, match=r"\.1 has no rate for input"):
        bill(f"openai/{model}", Usage(input_tokens=272_001), service_tier=tier)


def test_r41_a_tier_without_a_price_is_not_guessed() -> None:
    with pytest.raises(UnpricedComponent, match="service_tier:flex"):
        bill("groq/openai/gpt-oss-120b", MILLION, service_tier="flex")


@pytest.mark.parametrize(
    ("name", "usage", "expected"),
    [
        # https://developers.openai.com/api/docs/pricing: 2.5 and 10; audio 40 and 80
        (
            "openai/gpt-4o-audio-preview",
            Usage(output_tokens=110, audio_out_tokens=482),
            "0.03966",
        ),
        # https://developers.openai.com/api/docs/models/gpt-realtime-2: 4, 32, 0.40; 24 and 64
        (
            "openai/gpt-realtime-2",
            Usage(
                input_tokens=100,
                audio_in_tokens=1_000,
                audio_cached_tokens=500,
                output_tokens=50,
                audio_out_tokens=2_000,
            ),
            "0.1618",
        ),
        # https://developers.openai.com/api/docs/pricing: text 5, images 10 and 40
        (
            "openai/gpt-image-1",
            Usage(input_tokens=50, image_in_tokens=1_000, image_out_tokens=4_000),
            "0.17025",
        ),
        # https://developers.openai.com/api/docs/models/gpt-4o-transcribe: 2.50 and 10
        (
            "openai/gpt-4o-transcribe",
            Usage(audio_in_tokens=2_000, output_tokens=300),
            "0.008",
        ),
        # https://ai.google.dev/gemini-api/docs/pricing: text 0.30, audio 1, output 2.50
        (
            "google/gemini-2.5-flash",
            Usage(input_tokens=1_000, audio_in_tokens=1_000, output_tokens=100),
            "0.00155",
        ),
        # https://cloud.google.com/vertex-ai/generative-ai/pricing: pictures cost what text does
        (
            "vertex/gemini-2.5-pro",
            Usage(input_tokens=1_000, image_in_tokens=199_000, audio_in_tokens=1),
            "0.5000025",
        ),
        # https://docs.x.ai/developers/pricing: the same
        ("xai/grok-4.7", Usage(input_tokens=1_000, image_in_tokens=1_000), "0.004"),
        # https://ai.google.dev/gemini-api/docs/pricing: 1,120 tokens at 120 a million
        ("google/gemini-3-pro-image", Usage(image_out_tokens=1_120), "0.1344"),
    ],
)
def test_r43_sound_and_pictures_have_rates_of_their_own(name, usage, expected) -> None:
    assert expected == dollars(name, usage)


@pytest.mark.parametrize(
    ("name", "usage"),
    [
        ("openai/gpt-4o", Usage(audio_in_tokens=1)),
        ("openai/gpt-4o", Usage(image_out_tokens=1)),
        ("anthropic/claude-opus-5", Usage(audio_out_tokens=1)),
        ("mistral/codestral-2508", Usage(cache_write_1h_tokens=1)),
        ("openai/gpt-4o", Usage(fees=(("rerank", 1),))),
        ("openai/gpt-6-sol", Usage(fees=(("container", 1),))),  # of a size that nobody said
        ("google/gemini-3.8-flash", Usage(fees=(("tool:google_maps", 1),))),
        ("groq/openai/gpt-oss-120b", Usage(fees=(("tool:search", 1),))),
        ("azure/gpt-6-sol", Usage(fees=(("file_search", 1),))),
    ],
)
def test_r43_what_a_model_has_no_rate_for_is_an_error(name, usage) -> None:
    with pytest.raises(UnpricedComponent):
        bill(name, usage)


@pytest.mark.parametrize(
    ("name", "usage", "expected"),
    [
        # https://platform.claude.com/docs/en/about-claude/pricing: 5, 0.50, 6.25, 10 and 25
        (
            "anthropic/claude-opus-5",
            Usage(
                input_tokens=3,
                cache_read_tokens=10_000,
                cache_write_5m_tokens=2_000,
                cache_write_1h_tokens=1_000,
                output_tokens=500,
            ),
            "0.040015",
        ),
        # https://developers.openai.com/api/docs/pricing: 2, 0.20, writes 2.50, 10
        (
            "openai/gpt-6-sol",
            Usage(
                input_tokens=1_000,
                cache_read_tokens=9_000,
                cache_write_5m_tokens=2_000,
                output_tokens=100,
                reasoning_tokens=400,
            ),
            "0.0138",
        ),
        # https://api-docs.deepseek.com/quick_start/pricing: hit 0.003, miss 0.15, output 0.60
        (
            "deepseek/deepseek-flash",
            Usage(input_tokens=1_000, cache_read_tokens=9_000, output_tokens=500),
            "0.000477",
        ),
    ],
)
def test_r11_every_cached_token_is_billed_once(name, usage, expected) -> None:
    assert expected == dollars(name, usage)


@pytest.mark.parametrize(
    ("name", "fees", "expected"),
    [
        # https://developers.openai.com/api/docs/pricing: 0.006 a minute; 15 a million characters
        ("openai/whisper-1", (("second", 60),), "0.006"),
        ("openai/whisper-1", (("second", 1),), "0.0001"),
        ("openai/tts-1", (("character", 1_000),), "0.015"),
        # … 10 a thousand searches of the web, 2.50 of files
        ("openai/gpt-6-sol", (("web_search", 3), ("file_search", 4)), "0.04"),
        # https://groq.com/pricing: 0.111 an hour, which no second divides evenly
        ("groq/whisper-large-v3", (("second", 3_600),), "0.111"),
        ("groq/whisper-large-v3", (("second", 1),), "0.000030833333"),
        ("groq/whisper-large-v3", (("second", 2),), "0.000061666667"),
        # https://mistral.ai/pricing: 4 a thousand pages, 5 with annotations
        ("mistral/mistral-ocr-latest", (("page", 3),), "0.012"),
        ("mistral/mistral-ocr-latest", (("page:annotated", 3),), "0.015"),
        # https://cohere.com/pricing: 2 a thousand searches
        ("cohere/rerank-v3.5", (("rerank", 1),), "0.002"),
        # https://azure.microsoft.com/en-us/pricing/details/azure-openai/
        ("azure/dall-e-3", (("image:standard-1024x1024", 2),), "0.088"),
        ("azure/dall-e-3", (("image:hd-1024x1792", 2),), "0.264"),
        ("azure/dall-e-3", (("image", 1),), "0.132"),  # of what nobody said, the dearest
        # … a container of 1, 4, 16 and 64 GB
        ("openai/gpt-6-sol", (("container:1g", 1),), "0.03"),
        ("openai/gpt-6-sol", (("container:4g", 2),), "0.24"),
        ("openai/gpt-6-sol", (("container:16g", 1),), "0.48"),
        ("openai/gpt-6-sol", (("container:64g", 1),), "1.92"),
        # https://platform.claude.com/docs/en/about-claude/pricing: 10 a thousand
        ("anthropic/claude-sonnet-5", (("web_search", 2),), "0.02"),
        # https://ai.google.dev/gemini-api/docs/google-search: 14 a thousand queries from
        # Gemini 3 on, before it 35 a thousand prompts, of however many queries
        ("google/gemini-3.8-flash", (("web_search", 1),), "0.014"),
        ("google/gemini-3.8-flash", (("web_search", 3),), "0.042"),
        ("google/gemini-2.5-flash", (("web_search", 1),), "0.035"),
        ("google/gemini-2.5-flash", (("web_search", 3),), "0.035"),
        ("google/gemini-2.5-flash", (("web_search", 0),), "0"),
        ("vertex/gemini-2.5-pro", (("web_search", 3),), "0.035"),
        # https://docs.x.ai/developers/pricing: 5 a thousand; collections 2.50, attached files 10
        ("xai/grok-4.7", (("web_search", 9), ("tool:code_interpreter", 1)), "0.05"),
        ("xai/grok-4.7", (("file_search", 3),), "0.0075"),
        ("xai/grok-4.7", (("file_search:attached", 3),), "0.03"),
    ],
)
def test_what_is_billed_by_the_piece(name, fees, expected) -> None:
    assert expected == dollars(name, Usage(fees=fees))


@pytest.mark.parametrize(
    ("name", "fees", "expected"),
    [
        ("perplexity/sonar", (("request:low", 1),), "0.0065"),
        ("perplexity/sonar", (("request:medium", 1),), "0.0095"),
        ("perplexity/sonar", (("request:high", 1),), "0.0135"),
        ("perplexity/sonar", (), "0.0135"),  # each request has one, of whatever size
        ("perplexity/sonar-pro", (("request:low", 1),), "0.0165"),
        (
            "perplexity/sonar-deep-research",
            (("web_search", 30), ("citation", 20_000)),
            "0.196",
        ),
    ],
)
def test_a_search_is_billed_by_its_size(name, fees, expected) -> None:
    """1,000 tokens in and 500 out, https://docs.perplexity.ai/getting-started/pricing."""
    usage = Usage(input_tokens=1_000, output_tokens=500, fees=fees)

    assert expected == dollars(name, usage)


def test_reasoning_that_is_priced_apart() -> None:
    """Deep Research: 3 for what it thinks, 8 for what it writes."""
    usage = Usage(output_tokens=1_000, reasoning_tokens=50_000)

    assert "0.158" == dollars("perplexity/sonar-deep-research", usage)


FLASH = [  # https://api-docs.deepseek.com/quick_start/pricing; 2026-11-27 is a Friday
    ("2026-11-27T00:59:59.999Z", "0.15"),
    ("2026-11-27T01:00:00Z", "0.3"),
    ("2026-11-27T03:59:59.999Z", "0.3"),
    ("2026-11-27T04:00:00Z", "0.15"),
    ("2026-11-27T05:59:59.999Z", "0.15"),
    ("2026-11-27T06:00:00Z", "0.3"),
    ("2026-11-27T09:59:59.999Z", "0.3"),
    ("2026-11-27T10:00:00Z", "0.15"),
    ("2026-11-28T02:00:00Z", "0.15"),  # Saturday
    ("2026-11-29T07:00:00Z", "0.15"),
    ("2026-11-30T02:00:00Z", "0.3"),
]
NIGHTS = [  # half price from 16:30 to 00:30, every day
    ("2025-05-01T16:29:59.999Z", "0.27"),
    ("2025-05-01T16:30:00Z", "0.135"),
    ("2025-05-02T00:29:59.999Z", "0.135"),
    ("2025-05-02T00:30:00Z", "0.27"),
    ("2025-05-04T20:00:00Z", "0.135"),  # Sunday
    ("2025-05-05T00:00:00Z", "0.135"),  # … into Monday
]


@pytest.mark.parametrize(
    ("model", "completed", "expected"),
    [("deepseek-flash", *case) for case in FLASH] + [("deepseek-chat", *case) for case in NIGHTS],
)
def test_the_hour_of_the_answer_decides(model, completed, expected) -> None:
    began = "2026-11-26T12:00:00Z" if model == "deepseek-flash" else "2025-05-01T12:00:00Z"

    assert expected == dollars(f"deepseek/{model}", MILLION, began, completed=completed)


@pytest.mark.parametrize(
    ("at", "completed", "expected"),
    [
        ("2026-09-10T03:59:59.999Z", "2026-09-10T04:00:01Z", "0.22"),
        ("2026-09-10T04:00:00Z", "2026-09-10T04:00:01Z", "0.15"),
        ("2026-09-10T03:59:00Z", "2026-09-10T03:59:59Z", "0.44"),
    ],
)
def test_the_price_is_of_the_beginning_and_its_hours_of_the_end(at, completed, expected) -> None:
    assert expected == dollars("deepseek/deepseek-v4-flash", MILLION, at, completed=completed)


@pytest.mark.parametrize(
    ("name", "before", "instant", "after"),
    [
        # https://api-docs.deepseek.com/quick_start/pricing and /news
        ("deepseek/deepseek-chat", "0.14", "2025-02-08T16:00:00Z", "0.27"),
        ("deepseek/deepseek-chat", "0.27", "2025-02-26T16:30:00Z", "0.135"),
        ("deepseek/deepseek-reasoner", "0.55", "2025-02-26T16:30:00Z", "0.135"),
        ("deepseek/deepseek-chat", "0.56", "2025-09-29T10:00:00Z", "0.28"),
        ("deepseek/deepseek-v4-flash", "0.14", "2026-08-16T16:00:00Z", "0.22"),
        ("deepseek/deepseek-v4-pro", "0.435", "2026-08-16T16:00:00Z", "0.66"),
        # https://openai.com/api/pricing/
        ("openai/gpt-4o", "5", "2024-08-06T00:00:00Z", "2.5"),
        ("openai/o1-mini", "3", "2025-01-31T00:00:00Z", "1.1"),
        ("openai/o3", "10", "2025-06-10T00:00:00Z", "2"),
        ("azure/o3", "10", "2025-06-10T00:00:00Z", "2"),
        # https://www.anthropic.com/news/trainium2-and-distillation
        ("anthropic/claude-3-5-haiku-20241022", "1", "2024-12-03T00:00:00Z", "0.8"),
        # https://developers.googleblog.com/en/updated-gemini-models-reduced-15-pro-pricing-…
        ("google/gemini-1.5-pro-002", "7", "2024-10-01T00:00:00Z", "2.5"),
        # https://mistral.ai/pricing
        ("mistral/mistral-medium-latest", "0.4", "2026-06-16T00:00:00Z", "1.5"),
        # https://docs.x.ai/docs/migration/may-15-retirement: 12:00 in San Francisco
        ("xai/grok-4-0709", "3", "2026-05-15T19:00:00Z", "2.5"),
        ("xai/grok-4-1-fast-reasoning", "0.2", "2026-05-15T19:00:00Z", "2.5"),
    ],
)
def test_a_price_holds_until_the_instant_of_the_next(name, before, instant, after) -> None:
    """A million tokens of input, a millisecond apart."""
    last = datetime.fromtimestamp((ms(instant) - 1) / 1_000).astimezone().isoformat()

    assert [before, after] == [dollars(name, MILLION, at) for at in (last, instant)]


def test_an_announced_price_bills_nobody() -> None:
    """Gemini 4 Argon is to cost twice as much from 2026-12-01; a person confirms that first."""
    card = BOOK.find("google", "gemini-4-argon").card
    assert card is not None
    assert [True, False] == [price.confirmed for price in card.prices]

    for at in ("2026-11-30T23:59:59.999Z", "2026-12-01T00:00:00Z"):
        assert "2" == dollars("google/gemini-4-argon", MILLION, at)


@pytest.mark.parametrize(
    ("name", "scope", "expected"),
    [
        # https://developers.openai.com/api/docs/guides/data-residency: a tenth more
        ("openai/gpt-5.4-mini", None, "0.075"),
        ("openai/gpt-5.4-mini", "regional", "0.0825"),
        ("openai/gpt-5.4-mini", "eu", "0.0825"),  # … whether the place is named or not
        ("openai/gpt-6-rosalind", "us", "1.65"),
        ("openai/gpt-6-rosalind", "regional", "1.65"),
        ("openai/gpt-4o", "regional", "0.25"),  # not for models before 2026-03-05
        # https://platform.claude.com/docs/en/build-with-claude/data-residency
        ("anthropic/claude-opus-5", "us", "0.55"),
        # https://azure.microsoft.com/en-us/pricing/details/azure-openai/: data zones
        ("azure/gpt-5.4-mini", None, "0.075"),
        ("azure/gpt-5.4-mini", "eu", "0.0825"),
        ("azure/gpt-5.4-mini", "us", "0.0825"),
        # https://aws.amazon.com/bedrock/pricing/
        ("bedrock/global.anthropic.claude-opus-5", None, "0.5"),
        ("bedrock/us.anthropic.claude-opus-5", None, "0.55"),
        ("bedrock/anthropic.claude-opus-5", None, "0.55"),
        ("bedrock/us-gov.anthropic.claude-opus-5", None, "0.6"),
        ("bedrock/amazon.nova-lite-v1:0", None, "0.006"),
        ("bedrock/us.amazon.nova-lite-v1:0", None, "0.006"),
        ("bedrock/eu.amazon.nova-lite-v1:0", None, "0.0078"),
        # https://cloud.google.com/vertex-ai/generative-ai/pricing
        ("vertex/claude-opus-5@default", None, "0.5"),
        ("vertex/claude-opus-5@default", "regional", "0.55"),
        ("vertex/gemini-2.5-pro", "regional", "0.125"),
        # What says nothing of places is the same everywhere.
        ("mistral/mistral-large-2512", "eu", "0.05"),
        ("groq/llama-3.3-70b-versatile", "moon", "0.059"),
    ],
)
def test_where_a_call_is_served(name, scope, expected) -> None:
    assert expected == dollars(name, Usage(input_tokens=100_000), scope=scope)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # https://developers.openai.com/api/docs/pricing
        ("openai/gpt-4.1-mini-2025-04-14", "0.4"),
        ("openai/ft:gpt-4.1-mini-2025-04-14:acme::abc", "0.8"),
        ("openai/gpt-4o-mini-2024-07-18", "0.15"),
        ("openai/ft:gpt-4o-mini-2024-07-18:acme:v2:abc", "0.3"),
    ],
)
def test_a_fine_tune_has_a_price_of_its_own(name, expected) -> None:
    assert expected == dollars(name, MILLION)


@pytest.mark.parametrize(
    ("name", "tokens", "expected"),
    [
        ("openai/text-embedding-3-large", 8_191, "0.00106483"),
        ("openai/text-embedding-3-small", 8_191, "0.00016382"),
        ("cohere/embed-v4.0", 1_000_000, "0.12"),
        ("voyage/voyage-4-large", 1_000_000, "0.12"),
        ("bedrock/amazon.titan-embed-text-v2:0", 1_000_000, "0.02"),
        ("google/gemini-embedding-001", 1_000_000, "0.15"),
        ("mistral/mistral-embed", 1_000_000, "0.1"),
    ],
)
def test_embeddings_cost_what_they_read(name, tokens, expected) -> None:
    assert expected == dollars(name, Usage(input_tokens=tokens))


def test_moderation_is_free_because_the_provider_says_so() -> None:
    assert "0" == dollars("openai/omni-moderation-latest", MILLION)


@pytest.mark.parametrize(
    ("name", "usage", "expected"),
    [
        # https://www.together.ai/models/qwen3-235b-a22b-instruct-2507-fp8: 0.20 and 0.60
        ("together/Qwen/Qwen3-235B-A22B-Instruct-2507-tput", Usage(output_tokens=1_000_000), "0.6"),
        ("together/Qwen/Qwen3-235B-A22B-Instruct-2507-tput", MILLION, "0.2"),
        # https://docs.x.ai/developers/pricing: 2, from 200,000 on 4; the alias is the model
        ("xai/grok-4.7-latest", Usage(input_tokens=199_999), "0.399998"),
        ("xai/grok-4.7-latest", Usage(input_tokens=200_000), "0.8"),
        ("xai/grok-4.7", Usage(input_tokens=200_000), "0.8"),
        # https://azure.microsoft.com/en-us/pricing/details/azure-openai/, by both spellings
        ("azure/gpt-3.5-turbo-instruct-0914", MILLION, "1.65"),
        ("azure/gpt-35-turbo-instruct", MILLION, "1.65"),
        ("azure/azure/gpt-35-turbo-instruct-0914", MILLION, "1.65"),
        # https://developers.openai.com/api/docs/models/sora-2: 0.10 a second
        ("openai/sora-2", Usage(fees=(("second", 8),)), "0.8"),
    ],
)
def test_names_that_lists_have_wrong(name, usage, expected) -> None:
    """An alias with another price than its model, a prefix taken for a name, a slip of ten."""
    assert expected == dollars(name, usage)


def test_no_provider_sells_what_is_anothers_by_its_name() -> None:
    """``azure/…`` among OpenAI's models is a list's mistake, and bills nobody."""
    assert [] == [
        card.model
        for card in BOOK.models("openai")
        if any(name.startswith("azure/") for name in card.match)
    ]


@pytest.mark.parametrize(
    ("name", "scope", "expected"),
    [
        # https://aws.amazon.com/bedrock/pricing/: any region is 10 % above everywhere
        ("bedrock/anthropic.claude-sonnet-4-5-20250929-v1:0", "us-east-1", "0.33"),
        ("bedrock/anthropic.claude-sonnet-4-5-20250929-v1:0", "US-EAST-1", "0.33"),
        ("bedrock/anthropic.claude-sonnet-4-5-20250929-v1:0", "global", "0.3"),
        # https://azure.microsoft.com/en-us/pricing/details/azure-openai/: a data zone is dearer
        ("azure/gpt-6-astra", "us", "1.1"),
        ("azure/gpt-6-astra", "US", "1.1"),
        ("azure/gpt-6-astra", "eu", "1.2"),
        ("azure/gpt-6-astra-2026-09-03", "eu", "1.2"),
        ("azure/gpt-6-astra", None, "1"),
    ],
)
def test_a_place_in_any_spelling(name, scope, expected) -> None:
    assert expected == dollars(name, Usage(input_tokens=100_000), scope=scope)


@pytest.mark.parametrize(
    ("name", "scope"),
    [
        ("azure/gpt-6-astra", "regional"),
        ("azure/gpt-6-astra", "data_zone"),
        ("azure/gpt-6-astra", "eastus2"),
        ("anthropic/claude-opus-5", "eu"),
        ("bedrock/amazon.nova-2-lite-v1:0", "us-gov-west-1"),
        # Their rates are those of one kind of place, and no page at hand has the others'.
        ("azure/gpt-4-turbo", "us"),
        ("azure/gpt-4-turbo", "regional"),
        ("azure/claude-opus-5", "eu"),
        ("azure/text-embedding-3-small", "eu"),
        ("azure/text-embedding-3-small", "regional"),  # Canada's is not the one of the US
        ("bedrock/mistral.mistral-large-3-675b-instruct", "us-gov-west-1"),
        ("bedrock/amazon.titan-embed-text-v2:0", "us-gov"),
        ("vertex/gemini-3-pro-preview", "regional"),
        ("vertex/claude-fable-5-2", "eu"),  # a multi-region: which of the two it is, nobody says
    ],
)
def test_a_place_without_a_price_is_not_guessed(name, scope) -> None:
    with pytest.raises(UnpricedComponent, match=f"has no rate for scope:{scope}"):
        bill(name, Usage(input_tokens=100_000), scope=scope)
