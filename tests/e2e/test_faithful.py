"""The bytes are not ours: what goes up and what comes back, held against the wire."""

import gzip
import json
import zlib
from typing import Any

import brotli
import httpx
import pytest

from gateway.event import Kind, Source, Status
from gateway.proxy.inflating import zstd
from tests.support.gateways import (
    TOKEN,
    UPSTREAM_KEY,
    a_customer,
    chat_body,
    gateway,
    wait_until,
)
from tests.support.rawhttp import connected, exchange, parse, request, until
from tests.support.rawupstream import answer, stream

DONE = b"data: [DONE]\n\n"
COUNTED = b'"usage":{"prompt_tokens":10,"completion_tokens":4,"total_tokens":14}'
WHOLE = b'{"id":"c","model":"demo-small","choices":[{"index":0,"message":{}}],' + COUNTED + b"}"


def frame(text="Hi", more="", finish="null"):
    choice = f'{{"index":0,"delta":{{"content":"{text}"}},"finish_reason":{finish}}}'
    return f'data: {{"id":"c","model":"demo-small","choices":[{choice}]{more}}}\n\n'.encode()


LAST = frame("", finish='"stop"')
USAGE = b'data: {"id":"c","model":"demo-small","choices":[],' + COUNTED + b"}\n\n"


@pytest.fixture(scope="module")
def door(provider):
    with gateway(upstream_url=provider.url) as running:
        yield running


def send(door, body, **headers):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = request(
        "/v1/chat/completions", content, **{"authorization": f"Bearer {TOKEN}"} | headers
    )
    return exchange(door.url, sent)


ODD = b"\\u00e9\\/\\ud83d"  # the last is half of a character
REST = b'"temperature":1.50e0, "messages":[{"role":"user","content":"' + ODD + b'"}], "x_new":-0.0}'
ASKS = b'{"stream":true,"stream_options":{"include_usage":true},"model":"demo-small","n":1'

BODIES = [
    (
        b'{ "model" : "demo-small",\n\t"customer_params":{"customer_identifier":"%b"}, ' + REST,
        b'{ "model" : "demo-small",\n\t' + REST,
    ),
    (
        b'{"customer_identifier":"%b","model":"demo-small","messages":[],"metadata":{"k":"v"}}',
        b'{"model":"demo-small","messages":[],"metadata":{"k":"v"}}',
    ),
    (
        b'{"stream":true,"model":"demo-small","messages":[],"customer_identifier":"%b"}',
        b'{"stream":true,"stream_options":{"include_usage":true},"model":"demo-small","messages":[]}',
    ),
    (ASKS + b',"customer_identifier":"%b"}', ASKS + b"}"),
    (
        b'{"model":"demo-small","messages":[],"user":"%b","disable_log":true}',
        b'{"model":"demo-small","messages":[],"user":"%b"}',
    ),
]


@pytest.mark.parametrize(("sent", "forwarded"), BODIES)
def test_the_callers_bytes_minus_ours(door, provider, sent, forwarded):
    """Key order, number spelling, escapes and unknown fields stay as they were."""
    customer = a_customer().encode()
    provider.answers(answer(WHOLE))

    got = send(door, sent.replace(b"%b", customer))

    assert (200, WHOLE) == (got.status, got.body)
    assert forwarded.replace(b"%b", customer) == provider.asked[-1].body


def test_what_a_client_says_in_headers_reaches_the_provider(door, provider):
    """All but what is ours, the hop's, or a credential."""
    provider.answers(answer(WHOLE))

    send(
        door,
        chat_body(a_customer()),
        openai_beta="assistants=v2",
        x_stainless_lang="python",
        idempotency_key="k",
        cookie="session=canary",
        connection="close, x-hop",
        x_hop="canary",
        te="trailers",
        keep_alive="canary",
        proxy_authorization="Basic canary",
        x_farebox_customer=None,
        x_farebox_anything="canary",
        x_data_other_params="canary",
        openai_organization="org-canary",
        openai_project="proj-canary",
        x_api_key="canary",
    )

    asked = provider.asked[-1]
    names = [name for name, _ in asked.headers]
    assert [b"assistants=v2", b"python", b"k"] == [
        asked.header(name) for name in (b"openai-beta", b"x-stainless-lang", b"idempotency-key")
    ]
    assert f"Bearer {UPSTREAM_KEY}".encode() == asked.header(b"authorization")
    assert b"canary" not in b"".join(v for n, v in asked.headers if n != b"authorization")
    assert not {b"accept-encoding", b"user-agent"} & set(names)
    assert len(names) == len(set(names))
    assert provider.url.removeprefix("http://").encode() == asked.header(b"host")


