"""The shipped book: complete, current, quick to load, and overlaid by the configuration."""

import hashlib
import socket

import pytest

from pricing.book import BOOK_PATH, PriceBook
from pricing.cost import cost
from pricing.lint import lint
from pricing.money import usd
from pricing.usage import Usage

NOW_MS = 1_795_867_200_000  # 2026-11-28T12:00:00Z
BOOK = PriceBook.load()
LLAMA = {"provider": "local", "model": "llama3", "free": True}


def price(provider, model, at_ms=NOW_MS):
    card = BOOK.find(provider, model).card
    assert card is not None
    found = card.price_at(at_ms)
    assert found is not None
    return found


def test_the_shipped_book_is_clean() -> None:
    assert [] == [str(finding) for finding in lint(BOOK.cards())]


def test_every_shipped_card_has_a_price_today() -> None:
    assert [] == [card.model for card in BOOK.cards() if card.price_at(NOW_MS) is None]


def test_every_shipped_card_that_reads_or_writes_text_states_its_limits() -> None:
    """Without them a call cannot be held for. Pictures and speech have limits of other kinds."""
    unbounded = []
    for card in BOOK.cards():
        rates = card.prices[-1].base
        media = rates.image_out is not None or rates.audio_out is not None
        if not rates.published() or card.prices[-1].free or media:
            continue
        if card.context_tokens is None or card.output_max_tokens is None:
            unbounded.append(f"{card.provider}/{card.model}")

    assert [] == unbounded


@pytest.mark.parametrize(
    ("provider", "cards_min"),
    [
        ("openai", 110),
        ("azure", 250),
        ("anthropic", 30),
        ("google", 70),
        ("vertex", 160),
        ("bedrock", 180),
        ("mistral", 80),
        ("groq", 35),
        ("deepseek", 6),
        ("xai", 60),
        ("cohere", 25),
        ("together", 90),
        ("fireworks", 280),
        ("perplexity", 60),
        ("voyage", 25),
    ],
)
def test_the_book_covers_each_provider(provider, cards_min) -> None:
    assert cards_min <= len(BOOK.models(provider))


@pytest.mark.parametrize(
    ("provider", "models"),
    [
        (
            "openai",
            "gpt-6.1-sol gpt-4o o3 text-embedding-3-large gpt-4o-transcribe tts-1 whisper-1",
        ),
        ("openai", "gpt-image-2.5-sunburst gpt-realtime-2 omni-moderation-latest gpt-audio"),
        ("azure", "gpt-6-sol gpt-5.4-2026-03-05 text-embedding-3-small whisper gpt-image-2"),
        ("anthropic", "claude-fable-5-2 claude-sonnet-4-5-20250929 claude-haiku-5-5"),
        ("google", "gemini-4-argon gemini-2.5-pro gemini-embedding-2 gemini-3-pro-image"),
        ("vertex", "gemini-2.5-pro claude-opus-5@default meta/llama-3.3-70b-instruct-maas"),
        ("bedrock", "amazon.nova-pro-v1:0 cohere.rerank-v3-5:0 amazon.titan-embed-text-v2:0"),
        ("mistral", "mistral-large-4 codestral-embed mistral-ocr-4-1 voxtral-mini-latest"),
        ("groq", "openai/gpt-oss-120b whisper-large-v3 llama-3.3-70b-versatile"),
        ("deepseek", "deepseek-flash deepseek-v4-pro deepseek-chat deepseek-reasoner"),
        ("xai", "grok-4.7 grok-4-0709 grok-imagine-image-2.0"),
        ("cohere", "command-a-03-2025 embed-v4.0 rerank-v5.0-pro"),
        ("together", "moonshotai/Kimi-K2.6 meta-llama/Llama-3.3-70B-Instruct-Turbo"),
        ("fireworks", "accounts/fireworks/models/glm-5p2 glm-5p2"),
        ("perplexity", "sonar-pro sonar-deep-research anthropic/claude-opus-5"),
        ("voyage", "voyage-4-large rerank-3"),
    ],
)
def test_models_of_every_kind_are_found(provider, models) -> None:
    unknown = [name for name in models.split() if BOOK.find(provider, name).card is None]

    assert [] == unknown


