"""How much OpenAI's Responses and Anthropic's Messages can make a model read."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.openai.input_bound import (
    BUILT_IN_TOOL_TOKENS,
    IMAGE_INPUT_TOKENS_MAX,
    REQUEST_OVERHEAD_TOKENS,
    SCHEMA_OVERHEAD_TOKENS,
)
from gateway.openai.messages_input import messages_bound
from gateway.openai.responses_input import responses_bound

BOUNDS = {"responses": responses_bound, "messages": messages_bound}


def beyond(bound, document):
    """What is held beyond the bytes of the body; None: there is no bound but the context."""
    size = len(orjson.dumps(document))
    tokens, opaque = bound(document, size)
    return None if opaque else tokens - size - REQUEST_OVERHEAD_TOKENS


def of_item(**item):
    return {"input": [item]}


def of_part(**part):
    return {"input": [{"role": "user", "content": [part]}]}


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({}, 0),
        ({"input": "x", "instructions": "y"}, 0),
        ({"input": [{"role": "user", "content": "x"}]}, 0),
        (of_part(type="input_text", text="x"), 0),
        (of_part(type="output_text", text="x"), 0),
        (of_part(type="input_image", image_url="https://x"), IMAGE_INPUT_TOKENS_MAX),
        (of_part(type="input_image", file_id="file_1"), IMAGE_INPUT_TOKENS_MAX),
        (of_part(type="input_image", image_url="data:AAAA"), IMAGE_INPUT_TOKENS_MAX - 9),
        (of_part(type="input_file", file_id="f"), None),
        (of_part(type="input_audio"), None),
        (of_item(type="function_call", arguments="{}"), 0),
        (of_item(type="function_call_output", output="x"), 0),
        (of_item(type="function_call_output", output=[{"type": "input_file"}]), None),
        (of_item(type="reasoning", encrypted_content="AA"), 0),
        (
            of_item(type="computer_call_output", output={"type": "computer_screenshot"}),
            IMAGE_INPUT_TOKENS_MAX,
        ),
        (of_item(type="item_reference", id="x"), None),
        (of_item(type="web_search_call", id="x"), None),
        (of_item(type="compaction", encrypted_content="AA"), None),
        (of_item(type=["x"]), None),
        ({"input": ["x"]}, None),
        ({"input": 7}, None),
        ({"input": "x", "previous_response_id": "resp_1"}, None),
        ({"input": "x", "previous_response_id": None}, 0),
        ({"input": "x", "conversation": "conv_1"}, None),
        ({"prompt": {"id": "pmpt_1"}}, None),
        ({"input": "x", "text": {"format": {"type": "json_schema"}}}, SCHEMA_OVERHEAD_TOKENS),
        ({"input": "x", "tools": [{"type": "function"}]}, SCHEMA_OVERHEAD_TOKENS),
        (
            {"input": "x", "tools": [{"type": "local_shell"}, {"type": "custom"}]},
            SCHEMA_OVERHEAD_TOKENS + BUILT_IN_TOOL_TOKENS,
        ),
    ],
)
def test_responses(document, expected):
    assert expected == beyond(responses_bound, document)


def of_block(**block):
    return {"messages": [{"role": "user", "content": [block]}]}


DATA = {"type": "base64", "data": "AAAA"}


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({}, 0),
        ({"system": "x", "messages": [{"role": "user", "content": "y"}]}, 0),
        ({"system": [{"type": "text", "text": "x"}], "messages": []}, 0),
        (of_block(type="text", text="x"), 0),
        (of_block(type="tool_use", input={"a": 1}), 0),
        (of_block(type="thinking", thinking="x", signature="y"), 0),
        (of_block(type="redacted_thinking", data="x"), 0),
        (of_block(type="image", source={"type": "url", "url": "u"}), IMAGE_INPUT_TOKENS_MAX),
        (of_block(type="image", source=DATA), IMAGE_INPUT_TOKENS_MAX - 4),
        (of_block(type="tool_result", content="x"), 0),
        (of_block(type="tool_result"), 0),
        (
            of_block(type="tool_result", content=[{"type": "image", "source": DATA}]),
            IMAGE_INPUT_TOKENS_MAX - 4,
        ),
        (of_block(type="search_result", content=[{"type": "text", "text": "x"}]), 0),
        (of_block(type="document", source={"type": "text", "data": "x"}), 0),
        (of_block(type="document", source={"type": "content", "content": "x"}), 0),
        (of_block(type="document", source={"type": "content", "content": [{}]}), None),
        (of_block(type="document", source=DATA), None),
        (of_block(type="document", source={"type": "file", "file_id": "f"}), None),
        (of_block(type="web_search_tool_result", content=[]), None),
        (of_block(type="container_upload", file_id="f"), None),
        (of_block(type=7), None),
        ({"messages": "x"}, None),
        ({"messages": ["x"]}, 0),
        ({"messages": [{"content": 7}]}, None),
        ({"messages": [], "container": "c"}, None),
        ({"messages": [], "output_config": {"format": {}}}, SCHEMA_OVERHEAD_TOKENS),
        (
            {"messages": [], "tools": [{"name": "f", "input_schema": {}}]},
            SCHEMA_OVERHEAD_TOKENS,
        ),
        (
            {"messages": [], "tools": [{"type": "bash_20250124"}, {"type": "computer_20250124"}]},
            SCHEMA_OVERHEAD_TOKENS + 2 * BUILT_IN_TOOL_TOKENS,
        ),
    ],
)
def test_messages(document, expected):
    assert expected == beyond(messages_bound, document)


@pytest.mark.parametrize("bound", BOUNDS.values(), ids=BOUNDS)
@given(
    st.dictionaries(
        st.sampled_from(["input", "messages", "system", "tools", "instructions", "text"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=20),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["type", "content", "source", "role", "output", "text"]), inner
                )
            ),
            max_leaves=12,
        ),
    )
)
def test_nothing_breaks_the_reading_nor_lowers_the_bound(bound, document):
    """Whatever the shape: no fewer tokens than bytes, but for what is an image's data."""
    tokens, opaque = bound(document, 10_000)
    assert tokens >= 10_000
    assert opaque in (0, 1)
