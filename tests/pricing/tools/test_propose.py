"""The command: what the book lacks as entries that it can take, and a report beside them."""

import json

import pytest
from ruamel.yaml import YAML

from pricing.card import Fee
from pricing.entry import parse_card
from pricing.lint import lint
from pricing.tools.propose import main

MAP = {
    "gpt-4o-mini": {
        "litellm_provider": "openai",
        "mode": "chat",
        "input_cost_per_token": 9e-06,
        "output_cost_per_token": 9e-06,
    },
    "azure/new-model": {
        "litellm_provider": "azure",
        "mode": "chat",
        "input_cost_per_token": 2e-06,
        "output_cost_per_token": 8e-06,
        "input_cost_per_token_above_200k_tokens": 4e-06,
        "input_cost_per_token_batches": 1e-06,
        "max_input_tokens": 1000,
        "max_output_tokens": 100,
        "source": "https://p.example/a page#x",
    },
    "azure/eu/new-model": {
        "litellm_provider": "azure",
        "mode": "chat",
        "input_cost_per_token": 2.2e-06,
        "output_cost_per_token": 8.8e-06,
    },
    "azure/endless": {
        "litellm_provider": "azure",
        "mode": "chat",
        "input_cost_per_token": 1e-06,
        "output_cost_per_token": 1e-06,
    },
    "groq/openai/hear:it": {
        "litellm_provider": "groq",
        "mode": "audio_transcription",
        "input_cost_per_second": 0.0001,
    },
}
DATA = """
providers: list[Provider] = [
    Provider(
        id='azure',
        models=[
            ModelInfo(
                id='new-model',
                match=ClauseEquals(equals='new-model'),
                prices=[
                    ConditionalPrice(
                        prices=ModelPrice(input_mtok=Decimal('5'), output_mtok=Decimal('9')),
                    ),
                    ConditionalPrice(
                        constraint=StartDateConstraint(start_date=datetime.date(2026, 8, 21)),
                        prices=ModelPrice(input_mtok=Decimal('2'), output_mtok=Decimal('7')),
                    ),
                ],
            )
        ],
    )
]
"""


@pytest.fixture
def out(tmp_path):
    (tmp_path / "litellm-1.2.3.json").write_text(json.dumps(MAP))
    (tmp_path / "genai-4.5.py").write_text(DATA)
    arguments = ["--litellm", "litellm-1.2.3.json", "--genai", "genai-4.5.py", "--out", "out"]
    full = [word if word.startswith("--") else str(tmp_path / word) for word in arguments]
    assert 0 == main([*full, "--today", "2026-11-28"])
    return tmp_path / "out"


def entries(path):
    return YAML(typ="safe", pure=True).load(path.read_text())


def test_entries_are_what_a_price_file_takes(out) -> None:
    (entry,) = entries(out / "azure.yaml")
    card = parse_card(entry)
    old, new = card.prices

    assert [] == lint([card])
    assert "azure/new-model@2026-08-21" == new.id
    assert old.to_ms == new.from_ms
    assert (2 * 10**9, 8 * 10**9) == (new.base.input, new.base.output)
    assert [200_000] == [tier.over_tokens for tier in new.tiers]
    assert 10**9 == new.service["batch"].rates.input
    assert {"global": (1, 1), "eu": (11, 10)} == dict(new.factors)
    assert (1000, 100, "max_tokens") == (
        card.context_tokens,
        card.output_max_tokens,
        card.output_cap_field,
    )
    (source,) = new.sources
    assert ("https://p.example/a page#x", "2026-11-28") == source[:2]
    assert ("litellm 1.2.3", "genai-prices 4.5") == source.lineages
    assert "The careful one of output: litellm 1.2.3 8, genai-prices 4.5 7." == new.note


def test_a_figure_of_one_list_says_so(out) -> None:
    (entry,) = entries(out / "groq.yaml")
    card = parse_card(entry)

    assert [] == lint([card])
    assert "openai/hear:it" == card.model
    assert {"one-source": "only LiteLLM lists it"} == dict(card.prices[0].allow)
    assert Fee(360 * 10**12, 3600) == card.prices[0].fees["second"]


def test_what_the_book_has_is_compared_and_not_proposed(out) -> None:
    report = (out / "report.md").read_text()

    assert not (out / "openai.yaml").exists()
    assert "- openai/gpt-4o-mini: input 0.15, litellm 1.2.3 9\n" in report
    assert "- azure/endless\n" in report.partition("Without a context")[2]
    assert "| azure | 1 | 1 | 1 | 0 |" in report
    assert "- azure/new-model: output: litellm 1.2.3 8, genai-prices 4.5 7" in report