@pytest.mark.parametrize("provider", ["azure", "bedrock", "vertex"])
def test_where_the_place_decides_each_price_says_what_it_is_for(provider) -> None:
    """Else the engine would take what nobody knows for "the same everywhere"."""
    silent = {
        price.id
        for card in BOOK.models(provider)
        for price in card.prices
        if not (price.free or price.factors)
    }
    assert not silent


def test_every_shipped_price_id_is_used_once() -> None:
    ids = [each.id for card in BOOK.cards() for each in card.prices]

    assert len(set(ids)) == len(ids)


def test_r45_the_book_needs_no_network(monkeypatch) -> None:
    """Nothing is fetched, at start or later: two gateways of a version bill alike."""

    def refused(*_: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refused)
    monkeypatch.setattr(socket, "getaddrinfo", refused)

    assert PriceBook.load().find("openai", "gpt-4o-mini").card is not None


def test_the_version_is_the_content() -> None:
    assert hashlib.sha256(BOOK_PATH.read_bytes()).hexdigest() == BOOK.version


def test_a_card_is_made_when_it_is_asked_for() -> None:
    """Which is what makes loading quick (see benchmarks/pricing.py), and the same one each time."""
    book = PriceBook.load()
    key = ("openai", "gpt-4o-mini")

    assert book._places[key]._card is None
    assert book.find(*key).card is book.find("openai", "gpt-4o-mini-2024-07-18").card is not None
    assert book._places["openai", "gpt-4o"]._card is None


def test_a_price_is_found_by_its_id() -> None:
    found = BOOK.price("openai/gpt-4o-mini@2024-07-18")

    assert found is price("openai", "gpt-4o-mini")
    assert BOOK.price("openai/gpt-4o-mini@1999-01-01") is None
    overlaid = BOOK.overlaid([LLAMA])
    assert "local/llama3@0" == getattr(overlaid.price("local/llama3@0"), "id", None)
    assert found is overlaid.price("openai/gpt-4o-mini@2024-07-18")


@pytest.mark.parametrize(
    ("provider", "model", "input_tokens", "output_tokens", "dollars"),
    [
        ("openai", "gpt-4o-mini", 1_000_000, 1_000_000, "0.75"),
        ("openai", "gpt-5.4", 272_000, 0, "0.68"),
        ("openai", "gpt-5.4", 272_001, 0, "1.360005"),
        ("openai", "gpt-6-sol-2026-10-01", 1_000, 1_000, "0.012"),
        ("anthropic", "claude-sonnet-4-5", 200_000, 0, "0.6"),
        ("anthropic", "claude-sonnet-4-5-20250929", 200_001, 0, "1.200006"),
        ("anthropic", "claude-haiku-5-5", 100_000, 1_000, "0.0105"),
        ("anthropic", "claude-haiku-5-5", 100_001, 1_000, "0.0525005"),
        ("google", "gemini-2.5-pro", 200_000, 0, "0.25"),
        ("gemini", "models/gemini-2.5-pro", 200_001, 0, "0.5000025"),
        ("openai", "text-embedding-3-small", 1_000_000, 0, "0.02"),
        ("demo", "demo-small", 1_000, 100, "0.00021"),
        ("demo", "demo-large", 1_000, 100, "0.0035"),
        ("demo", "demo-reasoning", 1_000, 100, "0.00154"),
        ("demo", "demo-embedding", 1_000_000, 0, "0.02"),
    ],
)
def test_current_prices(provider, model, input_tokens, output_tokens, dollars) -> None:
    usage = Usage(input_tokens=input_tokens, output_tokens=output_tokens)

    assert dollars == usd(cost(usage, price(provider, model)).cost_pico)


