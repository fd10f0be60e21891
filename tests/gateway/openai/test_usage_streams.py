"""Whole streams of every provider: read as they are billed, wherever they are cut."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.openai.answer import Reading
from gateway.openai.sse import StreamReader, data_of, split_frames
from pricing.money import usd
from tests.gateway.openai.usage_streams import FOLDER, STREAMS, stream

PAID = [name for name, expected in STREAMS.items() if expected.usage is not None]


def relay(*pieces: bytes, hold_back: bool = False) -> tuple[bytes, StreamReader]:
    reader = StreamReader(hold_back_usage=hold_back)
    return b"".join(map(reader.feed, pieces)), reader


def read(name: str) -> StreamReader:
    _, reader = relay(stream(name))
    reader.finish()
    return reader


def facts(reader: StreamReader) -> tuple[Reading, int, int, bool, bool]:
    seen = (reader.seen_text_bytes, reader.uncounted_text_bytes)
    return reader.reading(), *seen, reader.ended, reader.error_seen


def test_r70_the_corpus_is_all_in_the_table() -> None:
    assert set(STREAMS) == {path.stem for path in FOLDER.iterdir()}
    assert len(STREAMS) >= 12


@pytest.mark.parametrize("name", STREAMS)
def test_r70_a_stream_becomes_its_buckets(name: str) -> None:
    """Usage, how it ended, the tier and the cost that it states: from the frames alone."""
    expected, reader = STREAMS[name], read(name)
    reading = reader.reading()

    assert expected.usage == reading.usage
    assert expected.finish == reading.finish_reason
    assert expected.tier == reading.service_tier
    reported = reading.reported_cost_pico
    assert expected.cost_usd == (None if reported is None else usd(reported))
    assert (True, expected.failed) == (reader.ended, reader.error_seen)
    assert reading.usage_final
    assert reading.unparsed is None


@pytest.mark.parametrize("name", STREAMS)
def test_the_text_in_it_is_counted(name: str) -> None:
    """For the estimate, should it be cut: what was generated, not what frames it."""
    assert STREAMS[name].text_bytes == read(name).seen_text_bytes


@pytest.mark.parametrize("name", STREAMS)
def test_r70_wherever_the_network_cuts(name: str) -> None:
    """One cut, at each byte: the same facts, the same bytes."""
    sent = stream(name)
    whole, reader = relay(sent, hold_back=True)
    for cut in range(len(sent)):
        out, other = relay(sent[:cut], sent[cut:], hold_back=True)
        assert (whole, facts(reader)) == (out, facts(other))


@given(
    st.sampled_from(sorted(STREAMS)), st.lists(st.integers(0, 3_000), max_size=12), st.booleans()
)
def test_random_cuts(name: str, cuts: list[int], hold_back) -> None:
    sent = stream(name)
    bounds = [0, *sorted(min(cut, len(sent)) for cut in cuts), len(sent)]
    whole, reader = relay(sent, hold_back=hold_back)

    out, other = relay(*(sent[a:b] for a, b in pairwise(bounds)), hold_back=hold_back)

    assert (whole, facts(reader)) == (out, facts(other))


@pytest.mark.parametrize("name", STREAMS)
def test_no_byte_of_it_is_ours(name: str) -> None:
    """Unasked, all passes; asked for usage, at most its own frame is held back, and only it."""
    sent = stream(name)

    assert sent == relay(sent)[0]
    kept = split_frames(relay(sent, hold_back=True)[0])
    held = [frame for frame in split_frames(sent) if frame not in kept]
    assert len(held) <= 1
    assert all(b'"choices":[]' in (data_of(frame) or b"") for frame in held)


@pytest.mark.parametrize("name", PAID)
def test_r39_no_beginning_of_it_is_free(name: str) -> None:
    """Cut off behind any frame: zeros said on the way are not believed, nor is a part the whole."""
    frames = split_frames(stream(name))
    for end in range(len(frames) + 1):
        _, reader = relay(b"".join(frames[:end]))
        reading = reader.reading()
        assert reading.usage is None or reading.usage.total
        if reading.usage is not None and reading.usage_final:
            assert reader.ended


@pytest.mark.parametrize("name", PAID)
def test_a_count_never_falls_back(name: str) -> None:
    """Frame by frame what is known grows, and none of it is added up."""
    expected = STREAMS[name].usage
    assert expected is not None
    _, reader = relay()
    total = 0
    for frame in split_frames(stream(name)):
        reader.feed(frame)
        usage = reader.reading().usage
        assert total <= (usage.total if usage else total) <= expected.total
        total = usage.total if usage else total


def test_what_came_after_the_last_count_is_known() -> None:
    """Anthropic counts one token at the start: the text after it is not in that."""
    frames = split_frames(stream("anthropic-messages"))
    _, reader = relay(b"".join(frames[:-2]))

    reading = reader.reading()
    assert reading.usage is not None
    assert (8, False) == (reading.usage.output_total, reading.usage_final)
    assert reader.uncounted_text_bytes == reader.seen_text_bytes > 0


def test_what_each_frame_counts_is_not_estimated_again() -> None:
    """Some count as they go, as vLLM and Perplexity: nothing is left but what comes after."""
    for name in ("vllm-chat", "perplexity-chat", "google-compat"):
        frames = split_frames(stream(name))
        _, reader = relay(b"".join(frames[:2]))
        assert 0 == reader.uncounted_text_bytes < reader.seen_text_bytes


@pytest.mark.parametrize("name", ["sglang-chat", "moonshot-chat"])
def test_r39_zeros_on_the_way_are_no_statement(name: str) -> None:
    """Up to the end of the text the provider has said nothing but zeros."""
    frames = split_frames(stream(name))
    said = [frame for frame in frames if b'"usage":{"prompt_tokens":0' in frame]
    assert said

    _, reader = relay(b"".join(said))

    assert reader.reading().usage is None


ZERO = (
    b'data: {"choices":[{"delta":{"content":"Hi"},"finish_reason":%b}],"usage":{"prompt_tokens":0,'
    b'"completion_tokens":0,"total_tokens":0}}\n\n'
)
TEXT = b'data: {"choices":[{"delta":{"content":"Hi"},"finish_reason":null}]}\n\n'


@pytest.mark.parametrize(
    ("frames", "believed"),
    [
        pytest.param((TEXT, ZERO % b'"stop"'), True, id="with the end, then gone"),
        pytest.param((ZERO % b"null",), False, id="on the way, then gone"),
        pytest.param((ZERO % b"null", ZERO % b'"stop"'), False, id="in each frame, then gone"),
        pytest.param(
            (ZERO % b"null", ZERO % b'"stop"', b"data: [DONE]\n\n"), True, id="in each, and done"
        ),
        pytest.param((ZERO % b"null", b"data: [DONE]\n\n"), False, id="never with the end"),
        pytest.param(
            (TEXT, b'data: {"error":{"code":1},"choices":[],"usage":{"prompt_tokens":0}}\n\n'),
            True,
            id="with an error",
        ),
    ],
)
def test_r39_which_zeros_are_believed(frames, believed) -> None:
    """Those said with the end; where they were said before it too, when all of it has come."""
    _, reader = relay(*frames)

    usage = reader.reading().usage

    assert believed == (usage is not None)
    assert usage is None or usage.total == 0


def test_r10_only_the_last_count_counts() -> None:
    """A hundred frames with 1 … 100 are 100."""
    frame = (
        b'data: {"choices":[{"delta":{"content":"x"},"finish_reason":null}],'
        b'"usage":{"prompt_tokens":7,"completion_tokens":%d}}\n\n'
    )
    _, reader = relay(*(frame % n for n in range(1, 101)))

    usage = reader.reading().usage
    assert usage is not None
    assert (7, 100) == (usage.input_total, usage.output_total)
