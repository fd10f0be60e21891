"""A name leads to its card by exact rules, each recorded, or to none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.book import FOUND_CACHE_MAX, PriceBook
from pricing.entry import parse_card
from pricing.names import OwnNames, Target, resolve


def card(provider, model, *names, **fields):
    return parse_card(
        {"provider": provider, "model": model, "match": list(names), "free": True, **fields}
    )


CARDS = [
    card("openai", "gpt-4o", "gpt-4o-2024-08-06"),
    card("openai", "gpt-4o-mini", "gpt-4o-mini-2024-07-18"),
    card("openai", "ft:gpt-4o-mini-2024-07-18"),
    card("openai", "gpt-6-sol", date_suffix=True),
    card("groq", "openai/gpt-oss-120b"),
    card("google", "gemini-2.5-pro"),
    card("anthropic", "claude-sonnet-4-0", "claude-sonnet-4-20250514"),
    card("vertex", "claude-opus-4", "claude-opus-4@20250514"),
    card("bedrock", "anthropic.claude-haiku-4-5-20251001-v1:0"),
    card("azure", "gpt-4o"),
    card("vertex", "gemini-3-pro"),
    card("fireworks", "accounts/fireworks/models/kimi-k3"),
    card("together", "moonshotai/Kimi-K3"),
]
INDEX = {(each.provider, name): each for each in CARDS for name in each.match}
HAIKU = "anthropic.claude-haiku-4-5-20251001-v1:0"


@pytest.mark.parametrize(
    ("provider", "name", "model", "steps"),
    [
        ("openai", "gpt-4o", "gpt-4o", ("exact gpt-4o",)),
        ("openai", "gpt-4o-2024-08-06", "gpt-4o", ("exact gpt-4o-2024-08-06",)),
        ("openai", "openai/gpt-4o", "gpt-4o", ("prefix openai/ dropped", "exact gpt-4o")),
        ("groq", "openai/gpt-oss-120b", "openai/gpt-oss-120b", ("exact openai/gpt-oss-120b",)),
        (
            "groq",
            "groq/openai/gpt-oss-120b",
            "openai/gpt-oss-120b",
            ("prefix groq/ dropped", "exact openai/gpt-oss-120b"),
        ),
        (
            "gemini",
            "models/gemini-2.5-pro",
            "gemini-2.5-pro",
            ("alias provider gemini=google", "prefix models/ dropped", "exact gemini-2.5-pro"),
        ),
        (
            "aistudio",
            "gemini/gemini-2.5-pro",
            "gemini-2.5-pro",
            ("alias provider aistudio=google", "prefix gemini/ dropped", "exact gemini-2.5-pro"),
        ),
        ("azure-openai", "gpt-4o", "gpt-4o", ("alias provider azure-openai=azure", "exact gpt-4o")),
        ("openai", "gpt-4o-20240806", "gpt-4o", ("date form gpt-4o-2024-08-06",)),
        (
            "anthropic",
            "claude-sonnet-4@20250514",
            "claude-sonnet-4-0",
            ("date form claude-sonnet-4-20250514",),
        ),
        (
            "vertex",
            "claude-opus-4-20250514",
            "claude-opus-4",
            ("date form claude-opus-4@20250514",),
        ),
        (
            "openai",
            "gpt-6-sol-2026-09-30",
            "gpt-6-sol",
            ("date suffix 2026-09-30 dropped", "exact gpt-6-sol"),
        ),
        (
            "bedrock",
            f"us.{HAIKU}",
            HAIKU,
            ("region prefix us. dropped", f"exact {HAIKU}"),
        ),
        (
            "amazon-bedrock",
            f"arn:aws:bedrock:eu-west-1:1:inference-profile/global.{HAIKU}",
            HAIKU,
            (
                "alias provider amazon-bedrock=bedrock",
                f"ARN tail global.{HAIKU}",
                "region prefix global. dropped",
                f"exact {HAIKU}",
            ),
        ),
        (
            "vertex",
            "google/gemini-3-pro",
            "gemini-3-pro",
            ("prefix google/ dropped", "exact gemini-3-pro"),
        ),
        (
            "fireworks",
            "fireworks/accounts/fireworks/models/kimi-k3",
            "accounts/fireworks/models/kimi-k3",
            ("prefix fireworks/ dropped", "exact accounts/fireworks/models/kimi-k3"),
        ),
        (
            "together",
            "together_ai/moonshotai/Kimi-K3",
            "moonshotai/Kimi-K3",
            ("prefix together_ai/ dropped", "exact moonshotai/Kimi-K3"),
        ),
        (
            "openai",
            "ft:gpt-4o-mini-2024-07-18:acme::abc123",
            "ft:gpt-4o-mini-2024-07-18",
            ("fine-tune ft:gpt-4o-mini-2024-07-18", "exact ft:gpt-4o-mini-2024-07-18"),
        ),
    ],
)
def test_a_known_name_and_the_steps_to_it(provider, name, model, steps) -> None:
    found = resolve(INDEX, provider, name)

    assert model == (found.card and found.card.model)
    assert steps == found.steps


@pytest.mark.parametrize(
    ("provider", "name"),
    [
        ("openai", "gpt-4"),  # no prefix of a known name
        ("openai", "gpt-4o-turbo"),  # nor the other way round
        ("openai", "GPT-4o"),
        ("openai", "gpt-4o "),
        ("openai", ""),
        ("openai", "azure/gpt-4o"),  # another provider's prefix
        ("openai", "openai/openai/gpt-4o"),
        ("openai", "models/gpt-4o"),
        ("openai", "gpt-4o-2026-01-01"),  # a date the card does not know
        ("openai", "gpt-6-sol-2026-02-30"),  # not a day
        ("openai", "gpt-6-sol-0930"),
        ("openai", "gpt-6-sol-2026-0930"),
        ("openai", "ft:gpt-4o:acme::x"),  # a base's card is not its fine-tune's
        ("openai", "ft:gpt-4o-2024-08-06:acme::x"),
        ("openai", "ft:gpt-6-sol-2026-09-30:acme::x"),
        ("openai", "ft:"),
        ("groq", "gpt-4o"),  # no borrowing
        ("vertex", "gemini-2.5-pro"),
        ("openai", f"us.{HAIKU}"),
        ("bedrock", f"mars.{HAIKU}"),
        ("bedrock", f"us.eu.{HAIKU}"),  # one prefix is taken off, not every one
        ("google", "google/google/gemini-2.5-pro"),
        ("fireworks", "kimi-k3"),
        ("together", "moonshotai/kimi-k3"),  # spelled otherwise
        ("nobody", "gpt-4o"),
        ("openai", "x" * 100_000),
        ("openai", "gpt-4o\x00"),
    ],
)
def test_an_unknown_name_stays_unknown(provider, name) -> None:
    found = resolve(INDEX, provider, name)

    assert found.card is None
    assert found.steps[-1].startswith("unknown")


@pytest.mark.parametrize(
    ("name", "scope"),
    [
        (HAIKU, "regional"),  # in the region that it is sent to
        (f"us.{HAIKU}", "regional"),
        (f"in.{HAIKU}", "regional"),
        (f"us-gov.{HAIKU}", "us-gov"),
        (f"global.{HAIKU}", "global"),
        (f"arn:aws:bedrock:eu-west-1::foundation-model/{HAIKU}", "regional"),
        (f"arn:aws:bedrock:eu-west-1:1:inference-profile/global.{HAIKU}", "global"),
    ],
)
def test_a_bedrock_name_says_where_it_is_served(name, scope) -> None:
    found = resolve(INDEX, "bedrock", name)

    assert (HAIKU, scope) == (found.card and found.card.model, found.scope)


def test_other_names_do_not_say_where_they_are_served() -> None:
    assert resolve(INDEX, "openai", "gpt-4o").scope is None


def test_a_region_with_a_price_of_its_own_is_found_by_its_own_name() -> None:
    """Before its prefix is taken off, since exact names come first."""
    own = card("bedrock", f"eu.{HAIKU}")
    index = {**INDEX, ("bedrock", own.model): own}

    assert own is resolve(index, "bedrock", f"eu.{HAIKU}").card
    assert own is not resolve(index, "bedrock", f"us.{HAIKU}").card


@given(st.text(max_size=60))
def test_no_text_whatever_breaks_the_resolver(name) -> None:
    found = resolve(INDEX, "openai", name)

    assert found.steps


def test_invented_names_do_not_fill_the_memory() -> None:
    book = PriceBook(CARDS, "v")

    for number in range(FOUND_CACHE_MAX + 100):
        book.find("openai", f"invented-{number}")

    assert FOUND_CACHE_MAX == len(book._found)
    assert book.find("openai", "gpt-4o").card is CARDS[0]


OWN = OwnNames(
    aliases={
        "fast": Target(None, "gpt-4o-mini"),
        "gpt-4o": Target("azure", "gpt-4o"),
        "haiku": Target("bedrock", f"us.{HAIKU}"),
        "lost": Target("openai", "gpt-99"),
    },
    deployments={
        ("azure", "prod"): Target("azure", "gpt-4o"),
        ("local", "llama"): Target("together", "moonshotai/Kimi-K3"),
        ("azure", "mini"): Target(None, "gpt-4o"),
    },
)


@pytest.mark.parametrize(
    ("provider", "name", "found", "steps"),
    [
        ("openai", "fast", "openai/gpt-4o-mini", ("models fast=gpt-4o-mini", "exact gpt-4o-mini")),
        ("azure", "gpt-4o", "azure/gpt-4o", ("models gpt-4o=azure/gpt-4o", "exact gpt-4o")),
        ("azure", "prod", "azure/gpt-4o", ("models prod=azure/gpt-4o", "exact gpt-4o")),
        ("azure", "mini", "azure/gpt-4o", ("models mini=gpt-4o", "exact gpt-4o")),
        (
            "azure-openai",
            "prod",
            "azure/gpt-4o",
            ("alias provider azure-openai=azure", "models prod=azure/gpt-4o", "exact gpt-4o"),
        ),
        (
            "local",
            "llama",
            "together/moonshotai/Kimi-K3",
            ("models llama=together/moonshotai/Kimi-K3", "exact moonshotai/Kimi-K3"),
        ),
        (
            "bedrock",
            "haiku",
            f"bedrock/{HAIKU}",
            (f"models haiku=bedrock/us.{HAIKU}", "region prefix us. dropped", f"exact {HAIKU}"),
        ),
    ],
)
def test_an_operators_own_name_goes_before_all_others(provider, name, found, steps) -> None:
    """The name that it stands for takes the same steps as if it had been asked for itself."""
    answer = resolve(INDEX, provider, name, OWN)

    assert answer.card is not None
    assert found == f"{answer.card.provider}/{answer.card.model}"
    assert found.partition("/")[0] == answer.provider
    assert steps == answer.steps
    assert ("regional" if name == "haiku" else None) == answer.scope


@pytest.mark.parametrize(
    ("provider", "name", "steps"),
    [
        # Another provider's name is borrowed for nobody.
        ("groq", "haiku", ("unknown",)),
        ("openai", "prod", ("unknown",)),
        ("openai", "lost", ("models lost=openai/gpt-99", "unknown")),
        # A card that is there does not come before the name that was given.
        ("groq", "fast", ("models fast=gpt-4o-mini", "unknown")),
        ("openai", "Fast", ("unknown",)),
        ("openai", "openai/fast", ("prefix openai/ dropped", "unknown")),
    ],
)
def test_an_own_name_that_leads_nowhere_is_unknown(provider, name, steps) -> None:
    answer = resolve(INDEX, provider, name, OWN)

    assert (None, steps) == (answer.card, answer.steps)


def test_what_was_sent_is_no_alias() -> None:
    """Who asks ``openai/gpt-4o`` is served OpenAI's, whatever ``gpt-4o`` alone stands for."""
    asked = PriceBook(CARDS, "").named(OWN)

    assert "azure" == asked.find("azure", "prod", sent=True).provider
    for name in ("fast", "haiku", "lost"):
        assert asked.find("openai", name, sent=True).card is None
    card_sent = asked.find("openai", "gpt-4o", sent=True).card
    assert card_sent is not None
    assert "openai" == card_sent.provider


def test_names_are_not_followed_twice() -> None:
    """So that no two of them can lead in a circle."""
    circle = OwnNames(aliases={"a": Target(None, "b"), "b": Target(None, "a")})

    assert ("models a=b", "unknown") == resolve(INDEX, "openai", "a", circle).steps


def test_a_book_keeps_its_names_when_prices_are_laid_over_it() -> None:
    named = PriceBook(CARDS, "").named(OWN)
    entry = {"provider": "openai", "model": "gpt-4o-mini", "base": {"input": "7"}}

    found = named.overlaid([entry]).find("openai", "fast").card

    assert found is not None
    assert 7_000_000_000 == found.prices[0].base.input
    assert PriceBook(CARDS, "").find("openai", "fast").card is None