def test_r22_an_answers_headers_reach_the_client(door, provider):
    """Rate limits, ids and whatever is new; never a cookie, the hop's, or another's x-farebox."""
    kept = [
        "retry-after: 7",
        "retry-after-ms: 7000",
        "x-request-id: req_1",
        "x-ratelimit-remaining-tokens: 12",
        "anthropic-ratelimit-requests-limit: 50",
        "openai-processing-ms: 3",
        "x-new: 1",
    ]
    dropped = [
        "set-cookie: a=canary",
        "x-farebox-charge-usd: canary",
        "keep-alive: canary",
        "date: Thu, 01 Jan 1970 00:00:00 GMT",
        "proxy-authenticate: canary",
    ]
    body = b'{"error":{"message":"slow down","code":"rate_limit_exceeded"}}'
    provider.answers(answer(body, *kept, *dropped, status="429 Too Many Requests"))

    got = send(door, chat_body(a_customer()))

    assert (429, body) == (got.status, got.body)
    lines = {b"%b: %b" % pair for pair in got.headers}
    assert {line.encode() for line in kept} <= lines
    assert not [line for line in lines if b"canary" in line or b"1970" in line]
    names = [name for name, _ in got.headers]
    assert 1 == names.count(b"date")
    assert 1 == names.count(b"content-length")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 409, 422, 429, 500, 502, 503, 529])
@pytest.mark.parametrize("streamed", [False, True])
def test_r17_an_error_passes_unchanged_and_costs_nothing(door, provider, status, streamed):
    """Status, body and type, for streams too; the hold is given back."""
    customer = a_customer()
    page = b"<html>overloaded</html>"
    provider.answers(answer(page, "content-type: text/html", status=f"{status} Whatever"))

    got = send(door, chat_body(customer, stream=streamed))

    assert (status, page, b"text/html") == (got.status, got.body, got.header("content-type"))
    [event] = door.settled(customer)
    assert (Kind.RELEASE, Status.ERROR, status) == (event.kind, event.status, event.status_code)
    assert 0 == door.spent(customer)


STREAMS = {
    "plain": [frame("a"), frame("b"), LAST],
    "azure": [b'data: {"choices":[],"prompt_filter_results":[]}\n\n', frame("a"), LAST],
    "comments": [b": PROCESSING\n\n" * 3, frame("a"), b": ping\n\n", LAST],
    "crlf": [frame("a").replace(b"\n\n", b"\r\n\r\n"), LAST.replace(b"\n\n", b"\r\n\r\n")],
    "unicode": [frame("日本🎉"), LAST],
    "zeros": [frame("a", ',"usage":{"prompt_tokens":0,"completion_tokens":0}'), LAST],
    "nulls": [frame("a", ',"usage":null'), LAST],
}


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("asks", [False, True])
def test_r08_a_stream_arrives_byte_for_byte(door, provider, name, asks):
    """Identical where the caller asked for usage; minus exactly that one frame where not."""
    customer = a_customer()
    frames = STREAMS[name]
    provider.answers(stream(*frames, USAGE, DONE))
    options = {"stream_options": {"include_usage": True}} if asks else {}

    got = send(door, chat_body(customer, stream=True, **options))

    assert b"".join([*frames, *([USAGE] if asks else []), DONE]) == got.body
    assert got.whole
    [event] = door.settled(customer)
    assert (Source.REPORTED, 14) == (event.source, event.usage.total)


