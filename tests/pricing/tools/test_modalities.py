"""A picture sent to Gemini has a rate; a picture sent to others is not guessed."""

from decimal import Decimal

import pytest

from pricing.tools.combine import Agreed
from pricing.tools.merge import Proposal
from pricing.tools.modalities import with_modalities
from pricing.tools.seen import Figures


def rates(**texts):
    return {name: Decimal(text) for name, text in texts.items()}


def filled(figures, provider="vertex", name="gemini-9-pro"):
    price = Agreed(figures=figures, lineages=())
    (card,) = with_modalities([Proposal(provider=provider, names=(name,), prices=(price,))])
    return card.prices[-1].figures


def test_pictures_and_sound_cost_what_text_does() -> None:
    base = rates(input="1", cache_read="0.1", output="5")
    figures = filled(
        Figures(
            base=base,
            tiers={200: rates(input="2", cache_read="0.2", output="9")},
            service={"batch": Figures(base=rates(input="0.5", cache_read="0.1", output="2.5"))},
        )
    )

    media = rates(image_in="1", audio_in="1", image_cached="0.1", audio_cached="0.1")
    assert {**base, **media} == figures.base
    assert Decimal(2) == figures.tiers[200]["image_in"]
    assert Decimal("0.5") == figures.service["batch"].base["audio_in"]


@pytest.mark.parametrize(("cached", "expected"), [({}, "3"), ({"audio_cached": "0.3"}, "0.3")])
def test_sound_of_its_own_price_is_not_cached_at_that_of_text(cached, expected) -> None:
    figures = filled(
        Figures(base=rates(input="1", cache_read="0.1", audio_in="3", output="5", **cached))
    )

    assert (Decimal(3), Decimal(expected)) == (
        figures.base["audio_in"],
        figures.base["audio_cached"],
    )


@pytest.mark.parametrize(
    ("provider", "name", "base"),
    [
        ("vertex", "claude-9", {"input": "1", "output": "5"}),
        ("openai", "gemini-9-pro", {"input": "1", "output": "5"}),
        ("google", "gemini-embedding-9", {"input": "1"}),
    ],
)
def test_nothing_else_is_filled_in(provider, name, base) -> None:
    assert rates(**base) == filled(Figures(base=rates(**base)), provider, name).base
