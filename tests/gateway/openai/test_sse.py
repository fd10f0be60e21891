"""Streams: the same bytes out and the same facts, however the network cuts them."""

import json
from itertools import combinations_with_replacement, pairwise
from typing import NamedTuple

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.openai.answer import Reading
from gateway.openai.sse import (
    FRAME_BYTES_MAX,
    HELD_BYTES_MAX,
    FrameSplitter,
    StreamReader,
    data_of,
    split_frames,
)
from pricing.usage import Usage

HEAD = '"id":"c1","object":"chat.completion.chunk","model":"gpt-x","service_tier":"default"'
USAGE = '{"prompt_tokens":10,"completion_tokens":4,"total_tokens":14}'
READ = Usage(input_tokens=10, output_tokens=4)
DONE = b"data: [DONE]\n\n"


def frame(text: str) -> bytes:
    return b"data: {" + text.encode() + b"}\n\n"


def chunk(content: str, extra: str = "", *, finish: str = "null") -> bytes:
    delta = orjson.dumps({"content": content}).decode()
    return frame(
        f'{HEAD},"choices":[{{"index":0,"delta":{delta},"finish_reason":{finish}}}]{extra}'
    )


def tail(usage: str = USAGE) -> bytes:
    return frame(f'{HEAD},"choices":[],"usage":{usage}')


STOP = chunk("", finish='"stop"')


class Stream(NamedTuple):
    """Frames as the provider sends them, and the ones that are there only because we asked."""

    frames: tuple[bytes, ...]
    ours: tuple[int, ...] = ()
    usage: Usage | None = READ
    finish: str | None = "stop"
    done: bool = True
    error: bool = False

    @property
    def sent(self) -> bytes:
        return b"".join(self.frames)

    @property
    def theirs(self) -> bytes:
        return b"".join(f for i, f in enumerate(self.frames) if i not in self.ours)


AZURE_FIRST = frame('"choices":[],"id":"","model":"","prompt_filter_results":[{"hate":"safe"}]')
KIMI_ZEROS = ',"usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}'