def test_r50_a_stream_cut_at_every_byte(door, provider):
    """However the network cuts it: the same bytes out, and the usage found."""
    customer = a_customer()
    whole = frame("日🎉") + LAST + USAGE + DONE
    provider.answers(stream(*(whole[i : i + 1] for i in range(len(whole)))))

    got = send(door, chat_body(customer, stream=True))

    assert frame("日🎉") + LAST + DONE == got.body
    assert 14 == door.settled(customer)[0].usage.total


TAILS = {
    "openai": [LAST, USAGE],
    "with choices": [frame("", "," + COUNTED.decode(), '"stop"')],
    "groq": [frame("", ',"x_groq":{' + COUNTED.decode() + "}", '"stop"')],
    "then empty": [LAST, USAGE, b'data: {"choices":[],"usage":null}\n\n'],
    "cumulative": [
        frame("", f',"usage":{{"prompt_tokens":10,"completion_tokens":{n}}}') for n in range(1, 5)
    ]
    + [LAST],
}


@pytest.mark.parametrize("tail", TAILS)
def test_r09_the_last_usage_that_says_something_counts(door, provider, tail):
    """Wherever the provider puts it; a frame with choices is never held back."""
    customer = a_customer()
    provider.answers(stream(frame("a"), *TAILS[tail], DONE))

    got = send(door, chat_body(customer, stream=True))

    with_choices = [f for f in TAILS[tail] if b'"choices":[]' not in f]
    assert got.body.startswith(b"".join([frame("a"), *with_choices]))
    assert got.body.endswith(DONE)
    [event] = door.settled(customer)
    assert (10, 4) == (event.usage.input_total, event.usage.output_total)


@pytest.mark.parametrize("streamed", [False, True])
def test_usage_that_never_comes_is_estimated(door, provider, streamed):
    """Never nothing: a quarter of the bytes sent and seen."""
    customer = a_customer()
    whole = answer(WHOLE.replace(COUNTED, b'"usage":null'))
    provider.answers(stream(frame("x" * 40), LAST, DONE) if streamed else whole)

    got = send(door, chat_body(customer, stream=streamed, max_tokens=1_000))

    assert got.whole
    [event] = door.settled(customer)
    assert (Kind.SETTLE, Source.ESTIMATED, Status.OK) == (event.kind, event.source, event.status)
    assert event.charge_pico > 0
    assert -(-len(provider.asked[-1].body) // 4) == event.usage.input_total
    if streamed:
        assert 10 == event.usage.output_total


@pytest.mark.parametrize("status", [400, 422])
def test_r38_r48_an_upstream_that_will_not_be_asked_for_usage(door, provider, status):
    """One silent retry without `stream_options`, and it is remembered: one call, one event."""
    first, second = a_customer(), a_customer()
    model = f"demo-old-{status}"
    no = answer(b'{"error":{"message":"Unknown: stream_options"}}', status=f"{status} No")
    yes = stream(frame("x" * 40), LAST, DONE)
    provider.answers_each(no, yes, yes)
    before = len(provider.asked)

    bodies = [send(door, chat_body(c, stream=True, model=model)).body for c in (first, second)]

    assert [frame("x" * 40) + LAST + DONE] * 2 == bodies
    asked = [b"stream_options" in asked.body for asked in provider.asked[before:]]
    assert [True, False, False] == asked
    assert [Kind.SETTLE, Kind.SETTLE] == [door.settled(c)[0].kind for c in (first, second)]
    assert [1, 1] == [len(door.logs(c)) for c in (first, second)]
    assert [1, 1] == [door.summary(customer_identifier=c)["requests"] for c in (first, second)]


@pytest.mark.parametrize("counted", [b"", b"," + COUNTED], ids=["free", "billed"])
def test_r48_a_failure_and_its_repetition_cost_what_they_report(door, provider, counted):
    """What openai-python repeats is charged once for each answer that reports usage."""
    customer = a_customer()
    no = answer(b'{"error":{"message":"Busy"}%b}' % counted, "retry-after-ms: 1", status="503 Busy")
    provider.answers_each(no, answer(WHOLE))
    before = len(provider.asked)

    door.openai(max_retries=1).chat.completions.create(**chat_body(), user=customer)

    assert 2 == len(provider.asked) - before
    failed, passed = door.settled(customer, 2)
    cost = 10 * 150_000 + 4 * 600_000
    assert (Status.ERROR, Status.OK) == (failed.status, passed.status)
    assert (Kind.SETTLE if counted else Kind.RELEASE) is failed.kind
    assert [cost if counted else 0, cost] == [failed.charge_pico, passed.charge_pico]
    assert sum(e.charge_pico for e in (failed, passed)) == int(door.spent(customer) * 10**12)
    assert 2 == len(door.logs(customer, 2))


def test_a_caller_who_asks_gets_the_upstreams_no(door, provider):
    """The retry is for our own wish only; another 400 is not retried either."""
    customer = a_customer()
    for message, options in (
        ("stream_options", {"stream_options": {"include_usage": True}}),
        ("temperature", {}),
    ):
        no = b'{"error":{"message":"Unknown: %b"}}' % message.encode()
        provider.answers(answer(no, status="400 No"))
        before = len(provider.asked)

        got = send(door, chat_body(customer, stream=True, **options))

        assert (400, no, 1) == (got.status, got.body, len(provider.asked) - before)


ENCODERS: dict[str, Any] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "zstd": zstd.compress,
    "br": brotli.compress,
    "identity": bytes,
}


