"""Whatever a provider says of its usage: nothing raises, no byte changes, no number is made up."""

import json
import tracemalloc
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.openai.answer import UNPARSED_BYTES_MAX, Facts, Reading, read_answer
from gateway.openai.counts import TOKENS_MAX, UsageUnreadable, count
from gateway.openai.sse import StreamReader, split_frames
from gateway.openai.usage import merge, usage_from
from tests.gateway.openai.usage_table import TABLE

MEGABYTE = 1_048_576


def keys_of(node: Any) -> set[str]:
    """Every key that stands anywhere in the table: all that any dialect is read by."""
    if isinstance(node, dict):
        return set(node) | {key for value in node.values() for key in keys_of(value)}
    return {key for value in node for key in keys_of(value)} if isinstance(node, list) else set()


KEYS = sorted({key for row in TABLE for key in keys_of(row.answer)})

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(0, 200)
    | st.floats()
    | st.sampled_from([1e30, -1, 0, 2**63, 2**64, 10**400, "", "12", "compaction", "AUDIO"])
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=6)
    ),
    max_leaves=20,
)
blocks = st.dictionaries(st.sampled_from(KEYS), values, max_size=8)
PLACES = {
    "usage": lambda b: {"usage": b},
    "beside choices": lambda b: {"choices": [{"finish_reason": "stop"}], "usage": b},
    "in a choice": lambda b: {"choices": [{"usage": b}, b]},
    "response": lambda b: {"type": "response.completed", "response": {"usage": b, "output": [b]}},
    "message": lambda b: {"type": "message_start", "message": {"usage": b}},
    "delta": lambda b: {"type": "message-end", "delta": {"usage": b}},
    "x_groq": lambda b: {"choices": [], "x_groq": {"usage": b}},
    "usageMetadata": lambda b: {"candidates": [b], "usageMetadata": b},
    "meta": lambda b: {"meta": b},
    "timings": lambda b: {"choices": [], "timings": b},
    "tool_usage": lambda b: {"usage": b, "tool_usage": b, "type": "speech.audio.done"},
    "everywhere": lambda b: {
        **(b if isinstance(b, dict) else {}),
        "usage": b,
        "choices": [b],
        "response": b,
        "message": b,
    },
}


def wire(document: Any) -> bytes:
    """As JSON, with NaN and numbers beyond 64 bits too, as no parser need accept them."""
    return json.dumps(document).encode()


def relay(sent: bytes, *, hold_back: bool) -> tuple[bytes, StreamReader]:
    reader = StreamReader(hold_back_usage=hold_back)
    out = reader.feed(sent)
    return out + reader.finish(), reader


def checked(reading: Reading) -> Reading:
    """A reading that an event can be made of."""
    if reading.usage is not None:
        assert 0 <= reading.usage.total < 100 * TOKENS_MAX
        assert all(type(n) is int and n > 0 for _, n in reading.usage.fees)
    assert len(reading.unparsed or b"") <= UNPARSED_BYTES_MAX
    assert reading.reported_cost_pico is None or 0 <= reading.reported_cost_pico < 2**63
    for word in (reading.service_tier, reading.scope, reading.finish_reason):
        assert word is None or 0 < len(word) <= 256
    return reading


@given(values | blocks, st.sampled_from(sorted(PLACES)))
def test_r37_any_block_in_any_place_of_a_whole_answer(block, place) -> None:
    checked(read_answer(wire(PLACES[place](block))))


@given(st.lists(st.tuples(values | blocks, st.sampled_from(sorted(PLACES))), max_size=4))
def test_r37_any_blocks_in_a_stream(frames) -> None:
    """Unasked, all bytes pass; asked, what is missing are whole frames; both read the same."""
    sent = b"".join(b"data: " + wire(PLACES[place](block)) + b"\n\n" for block, place in frames)

    out, reader = relay(sent, hold_back=False)
    held, held_reader = relay(sent, hold_back=True)

    assert sent == out
    assert set(split_frames(held)) <= set(split_frames(sent))
    assert checked(reader.reading()) == held_reader.reading()


@given(blocks, blocks)
def test_what_is_merged_is_read_or_refused(older, newer) -> None:
    """No two blocks make one that breaks the reader."""
    block: dict[str, Any] = {}
    merge(block, older)
    merge(block, newer)

    try:
        usage = usage_from(block)
    except UsageUnreadable:
        return
    assert usage.total >= 0


