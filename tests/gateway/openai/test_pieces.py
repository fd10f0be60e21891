"""Pieces: counted once, under the unit that has a price, and never below what was used."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.openai.pieces import pieces
from pricing.card import FEE_UNITS

NO_SIZES: list[object] = [None, "", "huge", ["low"], {}, 1]


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (
            {"server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 5}},
            {"web_search": 2},
        ),
        ({"server_tool_use": {"web_search_requests": 0}}, {}),
        ({"server_tool_use": None}, {}),
        (
            {
                "server_side_tool_usage_details": {
                    "web_search_calls": 1,
                    "x_search_calls": 8,
                    "file_search_calls": 2,
                    "document_search_calls": 4,
                    "code_interpreter_calls": 16,
                    "mcp_calls": 32,
                }
            },
            {
                "web_search": 9,
                "file_search": 2,
                "file_search:attached": 4,
                "tool:code_interpreter": 16,
            },
        ),
        ({"num_search_queries": 21}, {"web_search": 21}),
        ({"num_search_queries": None}, {}),
        ({"billed_units": {"search_units": 3.0}}, {"rerank": 3}),
        ({"tool_usage": {"web_search": {"num_requests": 3}}}, {"web_search": 3}),
        *(
            ({"prompt_tokens": 9, "search_context_size": size}, {f"request:{size}": 1})
            for size in ("low", "medium", "high")
        ),
        *(({"prompt_tokens": 9, "search_context_size": size}, {}) for size in NO_SIZES),
        ({"prompt_tokens": 0, "completion_tokens": 0, "search_context_size": "low"}, {}),
        ({"prompt_audio_seconds": 12}, {"second": 12}),
        ({"prompt_audio_seconds": {}}, {}),
        ({"type": "duration", "seconds": 9}, {"second": 9}),
        ({"type": "duration", "seconds": 8.01}, {"second": 9}),
        ({"type": "duration", "seconds": 0}, {}),
        ({"type": "tokens", "seconds": 9}, {}),
        *(
            ({"type": "duration", "seconds": seconds}, {})
            for seconds in (-3, -0.5, 1e30, math.nan, math.inf, "9", True, None, [9])
        ),
        ({}, {}),
    ],
)
def test_what_a_block_states(block, expected) -> None:
    assert expected == dict(pieces(block))


def test_what_is_stated_goes_before_what_was_listed() -> None:
    """They are the same calls: the larger of two counts is not added to the smaller."""
    block = {"server_side_tool_usage_details": {"web_search_calls": 4}}

    assert {"web_search": 4, "file_search": 1} == dict(
        pieces(block, {"web_search": 6, "file_search": 1})
    )


def test_a_kind_that_is_stated_was_listed_as_its_unit() -> None:
    """A search of attached files is among the output as any search of files: one, not two."""
    block = {"server_side_tool_usage_details": {"document_search_calls": 1}}

    assert (("file_search:attached", 1),) == pieces(block, {"file_search": 1})
    assert (("container:4g", 1), ("file_search:attached", 1)) == pieces(
        block, {"file_search": 1, "container:4g": 1}
    )


@pytest.mark.parametrize("unit", ["request", "request:high"])
def test_a_request_that_was_counted_is_not_counted_by_its_size_again(unit) -> None:
    assert ((unit, 1),) == pieces({"prompt_tokens": 9, "search_context_size": "low"}, {unit: 1})


def test_a_stated_zero_does_not_hide_what_was_listed() -> None:
    block = {"tool_usage": {"web_search": {"num_requests": 0}}}

    assert (("web_search", 2),) == pieces(block, {"web_search": 2})


@given(
    st.dictionaries(
        st.sampled_from(["web_search_calls", "x_search_calls", "document_search_calls"]),
        st.integers(0, 50),
    )
)
def test_units_have_prices_and_quantities_are_positive(details) -> None:
    found = pieces({"server_side_tool_usage_details": details})

    assert {unit.partition(":")[0] for unit, _ in found} <= set(FEE_UNITS)
    assert all(quantity > 0 for _, quantity in found)
    assert sum(details.values()) == sum(quantity for _, quantity in found)