@pytest.mark.parametrize("encoding", ENCODERS)
def test_r53_a_compressed_answer_passes_as_it_is(door, provider, encoding):
    """Raw to the client, whose length is right; the usage is read beside."""
    customer = a_customer()
    body = ENCODERS[encoding](WHOLE)
    provider.answers(answer(body, f"content-encoding: {encoding}"))

    got = send(door, chat_body(customer), accept_encoding="gzip, deflate, br, dcb, zstd")

    assert (body, encoding.encode()) == (got.body, got.header("content-encoding"))
    assert b"gzip, deflate, br, zstd" == provider.asked[-1].header(b"accept-encoding")
    assert 14 == door.settled(customer)[0].usage.total


@pytest.mark.parametrize("encoding", ENCODERS)
def test_r53_an_encoded_stream_that_was_not_asked_for_is_decoded(door, provider, encoding):
    """We asked for identity, so the client need not understand it."""
    customer = a_customer()
    body = ENCODERS[encoding](frame("a") + LAST + USAGE + DONE)
    provider.answers(
        stream(body[:20], body[20:], headers=(f"content-encoding: {encoding}",)),
    )

    got = send(door, chat_body(customer, stream=True), accept_encoding="gzip")

    assert b"identity" == provider.asked[-1].header(b"accept-encoding")
    assert (frame("a") + LAST + DONE, None) == (got.body, got.header("content-encoding"))
    assert 14 == door.settled(customer)[0].usage.total


@pytest.mark.parametrize("streamed", [False, True])
def test_an_encoding_that_we_cannot_read_passes_as_it_is(door, provider, streamed):
    """Estimated, but never an empty answer."""
    customer, body = a_customer(), b"\xff\x44\x43\x42of a dictionary\x03"
    whole = answer(body, "content-encoding: dcb")
    coded = stream(body, headers=("content-encoding: dcb",))
    provider.answers(coded if streamed else whole)

    got = send(door, chat_body(customer, stream=streamed))

    assert (200, body, b"dcb") == (got.status, got.body, got.header("content-encoding"))
    [event] = door.settled(customer)
    assert (Source.ESTIMATED, Kind.SETTLE) == (event.source, event.kind)


