"""The rest of /v1: closed unless opened, forwarded as it is, never around a limit."""

import json
import zlib

import pytest

from gateway.event import Kind, Source, Status
from tests.support.gateways import (
    OTHER_TOKEN,
    TOKEN,
    UPSTREAM_KEY,
    a_customer,
    an_upstream,
    gateway,
)
from tests.support.rawhttp import connected, exchange, request, until
from tests.support.rawupstream import answer
from tests.support.rawupstream import stream as streamed

FILE = b'{"id":"file-1","object":"file"}'
OPEN = {"authorization": f"Bearer {TOKEN}"}
RUN = (
    b'event: thread.run.%b\ndata: {"id":"run_1","object":"thread.run","status":"%b",'
    b'"model":"demo-small","usage":%b}\n\n'
)
STEP = (
    b'event: thread.run.step.completed\ndata: {"id":"step_1","object":"thread.run.step",'
    b'"status":"completed","usage":{"prompt_tokens":7,"completion_tokens":1,"total_tokens":8}}\n\n'
)
USAGE = b'{"prompt_tokens":10,"completion_tokens":4,"total_tokens":14}'
DONE = b"event: done\ndata: [DONE]\n\n"
RUNS = "/v1/threads/thread_1/runs"


@pytest.fixture(scope="module")
def door(provider):
    upstreams = [
        an_upstream(f"{provider.url}/nowhere", name="closed", models=["*"]),
        an_upstream(f"{provider.url}/base", name="demo", models=["demo-*"]),
        an_upstream(f"{provider.url}/nowhere", name="second", models=["*"]),
    ]
    apps = [
        {"id": "open", "token": TOKEN, "passthrough": True, "upstreams": ["demo", "second"]},
        {"id": "shut", "token": OTHER_TOKEN},
        {"id": "capped", "token": "capped-token", "passthrough": True, "period_budget": 5},
    ]
    with gateway(upstreams=upstreams, apps=apps) as running:
        yield running


@pytest.fixture(autouse=True)
def answers(provider):
    provider.answers(answer(FILE))


def send(door, method, path, body=b"", **headers):
    told = {"content_type": "application/json" if body else None} | OPEN | headers
    if not body:
        told["content_length"] = None
    return exchange(door.url, request(path, body, method=method, **told))


REQUESTS = [
    ("GET", "/v1/files?limit=2&after=a%2Fb", b"GET /base/v1/files?limit=2&after=a%2Fb HTTP/1.1"),
    ("GET", "/v1/files/file%2F1/content", b"GET /base/v1/files/file%2F1/content HTTP/1.1"),
    ("DELETE", "/v1/files/file-1/", b"DELETE /base/v1/files/file-1/ HTTP/1.1"),
    ("GET", "/v1/assistants", b"GET /base/v1/assistants HTTP/1.1"),
    ("HEAD", "/v1/files", b"HEAD /base/v1/files HTTP/1.1"),
    ("GET", "/v1/what/comes:later?x", b"GET /base/v1/what/comes:later?x HTTP/1.1"),
    ("GET", "/v1/files?customer_identifier=z&a=1", b"GET /base/v1/files?a=1 HTTP/1.1"),
]


@pytest.mark.parametrize(("method", "path", "line"), REQUESTS)
def test_r76_any_method_path_and_query_as_it_is(door, provider, method, path, line):
    """To the app's first upstream, with the upstream's key."""
    got = send(door, method, path, openai_beta="assistants=v2")

    asked = provider.asked[-1]
    assert (200, FILE if method != "HEAD" else b"") == (got.status, got.body)
    assert line == asked.line
    assert f"Bearer {UPSTREAM_KEY}".encode() == asked.header(b"authorization")
    assert b"assistants=v2" == asked.header(b"openai-beta")


BODIES = [
    (
        "POST",
        "/v1/vector_stores",
        b'{ "name":"n" ,"customer_params":{"customer_identifier":"z"}, "n":1e-7 }',
        b'{ "name":"n" ,"n":1e-7 }',
        {},
    ),
    ("POST", "/v1/vector_stores/vs_1/files", b'["file-1"]', b'["file-1"]', {}),
    ("POST", "/v1/files/x", b"{not json", b"{not json", {}),
    ("PUT", "/v1/uploads/u", bytes(3_000_000), None, {"content_type": "audio/wav"}),
    (
        "POST",
        "/v1/files",
        zlib.compress(b"text"),
        b"text",
        {"content_type": "text/plain", "content_encoding": "deflate"},
    ),
]