STREAMS = {
    "openai": Stream((chunk("Hi"), chunk(" you"), STOP, tail(), DONE), ours=(3,)),
    "openai, null before the tail": Stream(
        (chunk("a", ',"usage":null'), chunk("", ',"usage":null', finish='"stop"'), tail(), DONE),
        ours=(2,),
    ),
    "azure": Stream((AZURE_FIRST, chunk("Hi"), STOP, tail(), DONE), ours=(3,)),
    "openrouter: usage beside an empty delta": Stream(
        (b": OPENROUTER PROCESSING\n\n", chunk("Hi"), STOP, chunk("", f',"usage":{USAGE}'), DONE)
    ),
    "deepseek: usage in the last choice's frame": Stream(
        (b": keep-alive\n\n", chunk("Hi"), chunk("", f',"usage":{USAGE}', finish='"stop"'), DONE)
    ),
    "kimi: zeros, then numbers": Stream(
        (chunk("Hi", KIMI_ZEROS), chunk("", f',"usage":{USAGE}', finish='"stop"'), DONE)
    ),
    "usage, then an empty one": Stream(
        (chunk("Hi"), STOP, tail(), frame(f'{HEAD},"choices":[],"usage":{{}}'), DONE), ours=(2,)
    ),
    "groq": Stream(
        (chunk("Hi"), chunk("", f',"x_groq":{{"usage":{USAGE}}}', finish='"stop"'), tail(), DONE),
        ours=(2,),
    ),
    "moonshot: usage inside the choice": Stream(
        (
            chunk("Hi"),
            frame(f'{HEAD},"choices":[{{"delta":{{}},"finish_reason":"stop","usage":{USAGE}}}]'),
            DONE,
        )
    ),
    "cumulative in each chunk": Stream(
        (
            *(
                chunk(
                    "x",
                    f',"usage":{{"prompt_tokens":10,"completion_tokens":{n},'
                    f'"total_tokens":{10 + n}}}',
                )
                for n in range(5)
            ),
            STOP,
            DONE,
        )
    ),
    "comments between": Stream(
        (chunk("Hi"), b": ping\n\n", STOP, b":\n\n", tail(), b": ping\n\n", DONE), ours=(4,)
    ),
    "spaces": Stream(
        (
            *(f.replace(b'":', b'": ').replace(b",", b", ") for f in (chunk("Hi"), STOP, tail())),
            DONE,
        ),
        ours=(2,),
    ),
    "no space, ids and events": Stream(
        (b"id: 1\nevent: x\n" + chunk("Hi").replace(b"data: ", b"data:"), STOP, tail(), DONE),
        ours=(2,),
    ),
    "data on two lines": Stream(
        (chunk("Hi"), STOP, tail().replace(b',"usage"', b',\ndata: "usage"'), DONE), ours=(2,)
    ),
    "scripts and emoji": Stream((chunk("漢字 😀\u2028é"), STOP, tail(), DONE), ours=(3 - 1,)),
    "text that speaks of usage": Stream(
        (chunk('"usage":{"prompt_tokens":1} data: [DONE]'), STOP, tail(), DONE), ours=(2,)
    ),
    "no usage": Stream((chunk("Hi"), STOP, DONE), usage=None),
    "no final newline": Stream((chunk("Hi"), STOP, tail()[:-2]), ours=(2,), done=False),
    "broken off": Stream((chunk("Hi"), chunk(" you")[:-20]), usage=None, finish=None, done=False),
    "an error": Stream(
        (chunk("Hi"), frame('"error":{"message":"overloaded","code":529}')),
        usage=None,
        finish=None,
        done=False,
        error=True,
    ),
    "an error with usage": Stream(
        (chunk("Hi"), frame(f'"error":{{"code":1}},"choices":[],"usage":{USAGE}')),
        finish=None,
        done=False,
        error=True,
    ),
    "nothing": Stream((), usage=None, finish=None, done=False),
    "no stream at all": Stream(
        (b"<html>\n\n<p>Bad Gateway</p>\n\n",), usage=None, finish=None, done=False
    ),
}
ENDS = {"LF": b"\n", "CRLF": b"\r\n", "CR": b"\r"}


def with_ends(stream: Stream, end: bytes) -> Stream:
    return stream._replace(frames=tuple(f.replace(b"\n", end) for f in stream.frames))


def relay(pieces: list[bytes], *, hold_back: bool) -> tuple[bytes, StreamReader]:
    reader = StreamReader(hold_back_usage=hold_back)
    out = b"".join(reader.feed(piece) for piece in pieces)
    return out + reader.finish(), reader


def facts(reader: StreamReader) -> tuple[Reading, object, int, bool, bool]:
    seen = (reader.frames, reader.seen_text_bytes)
    return reader.reading(), seen, reader.usage_seen, reader.done, reader.error_seen


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("end", ENDS)
def test_a_whole_stream(name, end) -> None:
    """What comes out is what went in, minus the frame that is there only because we asked."""
    stream = with_ends(STREAMS[name], ENDS[end])

    asked, reader = relay([stream.sent], hold_back=False)
    held, held_reader = relay([stream.sent], hold_back=True)

    assert stream.sent == asked
    assert stream.theirs == held
    assert facts(reader) == facts(held_reader)
    reading = reader.reading()
    assert (stream.usage, stream.finish) == (reading.usage, reading.finish_reason)
    assert (stream.done, stream.error) == (reader.done, reader.error_seen)
    assert reading.unparsed is None


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize(
    ("end", "hold_back"), [("LF", True), ("CRLF", True), ("CR", True), ("CRLF", False)]
)
def test_cut_at_every_byte(name, end, hold_back) -> None:
    """One cut, anywhere: same bytes, same facts."""
    stream = with_ends(STREAMS[name], ENDS[end]).sent
    expected, whole = relay([stream], hold_back=hold_back)

    for cut in range(len(stream) + 1):
        out, reader = relay([stream[:cut], stream[cut:]], hold_back=hold_back)
        assert (expected, facts(whole)) == (out, facts(reader)), stream[max(cut - 20, 0) : cut]

    out, reader = relay([bytes([byte]) for byte in stream], hold_back=hold_back)
    assert (expected, facts(whole)) == (out, facts(reader))


