"""Which headers go up, which come back, and what is said in ours."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.proxy.headers import (
    HOP_BY_HOP,
    app_token,
    ours,
    query_without,
    to_client,
    to_upstream,
)


@pytest.mark.parametrize(
    ("headers", "token"),
    [
        ({}, None),
        ({b"authorization": b"Bearer t"}, "t"),
        ({b"authorization": b"bearer   t "}, "t"),
        ({b"authorization": b"Bearer "}, None),
        ({b"authorization": b"Basic t"}, None),
        ({b"authorization": b"t"}, None),
        ({b"api-key": b"a"}, "a"),
        ({b"x-api-key": b"x"}, "x"),
        ({b"authorization": b"Bearer t", b"x-api-key": b"x"}, "t"),
        ({b"authorization": b"Bearer sk", b"x-farebox-app-token": b"app"}, "app"),
        ({b"authorization": b"Bearer t\xf6"}, "tö"),
    ],
)
def test_the_app_token(headers, token):
    assert token == app_token(headers)


DROPPED_UP = [
    *sorted(HOP_BY_HOP),
    b"authorization",
    b"api-key",
    b"x-api-key",
    b"content-length",
    b"content-encoding",
    b"cookie",
    b"expect",
    b"forwarded",
    b"host",
    b"openai-organization",
    b"openai-project",
    b"x-farebox-customer",
    b"x-farebox-app-token",
    b"x-farebox-what-comes-later",
    b"x-data-keywordsai-params",
    b"x-data-respan-params",
]
KEPT_UP = [b"openai-beta", b"user-agent", b"accept", b"x-stainless-os", b"idempotency-key", b"x-d"]


@pytest.mark.parametrize("name", DROPPED_UP)
def test_never_upstream(name):
    assert [] == to_upstream([(name, b"1")], identity=False)


@pytest.mark.parametrize("name", KEPT_UP)
def test_always_upstream(name):
    assert [(name, b"1"), (name, b"2")] == to_upstream([(name, b"1"), (name, b"2")], identity=False)


@pytest.mark.parametrize("name", [b"authorization", b"x-api-key", b"openai-project"])
def test_a_key_of_the_callers_own_goes_along(name):
    """But never the app token, nor a cookie."""
    headers = [(name, b"1"), (b"x-farebox-app-token", b"t"), (b"cookie", b"c")]

    assert [(name, b"1")] == to_upstream(headers, identity=False, passthrough=True)


@pytest.mark.parametrize(
    ("asked", "passed"),
    [
        ([b"gzip, deflate, br, zstd"], b"gzip, deflate, br, zstd"),
        ([b"dcb, BR;q=1.0, gzip;q=0.5, compress"], b"BR;q=1.0, gzip;q=0.5"),
        ([b"gzip", b"dcz"], b"gzip"),
        ([b"dcb"], b"identity"),
        ([b"*"], b"identity"),
        ([b""], b"identity"),
    ],
)
def test_only_encodings_that_we_can_read_are_asked_for(asked, passed):
    headers = [(b"accept-encoding", value) for value in asked]

    assert [(b"accept-encoding", passed)] == to_upstream(headers, identity=False)
    assert [(b"accept-encoding", b"identity")] == to_upstream(headers, identity=True)


def test_what_the_connection_names_stays_on_it():
    """Both ways; several headers, any case, odd spaces."""
    headers = [(b"connection", b"close, X-One"), (b"connection", b" x-two ")]
    named = [(b"x-one", b"1"), (b"x-two", b"2"), (b"x-three", b"3")]

    assert [(b"x-three", b"3")] == to_upstream([*headers, *named], identity=False)
    assert [(b"x-three", b"3")] == to_client([*headers, *named], reframed=False)


@pytest.mark.parametrize(
    "name", [*sorted(HOP_BY_HOP), b"date", b"set-cookie", b"x-farebox-cost-usd"]
)
def test_never_back(name):
    assert [] == to_client([(name.title(), b"1")], reframed=False)


def test_framing_goes_when_the_body_may_differ():
    headers = [(b"Content-Length", b"1"), (b"content-encoding", b"gzip"), (b"x-a", b"1")]

    assert [(b"x-a", b"1")] == to_client(headers, reframed=True)
    assert 3 == len(to_client(headers, reframed=False))


@given(st.text(), st.lists(st.text(), max_size=40))
def test_no_value_can_split_a_header(customer, warnings):
    """Whatever a customer is called or a warning quotes."""
    headers = ours(request_id="r", customer=customer, warnings=warnings, overhead_ms=1.234)

    for name, value in headers:
        assert name.startswith(b"x-farebox-")
        assert all(0x20 <= byte < 0x7F for byte in value)
        assert len(value) < 10_000


def test_what_is_none_is_left_out():
    assert [(b"x-farebox-request-id", b"r")] == ours(request_id="r")
    assert (b"x-farebox-charge-usd", b"0") in ours(request_id="r", charge_usd="0")


@pytest.mark.parametrize("name", [b"authorization", b"api-key", b"x-api-key"])
@pytest.mark.parametrize("scheme", [b"", b"Bearer "])
def test_the_app_token_never_goes_up_beside_the_callers_key(name, scheme):
    """Not where it stands once more in a header that a key of the caller's own may be in."""
    own = next((n, b"sk") for n in (b"authorization", b"api-key") if n != name)
    headers = [(b"x-farebox-app-token", b"token"), (name, scheme + b"token"), own]

    assert [own] == to_upstream(headers, identity=False, passthrough=True)


def test_an_encoding_that_stays_on_the_connection_is_not_asked_for():
    headers = [(b"connection", b"accept-encoding"), (b"accept-encoding", b"gzip")]

    assert [] == to_upstream(headers, identity=False)


@pytest.mark.parametrize(
    ("query", "passed"),
    [
        (b"", b""),
        (b"key=tok/en", b""),
        (b"a=1&key=tok%2Fen&b", b"a=1&b"),
        (b"key=another&api-version=2", b"key=another&api-version=2"),
    ],
)
def test_the_app_token_never_goes_up_in_the_query(query, passed):
    """Google's clients, among others, put their key there."""
    assert passed == query_without("tok/en", query)