@pytest.mark.parametrize("case", BODIES, ids=range(len(BODIES)))
def test_any_body_as_it_is(door, provider, case):
    """JSON without our fields, anything else byte for byte."""
    method, path, sent, forwarded, headers = case

    got = send(door, method, path, sent, **headers)

    assert 200 == got.status
    assert (sent if forwarded is None else forwarded) == provider.asked[-1].body


def test_openai_python_keeps_files(door, provider):
    """`files.create` is a form; what it says to us is cut out."""
    client = door.openai()

    kept = client.files.create(
        file=("a.jsonl", b"{}\n" * 9_000),
        purpose="batch",
        extra_body={"customer_params": {"customer_identifier": "z"}},
    )

    asked = provider.asked[-1]
    assert "file-1" == kept.id
    assert b"{}\n" * 9_000 in asked.body
    assert b'name="purpose"' in asked.body
    assert b"customer" not in asked.body


@pytest.mark.parametrize("path", ["/v1/files", "/v1/batches", "/v1/threads/runs", "/v1/nope"])
def test_an_app_that_may_not_is_told_so(door, provider, path):
    before = len(provider.asked)

    got = send(door, "GET", path, authorization=f"Bearer {OTHER_TOKEN}")
    unknown = send(door, "GET", path, authorization="Bearer nobody")

    assert (404, "route_not_enabled") == (got.status, got.json()["error"]["code"])
    assert (401, "invalid_api_key") == (unknown.status, unknown.json()["error"]["code"])
    assert before == len(provider.asked)


@pytest.mark.parametrize(
    "case",
    [
        ("/v1/realtime?model=x", {}, 501, "not_supported"),
        ("/v1/realtime/client_secrets", {}, 501, "not_supported"),
        (
            "/v1/responses",
            {"upgrade": "websocket", "connection": "close, upgrade"},
            501,
            "not_supported",
        ),
        ("/v1/files/../chat", {}, 400, "invalid_path"),
        ("/v1/files/%2e%2e/chat", {}, 400, "invalid_path"),
        ("/v1/files/..%2Fchat", {}, 400, "invalid_path"),
        ("/v1/files/..%5Cchat", {}, 400, "invalid_path"),
        ("http://elsewhere.example/v1/files", {}, 400, "invalid_http"),
        ("/%761/files", {}, 404, "route_not_enabled"),
        ("/v1/", {}, 404, "route_not_enabled"),
        ("/v1", {}, 404, "route_not_enabled"),
        ("/v1/chat/completions", {}, 405, "method_not_allowed"),
    ],
)
def test_what_stays_closed_for_everybody(door, provider, case):
    path, headers, status, code = case
    before = len(provider.asked)

    got = send(door, "GET", path, **headers)

    assert (status, code) == (got.status, got.json()["error"]["code"])
    assert before == len(provider.asked)


GENERATING = [
    ("/v1/batches", b'{"input_file_id":"f"}'),
    ("/v1/fine_tuning/jobs", b'{"model":"m"}'),
    (RUNS, b'{"assistant_id":"a","stream":true}'),
    ("/v1/threads/runs", b'{"assistant_id":"a"}'),
    ("/v1/videos", b'{"prompt":"a cat"}'),
    ("/v1/what/comes/later", b"{}"),
]


@pytest.mark.parametrize(("path", "body"), GENERATING)
def test_what_may_generate_is_not_for_customers_with_a_limit(door, provider, path, body):
    """However the limit is theirs: their own, or the app's. Without one it passes."""
    limited, free = a_customer(), a_customer()
    door.api.post(
        "/api/users/create/", json={"customer_identifier": limited, "period_budget": 5}
    ).raise_for_status()
    before = len(provider.asked)

    refused = [
        send(door, "POST", path, body, x_farebox_customer=limited),
        send(door, "POST", path, body, authorization="Bearer capped-token"),
    ]
    passed = send(door, "POST", path, body, x_farebox_customer=free)

    codes = [(r.status, r.json()["error"]["code"]) for r in refused]
    assert [(403, "route_not_boundable")] * 2 == codes
    assert (200, 1) == (passed.status, len(provider.asked) - before)
    [event] = door.settled(free)
    assert (Kind.RELEASE, 0, path[4:]) == (event.kind, event.charge_pico, event.endpoint)