SHORT = (
    b'data: {"choices":[{"delta":{"content":"h"}}]}\n\n'
    b'data: {"choices":[],"usage":{"prompt_tokens":1}}\n\n'
    b"data: [DONE]\n\n"
)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_two_cuts_with_an_empty_chunk_between(end) -> None:
    """All double cuts: an empty chunk must not make the reader forget a pending CR."""
    stream = SHORT.replace(b"\n", end)
    expected, whole = relay([stream], hold_back=True)
    assert b"usage" not in expected

    for a, b in combinations_with_replacement(range(len(stream) + 1), 2):
        pieces = [stream[:a], b"", stream[a:b], b"", stream[b:]]
        out, reader = relay(pieces, hold_back=True)
        assert (expected, facts(whole)) == (out, facts(reader)), (a, b)


@given(
    st.lists(st.sampled_from([b"\n", b"\r\n", b"\r", b"a", b"data: x", b"data: {}", b":"])),
    st.lists(st.integers(0, 60), max_size=8),
)
def test_any_mix_of_line_ends_passes_whole(tokens, cuts) -> None:
    """Nothing is lost, doubled or moved, and whole frames leave as soon as they are whole."""
    stream = b"".join(tokens)
    bounds = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    pieces = [stream[a:b] for a, b in pairwise(bounds)]

    splitter = FrameSplitter()
    frames = b"".join(splitter.feed(piece) for piece in pieces)

    assert stream == frames + splitter.finish()
    assert stream == relay(pieces, hold_back=True)[0]
    assert frames == b"".join(split_frames(frames))


@given(
    st.lists(st.sampled_from(sorted(STREAMS)), min_size=1, max_size=3),
    st.lists(st.integers(0, 3_000), max_size=12),
    st.sampled_from(sorted(ENDS)),
    st.booleans(),
)
def test_random_cuts(names, cuts, end, hold_back) -> None:
    stream = b"".join(with_ends(STREAMS[name], ENDS[end]).sent for name in names)
    bounds = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    expected, whole = relay([stream], hold_back=hold_back)

    out, reader = relay([stream[a:b] for a, b in pairwise(bounds)], hold_back=hold_back)

    assert (expected, facts(whole)) == (out, facts(reader))


@given(st.lists(st.binary(max_size=40), max_size=6), st.booleans())
def test_noise_passes(chunks, hold_back) -> None:
    out, _ = relay(chunks, hold_back=hold_back)
    assert b"".join(chunks) == out


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "usage",
                    "choices",
                    "error",
                    "prompt_tokens",
                    "completion_tokens",
                    "x_groq",
                    "model",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)


@given(st.lists(json_values, max_size=5))
def test_nothing_a_provider_sends_raises_or_alters_a_byte(documents) -> None:
    stream = b"".join(b"data: " + json.dumps(d).encode() + b"\n\n" for d in documents)

    out, reader = relay([stream], hold_back=False)
    held, held_reader = relay([stream], hold_back=True)

    assert stream == out
    assert reader.reading() == held_reader.reading()
    kept = set(split_frames(held))
    assert kept <= set(split_frames(stream))
    for missing in set(split_frames(stream)) - kept:
        document = json.loads(data_of(missing) or b"")
        assert document["choices"] == []
        assert document["usage"]


def test_a_chunk_of_whole_frames_is_not_copied() -> None:
    """The common chunk goes through as the very object, held back or not."""
    for hold_back in (False, True):
        reader = StreamReader(hold_back_usage=hold_back)
        reader.feed(chunk("first"))
        for piece in (chunk("Hi"), chunk("a") + chunk("b"), chunk("c", ',"usage":null')):
            assert reader.feed(piece) is piece


def test_unheld_bytes_leave_at_once() -> None:
    """When the caller asked itself, each chunk leaves as it came, whatever it contains."""
    reader = StreamReader(hold_back_usage=False)
    for piece in (b"data: {", b'"choices"', b"", tail(), b"\r", b"\n"):
        assert reader.feed(piece) is piece
    assert b"" == reader.finish()


