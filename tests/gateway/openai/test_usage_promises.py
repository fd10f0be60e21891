"""What the reader promises of money and routes, on the rows and streams of the tables."""

import orjson
import pytest

from gateway.openai.answer import read_answer
from gateway.openai.sse import StreamReader
from gateway.rating import Rating, bill
from pricing.book import PriceBook
from pricing.money import pico_usd
from pricing.usage import Usage
from tests.gateway.openai.usage_streams import STREAMS, stream
from tests.gateway.openai.usage_table import TABLE, Row

SUMS_UP = {"openai", "azure", "google", "deepseek", "xai", "together", "dashscope", "sglang"}
"""Providers whose stated total is all that they bill, wherever they put the reasoning."""


def rows(*providers: str) -> list[Row]:
    return [row for row in TABLE if row.provider in providers]


def used(answer) -> Usage:
    """The usage of a whole answer, or of a stream's frames."""
    if isinstance(answer, dict):
        usage = read_answer(orjson.dumps(answer)).usage
    else:
        reader = StreamReader(hold_back_usage=True)
        for document in answer:
            reader.feed(b"data: " + orjson.dumps(document) + b"\n\n")
        reader.finish()
        usage = reader.reading().usage
    assert usage is not None
    return usage


def chat(prompt=100, completion=50, **more):
    return {"usage": {"prompt_tokens": prompt, "completion_tokens": completion, **more}}


@pytest.mark.parametrize(
    "name",
    ["openai-chat", "deepseek-chat", "moonshot-chat", "xai-chat", "groq-chat", "sglang-chat"],
)
@pytest.mark.parametrize("hold_back", [False, True])
def test_r09_the_last_usage_of_all_frames_wins(name: str, hold_back) -> None:
    """Beside a choice, inside one, after zeros, before an empty tail, in two places at once."""
    reader = StreamReader(hold_back_usage=hold_back)
    out = reader.feed(stream(name))

    assert STREAMS[name].usage == reader.reading().usage
    with_choices = stream(name).count(b'"choices":[{')
    assert with_choices == out.count(b'"choices":[{')


@pytest.mark.parametrize(
    "row", [r for r in TABLE if r.provider in ("mimo", "any")], ids=lambda row: row.shape
)
def test_r09_nulls_zeros_and_empty_blocks_take_nothing_away(row: Row) -> None:
    assert row.usage == used(row.answer)


def test_r10_a_start_and_a_delta_are_merged_and_not_added() -> None:
    """25 and 1, then 15: 25 in and 15 out."""
    start = {
        "type": "message_start",
        "message": {"usage": {"input_tokens": 25, "output_tokens": 1}},
    }
    delta = {"type": "message_delta", "delta": {"stop_reason": "x"}, "usage": {"output_tokens": 15}}

    assert Usage(input_tokens=25, output_tokens=15) == used([start, delta])


GOLDEN = [
    ("1.25", "0.625", "1.25", "10", "openai", "chat, a bill of 0.18492", "0.184918125"),
    ("3", "0.30", "3.75", "15", "anthropic", "messages, a bill of 0.054399", "0.054399"),
]


@pytest.mark.parametrize(
    ("base", "read", "write", "out", "provider", "shape", "cost"),
    GOLDEN,
    ids=["openai", "anthropic"],
)
def test_r11_cached_tokens_are_billed_once(base, read, write, out, provider, shape, cost) -> None:  # noqa: PLR0917
    """Bills that other gateways got wrong by factors: part of the input there, beside it here."""
    rates = {"input": base, "cache_read": read, "cache_write_5m": write, "output": out}
    book = PriceBook((), "test").overlaid([{"provider": "p", "model": "m", "base": rates}])
    [row] = [row for row in rows(provider) if row.shape.startswith(shape)]

    found = bill(Rating(book).rate("p", "m", 1), used(row.answer))

    assert pico_usd(cost) == found.cost_pico


def stated_total(answer) -> int | None:
    """The provider's own total, where the block has one and nothing is counted apart."""
    block = (answer if isinstance(answer, dict) else answer[-1]).get("usage") or {}
    return block.get("total_tokens") if "prompt_tokens" in block else None


@pytest.mark.parametrize(
    "row",
    [row for row in rows(*SUMS_UP) if stated_total(row.answer)],
    ids=lambda row: f"{row.provider}: {row.shape}",
)
def test_r11_the_buckets_sum_up_to_the_total(row: Row) -> None:
    assert stated_total(row.answer) == used(row.answer).total


@pytest.mark.parametrize(
    ("answer", "output", "reasoning"),
    [
        pytest.param(
            chat(20, 151, total_tokens=553), 533, 382, id="gemini: outside, in the total alone"
        ),
        pytest.param(
            chat(32, 9, total_tokens=135, completion_tokens_details={"reasoning_tokens": 94}),
            103,
            94,
            id="xai: outside, and stated",
        ),
        pytest.param(
            chat(24, 203, total_tokens=227, completion_tokens_details={"reasoning_tokens": 192}),
            203,
            192,
            id="openai: inside",
        ),
        pytest.param(
            chat(24, 203, completion_tokens_details={"reasoning_tokens": 192}),
            203,
            192,
            id="no total: inside",
        ),
        pytest.param(
            chat(24, 203, total_tokens=300, completion_tokens_details={"reasoning_tokens": 192}),
            203,
            192,
            id="a total that explains nothing: inside",
        ),
    ],
)
def test_r40_reasoning_is_counted_once(answer, output, reasoning) -> None:
    """Inside or outside the completion: the total decides."""
    usage = used(answer)

    assert (output, reasoning) == (usage.output_total, usage.reasoning_tokens)


ROUTES = {
    "chat/completions": ["chat", "chat, stream: null in each frame, then a frame of its own"],
    "completions": ["completions"],
    "embeddings": ["embeddings: no output at all"],
    "responses": [
        "responses",
        *(f"responses, stream: in response.{end}" for end in ("completed", "incomplete", "failed")),
    ],
    "images": [
        "images: without details all output is images",
        "images, stream: with both sides split",
    ],
    "audio": [
        "transcription by tokens (`input_token_details`, singular)",
        "transcription by the second; one that has begun counts",
        "speech, stream: what it says is said aloud",
    ],
}


@pytest.mark.parametrize("route", ROUTES)
def test_r69_every_route_has_its_usage(route: str) -> None:
    """Streamed and not, where it can be: none is counted at nothing."""
    by_shape = {row.shape: row for row in rows("openai")}
    for shape in ROUTES[route]:
        usage = used(by_shape[shape].answer)
        assert usage == by_shape[shape].usage
        assert usage.total or usage.fees


@pytest.mark.parametrize("extra", [{"output": [{"type": "message"}]}, {"output": "text"}, {}])
def test_r69_responses_whatever_their_output_is(extra) -> None:
    """A string, a structure, none: the usage is read from its own place."""
    answer = {"object": "response", "usage": {"input_tokens": 3, "output_tokens": 4}, **extra}

    assert Usage(input_tokens=3, output_tokens=4) == used(answer)
