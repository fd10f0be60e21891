"""The table of routes: each has a row, and what the rows say fits together."""

import orjson
import pytest

from gateway.errors import InvalidCall
from gateway.openai.call import call_of, parse_call
from gateway.openai.endpoints import TRAITS, Endpoint
from gateway.openai.errors import Surface
from gateway.openai.forms import Attached
from gateway.openai.output_cap import OUTPUT_CAP_FIELDS
from gateway.openai.passed import passed


def call(endpoint, **fields):
    return parse_call(endpoint, orjson.dumps({"model": "m", "max_tokens": 9, **fields}))


def sent(made, **options):
    """What is forwarded of a JSON body."""
    content = made.forwarded(**{"include_usage": False} | options)
    assert isinstance(content, bytes)
    return content


def test_every_route_has_a_row():
    assert set(Endpoint) == set(TRAITS)
    for endpoint, traits in TRAITS.items():
        assert traits is endpoint.traits
        assert set(traits.caps) <= set(OUTPUT_CAP_FIELDS)
        assert traits.cap_field is None or traits.caps == (traits.cap_field,)
        assert not (traits.asks_usage and traits.last_events)


@pytest.mark.parametrize("endpoint", Endpoint)
def test_a_field_that_is_read_stands_once(endpoint):
    """Whatever is read here could be read otherwise upstream, were it there twice."""
    traits = endpoint.traits
    streamed = {"stream"} if traits.streams else set()
    for name in {*traits.reads, *traits.caps, *streamed, "model", "customer_params"}:
        body = f'{{"model":"m","{name}":null,"{name}":null}}'.encode()
        with pytest.raises(InvalidCall) as refused:
            parse_call(endpoint, body)
        assert ("duplicate_field", name) == (refused.value.code, refused.value.param)


def test_prompts_are_refused_where_they_are_another_gateways():
    for endpoint in (Endpoint.CHAT, Endpoint.EMBEDDINGS, Endpoint.MESSAGES):
        with pytest.raises(InvalidCall, match="not supported"):
            call(endpoint, prompt="x")
    for endpoint in (Endpoint.COMPLETIONS, Endpoint.RESPONSES, Endpoint.IMAGES):
        assert b'"prompt":"x"' in sent(call(endpoint, prompt="x"))
    with pytest.raises(InvalidCall, match="not supported"):
        call(Endpoint.RESPONSES, prompt={"prompt_id": "1"})


@pytest.mark.parametrize("endpoint", Endpoint)
def test_who_asks_for_usage(endpoint):
    """Only chats and completions, and of those the streams."""
    body = orjson.dumps({"model": "m", "max_tokens": 9, "stream": True})
    forwarded = sent(parse_call(endpoint, body), include_usage=endpoint.traits.asks_usage)

    assert (endpoint in (Endpoint.CHAT, Endpoint.COMPLETIONS)) == (b"include_usage" in forwarded)


def test_messages_need_a_maximum():
    with pytest.raises(InvalidCall) as refused:
        parse_call(Endpoint.MESSAGES, b'{"model":"m"}')
    assert ("missing_field", "max_tokens") == (refused.value.code, refused.value.param)
    assert 0 == call(Endpoint.MESSAGES, max_tokens=0).output_caps.max_tokens
    assert Surface.ANTHROPIC is Endpoint.MESSAGES.traits.surface


def test_only_moderations_need_no_model():
    """The upstream's name for it is written even so."""
    made = parse_call(Endpoint.MODERATIONS, b'{"input":"x"}')
    assert "omni-moderation-latest" == made.model
    assert made.body == sent(made, model=made.model)
    assert {"input": "x", "model": "other"} == orjson.loads(sent(made, model="other"))
    with pytest.raises(InvalidCall, match="model"):
        parse_call(Endpoint.IMAGES, b'{"prompt":"x"}')


def test_the_caps_of_each_route():
    caps = {"max_tokens": 1, "max_completion_tokens": 2, "max_output_tokens": 3}
    expected = {
        Endpoint.CHAT: (2, 1, None),
        Endpoint.COMPLETIONS: (None, 1, None),
        Endpoint.RESPONSES: (None, None, 3),
        Endpoint.MESSAGES: (None, 1, None),
        Endpoint.EMBEDDINGS: (None, None, None),
    }
    for endpoint, read in expected.items():
        assert read == call(endpoint, **caps).output_caps


def test_background_is_for_responses():
    """Of images it is a colour."""
    assert call(Endpoint.RESPONSES, background=True).background
    assert not call(Endpoint.IMAGES, background="transparent").background
    with pytest.raises(InvalidCall, match="background"):
        call(Endpoint.RESPONSES, background="yes")


@pytest.mark.parametrize(
    ("fields", "user"),
    [
        ({"metadata": {"user_id": "u"}}, "u"),
        ({"metadata": {"user_id": "u"}, "user": "v"}, "v"),
        ({"metadata": {"user_id": None}}, None),
        ({"metadata": "x"}, None),
    ],
)
def test_anthropics_way_to_name_a_user(fields, user):
    carried = call(Endpoint.MESSAGES, **fields).customer_fields.user
    assert user == (carried if isinstance(carried, str) else None)
    assert not isinstance(call(Endpoint.CHAT, metadata={"user_id": "u"}).customer_fields.user, str)


def test_a_form_is_read_like_an_object():
    """Its file is its size: text is counted by the rest."""
    form = {"model": "m", "prompt": "Hi", "file": Attached(75_000), "stream": None}
    made = call_of(Endpoint.TRANSCRIPTIONS, form, sent_bytes=75_400, body=b"", found=(), cuts=())

    assert (75_000, (("second", 100),)) == (made.attached_bytes, made.output.pieces)
    assert 400 + 64 + 100 * 32 == made.input_bound_tokens


def test_what_only_passes_loses_our_fields():
    body = b'{"customer_params":{"customer_identifier":"c"}, "model" : "a/m","user":"u"}'

    assert b'{"model" : "a/m","user":"u"}' == passed(body).forwarded("a/m")
    assert b'{"model" : "m","user":"u"}' == passed(body).forwarded("m")
    with pytest.raises(InvalidCall, match="twice"):
        passed(b'{"model":"a","model":"b"}')
