"""What the caller set bounds the output only where the provider cannot have ignored it."""

import json

import orjson
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.errors import InvalidCall
from gateway.openai.call import Call, Endpoint, parse_call
from gateway.openai.output_cap import CHAT_CAP_FIELDS

NEWER, OLDER = CHAT_CAP_FIELDS


def chat(**fields: object) -> Call:
    return parse_call(Endpoint.CHAT, orjson.dumps({"model": "m", "messages": [], **fields}))


@pytest.mark.parametrize(
    ("provider", "field", "caps", "obeyed"),
    [
        # OpenAI obeys the newer one; its reasoning models refuse the older one, others obey it.
        ("openai", NEWER, {NEWER: 7}, 7),
        ("openai", NEWER, {OLDER: 7}, 7),
        ("openai", NEWER, {NEWER: 7, OLDER: 9}, 9),  # it refuses the pair
        # llama.cpp (until 2026), Ollama: only the older one. Gemini documents neither.
        ("local", OLDER, {OLDER: 7}, 7),
        ("local", OLDER, {NEWER: 7}, None),
        ("google", OLDER, {NEWER: 7}, None),
        ("local", OLDER, {NEWER: 9, OLDER: 7}, 9),  # vLLM and SGLang obey the newer of two
        ("local", OLDER, {NEWER: 7, OLDER: 9}, 9),
        # Anthropic's compatible layer documents both.
        ("anthropic", OLDER, {NEWER: 7}, 7),
        ("anthropic", OLDER, {NEWER: 7, OLDER: 9}, 9),
        # A card that names none: the older one is known to everybody.
        ("local", None, {OLDER: 7}, 7),
        ("local", None, {NEWER: 7}, None),
        # No cap, to some providers; null is none to all.
        ("openai", NEWER, {NEWER: 0}, None),
        ("local", OLDER, {OLDER: 0, NEWER: 7}, None),
        ("openai", NEWER, {NEWER: None, OLDER: None}, None),
        ("openai", NEWER, {}, None),
    ],
)
def test_which_cap_is_obeyed(provider, field, caps, obeyed) -> None:
    assert obeyed == chat(**caps).output_caps.obeyed(field=field, provider=provider)


@pytest.mark.parametrize(
    ("provider", "field", "body", "sent"),
    [
        # Nothing set: the card's field is, behind the model.
        ("openai", NEWER, '{"model":"m","n":1}', '{"model":"m","max_completion_tokens":50,"n":1}'),
        ("local", OLDER, '{ "model" : "m" }', '{ "model" : "m","max_tokens":50 }'),
        # In place, whatever it looked like, and never a second time.
        ("openai", NEWER, '{"max_completion_tokens": 99 ,"model":"m"}',
         '{"max_completion_tokens": 50 ,"model":"m"}'),
        ("openai", NEWER, '{"model":"m","max_completion_tokens":null}',
         '{"model":"m","max_completion_tokens":50}'),
        ("openai", NEWER, '{"model":"m","max_completion_tokens":0}',
         '{"model":"m","max_completion_tokens":50}'),
        ("openai", NEWER, '{"model":"m","max\\u005fcompletion_tokens":99}',
         '{"model":"m","max\\u005fcompletion_tokens":50}'),
        # The other one, where it is obeyed: OpenAI refuses the pair.
        ("openai", NEWER, '{"model":"m","max_tokens":99}', '{"model":"m","max_tokens":50}'),
        ("anthropic", OLDER, '{"model":"m","max_completion_tokens":99}',
         '{"model":"m","max_completion_tokens":50}'),
        # Where it may be ignored, both.
        ("local", OLDER, '{"model":"m","max_completion_tokens":99}',
         '{"model":"m","max_tokens":50,"max_completion_tokens":50}'),
        ("local", OLDER, '{"model":"m","max_completion_tokens":20}',
         '{"model":"m","max_tokens":50,"max_completion_tokens":20}'),
        # A smaller one of two stays.
        ("openai", NEWER, '{"model":"m","max_completion_tokens":20,"max_tokens":99}',
         '{"model":"m","max_completion_tokens":20,"max_tokens":50}'),
    ],
)  # fmt: skip
def test_the_smallest_edit(provider, field, body, sent) -> None:
    call = parse_call(Endpoint.CHAT, body.encode())

    cap = call.output_caps.lowered(call.members, 50, field=field, provider=provider)

    assert sent.encode() == call.forwarded(include_usage=False, cap=cap)


VALUES = st.one_of(st.none(), st.integers(0, 10_000), st.text(max_size=5), st.booleans())
CAPS = st.one_of(st.none(), st.integers(0, 10_000))


@given(
    fields=st.dictionaries(
        st.text(min_size=1, max_size=6).filter(lambda name: name not in CHAT_CAP_FIELDS), VALUES
    ),
    caps=st.dictionaries(st.sampled_from(CHAT_CAP_FIELDS), CAPS),
    field=st.sampled_from(CHAT_CAP_FIELDS),
    provider=st.sampled_from(["openai", "anthropic", "local"]),
    tokens=st.integers(16, 10_000),
    ours=st.booleans(),
    stream=st.booleans(),
    order=st.randoms(),
)
def test_afterwards_the_cap_is_obeyed_and_nothing_else_has_changed(
    *, fields, caps, field, provider, tokens, ours, stream, order
) -> None:
    """Beside our other edits too: fields cut out, the model renamed, usage asked for."""
    body = {**fields, **caps, "model": "up/m", "messages": [], "stream": stream}
    if ours:
        body["customer_identifier"] = "c"
    names = list(body)
    order.shuffle(names)
    try:
        call = parse_call(Endpoint.CHAT, orjson.dumps({name: body[name] for name in names}))
    except InvalidCall:
        assume(False)  # a field that we read, with a wrong type

    cap = call.output_caps.lowered(call.members, tokens, field=field, provider=provider)
    sent = call.forwarded(include_usage=True, model="m", cap=cap)
    assert isinstance(sent, bytes)

    after = parse_call(Endpoint.CHAT, sent)
    obeyed = after.output_caps.obeyed(field=field, provider=provider)
    assert obeyed is not None
    assert obeyed <= tokens
    added = {"stream_options", *CHAT_CAP_FIELDS}
    uncapped = call.forwarded(include_usage=False, model="m")
    assert isinstance(uncapped, bytes)
    plain = json.loads(uncapped)
    told = json.loads(sent)
    assert {k: v for k, v in plain.items() if k not in added} == {
        k: v for k, v in told.items() if k not in added
    }
    assert len(set(told) - set(plain) - {"stream_options"}) <= 1