def test_customers_with_a_limit_may_keep_files(door, provider):
    """What makes nothing needs no bound, and is no event."""
    limited = a_customer()
    door.api.post(
        "/api/users/create/", json={"customer_identifier": limited, "total_budget": 0}
    ).raise_for_status()
    before = door.snapshot()

    for method, path, body in (
        ("GET", "/v1/files", b""),
        ("POST", "/v1/vector_stores", b"{}"),
        ("POST", "/v1/batches/b/cancel", b""),
        ("DELETE", "/v1/threads/t", b""),
    ):
        assert 200 == send(door, method, path, body, x_farebox_customer=limited).status

    assert before == door.snapshot()


def test_a_blocked_customer_may_nothing(door, provider):
    blocked = a_customer()
    door.api.post("/api/users/create/", json={"customer_identifier": blocked}).raise_for_status()
    door.api.patch(f"/api/users/{blocked}/", json={"blocked": True}).raise_for_status()

    for method, path in (("GET", "/v1/files"), ("POST", "/v1/batches")):
        got = send(door, method, path, b"{}", x_farebox_customer=blocked)
        assert (403, "customer_blocked") == (got.status, got.json()["error"]["code"])


def test_a_run_that_is_streamed_is_booked_at_what_it_says(door, provider):
    """Its own usage, not its steps' beside; byte for byte to the client."""
    customer = a_customer()
    frames = [
        RUN % (b"created", b"queued", b"null"),
        STEP,
        RUN % (b"completed", b"completed", USAGE),
        DONE,
    ]
    provider.answers(streamed(*frames))

    got = send(door, "POST", RUNS, b'{"assistant_id":"a"}', x_farebox_customer=customer)

    assert (b"".join(frames), True) == (got.body, got.whole)
    [event] = door.settled(customer)
    assert (Kind.SETTLE, Source.REPORTED, Status.OK) == (event.kind, event.source, event.status)
    assert 10 * 150_000 + 4 * 600_000 == event.charge_pico
    assert ("demo-small", "threads/thread_1/runs", True) == (
        event.model,
        event.endpoint,
        event.stream,
    )


@pytest.mark.parametrize(
    "frames",
    [
        [STEP, RUN % (b"requires_action", b"requires_action", b"null"), DONE],
        [b"data: {broken\n\n", b": nothing\n\n"],
    ],
)
def test_a_run_that_goes_on_is_not_booked_yet(door, provider, frames):
    customer = a_customer()
    provider.answers(streamed(*frames))

    send(door, "POST", RUNS, b"{}", x_farebox_customer=customer)

    assert [Kind.RELEASE] == [event.kind for event in door.settled(customer)]


def test_an_answer_that_states_usage_is_booked_and_a_finished_run_is_not(door, provider):
    customer = a_customer()
    provider.answers(answer(b'{"object":"later","model":"demo-small","usage":%b}' % USAGE))
    send(door, "POST", "/v1/what/comes/later", b"{}", x_farebox_customer=customer)
    provider.answers(answer(b'{"object":"thread.run","model":"demo-small","usage":%b}' % USAGE))
    send(door, "POST", f"{RUNS}/run_1", b"{}", x_farebox_customer=customer)

    events = door.settled(customer, 2)

    assert [Kind.SETTLE, Kind.RELEASE] == [event.kind for event in events]
    assert 10 * 150_000 + 4 * 600_000 == sum(event.charge_pico for event in events)


def test_bytes_leave_as_they_arrive(door, provider):
    """No part of a stream waits for the next."""
    first = RUN % (b"created", b"queued", b"null")
    seen = []

    def script(connection, _):
        head, frame = streamed(first, end=False).split(b"\r\n\r\n", 1)
        connection.sendall(head + b"\r\n\r\n" + frame)
        seen.append(connection.recv(1))  # until the client has hung up

    provider.script = script
    with connected(door.url) as connection:
        connection.sendall(request(RUNS, b"{}", **OPEN))
        until(connection, first)
        assert [] == seen


def test_an_upstream_that_fails_is_an_error_and_costs_nothing(door, provider):
    customer = a_customer()
    provider.script = lambda connection, _: connection.close()

    got = send(door, "POST", "/v1/batches", b"{}", x_farebox_customer=customer)

    assert (502, "upstream_error") == (got.status, got.json()["error"]["code"])
    [event] = door.settled(customer)
    assert (Kind.RELEASE, Status.ERROR, 502) == (event.kind, event.status, event.status_code)


def test_another_gateways_wishes_are_refused_here_too(door, provider):
    before = len(provider.asked)
    body = json.dumps({"customer_credentials": {"openai": "sk-canary"}}).encode()

    got = send(door, "POST", "/v1/vector_stores", body)

    assert (400, "unsupported_field") == (got.status, got.json()["error"]["code"])
    assert b"sk-canary" not in got.body
    assert before == len(provider.asked)
