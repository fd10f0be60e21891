"""The names under ``models:``: which are deployments, which aliases, whose price each has."""

import pytest

from gateway.config import Config, aliases, own_names, parsed, price_book
from pricing.names import OwnNames, Target

ARN = "arn:aws:bedrock:us-east-1:1:application-inference-profile/x1"
HAIKU = "anthropic.claude-haiku-4-5-20251001-v1:0"


def config(models: dict[str, str], **listed: list[str]) -> Config:
    """Upstreams ``openai``, ``azure-eu`` (Azure) and ``aws`` (Bedrock), with these `models`."""
    accounts = {"openai": "openai", "azure_eu": "azure-openai", "aws": "bedrock"}
    return parsed(
        {
            "upstreams": [
                {
                    "name": name.replace("_", "-"),
                    "provider": provider,
                    "base_url": "http://x/v1",
                    "api_key": "none",
                    "models": listed.get(name, ["*"]),
                }
                for name, provider in accounts.items()
            ],
            "apps": [{"id": "a", "token": "t"}],
            "models": models,
        },
        origin="test",
    )


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("gpt-4o-mini", Target(None, "gpt-4o-mini")),
        ("openai/gpt-4o-mini", Target("openai", "gpt-4o-mini")),
        ("azure-eu/gpt-4o", Target("azure", "gpt-4o")),  # an upstream's name
        ("azure/gpt-4o", Target("azure", "gpt-4o")),
        ("azure-openai/gpt-4o", Target("azure", "gpt-4o")),
        ("gemini/gemini-2.5-pro", Target("google", "gemini-2.5-pro")),
        ("groq/openai/gpt-oss-20b", Target("groq", "openai/gpt-oss-20b")),
        ("meta-llama/Llama-3", Target(None, "meta-llama/Llama-3")),  # no provider: a name
    ],
)
def test_a_target_names_its_provider_or_leaves_it_open(target, expected) -> None:
    given = config({"fast": target})

    assert OwnNames(aliases={"fast": expected}) == price_book(given).own_names


@pytest.mark.parametrize(
    ("listed", "is_deployment"),
    [
        (["prod"], True),
        (["gpt-*", "prod"], True),
        (["*"], False),
        (["pro*"], False),
        (["PROD"], False),
    ],
)
def test_only_a_name_that_an_upstream_lists_is_its_deployment(listed, is_deployment) -> None:
    """A pattern says nothing: ``*`` would make deployments of all aliases."""
    given = config({"prod": "azure/gpt-4o"}, azure_eu=listed)
    found = price_book(given).own_names

    assert is_deployment == (("azure", "prod") in found.deployments)
    assert is_deployment != ("prod" in found.aliases)
    assert is_deployment != ("prod" in aliases(given))


def test_a_deployment_is_one_where_it_is_listed_and_nowhere_else() -> None:
    """And found by every name of that provider."""
    given = config({"prod": "gpt-4o", ARN: f"bedrock/us.{HAIKU}"}, azure_eu=["prod"], aws=[ARN])
    book = price_book(given)

    assert {("azure", "prod"), ("bedrock", ARN)} == set(book.own_names.deployments)
    assert {} == dict(aliases(given))
    for provider in ("azure", "azure-openai"):
        card = book.find(provider, "prod", sent=True).card
        assert card is not None
        assert ("azure", "gpt-4o") == (card.provider, card.model)
    assert book.find("openai", "prod").card is None
    found = book.find("bedrock", ARN, sent=True)
    assert found.card is not None
    assert "regional" == found.scope


def test_without_names_the_book_is_the_shipped_one() -> None:
    given = config({})

    assert OwnNames() == own_names(given, price_book(given))