def test_the_served_model_and_tier_are_priced(door, provider):
    """R41: what the answer names wins over what was asked for, where a price is known."""
    served, stranger = a_customer(), a_customer()

    for customer, name in ((served, b"demo-large"), (stranger, b"demo-small-0731")):
        provider.answers(answer(WHOLE.replace(b"demo-small", name)))
        send(door, chat_body(customer))

    [large], [small] = door.settled(served), door.settled(stranger)
    assert (10 * 2_500_000 + 4 * 10_000_000, "demo-large") == (large.cost_pico, large.served_model)
    assert (10 * 150_000 + 4 * 600_000, "demo-small") == (small.cost_pico, small.model)


def test_the_upstreams_name_is_a_prefix_of_the_model(door, provider):
    """`demo/demo-small` asks the upstream `demo` for `demo-small`."""
    customer = a_customer()
    provider.answers(answer(WHOLE))

    got = send(door, chat_body(customer, model="demo/demo-small"))

    assert 200 == got.status
    assert "demo-small" == json.loads(provider.asked[-1].body)["model"]
    [event] = door.settled(customer)
    assert ("demo/demo-small", 10 * 150_000 + 4 * 600_000) == (event.model, event.charge_pico)


@pytest.mark.parametrize(
    ("body_id", "header", "kept"),
    [(b"c", "x-request-id: same", "same"), (b"c", "x-a: b", "c"), (b"", "x-a: b", None)],
)
def test_r47_our_ids_are_our_own(door, provider, body_id, header, kept):
    """An upstream that gives every answer the same id, or none, costs no event."""
    customer = a_customer()
    for _ in range(3):
        provider.answers(answer(WHOLE.replace(b'"id":"c"', b'"id":"%b"' % body_id), header))
        send(door, chat_body(customer))

    events = door.settled(customer, 3)
    rows = door.logs(customer, 3)
    assert {kept} == {event.upstream_request_id for event in events}
    assert 3 == len({event.request_id for event in events})
    assert {event.request_id for event in events} == {row["unique_id"] for row in rows}


def test_r47_looking_at_what_was_generated_costs_nothing(door, provider):
    """Only what generates is metered: reading a stored response is no event, and no call."""
    customer = a_customer()
    held = door.snapshot()
    stored = b'{"id":"resp_1","status":"completed","usage":{"input_tokens":5,"output_tokens":5}}'
    provider.answers(answer(stored))
    headers = {
        "authorization": f"Bearer {TOKEN}",
        "x-farebox-customer": customer,
        "connection": "close",
    }

    for _ in range(3):
        got = httpx.get(f"{door.url}/v1/responses/resp_1", headers=headers, trust_env=False)
        assert (200, stored) == (got.status_code, got.content)

    assert held == door.snapshot()


def test_a_redirect_is_not_followed_and_costs_nothing(door, provider):
    customer = a_customer()
    provider.answers(answer(b"", "location: http://127.0.0.1:1/", status="307 Elsewhere"))
    before = len(provider.asked)

    got = send(door, chat_body(customer))

    assert (307, 1) == (got.status, len(provider.asked) - before)
    assert Kind.RELEASE is door.settled(customer)[0].kind


def test_a_strange_status_does_not_break_us(door, provider):
    """Nothing that HTTP knows: the client is told so, and nothing is held."""
    customer = a_customer()
    provider.answers(answer(b"{}", status="799 Odd"))

    got = send(door, chat_body(customer))

    assert 502 == got.status
    assert "upstream_error" == got.json()["error"]["code"]
    door.settled(customer)


def test_a_passthrough_account_takes_the_callers_key(provider):
    """The key goes up, the app token in its own header does not; alone, it never goes up."""
    provider.answers(answer(WHOLE))
    with gateway(upstream_url=provider.url, account={"api_key": "passthrough"}) as running:
        body, before = chat_body(a_customer()), len(provider.asked)
        headers = {"authorization": "Bearer sk-of-the-caller", "x-farebox-app-token": TOKEN}

        passed = httpx.post(
            f"{running.url}/v1/chat/completions",
            json=body,
            headers=headers | {"openai-organization": "org-1"},
            trust_env=False,
        )
        refused = running.post(json=body)

        assert (200, 401) == (passed.status_code, refused.status_code)
        [asked] = provider.asked[before:]
        assert b"Bearer sk-of-the-caller" == asked.header(b"authorization")
        assert b"org-1" == asked.header(b"openai-organization")
        assert TOKEN.encode() not in b"".join(value for _, value in asked.headers)


