"""What is read of a call, what is refused, and the bytes that go upstream."""

import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import InvalidCall
from gateway.openai.call import CUT, MODEL_CHARS_MAX, REFUSED, Endpoint, parse_call
from gateway.openai.carriers import ABSENT, CARRIERS

CHAT, EMBEDDINGS = Endpoint.CHAT, Endpoint.EMBEDDINGS


def chat(text: str) -> bytes:
    """A chat body whose members after `model` are `text`."""
    return ('{"model":"m"' + (", " + text if text else "") + "}").encode()


def refusal(body: bytes, endpoint: Endpoint = CHAT) -> InvalidCall:
    with pytest.raises(InvalidCall) as caught:
        parse_call(endpoint, body)
    return caught.value


def test_reads_what_the_gateway_needs() -> None:
    call = parse_call(
        CHAT,
        chat(
            '"stream":true,"stream_options":{"include_usage":true},"n":2,"best_of":3,'
            '"max_tokens":5,"max_completion_tokens":7,"service_tier":"flex","user":"u"'
        ),
    )

    assert ("m", True, True, 3, (7, 5, None), "flex") == (
        call.model,
        call.stream,
        call.asked_for_usage,
        call.choices,
        call.output_caps,
        call.service_tier,
    )
    assert "u" == call.customer_fields.user


def test_null_is_absent() -> None:
    """Clients that send every field of their model with nulls are served."""
    keys = [
        "stream",
        "stream_options",
        "n",
        "best_of",
        "max_tokens",
        "max_completion_tokens",
        "service_tier",
    ]
    call = parse_call(CHAT, chat(",".join(f'"{key}":null' for key in [*keys, *sorted(REFUSED)])))

    assert (False, False, 1, (None, None, None), None) == (
        call.stream,
        call.asked_for_usage,
        call.choices,
        call.output_caps,
        call.service_tier,
    )
    sent = call.forwarded(include_usage=True)
    assert isinstance(sent, bytes)
    assert {"model", *keys} == set(json.loads(sent))


def test_our_fields_are_cut_and_openais_stay() -> None:
    body = chat(
        '"customer_params":{"customer_identifier":"c"},"user":"u", "metadata":{"a":1.0},'
        '"thread_identifier":1,"safety_identifier":"s","disable_log":true'
    )

    sent = parse_call(CHAT, body).forwarded(include_usage=False)

    assert chat('"user":"u", "metadata":{"a":1.0},"safety_identifier":"s"') == sent


def test_a_body_without_our_fields_is_forwarded_itself() -> None:
    body = b' {"model" : "m", "temperature":1.0 }\n'

    assert parse_call(CHAT, body).forwarded(include_usage=True) is body


@pytest.mark.parametrize("key", sorted(CUT - REFUSED))
def test_each_of_our_fields_is_cut(key) -> None:
    call = parse_call(CHAT, chat(f'"{key}":"x"'))

    assert "x" == getattr(call.customer_fields, key)
    assert chat("") == call.forwarded(include_usage=False)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("", '"stream":true,"stream_options":{"include_usage":true}'),
        (' ,"stream_options": null', '"stream":true ,"stream_options": {"include_usage":true}'),
        (',"stream_options":{ }', '"stream":true,"stream_options":{"include_usage":true}'),
        (
            ',"stream_options": { "include_obfuscation" : 1.0 }',
            '"stream":true,"stream_options": { "include_obfuscation" : 1.0,"include_usage":true }',
        ),
        (
            ',"stream_options":{"x":[1], "include_usage" : false }',
            '"stream":true,"stream_options":{"x":[1], "include_usage" : true }',
        ),
        (
            ',"stream_options":{"include\\u005fusage":null}',
            '"stream":true,"stream_options":{"include\\u005fusage":true}',
        ),
    ],
)
@pytest.mark.parametrize("around", [("", ""), ('"customer_params":{},', ',"custom_identifier":1')])
def test_usage_is_asked_for_by_the_smallest_edit(options, expected, around) -> None:
    call = parse_call(CHAT, chat(around[0] + '"stream":true' + options + around[1]))

    assert not call.asked_for_usage
    assert chat(expected) == call.forwarded(include_usage=True)
    assert chat('"stream":true' + options) == call.forwarded(include_usage=False)


@pytest.mark.parametrize(
    ("endpoint", "text"),
    [
        (CHAT, '"stream":false'),
        (CHAT, '"stream_options":null'),
        (CHAT, '"stream":true,"stream_options":{"include_usage":true}'),
        (EMBEDDINGS, '"stream":true'),
    ],
)
def test_r38_usage_is_asked_for_only_where_needed(endpoint, text) -> None:
    assert chat(text) == parse_call(endpoint, chat(text)).forwarded(include_usage=True)


