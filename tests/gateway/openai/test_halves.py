"""Whether half a character is an error is for the provider to say; other faults are no JSON."""

import json
import re

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.openai.answer import read_answer
from gateway.openai.body import members
from gateway.openai.call import Endpoint, parse_call
from gateway.openai.halves import loads, without_halves

HALF = re.compile("[\ud800-\udfff]")
PIECES = st.sampled_from(
    [r"\ud83d", r"\uDE00", r"\\", r"\"", r"\u005c", "ud83d", "é", "\U0001f600", "x", r"\n"]
)
STRINGS = st.lists(PIECES, max_size=8).map(lambda pieces: f'"{"".join(pieces)}"'.encode())


@given(st.lists(st.tuples(STRINGS, STRINGS), max_size=4))
def test_each_half_is_read_as_a_replacement_and_nothing_else_changes(pairs) -> None:
    body = b"{%b}" % b",".join(b"%b:%b" % pair for pair in pairs)
    read = [
        [HALF.sub("\ufffd", json.loads(part)) for part in pair]  # it joins pairs, as it should
        for pair in pairs
    ]

    assert dict(read) == loads(body)
    assert len(body) == len(without_halves(body))
    assert [key for key, _ in read] == [member.key for member in members(body)]


@pytest.mark.parametrize("text", [b"{", b'{"a": 1e400}', rb'{"a": "\ud83d"', rb'{"a": "\ux"}'])
def test_what_is_no_json_stays_none(text) -> None:
    with pytest.raises(orjson.JSONDecodeError):
        loads(text)


def test_r55_a_cut_emoji_is_forwarded_as_it_came() -> None:
    body = rb'{"model":"m","messages":[{"role":"user","content":"\ud83d"}],"\ud83d":1}'

    call = parse_call(Endpoint.CHAT, body)

    assert "m" == call.model
    assert body == call.body


@pytest.mark.parametrize("name", ["customer_identifier", "user"])
def test_names_that_differ_by_a_half_are_not_merged(name) -> None:
    """What cannot be written is refused where identifiers are judged."""
    call = parse_call(Endpoint.CHAT, rb'{"model":"m","%b":"a\ud83d"}' % name.encode())

    assert "a\ud83d" == getattr(call.customer_fields, name)


def test_an_answer_with_a_half_is_billed_as_reported() -> None:
    body = (
        rb'{"choices":[{"message":{"content":"\ud83d"}}],'
        rb'"usage":{"prompt_tokens":3,"completion_tokens":5}}'
    )

    usage = read_answer(body).usage

    assert usage is not None
    assert (3, 5) == (usage.input_total, usage.output_total)