def test_held_bytes_leave_at_frame_ends() -> None:
    reader = StreamReader(hold_back_usage=True)
    first, second = chunk("one"), chunk("two")

    assert b"" == reader.feed(first[:10])
    assert first == reader.feed(first[10:] + second[:5])
    assert second == reader.feed(second[5:])


def test_a_long_frame_flows_before_its_end() -> None:
    """At most 64 KB wait; what has begun to leave leaves whole, and is read all the same."""
    long = chunk("x" * 200_000, f',"usage":{USAGE}', finish='"stop"')
    asked_for = frame(f'"x":"{"y" * 2 * HELD_BYTES_MAX}","choices":[],"usage":{USAGE}')
    for sent in (long, asked_for):
        reader = StreamReader(hold_back_usage=True)
        out = b""
        waiting = 0
        for start in range(0, len(sent), 4_096):
            piece = sent[start : start + 4_096]
            out += reader.feed(piece)
            waiting = max(waiting, start + len(piece) - len(out))
        assert sent + DONE == out + reader.feed(DONE) + reader.finish()
        assert waiting <= HELD_BYTES_MAX
        assert READ == reader.reading().usage


def test_memory_is_bounded() -> None:
    """An endless frame passes; what is kept of it stays below the bound."""
    reader = StreamReader(hold_back_usage=True)
    piece = b"z" * 65_536
    sent = b"data: "
    received = reader.feed(sent)
    for _ in range(3 * FRAME_BYTES_MAX // len(piece)):
        received += reader.feed(piece)
        sent += piece
        assert reader._splitter.pending_bytes <= FRAME_BYTES_MAX + len(piece)
    received += reader.feed(b"\n\n" + tail() + DONE)
    assert sent + b"\n\n" + DONE == received
    assert READ == reader.reading().usage


def test_usage_is_known_before_the_end() -> None:
    """openai-python hangs up at [DONE]: what was seen until then is already booked."""
    reader = StreamReader(hold_back_usage=True)
    reader.feed(chunk("Hi") + STOP)
    assert not reader.usage_seen

    reader.feed(tail())

    assert reader.usage_seen
    assert READ == reader.reading().usage


def test_facts_of_the_stream() -> None:
    _, reader = relay([STREAMS["azure"].sent], hold_back=True)

    assert reader.reading() == Reading(
        usage=READ,
        model="gpt-x",
        service_tier="default",
        finish_reason="stop",
        upstream_id="c1",
        ended=True,
    )
    assert 5 == reader.frames


def test_text_is_counted_for_the_estimate() -> None:
    """Content, reasoning, tool arguments and refusals; not names, ids or padding."""
    delta = {
        "content": "four",
        "reasoning_content": "five5",
        "tool_calls": [{"id": "call_1", "function": {"name": "f", "arguments": '{"a":1}'}}],
        "refusal": None,
    }
    body = orjson.dumps({"choices": [{"delta": delta}], "obfuscation": "padding"})

    _, reader = relay([b"data: " + body + b"\n\n"], hold_back=False)

    assert len('fourfive5{\\"a\\":1}') == reader.seen_text_bytes


def test_unreadable_usage_is_kept_for_the_record() -> None:
    """The block alone, never the text beside it."""
    broken = b'data: {"usage":{"prompt_tokens":1},"choices":[{"delta":{"content":"secret"}}]\n\n'
    strange = frame('"usage":{"prompt_tokens":"many"},"choices":[{"delta":{"content":"secret"}}]')

    for sent in (broken, strange):
        out, reader = relay([sent], hold_back=False)
        reading = reader.reading()
        assert sent == out
        assert reading.usage is None
        assert b"prompt_tokens" in (reading.unparsed or b"")
        assert b"secret" not in (reading.unparsed or b"")


def test_a_byte_order_mark_hides_nothing() -> None:
    assert b"x" == data_of(b"\xef\xbb\xbfdata: x\n\n")
