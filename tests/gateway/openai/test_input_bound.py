"""The bound of the input is never too low; where bytes say nothing, it says so."""

import json

import orjson
import pytest

from gateway.openai.call import Call, Endpoint, parse_call
from gateway.openai.input_bound import (
    IMAGE_INPUT_TOKENS_MAX,
    REQUEST_OVERHEAD_TOKENS,
    SCHEMA_OVERHEAD_TOKENS,
)


def chat(content: object, **fields: object) -> Call:
    body = {"model": "m", "messages": [{"role": "user", "content": content}], **fields}
    return parse_call(Endpoint.CHAT, orjson.dumps(body))


def test_text_is_bounded_by_the_forwarded_bytes() -> None:
    """Our own fields are not sent, so they do not count."""
    plain = chat("hi")
    named = chat("hi", customer_params={"customer_identifier": "c", "name": "n" * 500})

    assert len(plain.body) + REQUEST_OVERHEAD_TOKENS == plain.input_bound_tokens
    assert plain.input_bound_tokens == named.input_bound_tokens
    assert not plain.input_is_reference


@pytest.mark.parametrize("text", ["é" * 9, "\U0001f600" * 9, '"' * 9, "\n\t" * 9, "a" * 9])
def test_json_never_spells_text_shorter_than_it_is(text) -> None:
    """Escaped or raw, a body is at least as long as the UTF-8 it carries."""
    for spelled in (orjson.dumps(text), json.dumps(text).encode()):
        body = b'{"model":"m","messages":[{"content":' + spelled + b"}]}"
        assert len(text.encode()) <= parse_call(Endpoint.CHAT, body).input_bound_tokens


@pytest.mark.parametrize("field", ["tools", "functions", "response_format"])
def test_schemas_bring_a_hidden_prompt(field) -> None:
    call = chat("hi", **{field: []})

    expected = len(call.body) + REQUEST_OVERHEAD_TOKENS + SCHEMA_OVERHEAD_TOKENS
    assert expected == call.input_bound_tokens


@pytest.mark.parametrize("kind", ["image_url", "input_image"])
@pytest.mark.parametrize("escaped", [False, True])
def test_each_image_counts_at_its_maximum(kind, escaped) -> None:
    """However the key is spelled; the text beside it counts as well."""
    part = {"type": kind, "image_url": {"url": "https://example.org/a.png"}}
    body = orjson.dumps({"model": "m", "messages": [{"content": [part, part]}]})
    if escaped:
        body = body.replace(b"image", b"im\\u0061ge")

    call = parse_call(Endpoint.CHAT, body)

    expected = len(body) + REQUEST_OVERHEAD_TOKENS + 2 * IMAGE_INPUT_TOKENS_MAX
    assert expected == call.input_bound_tokens
    assert not call.input_is_reference


def test_inline_image_data_is_not_text() -> None:
    """A picture of a megabyte is one image, not a million tokens."""
    url = "data:image/png;base64," + "A" * 1_000_000

    call = chat([{"type": "image_url", "image_url": {"url": url}}])

    assert IMAGE_INPUT_TOKENS_MAX < call.input_bound_tokens < IMAGE_INPUT_TOKENS_MAX + 1_000


@pytest.mark.parametrize(
    "content",
    [
        [{"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}}],
        [{"type": "file", "file": {"file_id": "file-1"}}],
        [{"type": "video_url", "video_url": {"url": "https://example.org/a.mp4"}}],
        [{"type": ["text"]}],
        [{"type": None}],
        [{"image_url": {"url": "https://example.org/a.png"}}],
        [["text"]],
        {"type": "text"},
        7,
    ],
)
def test_what_bytes_cannot_bound_is_flagged(content) -> None:
    """Audio, files and unknown shapes: only the model's context bounds them."""
    assert chat(content).input_is_reference


@pytest.mark.parametrize("content", [None, "text", [], ["text"], [{"type": "text", "text": "x"}]])
def test_text_is_not_flagged(content) -> None:
    assert not chat(content).input_is_reference


def test_an_earlier_spoken_answer_is_a_reference() -> None:
    body = {"model": "m", "messages": [{"role": "assistant", "audio": {"id": "audio_1"}}]}

    assert parse_call(Endpoint.CHAT, orjson.dumps(body)).input_is_reference


@pytest.mark.parametrize(
    ("value", "flagged"),
    [
        ("text", False),
        (["a", "b"], False),
        ([1, 2, 3], False),
        ([[1], [2, 3]], False),
        ([{"type": "image_url"}], True),
        ({"image": "x"}, True),
    ],
)
def test_embeddings_inputs(value, flagged) -> None:
    """A token id takes at least one byte, so bytes bound token arrays too."""
    body = orjson.dumps({"model": "m", "input": value})

    call = parse_call(Endpoint.EMBEDDINGS, body)

    assert flagged == call.input_is_reference
    assert len(body) <= call.input_bound_tokens


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, None),
        ({"tools": None, "web_search_options": None}, None),
        ({"tools": [{"type": "function"}, {"type": "custom"}, {"function": {}}, 7]}, None),
        ({"tools": [{"type": "function"}, {"type": "web_search"}]}, "tools"),
        ({"tools": [{"google_search": {}}]}, "tools"),
        ({"tools": [{"type": []}, {}]}, "tools"),
        ({"web_search_options": {}}, "web_search_options"),
    ],
)
def test_tools_that_the_provider_runs_are_found(fields, expected) -> None:
    """They cost by the use, however few tokens the call may have."""
    assert expected == chat("hi", **fields).hosted_tool
