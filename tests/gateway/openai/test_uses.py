"""Tools that an answer only lists are counted once, whichever provider ran them."""

import pytest

from gateway.openai.uses import USES_MAX, Uses, uses_in
from pricing.card import FEE_UNITS


@pytest.mark.parametrize(
    ("item", "unit"),
    [
        ({"type": "web_search_call"}, "web_search"),
        ({"type": "web_search_call", "action": {"type": "search"}}, "web_search"),
        ({"type": "web_search_call", "action": {"type": "open_page"}}, None),
        ({"type": "web_search_call", "action": {"type": "find_in_page"}}, None),
        ({"type": "web_search_call", "action": "search"}, "web_search"),
        ({"type": "file_search_call"}, "file_search"),
        ({"type": "code_interpreter_call"}, None),
        ({"type": "computer_call", "action": {"type": "click"}}, None),
        ({"type": "function_call", "name": "web_search"}, None),
        ({"type": "web_search"}, None),
        ({"type": ["web_search_call"]}, None),
        ({}, None),
        ("web_search_call", None),
        (None, None),
    ],
)
def test_which_output_items_are_billed(item, unit) -> None:
    expected = {} if unit is None else {unit: 2}

    assert expected == uses_in({"output": [item, {"type": "message"}, item]})


@pytest.mark.parametrize("output", [None, {}, "web_search_call", 7, []])
def test_no_output_no_uses(output) -> None:
    assert {} == uses_in({"output": output})


def test_the_items_looked_at_are_bounded() -> None:
    assert {"file_search": USES_MAX} == uses_in(
        {"output": [{"type": "file_search_call"}] * (USES_MAX + 5)}
    )


def code(container, memory=None, **more):
    return {"type": "code_interpreter_call", "container_id": container, **more}


AUTO = {"type": "code_interpreter", "container": {"type": "auto"}}
AUTO_4G = {"type": "code_interpreter", "container": {"type": "auto", "memory_limit": "4g"}}
NAMED = {"type": "code_interpreter", "container": "cntr_mine"}
SHELL = {"type": "shell", "environment": {"type": "container_auto", "memory_limit": "16g"}}


@pytest.mark.parametrize(
    ("tools", "output", "expected"),
    [
        ([AUTO], [code("a")], {"container:1g": 1}),
        ([AUTO], [code("a"), code("a"), code("a")], {"container:1g": 1}),
        ([AUTO_4G], [code("a"), code("b")], {"container:4g": 2}),
        ([AUTO_4G], [], {}),
        ([NAMED], [code("cntr_mine")], {}),
        ([NAMED, SHELL], [code("cntr_mine"), code("b")], {"container:16g": 1}),
        (
            [SHELL],
            [{"type": "shell_call", "environment": {"container_id": "s"}}],
            {"container:16g": 1},
        ),
        ([], [code("a")], {"container": 1}),  # of a size that nobody said
        (None, [code("")], {}),
        ("x", [code(7)], {}),
        ([{"type": "code_interpreter", "container": {"type": "auto", "memory_limit": 4}}], [], {}),
    ],
)
def test_a_container_counts_once_however_often_code_ran_in_it(tools, output, expected) -> None:
    """The caller's own is billed to the call that opened it.

    https://developers.openai.com/api/docs/guides/tools-code-interpreter
    """
    assert expected == uses_in({"tools": tools, "output": output})


def grounded(*frames):
    uses = Uses()
    for grounds in frames:
        uses.add_candidates([{"groundingMetadata": grounds}])
    return uses.pieces()


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        ([{"webSearchQueries": ["a", "b"]}], {"web_search": 2}),
        ([{"webSearchQueries": ["", "a", "a", ""]}], {"web_search": 1}),
        ([{"webSearchQueries": ["a"]}, {"webSearchQueries": ["a", "b"]}], {"web_search": 2}),
        ([{"groundingChunks": [{"web": {"uri": "u"}}]}], {"web_search": 1}),
        ([{"webSearchQueries": ["a", "b"], "groundingChunks": [{"web": {}}]}], {"web_search": 2}),
        ([{"groundingChunks": [{"maps": {"uri": "u"}}]}], {"tool:google_maps": 1}),
        ([{"groundingSupports": []}], {}),
        ([{"webSearchQueries": [], "searchEntryPoint": {}}], {}),
        ([{"webSearchQueries": "abc", "groundingChunks": {"web": 1}}], {}),
        ([{"webSearchQueries": [1, None, {}]}, None, []], {}),
    ],
)
def test_google_searches_are_its_different_queries(frames, expected) -> None:
    """Empty ones are not billed, nor the same one twice.

    https://ai.google.dev/gemini-api/docs/google-search
    """
    assert expected == grounded(*frames)


def executed(*choices):
    uses = Uses()
    for choice in choices:
        uses.add_executed([choice])
    return uses.pieces()


def ran(index, name):
    return {"delta": {"executed_tools": [{"index": index, "type": name}]}}


@pytest.mark.parametrize(
    ("choices", "expected"),
    [
        (
            [{"message": {"executed_tools": [{"type": "search"}, {"type": "python"}]}}],
            {"tool:search": 1, "tool:python": 1},
        ),
        ([ran(0, "search"), ran(0, "search"), ran(1, "search")], {"tool:search": 2}),
        ([{"message": {"executed_tools": None}}, {"delta": None}, {}], {}),
        ([{"message": {"executed_tools": [{"type": 7}, "x"]}}], {}),
    ],
)
def test_tools_that_groq_ran_are_told_by_their_number(choices, expected) -> None:
    """In `executed_tools`, https://console.groq.com/docs/compound."""
    found = executed(*choices)

    assert expected == found
    assert {unit.partition(":")[0] for unit in found} <= set(FEE_UNITS)
