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
    assert not plain.opaque_inputs


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
    assert not call.opaque_inputs


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
    assert 1 == chat(content).opaque_inputs


@pytest.mark.parametrize("content", [None, "text", [], ["text"], [{"type": "text", "text": "x"}]])
def test_text_is_not_flagged(content) -> None:
    assert 0 == chat(content).opaque_inputs


def test_an_earlier_spoken_answer_is_a_reference() -> None:
    body = {"model": "m", "messages": [{"role": "assistant", "audio": {"id": "audio_1"}}]}

    assert 1 == parse_call(Endpoint.CHAT, orjson.dumps(body)).opaque_inputs


@pytest.mark.parametrize(
    ("value", "opaque"),
    [
        ("text", 0),
        (["a", "b"], 0),
        ([1, 2, 3], 0),
        ([[1], [2, 3]], 0),
        ([{"type": "image_url"}, "a", {"text": "b"}], 2),
        ({"image": "x"}, 1),
    ],
)
def test_embeddings_inputs(value, opaque) -> None:
    """A token id takes at least one byte, so bytes bound token arrays too.

    Each other input has a context of its own.
    """
    body = orjson.dumps({"model": "m", "input": value})

    call = parse_call(Endpoint.EMBEDDINGS, body)

    assert opaque == call.opaque_inputs
    assert len(body) <= call.input_bound_tokens
