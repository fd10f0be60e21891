"""Bad input of every kind: an error in OpenAI's shape, and a ledger that has not moved."""

import json
import logging
from typing import Any
from urllib.parse import quote

import pytest

from tests.support.gateways import (
    ADMIN_KEY,
    OTHER_TOKEN,
    TOKEN,
    UPSTREAM_KEY,
    a_customer,
    chat_body,
)
from tests.support.rawhttp import connected, exchange, parse, request, to_the_end, until

CHAT = "/v1/chat/completions"
GOOD = json.dumps(chat_body()).encode()


def send(door, body=GOOD, path=CHAT, **headers):
    head = {"authorization": f"Bearer {TOKEN}"} | headers
    return exchange(door.url, request(path, body, **head))


def assert_refused(got, status, code=None):
    """OpenAI's error object, whole, and nothing of the inside in it."""
    error = got.json()["error"]
    assert status == got.status, got
    assert {"message", "type", "param", "code"} <= error.keys()
    assert b"application/json" == got.header("content-type")
    assert "Traceback" not in str(error)
    if code is not None:
        assert code == error["code"]


def with_customer(raw):
    """A body whose customer_identifier is `raw` JSON."""
    return GOOD[:-1] + f',"customer_identifier":{raw}}}'.encode("utf-8", "surrogatepass")


