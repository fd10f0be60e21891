"""The facts of a whole answer; no answer makes the reading fail."""

import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.openai.answer import (
    FACT_CHARS_MAX,
    UNPARSED_BYTES_MAX,
    WHOLE_BYTES_MAX,
    Reading,
    read_answer,
)
from pricing.usage import Usage

COMPLETION = {
    "id": "chatcmpl-1",
    "model": "gpt-4o-2024-08-06",
    "service_tier": "default",
    "choices": [{"message": {"content": "hi"}, "finish_reason": "length"}],
    "usage": {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9},
}


def test_a_completion() -> None:
    expected = Reading(
        usage=Usage(input_tokens=7, output_tokens=2),
        model="gpt-4o-2024-08-06",
        service_tier="default",
        finish_reason="length",
        upstream_id="chatcmpl-1",
        ended=True,
    )

    assert expected == read_answer(orjson.dumps(COMPLETION))


def test_leading_blank_lines_do_not_matter() -> None:
    """DeepSeek sends them while a call waits in its queue."""
    assert read_answer(b"\n\n\n" + orjson.dumps(COMPLETION)).usage is not None


@pytest.mark.parametrize("vector", [[0.5] * 20_000, "AAAA" * 20_000])
@pytest.mark.parametrize("last", ["data", "usage"])
def test_embeddings_are_read_without_building_them(vector, last) -> None:
    answer = {
        "object": "list",
        "model": "e",
        "data": [{"embedding": vector}],
        "usage": {"prompt_tokens": 8, "total_tokens": 8},
    }
    answer[last] = answer.pop(last)
    body = orjson.dumps(answer)
    assert len(body) > WHOLE_BYTES_MAX

    assert Reading(usage=Usage(input_tokens=8), model="e") == read_answer(body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>502</html>",
        b"null",
        b"[]",
        b'{"choices":',
        b"{" + b'"a":1,' * 20_000,
        b'{"a":' + b"[" * 70_000,
        b"\xff" * 70_000,
        b'{"model":5,"id":{},"choices":[{"finish_reason":7},null],"service_tier":""}',
        b'{"usage":null}',
        b'{"usage":{}}',
    ],
)
def test_answers_without_facts(body) -> None:
    assert Reading() == read_answer(body)


def test_an_error_is_a_failure_and_nothing_else() -> None:
    assert Reading(failed=True) == read_answer(b'{"error":{"message":"no"}}')


def test_r39_explicit_zeros_stay_zero() -> None:
    """The provider has said what it counted, and that is what is booked."""
    reading = read_answer(b'{"usage":{"prompt_tokens":0,"completion_tokens":0}}')

    assert (Usage(), True, None) == (reading.usage, reading.usage_final, reading.unparsed)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"type": "message", "stop_reason": "max_tokens"}, "max_tokens"),
        ({"candidates": [{"finishReason": "SAFETY"}, None, {}]}, "SAFETY"),
        ({"finish_reason": "COMPLETE", "message": {"role": "assistant"}}, "COMPLETE"),
        ({"object": "response", "status": "completed"}, "completed"),
        (
            {
                "object": "response",
                "status": "incomplete",
                "incomplete_details": {"reason": "max_output_tokens"},
            },
            "max_output_tokens",
        ),
        ({"object": "response", "status": "in_progress"}, None),
        ({"type": "message_start", "message": {"stop_reason": None}}, None),
        ({"status": {}, "type": [], "delta": 7, "candidates": {}}, None),
    ],
)
def test_why_it_ends_in_any_dialect(answer, reason) -> None:
    assert reason == read_answer(orjson.dumps(answer)).finish_reason


@pytest.mark.parametrize(
    "answer",
    [
        {"model": "m", "id": "i"},
        {"response": {"model": "m", "id": "i"}},
        {"message": {"model": "m", "id": "i"}},
        {"modelVersion": "m", "responseId": "i"},
    ],
)
def test_who_answered_in_any_dialect(answer) -> None:
    reading = read_answer(orjson.dumps(answer))

    assert ("m", "i") == (reading.model, reading.upstream_id)


