"""Generated text, found in any dialect and nowhere else."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.openai.seen_text import said_bytes, text_bytes


@pytest.mark.parametrize(
    "document",
    [
        {"choices": [{"delta": {"content": "12345"}}]},
        {"choices": [{"message": {"content": "12345"}}]},
        {"choices": [{"delta": {"reasoning_content": "12345"}}]},
        {"choices": [{"delta": {"reasoning": "12345"}}]},
        {"choices": [{"delta": {"refusal": "12345"}}]},
        {"choices": [{"delta": {"tool_calls": [{"function": {"arguments": "12345"}}]}}]},
        {"choices": [{"text": "12345"}]},
        {"choices": [{"delta": {"audio": {"transcript": "12345", "data": "QUJD"}}}]},
        {"type": "response.output_text.delta", "delta": "12345"},
        {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "12345"}},
        {"type": "content_block_delta", "delta": {"type": "t", "thinking": "12345"}},
        {"type": "content_block_delta", "delta": {"type": "j", "partial_json": "12345"}},
        {"candidates": [{"content": {"parts": [{"text": "12345"}]}}]},
        {"type": "content-delta", "delta": {"message": {"content": {"text": "12345"}}}},
    ],
)
def test_what_is_text(document) -> None:
    assert 5 == text_bytes(orjson.dumps(document))
    assert 5 == text_bytes(orjson.dumps(document).replace(b'":', b'": '))


@pytest.mark.parametrize(
    "document",
    [
        {"id": "12345", "model": "12345", "object": "12345", "system_fingerprint": "12345"},
        {"choices": [{"delta": {"role": "assistant", "content": None}, "finish_reason": "stop"}]},
        {"obfuscation": "12345", "content_type": "12345", "text_tokens": 5},
        {"data": [{"embedding": [0.1, 0.2]}, {"b64_json": "QUJDREU="}]},
        {"type": "signature_delta", "signature": "12345"},
    ],
)
def test_what_is_none(document) -> None:
    assert 0 == text_bytes(orjson.dumps(document))


def test_what_is_repeated_when_it_is_done_counts_once() -> None:
    """Responses say a text in deltas, then whole as a text, a part, an item and an output."""
    frames = (
        b'data: {"delta":"123"}\n\ndata: {"delta":"45"}\n\n' + b'data: {"text":"12345"}\n\n' * 4
    )

    assert 5 == said_bytes(frames)


@given(st.text())
def test_escapes_count_as_written_and_never_end_a_text(text) -> None:
    written = orjson.dumps(text.encode(errors="ignore").decode())

    assert len(written) - 2 == text_bytes(b'{"content":' + written + b',"id":"x"}')


@given(st.binary(max_size=200))
def test_noise_is_searched_in_bounds(raw) -> None:
    assert 0 <= text_bytes(raw) <= len(raw)
