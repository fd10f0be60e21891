"""Who pays, however a client says it; and nothing of that reaches a provider."""

import base64
import gzip
import json
import zlib
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.proxy.inflating import zstd
from tests.support.gateways import TOKEN, UPSTREAM_KEY, a_customer, chat_body, gateway
from tests.support.rawhttp import exchange, request
from tests.support.rawupstream import answer, raw_upstream

COUNTED = b'"usage":{"prompt_tokens":10,"completion_tokens":4,"total_tokens":14}'
WHOLE = b'{"id":"c","model":"demo-small","choices":[{"index":0,"message":{}}],' + COUNTED + b"}"
BODY = json.dumps(chat_body()).encode()
AUTH = {"authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def provider():
    with raw_upstream() as upstream:
        upstream.answers(answer(WHOLE))
        yield upstream


@pytest.fixture(scope="module")
def door(provider):
    apps = [
        {"id": "my-app", "token": TOKEN},
        {"id": "strict", "token": "strict-token", "identity": "header"},
        {"id": "prefixed", "token": "prefixed-token", "customer_prefix": "shop/"},
    ]
    with gateway(upstream_url=provider.url, apps=apps) as running:
        yield running


def send(door, body=BODY, query="", path="/v1/chat/completions", **headers):
    return exchange(door.url, request(path + query, body, **AUTH | headers))


def in_query(name):
    return f"?customer_params%5Bcustomer_identifier%5D={quote(name, safe='')}"


CARRIERS = {
    "query, nested": lambda name: {"query": in_query(name)},
    "query, flat": lambda name: {"query": f"?customer_identifier={quote(name, safe='')}"},
    "query, both": lambda name: {"query": f"{in_query(name)}&customer_identifier={quote(name)}"},
    "header": lambda name: {"x_farebox_customer": quote(name, safe="")},
    "keywords header": lambda name: {
        "x_data_keywordsai_params": json.dumps({"customer_params": {"customer_identifier": name}})
    },
    "respan header": lambda name: {
        "x_data_respan_params": base64.b64encode(
            json.dumps({"customer_identifier": name}).encode()
        ).decode()
    },
    "body": lambda name: {"body": json.dumps(chat_body(name)).encode()},
    "user": lambda name: {"body": json.dumps(chat_body(user=name)).encode()},
}


@pytest.mark.parametrize("carrier", CARRIERS)
def test_each_carrier_names_who_pays_and_goes_no_further(door, provider, carrier):
    customer = a_customer("Zoë & söhne")

    got = send(door, **CARRIERS[carrier](customer))

    assert (200, WHOLE) == (got.status, got.body)
    assert quote(customer, safe="").encode() == got.header("x-farebox-customer")
    assert [1_500_000 + 2_400_000] == [e.charge_pico for e in door.settled(customer)]
    asked = provider.asked[-1]
    if carrier != "user":
        assert BODY == asked.body.replace(b', "customer_params": {}', b"")
    assert b"POST /v1/chat/completions HTTP/1.1" == asked.line
    assert b"customer" not in b"".join(name + value for name, value in asked.headers)


@pytest.mark.parametrize(
    ("query", "forwarded"),
    [
        ("?api-version=2026-06-01", b"?api-version=2026-06-01"),
        ("?x=%41+%2f&{}&y&y=2", b"?x=%41+%2f&y&y=2"),
        ("?{}", b""),
    ],
)
def test_the_rest_of_a_query_reaches_the_provider_as_it_is(door, provider, query, forwarded):
    send(door, query=query.format(in_query(a_customer())[1:]))

    assert b"POST /v1/chat/completions%b HTTP/1.1" % forwarded == provider.asked[-1].line


def test_two_carriers_that_disagree_are_refused(door, provider):
    before = len(provider.asked)
    other = {"x_farebox_customer": "other"}

    answers = [
        send(door, query=in_query("a"), **other),
        send(door, body=json.dumps(chat_body("a")).encode(), **other),
        send(door, body=json.dumps(chat_body("a")).encode(), query=in_query("b")),
        send(door, query=in_query("a") + "&customer_identifier=b"),
    ]

    codes = [(a.status, a.json()["error"]["code"]) for a in answers]
    assert [(400, "customer_conflict")] * 4 == codes
    assert before == len(provider.asked)


def test_an_app_that_trusts_headers_only_is_told_by_nothing_else(door, provider):
    """A query or a body that an end user can write names nobody, and still goes no further."""
    claimed, real = a_customer(), a_customer()
    as_app = {"authorization": "Bearer strict-token"}
    body = json.dumps(chat_body(claimed)).encode()

    nobody = send(door, body, in_query(claimed), **as_app)
    somebody = send(door, body, in_query(claimed), **as_app, x_farebox_customer=real)

    assert b"~anonymous" == nobody.header("x-farebox-customer").replace(b"%7E", b"~")
    assert real.encode() == somebody.header("x-farebox-customer")
    assert claimed.encode() not in provider.asked[-1].line + provider.asked[-1].body
    assert [] == door.events(claimed)


def test_an_apps_prefix_is_before_every_carrier(door):
    customer = a_customer()

    got = send(door, query=in_query(customer), authorization="Bearer prefixed-token")

    assert quote(f"shop/{customer}", safe="").encode() == got.header("x-farebox-customer")


ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "zstd": zstd.compress,
}