@pytest.mark.parametrize(
    ("beside", "inside", "tier"),
    [
        ("flex", {}, "flex"),
        (None, {"service_tier": "standard"}, "standard"),
        (None, {"serviceTier": "FLEX"}, "flex"),
        (None, {"trafficType": "ON_DEMAND"}, "on_demand"),
        (None, {"trafficType": "ON_DEMAND_FLEX"}, "flex"),
        ("priority", {"service_tier": "standard"}, "priority"),
        (None, {"speed": "fast", "service_tier": "standard"}, "fast"),
        (None, {"speed": "standard"}, None),
        (None, {"service_tier": 7, "trafficType": ""}, None),
        (None, {"service_tier": "x" * 9_999}, None),
    ],
)
def test_the_tier_that_was_served(beside, inside, tier) -> None:
    """Beside the usage, or in it where Anthropic and Gemini put it."""
    answer = {"service_tier": beside, "usage": {"prompt_tokens": 1, **inside}}

    assert tier == read_answer(orjson.dumps(answer)).service_tier


def breakdown(*models):
    return {"usage_breakdown": {"models": [{"model": m, "usage": USED} for m in models]}}


USED = {"prompt_tokens": 5, "completion_tokens": 2}


@pytest.mark.parametrize(
    ("told", "model"),
    [
        (breakdown("small", "large"), None),
        ({"x_groq": breakdown("small", "large")}, None),
        (breakdown("small", "small"), "small"),
        (breakdown("small"), "small"),
        ({"usage_breakdown": None, "x_groq": None}, "small"),
        ({"usage_breakdown": {"models": None}, "x_groq": "x"}, "small"),
        ({"usage_breakdown": {"models": [7, {"model": 7}, {"model": "a"}]}}, "small"),
    ],
)
def test_a_count_of_several_models_is_no_ones(told, model) -> None:
    """Of Groq's compound systems, as groq-python's `ChatCompletion` and its chunk have it.

    Billed at the price of whichever is named, it would be billed wrongly; as what was asked
    for, which has no price, its cost stays open.
    """
    answer = {"model": "small", "choices": [{"index": 0}], "usage": USED, **told}
    read = read_answer(orjson.dumps(answer))

    assert model == read.model
    assert Usage(input_tokens=5, output_tokens=2) == read.usage


@pytest.mark.parametrize(
    ("geo", "scope"),
    [("us", "us"), ("global", None), ("not_available", None), ("", None), (7, None)],
)
def test_where_it_was_served(geo, scope) -> None:
    answer = {"usage": {"input_tokens": 1, "output_tokens": 1, "inference_geo": geo}}

    assert scope == read_answer(orjson.dumps(answer)).scope


@pytest.mark.parametrize(
    ("body", "unparsed"),
    [
        (b'{"usage":{"prompt_tokens":"x"}}', b'{"prompt_tokens":"x"}'),
        (b'{"usage":"lots","x":"secret"}', b'"lots"'),
        (b'{"usage":{"prompt_tokens":1},"x":"secret"', b'"usage":{"prompt_tokens":1}'),
        (b'{"x":"secret","usage":', b'"usage"'),
        (b'{"usage":{"a":' + b"[" * 300 + b"]" * 300 + b"}}", b""),
    ],
)
def test_what_could_not_be_read_is_kept(body, unparsed) -> None:
    """For the operator to look at: the block alone, without the text beside it."""
    reading = read_answer(body)

    assert (None, unparsed) == (reading.usage, reading.unparsed)


def test_what_is_kept_is_bounded() -> None:
    body = orjson.dumps({"id": "i" * 9_999, "usage": {"prompt_tokens": "x" * 9_999}})

    reading = read_answer(body)

    assert UNPARSED_BYTES_MAX == len(reading.unparsed or b"")
    assert FACT_CHARS_MAX == len(reading.upstream_id or "")


def test_duplicate_keys_are_read_as_parsers_do() -> None:
    """The last one counts."""
    reading = read_answer(b'{"usage":{"total_tokens":1},"usage":{"total_tokens":2}}')

    assert Usage(input_tokens=2) == reading.usage


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from([1e30, -1, 2**64, "x", ""]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "usage",
                    "choices",
                    "x_groq",
                    "model",
                    "id",
                    "finish_reason",
                    "prompt_tokens",
                    "completion_tokens",
                    "total_tokens",
                    "prompt_tokens_details",
                    "cached_tokens",
                ]
            ),
            inner,
        )
    ),
    max_leaves=12,
)


@given(values | st.binary() | st.dictionaries(st.just("usage"), values, min_size=1))
def test_nothing_makes_it_raise(answer) -> None:
    body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()

    assert isinstance(read_answer(body), Reading)