def test_a_configured_header_wins_over_the_callers(provider):
    """Else a caller could override what the operator fixed, or send it twice."""
    provider.answers(answer(WHOLE))
    account = {"headers": {"OpenAI-Beta": "ours"}, "query": {"api-version": "1"}}
    with gateway(upstream_url=provider.url, account=account) as running:
        running.post(json=chat_body(a_customer()), headers={"openai-beta": "theirs"})

        asked = provider.asked[-1]
        assert [b"ours"] == [value for name, value in asked.headers if name == b"openai-beta"]
        assert b"POST /v1/chat/completions?api-version=1 HTTP/1.1" == asked.line


def test_r49_frames_leave_as_they_arrive(door, provider):
    """The first one is there while the upstream has not thought of the second."""
    customer = a_customer()
    got: list[bytes] = []

    def script(connection, _):
        whole = stream(frame("a"), frame("b"), LAST, USAGE, DONE)
        cut = whole.index(frame("a")) + len(frame("a")) + 2
        connection.sendall(whole[:cut])
        wait_until(lambda: bool(got), "the client has the first frame")
        connection.sendall(whole[cut:])

    provider.script = script
    body = chat_body(customer, stream=True)
    headers = {"authorization": f"Bearer {TOKEN}"}
    url = f"{door.url}/v1/chat/completions"
    with (
        httpx.Client(trust_env=False) as client,
        client.stream("POST", url, json=body, headers=headers) as answered,
    ):
        for chunk in answered.iter_raw():
            got += [chunk]

    assert frame("a") == got[0]
    assert frame("a") + frame("b") + LAST + DONE == b"".join(got)


@pytest.fixture(scope="module")
def named_door(provider):
    """With names of the operator's: an alias, and a deployment that the upstream lists."""
    with gateway(
        upstream_url=provider.url,
        account={"models": ["demo-*", "prod"]},
        models={"fast": "demo/demo-small", "demo-large": "demo-small", "prod": "demo-small"},
    ) as running:
        yield running


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ("fast", "demo-small"),
        ("demo-large", "demo-small"),
        ("demo/demo-large", "demo-large"),
        ("prod", "prod"),
        ("demo/prod", "prod"),
    ],
)
def test_an_aliass_target_is_what_is_sent_and_priced(named_door, provider, asked, sent):
    """Nothing else of the body changes; a deployment is sent as it is called."""
    provider.answers(answer(WHOLE.replace(b'"model":"demo-small",', b"")))
    customer = a_customer()
    body = b'{"user":"%s", "model" : "%s","messages":[{"role":"user","content":"x"}], "t":1e0}'

    response = send(named_door, body % (customer.encode(), asked.encode()))

    assert 200 == response.status
    assert body % (customer.encode(), sent.encode()) == provider.asked[-1].body
    (event,) = named_door.settled(customer)
    assert (asked, None if asked == sent else sent) == (event.model, event.upstream_model)
    priced = "demo/demo-large" if sent == "demo-large" else "demo/demo-small"
    assert (event.price_id or "").startswith(priced)
    log = named_door.log(event.request_id)
    assert (asked, event.upstream_model) == (log["model"], log["upstream_model"])
    assert log["arithmetic"]["explanation"] is None


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_a_status_without_a_body_states_no_length_of_one(door, provider, caplog, status):
    """Some providers state it all the same; the connection must stay in step."""
    provider.answers(answer(b"{}", status=status))
    again = request(
        "/v1/chat/completions",
        json.dumps(chat_body()).encode(),
        authorization=f"Bearer {TOKEN}",
        connection="keep-alive",
    )

    with connected(door.url) as connection:
        for _ in range(2):
            connection.sendall(again)
            got = parse(until(connection, b"\r\n\r\n"))
            assert int(status[:3]) == got.status
            assert got.header("content-length") is None

    assert "Traceback" not in caplog.text