BODIES = {
    "empty": (b"", 400, "invalid_json"),
    "broken": (GOOD[:-2], 400, "invalid_json"),
    "array": (b"[]", 400, "invalid_json"),
    "string": (b'"x"', 400, "invalid_json"),
    "null": (b"null", 400, "invalid_json"),
    "html": (b"<html>", 400, "invalid_json"),
    "nan": (GOOD[:-1] + b',"temperature":NaN}', 400, "invalid_json"),
    "not utf-8": (GOOD.replace(b"Hi", b"\xff\xfe"), 400, "invalid_json"),
    "surrogate": (GOOD.replace(b"Hi", b"\xed\xa0\x80"), 400, "invalid_json"),
    "id half": (with_customer(r'"\ud800"'), 400, "invalid_customer"),
    "bom": (b"\xef\xbb\xbf" + GOOD, 400, "invalid_json"),
    "utf-16": (GOOD.decode().encode("utf-16"), 400, "invalid_json"),
    "deep": (GOOD[:-1] + b',"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", 400, "invalid_json"),
    "deep objects": (GOOD[:-1] + b',"x":' + b'{"a":' * 100_000, 400, "invalid_json"),
    "no model": (b'{"messages":[]}', 400, "missing_field"),
    "model number": (b'{"model":1}', 400, "invalid_type"),
    "model long": (b'{"model":"%b"}' % (b"m" * 10_000), 400, "invalid_value"),
    "model nul": (b'{"model":"demo-\\u0000"}', 400, "invalid_value"),
    "stream text": (b'{"model":"demo-small","stream":"yes"}', 400, "invalid_type"),
    "tokens huge": (b'{"model":"demo-small","max_tokens":1e400}', 400, None),
    "tokens negative": (b'{"model":"demo-small","max_tokens":-1}', 400, "invalid_value"),
    "tokens float": (b'{"model":"demo-small","max_tokens":1.5}', 400, "invalid_type"),
    "twice": (b'{"model":"demo-small","model":"demo-large"}', 400, "duplicate_field"),
    "twice escaped": (b'{"model":"demo-small","mod\\u0065l":"a"}', 400, "duplicate_field"),
    "customer twice": (
        GOOD[:-1] + b',"customer_identifier":"a","customer_identifier":"b"}',
        400,
        "duplicate_field",
    ),
    "customer twice within": (
        GOOD[:-1] + b',"customer_params":{"customer_identifier":"a","customer_identifier":"b"}}',
        400,
        "duplicate_field",
    ),
    "limit twice": (
        GOOD[:-1] + b',"customer_params":'
        b'{"customer_identifier":"a","period_budget":1,"p\\u0065riod_budget":9}}',
        400,
        "duplicate_field",
    ),
    "foreign wish": (GOOD[:-1] + b',"fallback_models":["x"]}', 400, "unsupported_field"),
    "id long": (with_customer(f'"{"i" * 10_240}"'), 400, "invalid_customer"),
    "id empty": (with_customer('""'), 400, "invalid_customer"),
    "id blank": (with_customer('"  "'), 400, "invalid_customer"),
    "id nul": (with_customer('"a\\u0000b"'), 400, "invalid_customer"),
    "id newline": (with_customer('"a\\r\\nx: y"'), 400, "invalid_customer"),
    "id reserved": (with_customer('"~anonymous"'), 400, "invalid_customer"),
    "id json": (with_customer('"{\\"a\\":1}"'), 400, "invalid_customer"),
    "id bool": (with_customer("true"), 400, "invalid_customer"),
    "id list": (with_customer('["a"]'), 400, "invalid_customer"),
    "id float": (with_customer("1.5"), 400, "invalid_customer"),
    "id surrogate": (with_customer('"\ud800"'), 400, "invalid_json"),
    "params list": (GOOD[:-1] + b',"customer_params":[]}', 400, "invalid_customer"),
    "params without id": (GOOD[:-1] + b',"customer_params":{"name":"x"}}', 400, None),
}


@pytest.mark.parametrize("case", BODIES)
def test_a_bad_body_changes_nothing(door, case):
    """400 that names what is wrong; no customer, no event, no call upstream."""
    body, status, code = BODIES[case]
    before, calls = door.snapshot(), len(door.seen)

    got = send(door, body)

    assert_refused(got, status, code)
    assert (before, calls) == (door.snapshot(), len(door.seen))


HEADERS: dict[str, Any] = {
    "no token": ({"authorization": None}, 401, "invalid_api_key"),
    "empty token": ({"authorization": "Bearer "}, 401, "invalid_api_key"),
    "wrong token": ({"authorization": "Bearer nobody"}, 401, "invalid_api_key"),
    "basic": ({"authorization": "Basic YTpi"}, 401, "invalid_api_key"),
    "token not ASCII": ({"authorization": "Bearer töken-\xff"}, 401, "invalid_api_key"),
    "token long": ({"authorization": "Bearer " + "x" * 20_000}, 401, "invalid_api_key"),
    "upstream's key": ({"authorization": f"Bearer {UPSTREAM_KEY}"}, 401, "invalid_api_key"),
    "admin key": ({"authorization": f"Bearer {ADMIN_KEY}"}, 401, "invalid_api_key"),
    "text": ({"content-type": "text/plain"}, 415, "unsupported_media_type"),
    "form": ({"content-type": "application/x-www-form-urlencoded"}, 415, None),
    "zipped": ({"content-encoding": "br"}, 415, "unsupported_media_type"),
    "customer not UTF-8": ({"x-farebox-customer": "%ff"}, 400, "invalid_customer"),
    "customer control": ({"x-farebox-customer": "a%0d%0ab"}, 400, "invalid_customer"),
    "customer long": ({"x-farebox-customer": "a" * 10_240}, 400, "invalid_customer"),
    "params broken": ({"X-Data-Keywordsai-Params": "{"}, 400, "invalid_customer"),
    "params list": ({"X-Data-Keywordsai-Params": "W10="}, 400, "invalid_customer"),
    "params text": ({"X-Data-Respan-Params": "hello"}, 400, "invalid_customer"),
    "declared too large": ({"content-length": "999999999999"}, 413, "request_too_large"),
}


@pytest.mark.parametrize("case", HEADERS)
def test_a_bad_head_changes_nothing(door, case):
    headers, status, code = HEADERS[case]
    before = door.snapshot()

    assert_refused(send(door, **headers), status, code)
    assert before == door.snapshot()


TARGETS = {
    "unknown": ("POST", "/v1/nope", 404, "route_not_enabled"),
    "nothing": ("POST", "/v1", 404, "route_not_enabled"),
    "batches": ("POST", "/v1/batches", 404, "route_not_enabled"),
    "files": ("GET", "/v1/files", 404, "route_not_enabled"),
    "long": ("POST", "/v1/" + "x" * 8_000, 404, "route_not_enabled"),
    "get": ("GET", CHAT, 405, "method_not_allowed"),
    "delete": ("DELETE", CHAT, 405, "method_not_allowed"),
    "options": ("OPTIONS", CHAT, 405, "method_not_allowed"),
    "invented": ("BREW", CHAT, 400, None),
    "dots": ("POST", "/v1/../v1/chat/completions", 400, "invalid_path"),
    "dot": ("POST", "/v1/./chat/completions", 400, "invalid_path"),
    "hidden dots": ("POST", "/v1/%2e%2e/chat/completions", 400, "invalid_path"),
    "absolute": ("POST", "http://elsewhere.example" + CHAT, 400, "invalid_http"),
    "connect": ("CONNECT", "elsewhere.example:443", 400, "invalid_http"),
    "asterisk": ("OPTIONS", "*", 400, "invalid_http"),
}


@pytest.mark.parametrize("case", TARGETS)
def test_a_bad_target_changes_nothing(door, case):
    method, path, status, code = TARGETS[case]
    before, calls = door.snapshot(), len(door.seen)
    sent = request(path, GOOD, method=method, authorization=f"Bearer {TOKEN}")

    got = exchange(door.url, sent)

    assert_refused(got, status, code)
    assert (before, calls) == (door.snapshot(), len(door.seen))


def test_head_gets_a_head(door):
    """No body, by HTTP's rule; the connection stays in step."""
    token = {"authorization": f"Bearer {TOKEN}"}
    first = request(CHAT, method="HEAD", connection="keep-alive", **token)

    with connected(door.url) as connection:
        connection.sendall(first)
        head = until(connection, b"\r\n\r\n")
        connection.sendall(request("/v1/models", method="GET", **token))
        answered = parse(to_the_end(connection))

    assert head.endswith(b"\r\n\r\n")
    assert (405, 200) == (parse(head).status, answered.status)


def test_pipelined_requests_are_answered_in_order(door):
    """Each its own answer, each its own customer."""
    customers = [a_customer() for _ in range(3)]
    sent = b"".join(
        request(
            CHAT,
            json.dumps(chat_body(customer, f"I am {customer}")).encode(),
            authorization=f"Bearer {TOKEN}",
            connection="close" if customer is customers[-1] else "keep-alive",
        )
        for customer in customers
    )

    with connected(door.url) as connection:
        connection.sendall(sent)
        got = to_the_end(connection)

    places = [got.index(f"I am {customer}".encode()) for customer in customers]
    assert sorted(places) == places
    assert 3 == got.count(b"HTTP/1.1 200 ")
    assert all(1 == len(door.settled(customer)) for customer in customers)


def test_expect_100_continue(door):
    """Who waits to be asked is asked, once it is known that the token is good."""
    customer = a_customer()
    body = json.dumps(chat_body(customer)).encode()
    sent = request(CHAT, body, authorization=f"Bearer {TOKEN}", expect="100-continue")
    head = sent.removesuffix(body)

    with connected(door.url) as connection:
        connection.sendall(head)
        assert until(connection, b"\r\n\r\n").startswith(b"HTTP/1.1 100")
        connection.sendall(body)
        assert 200 == parse(to_the_end(connection)).status
    with connected(door.url) as connection:
        connection.sendall(head.replace(TOKEN.encode(), b"nobody"))
        assert until(connection, b"\r\n\r\n").startswith(b"HTTP/1.1 401")

    assert 1 == len(door.settled(customer))
    assert "expect" not in door.seen[-1].headers


def test_trailers_are_no_headers(door):
    """What stands behind a chunked body names no customer, and reaches no provider."""
    customer = a_customer()
    body = json.dumps(chat_body(customer)).encode()
    token = {"authorization": f"Bearer {TOKEN}"}
    head = request(CHAT, content_length=None, transfer_encoding="chunked", **token)
    trailers = b"x-sum: 1\r\nauthorization: Bearer nobody\r\nx-farebox-customer: another\r\n"
    sent = head + b"%x\r\n%b\r\n0\r\n%b\r\n" % (len(body), body, trailers)

    assert 200 == exchange(door.url, sent).status

    assert 1 == len(door.settled(customer))
    assert "x-sum" not in door.seen[-1].headers


@pytest.mark.parametrize("framed", ["length", "chunks"])
def test_another_protocol_is_not_spoken(door, framed):
    """Java's own client asks for h2c in each call over plain HTTP: it is answered as ever."""
    first, second = a_customer(), a_customer()
    ask = {
        "authorization": f"Bearer {TOKEN}",
        "connection": "Upgrade, HTTP2-Settings",
        "upgrade": "h2c",
        "http2_settings": "AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA",
    }
    body = json.dumps(chat_body(first)).encode()
    if framed == "chunks":
        head = request(CHAT, content_length=None, transfer_encoding="chunked", **ask)
        sent = head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    else:
        sent = request(CHAT, body, **ask)
    plain = request("/v1/models", method="GET", **ask)
    last = request(CHAT, json.dumps(chat_body(second)).encode(), authorization=f"Bearer {TOKEN}")

    with connected(door.url) as connection:
        connection.sendall(sent + plain + last)
        got = to_the_end(connection)

    assert 3 == got.count(b"HTTP/1.1 200 "), got
    assert [1, 1] == [len(door.settled(customer)) for customer in (first, second)]
    assert "upgrade" not in door.seen[-2].headers


def test_a_head_may_come_in_pieces(door):
    """Where the network cuts a call, and how much of its body comes at once, is no fault."""
    customer = a_customer()
    body = json.dumps(chat_body(customer, "long " * 50_000)).encode()
    padding = {f"x_padding_{number}": "y" * 1_000 for number in range(40)}
    sent = request(CHAT, body, authorization=f"Bearer {TOKEN}", **padding)

    first = request(
        "/v1/models", method="GET", connection="keep-alive", authorization=f"Bearer {TOKEN}"
    )

    with connected(door.url) as connection:
        connection.sendall(first + sent[:30])
        # What has been answered has been read, and what was sent along with it.
        until(connection, b"]}")
        connection.sendall(sent[30:])
        got = parse(to_the_end(connection))

    assert 200 == got.status, got
    assert 1 == len(door.settled(customer))


def test_a_head_too_large_is_told(door):
    """Which fault it is, and what is allowed."""
    got = send(door, x_padding="y" * 70_000)

    assert_refused(got, 400, "invalid_http")
    assert "at most 128 of them, 65536 bytes together" in got.json()["error"]["message"]


@pytest.mark.parametrize(
    "name",
    ["Zoë", "日本🎉", "\u202egnihton", "a/b:c?d#e", "x" * 256, "'; DROP TABLE", "İ", "0", "list"],
)
def test_r62_odd_names_are_names(door, name):
    """Counted, shown and told as they are (NFC)."""
    customer = a_customer(name[:200])[-256:]

    answer = door.chat(customer)

    assert 200 == answer.status_code
    assert quote(customer, safe="") == answer.headers["x-farebox-customer"]
    assert customer == door.logs(customer)[0]["customer_identifier"]
    assert 1 == len(door.settled(customer))


@pytest.mark.parametrize(
    ("field", "shown"),
    [
        (
            '"custom_identifier":123456789012345678901234567890',
            {"custom_identifier": "123456789012345678901234567890"},
        ),
        (
            '"thread_identifier":-9223372036854775809',
            {"thread_identifier": "-9223372036854775809"},
        ),
        ('"thread_identifier":7', {"thread_identifier": 7}),
    ],
)
def test_numbers_are_recorded_exactly(door, field, shown):
    """An event has integers of 64 bits; a longer one is kept as text."""
    customer = a_customer()
    body = json.dumps(chat_body(customer)).encode()[:-1] + f",{field}}}".encode()

    assert 200 == send(door, body).status
    assert shown == door.logs(customer)[0]["metadata"]


@pytest.mark.parametrize(
    "metadata", ['{"a":123456789012345678901234567890}', '{"a":' * 300 + "1" + "}" * 300]
)
def test_odd_metadata_never_fails_a_paid_call(door, metadata):
    """Dropped, and named in a warning."""
    customer = a_customer()
    params = f'"customer_params":{{"customer_identifier":"{customer}","metadata":{metadata}}}'

    got = send(door, GOOD[:-1] + b"," + params.encode() + b"}")

    assert 200 == got.status, got
    assert b"metadata" in (got.header("x-farebox-warnings") or b"")


def test_many_warnings_do_not_swell_the_head(door):
    """Clients give up on a head of 64 KB, and the call is paid by then."""
    params = {f"unknown_{number}_{'x' * 40}": 1 for number in range(2_000)}

    answer = door.chat(a_customer(), customer_params=params)

    assert 200 == answer.status_code
    assert 1_024 == len(answer.headers["x-farebox-warnings"])


def test_a_client_that_leaves_while_sending(door):
    """Nothing held, nothing sent, nothing recorded: the good call behind it is all there is."""
    before, calls = events_in(door.snapshot()), len(door.seen)
    sent = request(CHAT, GOOD, authorization=f"Bearer {TOKEN}")

    with connected(door.url) as connection:
        connection.sendall(sent[:-10])

    assert 200 == send(door).status
    assert calls + 1 == len(door.seen)
    assert before + 1 == events_in(door.snapshot())


def events_in(snapshot):
    return sum(size for key, size in snapshot.items() if key.endswith(b"}ev"))


def test_r63_no_secret_is_told(door, caplog):
    """Canaries on every error path, logs at DEBUG: neither lines nor answers have them."""
    caplog.set_level(logging.DEBUG)
    answers = []
    for text in ("!status 401", "!status 500", "!cut 1", "!stall 0; error-frame 0", "Hi"):
        for stream in (False, True):
            try:
                answers.append(door.chat(a_customer(), text, stream=stream).text)
            except Exception as exc:  # noqa: BLE001 - a broken answer is one of the paths
                answers.append(str(exc))
    for headers in ({"authorization": f"Bearer {OTHER_TOKEN}x"}, {"x-api-key": ADMIN_KEY}):
        answers += [send(door, b"{", **headers).body.decode()]
    answers.append(send(door, GOOD.replace(b"demo-small", TOKEN.encode())).body.decode())
    answers[-1] = answers[-1].replace(f"The model '{TOKEN}'", "")  # what the caller itself named

    told = "\n".join([*answers, *(record.getMessage() for record in caplog.records), caplog.text])
    assert not [s for s in (TOKEN, OTHER_TOKEN, ADMIN_KEY, UPSTREAM_KEY) if s in told]