@pytest.mark.parametrize(
    ("model", "at_ms", "dollars"),
    [
        ("o3", 1_749_513_599_999, "10"),
        ("o3", 1_749_513_600_000, "2"),  # 2025-06-10
        ("gpt-5.6-luna", 1_785_369_599_999, "1"),
        ("gpt-5.6-luna", 1_785_369_600_000, "0.2"),  # 2026-07-30
    ],
)
def test_a_call_is_billed_at_the_price_of_its_day(model, at_ms, dollars) -> None:
    bill = cost(Usage(input_tokens=10**6), price("openai", model, at_ms), service_tier="default")

    tier = 2 if "luna" in model else 1  # a million tokens are above luna's threshold
    assert dollars == usd(bill.cost_pico // tier)


@pytest.mark.parametrize(
    ("service_tier", "dollars"),
    [("default", "1.5"), ("flex", "0.75"), ("batch", "0.75")],
)
def test_the_served_tier_prices_a_long_prompt(service_tier, dollars) -> None:
    """300,000 tokens to gpt-5.4: doubled above 272,000."""
    bill = cost(Usage(input_tokens=300_000), price("openai", "gpt-5.4"), service_tier=service_tier)

    assert dollars == usd(bill.cost_pico)


def test_a_multimodal_bill() -> None:
    usage = Usage(output_tokens=110, audio_out_tokens=482)

    assert "0.03966" == usd(cost(usage, price("openai", "gpt-4o-audio-preview")).cost_pico)


def test_hidden_reasoning_is_known_where_it_exists() -> None:
    def reasons(provider, model):
        card = BOOK.find(provider, model).card
        return card is not None and card.reasoning

    assert reasons("openai", "o3")
    assert reasons("anthropic", "claude-sonnet-4-5")
    assert reasons("demo", "demo-reasoning")
    assert not reasons("openai", "gpt-4o")


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("demo", "demo-unpriced"),
        ("openai", "ft:gpt-4-0613:acme::x"),
        ("openai", "gpt-7"),
        # Systems of several models and tools, whose tools no page at hand prices.
        ("groq", "groq/compound"),
        ("groq", "groq/compound-mini"),
        ("groq", "compound-beta"),
    ],
)
def test_models_without_a_price_are_unknown(provider, model) -> None:
    assert BOOK.find(provider, model).card is None


def test_models_are_listed_by_provider_or_its_alias() -> None:
    assert ["demo-small", "demo-large", "demo-reasoning", "demo-embedding"] == [
        card.model for card in BOOK.models("demo")
    ]
    assert BOOK.models("gemini") == BOOK.models("google") != []
    assert [] == BOOK.models("nobody")


def test_an_overlay_adds_and_wins() -> None:
    own = {"provider": "gemini", "model": "gemini-2.5-pro", "prices": [{"base": {"input": "9"}}]}
    book = BOOK.overlaid([LLAMA, own])
    card = book.find("google", "gemini-2.5-pro").card

    assert card is not None
    assert 9 * 10**9 == card.prices[0].base.input
    assert book.find("local", "llama3").card is not None
    assert [card] == [each for each in book.models("google") if each.model == card.model]
    assert BOOK.find("google", "gemini-2.5-pro").card is not card


def test_an_overlay_takes_only_the_names_it_lists() -> None:
    own = {"provider": "openai", "model": "gpt-4o", "prices": [{"base": {"input": "9"}}]}
    once = BOOK.overlaid([own])

    for book in (once, once.overlaid([LLAMA])):
        card = book.find("openai", "gpt-4o-2024-08-06").card
        assert card is BOOK.find("openai", "gpt-4o-2024-08-06").card is not None


def test_an_overlay_keeps_its_names_under_the_next_one() -> None:
    own = {**LLAMA, "provider": "openai", "model": "gpt-4o", "match": ["gpt-4o-mini"]}
    card = BOOK.overlaid([own]).overlaid([LLAMA]).find("openai", "gpt-4o-mini").card

    assert card is not None
    assert "gpt-4o" == card.model


def test_an_overlay_shows_in_the_version_and_leaves_the_book_alone() -> None:
    book = BOOK.overlaid([LLAMA])

    assert book.version == BOOK.overlaid([dict(reversed(LLAMA.items()))]).version
    assert book.version.startswith(f"{BOOK.version}+")
    assert book.version != BOOK.overlaid([{**LLAMA, "model": "llama4"}]).version
    assert BOOK.find("local", "llama3").card is None
    assert BOOK.overlaid([]) is BOOK


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"provider": "local"}, r"prices\[1\]\.model: is missing"),
        ({**LLAMA, "free": False}, r"prices\[1\] \(local/llama3\)\.prices: is missing"),
        (
            {
                "provider": "local",
                "model": "x",
                "prices": [
                    {"id": "a", "base": {"input": "1"}},
                    {"id": "b", "from": "2026-01-01", "base": {"input": "2"}},
                ],
            },
            r"prices\[1\] \(local/x\): a still holds when b begins: close it with `to`",
        ),
    ],
)
def test_a_wrong_overlay_names_its_entry(entry, message) -> None:
    with pytest.raises(ValueError, match=message):
        BOOK.overlaid([LLAMA, entry])
