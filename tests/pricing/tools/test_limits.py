"""A model is as large as it is anywhere, and thinks wherever it thinks at all."""

from decimal import Decimal

import pytest

from pricing.book import PriceBook
from pricing.entry import parse_card
from pricing.tools.combine import Agreed
from pricing.tools.limits import bounded, is_bounded
from pricing.tools.merge import Proposal
from pricing.tools.seen import Figures

BOOK = PriceBook(
    [
        parse_card(
            {
                "provider": "lab",
                "model": "model-5",
                "limits": {"context": 1000, "max_output": 100},
                "reasoning": True,
                "free": True,
            }
        )
    ],
    "v",
)


def proposal(name, provider="route", rates=("input", "output"), **fields):
    base = dict.fromkeys(rates, Decimal(1))
    prices = (Agreed(figures=Figures(base=base), lineages=()),)
    return Proposal(provider=provider, names=(name,), prices=prices, **fields)


@pytest.mark.parametrize("name", ["model-5", "lab/Model-5", "lab.model-5-v1:0", "model-5@20260101"])
def test_limits_are_the_models(name) -> None:
    (card,) = bounded([proposal(name)], BOOK)

    assert (1000, 100, True) == (card.context, card.max_output, card.reasoning)


def test_what_is_published_stands() -> None:
    (card,) = bounded([proposal("model-5", context=500, max_output=50)], BOOK)

    assert (500, 50) == (card.context, card.max_output)


def test_another_model_lends_nothing() -> None:
    (card,) = bounded([proposal("model-55")], BOOK)

    assert (None, None, False) == (card.context, card.max_output, card.reasoning)


@pytest.mark.parametrize(
    ("rates", "context", "answer"),
    [
        (("input", "output"), None, False),
        (("input", "output"), 10, True),
        (("input", "image_out"), None, True),
        ((), None, True),
    ],
)
def test_text_needs_a_context(rates, context, answer) -> None:
    assert answer is is_bounded(proposal("x", rates=rates, context=context))