def test_the_model_is_renamed_in_place() -> None:
    call = parse_call(CHAT, b'{"a":1,"mod\\u0065l" : "openai/gpt-4o" ,"b":2}')

    assert "openai/gpt-4o" == call.model
    assert b'{"a":1,"mod\\u0065l" : "gpt-4o" ,"b":2}' == call.forwarded(
        include_usage=False, model="gpt-4o"
    )


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        (b"", "invalid_json", None),
        (b"{", "invalid_json", None),
        (b'{"model":"m",}', "invalid_json", None),
        (b'{"model":"m"}{}', "invalid_json", None),
        (b'\xef\xbb\xbf{"model":"m"}', "invalid_json", None),
        (b'{"model":"\xff"}', "invalid_json", None),
        (b'{"model":"m","x":NaN}', "invalid_json", None),
        (b'["model"]', "invalid_json", None),
        (b"null", "invalid_json", None),
        (b'{"a":' + b"[" * 5_000 + b"]" * 5_000 + b"}", "invalid_json", None),
        (b"{}", "missing_field", "model"),
        (b'{"model":null}', "missing_field", "model"),
        (b'{"model":5}', "invalid_type", "model"),
        (b'{"model":""}', "invalid_value", "model"),
        (b'{"model":"a\\u0000b"}', "invalid_value", "model"),
        (b'{"model":"' + b"m" * (MODEL_CHARS_MAX + 1) + b'"}', "invalid_value", "model"),
        (b'{"model":"a","model":"b"}', "duplicate_field", "model"),
        (b'{"model":"a","mod\\u0065l":"a"}', "duplicate_field", "model"),
        (chat('"customer_params":1,"customer_params":1'), "duplicate_field", "customer_params"),
        (chat('"stream":1'), "invalid_type", "stream"),
        (chat('"stream":"true"'), "invalid_type", "stream"),
        (chat('"stream_options":[]'), "invalid_type", "stream_options"),
        (
            chat('"stream_options":{"include_usage":1}'),
            "invalid_type",
            "stream_options.include_usage",
        ),
        (
            chat('"stream_options":{"include_usage":true,"include_usage":false}'),
            "duplicate_field",
            "stream_options.include_usage",
        ),
        (chat('"n":0'), "invalid_value", "n"),
        (chat('"n":true'), "invalid_type", "n"),
        (chat('"n":1.0'), "invalid_type", "n"),
        (chat('"n":"1"'), "invalid_type", "n"),
        (chat('"n":' + "9" * 40), "invalid_type", "n"),
        (chat('"n":' + "9" * 300), "invalid_type", "n"),
        (chat('"best_of":-1'), "invalid_value", "best_of"),
        (chat('"max_tokens":-1'), "invalid_value", "max_tokens"),
        (chat('"max_tokens":1e3'), "invalid_type", "max_tokens"),
        (chat('"max_completion_tokens":false'), "invalid_type", "max_completion_tokens"),
        (chat('"max_completion_tokens":{}'), "invalid_type", "max_completion_tokens"),
        (chat('"service_tier":1'), "invalid_type", "service_tier"),
        (chat('"prompt":"hi"'), "unsupported_field", "prompt"),
        *[(chat(f'"{key}":{{}}'), "unsupported_field", key) for key in sorted(REFUSED)],
    ],
)
def test_what_we_read_must_be_right(body, code, param) -> None:
    """Broken JSON and wrong types name the field and say what to do."""
    error = refusal(body)

    assert (code, param) == (error.code, error.param)
    assert str(error).endswith(".")


def test_broken_json_says_where() -> None:
    assert "line 2 column" in str(refusal(b'{"model":\n}'))


@pytest.mark.parametrize(
    ("endpoint", "text"),
    [
        (CHAT, '"logit_bias":5,"logit_bias":6'),
        (CHAT, '"temperature":"hot","seed":1e30,"messages":7'),
        (EMBEDDINGS, '"n":0,"stream":"x","max_tokens":-1,"stream_options":1,"n":2'),
    ],
)
def test_what_we_do_not_read_is_the_providers_to_judge(endpoint, text) -> None:
    assert chat(text) == parse_call(endpoint, chat(text)).forwarded(include_usage=False)


@pytest.mark.parametrize("number", [2**63, 2**64, 2**64 + 1, 10**40])
def test_long_numbers_name_exactly_one_customer(number) -> None:
    """As floats, 2^64 and 2^64 + 1 would share one account."""
    fields = parse_call(CHAT, chat(f'"customer_identifier":{number}')).customer_fields

    assert number == fields.customer_identifier


def test_a_carrier_that_cannot_be_read_exactly_is_refused() -> None:
    """Deeper than Python's own parser goes, and with a number that needs it."""
    error = refusal(chat('"user":' + "[" * 1_000 + "9" * 30 + "]" * 1_000))

    assert ("invalid_value", "user") == (error.code, error.param)


def test_absent_is_not_null() -> None:
    fields = parse_call(CHAT, chat('"customer_identifier":null')).customer_fields

    assert fields.customer_identifier is None
    assert {ABSENT} == {getattr(fields, name) for name in CARRIERS if name != "customer_identifier"}


def test_prompts_stay_out_of_the_repr() -> None:
    """A call may reach a log line; what people wrote must not."""
    assert "secret" not in repr(parse_call(CHAT, chat('"messages":[{"content":"secret"}]')))


@given(
    st.dictionaries(
        st.sampled_from(["messages", "stream", "n", "max_tokens", "user", "tools", "input", "x"])
        | st.text(max_size=5),
        st.recursive(
            st.none() | st.booleans() | st.integers(-5, 2**63) | st.floats(0, 1) | st.text(),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(st.sampled_from(["type", "content", "image_url"]), inner)
            ),
            max_leaves=6,
        ),
    ),
    st.sampled_from(Endpoint),
)
def test_any_object_is_parsed_or_refused(document, endpoint) -> None:
    """No combination of types gets past as anything but a Call or an InvalidCall."""
    body = orjson.dumps({"model": "m"} | document)
    try:
        call = parse_call(endpoint, body)
    except InvalidCall:
        return
    kept = {k: v for k, v in orjson.loads(body).items() if k not in CUT}
    sent = call.forwarded(include_usage=False)
    assert isinstance(sent, bytes)
    assert kept == orjson.loads(sent)