@given(blocks)
def test_no_more_than_was_stated(block) -> None:
    """All numbers of a block together are the most that can be read from it."""

    def numbers(node: Any) -> int:
        if isinstance(node, dict | list):
            return sum(map(numbers, node.values() if isinstance(node, dict) else node))
        return count(node) or 0

    try:
        usage = usage_from(block)
    except UsageUnreadable:
        return
    assert usage.total <= numbers(block)


NONSENSE = {
    "null": b"null",
    "a string": b'"many"',
    "a list": b'[{"prompt_tokens":1}]',
    "a number": b"7",
    "true": b"true",
    "negative": b'{"prompt_tokens":-1,"completion_tokens":2}',
    "1e30": b'{"prompt_tokens":1e30,"completion_tokens":1e30}',
    "beyond 64 bits": b'{"prompt_tokens":123456789012345678901234567890,"completion_tokens":1}',
    "a fraction": b'{"prompt_tokens":1.5,"completion_tokens":2}',
    "not a number": b'{"prompt_tokens":NaN,"completion_tokens":2}',
    "strings": b'{"prompt_tokens":"1","completion_tokens":"2"}',
    "objects": b'{"prompt_tokens":{"a":1},"completion_tokens":[]}',
    "only words": b'{"type":"tokens","note":"none"}',
    "unknown keys": b'{"tokens_in":5,"tokens_out":6}',
    "nested": b'{"usage":' * 200 + b"{}" + b"}" * 200,
    "nested beyond reason": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "a lone surrogate": b'{"prompt_tokens":"\\ud800"}',
    "no UTF-8": b'{"prompt_tokens":"\xff"}',
    "broken off": b'{"prompt_tokens":1',
    "10 MB of text": b'{"prompt_tokens":"' + b"x" * 10 * MEGABYTE + b'"}',
    "10 MB of keys": b"{" + b",".join(b'"k%d":%d' % (i, i) for i in range(600_000)) + b"}",
}


@pytest.mark.parametrize("name", NONSENSE)
def test_r37_nonsense_in_a_whole_answer(name) -> None:
    """It is no usage, and the start of it is kept for whoever looks into it."""
    answer = b'{"choices":[{"finish_reason":"stop"}],"usage":' + NONSENSE[name] + b"}"

    reading = checked(read_answer(answer))

    assert reading.usage is None
    unreadable_as_json = name in ("nested beyond reason", "a lone surrogate")
    assert (name == "null") == (reading.unparsed is None) or unreadable_as_json


@pytest.mark.parametrize("name", NONSENSE)
@pytest.mark.parametrize("hold_back", [False, True])
def test_r37_nonsense_in_a_stream_passes_untouched(name, hold_back) -> None:
    """Beside a choice it is the client's, whatever we asked for."""
    before = b'data: {"model":"m","choices":[{"delta":{"content":"Hi"},"finish_reason":null}]}\n\n'
    frame = (
        b'data: {"choices":[{"delta":{},"finish_reason":"stop"}],"usage":'
        + NONSENSE[name]
        + b"}\n\n"
    )
    sent = before + frame + b"data: [DONE]\n\n"

    out, reader = relay(sent, hold_back=hold_back)

    assert sent == out
    assert checked(reader.reading()).usage is None
    assert reader.done


def test_of_keys_that_stand_twice_the_last_counts() -> None:
    """As parsers do, also inside."""
    block = (
        b'{"prompt_tokens":1,"completion_tokens":5,"prompt_tokens":9,'
        b'"prompt_tokens_details":{"cached_tokens":1},"prompt_tokens_details":{"cached_tokens":4}}'
    )

    usage = read_answer(b'{"usage":{"prompt_tokens":7},"usage":' + block + b"}").usage

    assert usage is not None
    assert (9, 4, 5) == (usage.input_total, usage.cache_read_tokens, usage.output_total)


def test_what_a_stream_makes_us_remember_is_bounded() -> None:
    """A thousand frames with new keys in each are no leak."""
    facts = Facts()
    tracemalloc.start()
    try:
        for n in range(1_000):
            block = {f"k{n}_{i}": "x" * 50 for i in range(100)} | {"prompt_tokens": n}
            facts.add({"choices": [], "usage": block})
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert held < MEGABYTE
    usage = facts.reading(complete=True).usage
    assert usage is not None
    assert 999 == usage.input_tokens


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.provider}: {row.shape}")
def test_r37_a_row_cut_off_in_its_middle(row) -> None:
    """Half an answer is no answer: nothing is read from it that is not there."""
    documents = row.answer if isinstance(row.answer, list) else [row.answer]
    body = orjson.dumps(documents[-1])

    for cut in range(0, len(body), 7):
        assert checked(read_answer(body[:cut])).usage is None
