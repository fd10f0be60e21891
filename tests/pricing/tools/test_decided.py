"""What a person decided stands, and free is only what was decided so."""

from decimal import Decimal

import pytest

from pricing.tools.combine import Agreed
from pricing.tools.decided import Decisions
from pricing.tools.merge import Proposal
from pricing.tools.seen import Fee, Figures


def proposal(*names, free=False, **fields):
    base = {} if free else {"input": Decimal(2), "output": Decimal(8)}
    price = Agreed(
        figures=Figures(base=base),
        lineages=("litellm 1", "genai-prices 2"),
        differences=(
            "input: litellm 1 2, genai-prices 2 1",
            "output: litellm 1 8, genai-prices 2 7",
        ),
    )
    return Proposal(provider="p", names=names, prices=(price,), free=free, **fields)


def decided(row, *proposals):
    return list(Decisions([{"provider": "p", **row}]).applied(proposals))


def test_the_page_beats_the_lists_and_says_so() -> None:
    row = {"names": ["m"], "base": {"input": "1"}, "url": "https://p.example", "note": "as there"}
    (card,) = decided(row, proposal("m", "m-2026-01-01"))
    (price,) = card.prices

    assert {"input": Decimal(1), "output": Decimal(8)} == price.figures.base
    assert ((), "https://p.example", "as there") == (price.lineages, price.url, price.note)
    assert ("output: litellm 1 8, genai-prices 2 7",) == price.differences


def test_names_are_left_out_one_by_one() -> None:
    kept = decided(
        {"names": ["x/*", "gone"], "skip": "why"}, proposal("m", "x/m"), proposal("gone")
    )

    assert [("m",)] == [card.names for card in kept]


@pytest.mark.parametrize(("row", "count"), [({"free": True}, 1), ({"note": "zero"}, 0)])
def test_a_zero_is_free_only_if_decided(row, count) -> None:
    assert count == len(decided({"names": ["m"], **row}, proposal("m", free=True)))


def test_superseded_prices_end_where_the_next_begins() -> None:
    row = {
        "names": ["m"],
        "earlier": [
            {"until": "2025-01-01", "base": {"input": "9"}},
            {"until": "2026-05-15T19:00:00Z", "base": {"input": "5"}, "lineage": ["litellm 0"]},
        ],
        "fees": {"page": {"rate": "4", "per": 1000}},
        "limits": {"context": 7, "max_output": 3},
        "reasoning": True,
    }
    (card,) = decided(row, proposal("m"))

    assert [None, "2025-01-01", "2026-05-15T19:00:00Z"] == [
        price.figures.from_day for price in card.prices
    ]
    assert ["9", "5", "2"] == [str(price.figures.base["input"]) for price in card.prices]
    assert {"page": Fee(Decimal(4), 1000)} == dict(card.prices[-1].figures.fees)
    assert (7, 3, True) == (card.context, card.max_output, card.reasoning)


def test_other_providers_are_left_alone_and_idle_decisions_are_told() -> None:
    decisions = Decisions([{"provider": "q", "names": ["m"], "skip": "why"}])

    assert [proposal("m")] == list(decisions.applied([proposal("m")]))
    assert ["q/m"] == decisions.unused()


def test_the_shipped_decisions_can_be_read() -> None:
    decisions = Decisions.load()

    assert decisions.rows
    for row in decisions.rows:
        assert row["names"]
        assert row.keys() - {"provider", "names"}, row