@pytest.mark.parametrize("encoding", ENCODERS)
def test_r54_a_compressed_body_is_forwarded_as_what_it_says(door, provider, encoding):
    """Decoded, without its encoding, its length right; our fields are found in it."""
    customer = a_customer()
    long = chat_body(customer, "long " * 20_000)

    got = send(door, ENCODERS[encoding](json.dumps(long).encode()), content_encoding=encoding)

    asked = provider.asked[-1]
    del long["customer_params"]
    assert (200, long) == (got.status, json.loads(asked.body))
    assert None is asked.header(b"content-encoding")
    assert str(len(asked.body)).encode() == asked.header(b"content-length")
    assert 1 == len(door.settled(customer))


def test_r54_what_cannot_be_decoded_is_said_so(door):
    unknown = send(door, b"x", content_encoding="br")
    bomb = send(door, zstd.compress(bytes(2**27)), content_encoding="zstd")

    assert (415, "unsupported_media_type") == (unknown.status, unknown.json()["error"]["code"])
    assert "gzip, deflate or zstd" in unknown.json()["error"]["message"]
    assert (413, "request_too_large") == (bomb.status, bomb.json()["error"]["code"])


def test_a_key_of_the_callers_own_goes_up_and_the_app_token_does_not(provider):
    """`api_key: passthrough`: the provider's account is the caller's, so its project counts."""
    with gateway(upstream_url=provider.url, account={"api_key": "passthrough"}) as door:
        got = send(
            door,
            authorization="Bearer sk-own",
            x_farebox_app_token=TOKEN,
            api_key=TOKEN,
            openai_organization="org-own",
        )

    asked = provider.asked[-1]
    assert 200 == got.status
    assert [b"Bearer sk-own", b"org-own"] == [
        asked.header(name) for name in (b"authorization", b"openai-organization")
    ]
    sent = b"".join(name + value for name, value in asked.headers)
    assert TOKEN.encode() not in sent
    assert UPSTREAM_KEY.encode() not in sent


NUMBERS = ["0", "-0", "-0.0", "1.0", "1e-7", "1E+2", "-1.50", "1" + "0" * 30, str(2**64), "0.1"]
ESCAPES = ['\\"', "\\\\", "\\n", "\\/", "\\u0041", "\\u2028", "\\ud83d\\ude00", "\u2028", "é", "}"]
text = st.lists(st.one_of(st.sampled_from(ESCAPES), st.sampled_from("ab{}[],: "))).map("".join)
string = text.map('"{}"'.format)
scalar = st.one_of(st.sampled_from([*NUMBERS, "true", "false", "null"]), string)
space = st.sampled_from(["", " ", "\n\t"])


pair = st.tuples(string, space, scalar).map("{0[0]}:{0[1]}{0[2]}".format)
value = st.recursive(
    st.one_of(scalar, st.lists(pair, max_size=4).map(lambda pairs: "{" + ",".join(pairs) + "}")),
    lambda inner: st.tuples(st.lists(inner, max_size=4), space).map(
        lambda v: "[" + ("," + v[1]).join(v[0]) + "]"
    ),
    max_leaves=10,
)
theirs = st.tuples(text.map('"x_{}"'.format), space, value).map("{0[0]}{0[1]}:{0[2]}".format)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_r55_a_provider_gets_what_the_caller_wrote_but_our_fields(door, provider, data):
    """Whatever stands in it: unknown keys at any depth, long integers, 1e-7, escapes, twins."""
    customer = a_customer()
    before, after = (data.draw(st.lists(theirs, max_size=5)) for _ in range(2))
    said = data.draw(value)
    kept = [*before, '"model":"demo-small"', f'"messages":[{said}]', *after]
    ours = [
        f'"customer_params":{{"customer_identifier":"{customer}","name":{data.draw(string)}}}',
        data.draw(st.sampled_from(['"disable_log":true', '"\\u0074hread_identifier":"t"'])),
    ]
    sent = list(kept)
    for field in ours:
        sent.insert(data.draw(st.integers(0, len(sent))), field)

    got = send(door, ("{" + ",".join(sent) + "}").encode())

    assert 200 == got.status, got.body
    assert ("{" + ",".join(kept) + "}").encode() == provider.asked[-1].body
    assert customer.encode() == got.header("x-farebox-customer")
