"""R63: what is secret is told to nobody: no log, no error, no file, no metric, no key."""

import gzip
import json
import logging
import sqlite3

import pytest

from tests.support.gateways import ADMIN_KEY, TOKEN, a_customer, an_upstream, chat_body, gateway
from tests.support.rawhttp import exchange, request
from tests.support.rawupstream import answer, stream

KEY = "sk-upstream-canary-0123456789"
OWN_KEY = "sk-callers-own-canary-0123"
HEADER = "configured-header-canary"
QUERY = "configured-query-canary"
SAID = {
    "header": "header-canary",
    "cookie": "cookie-canary",
    "query": "query-canary",
    "prompt": "prompt-canary",
    "credentials": "credentials-canary",
    "field": "field-canary",
    "file": "file-canary",
    "said": "answer-canary",
}
SECRETS = [KEY, OWN_KEY, HEADER, QUERY, TOKEN, ADMIN_KEY, *SAID.values()]
CHAT, FORM, REST = "/v1/chat/completions", "/v1/audio/transcriptions", "/v1/batches"
COUNTED = b'"usage":{"prompt_tokens":10,"completion_tokens":4,"total_tokens":14}'
WHOLE = (
    b'{"id":"c","model":"demo-small","choices":[{"message":{"content":"answer-canary"}}],'
    + COUNTED
    + b"}"
)
FRAME = b'data: {"choices":[{"index":0,"delta":{"content":"answer-canary"}}]}\n\n'
ECHO = f'{{"error":{{"message":"Incorrect API key provided: {KEY}."}}}}'.encode()


@pytest.fixture(scope="module")
def door(provider):
    more = {"headers": {"x-tenant": HEADER}, "query": {"sig": QUERY}, "api_key": KEY}
    upstreams = [
        an_upstream(provider.url, **more, models=["demo-*", "ear"]),
        an_upstream(provider.url, name="own", api_key="passthrough", models=["own-*"]),
        an_upstream("http://127.0.0.1:1", name="gone", api_key=KEY, models=["gone-*"]),
    ]
    apps = [{"id": "my-app", "token": TOKEN, "passthrough": True, "upstreams": ["*"]}]
    with gateway(upstreams=upstreams, apps=apps) as running:
        yield running


def cut(connection, _):
    connection.sendall(stream(FRAME, end=False))
    connection.close()


def garbage(connection, _):
    connection.sendall(b"HTTP/9.9 nonsense " + KEY.encode() + b"\r\n\r\n")


ANSWERS = {
    "whole": answer(WHOLE),
    "stream": stream(FRAME, b"data: [DONE]\n\n"),
    "error frame": stream(b'data: {"error":{"message":"answer-canary"}}\n\n'),
    "echoed key": answer(ECHO, status="401 No"),
    "echoed key, gzip": answer(gzip.compress(ECHO), "content-encoding: gzip", status="401 No"),
    "unparsed": answer(WHOLE.replace(COUNTED, b'"usage":{"prompt_tokens":"many"}')),
    "no json": answer(b"<html>answer-canary</html>", status="500 Oh"),
    "cut": cut,
    "garbage": garbage,
}

ECHOES = [ANSWERS["echoed key"], ANSWERS["echoed key, gzip"]]


def body(**fields):
    text = {"messages": [{"role": "user", "content": SAID["prompt"]}]}
    return json.dumps(chat_body(a_customer(), **text, **fields)).encode()


def form():
    parts = [("model", "ear"), ("prompt", SAID["field"]), ("file", SAID["file"])]
    lines = []
    for name, value in parts:
        more = '; filename="a"' if name == "file" else ""
        lines.append(f'--b\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n{value}')
    return ("\r\n".join(lines) + "\r\n--b--\r\n").encode()


CALLS = {
    "plain": (CHAT, body(), {}),
    "streamed": (CHAT, body(stream=True), {}),
    "limited": (CHAT, body(period_budget=1), {}),
    "refused": (CHAT, body(customer_params={"period_budget": 0}), {}),
    "not json": (CHAT, body()[:-5], {}),
    "compressed": (CHAT, gzip.compress(body()), {"content_encoding": "gzip"}),
    "badly compressed": (CHAT, body(), {"content_encoding": "zstd"}),
    "credentials": (CHAT, body(customer_credentials={"k": SAID["credentials"]}), {}),
    "bad type": (CHAT, body(stream=SAID["credentials"]), {}),
    "bad limit": (CHAT, body(customer_params={"period_budget": "much"}), {}),
    "odd field": (CHAT, body(customer_params={"email": SAID["credentials"]}), {}),
    "no such model": (CHAT, body(model="nobodys"), {}),
    "unreachable": (CHAT, body(model="gone-1"), {}),
    "own key": (
        CHAT,
        body(model="own-1"),
        {"authorization": f"Bearer {OWN_KEY}", "x_farebox_app_token": TOKEN},
    ),
    "own key, no token": (CHAT, body(model="own-1"), {}),
    "not its token": (CHAT, body(), {"authorization": f"Bearer {OWN_KEY}"}),
    "broken header": (CHAT, body(), {"x_data_respan_params": SAID["header"]}),
    "form": (FORM, form(), {"content_type": "multipart/form-data; boundary=b"}),
    "cut form": (FORM, form()[:-9], {"content_type": "multipart/form-data; boundary=b"}),
    "rest": (REST, body(), {}),
    "nowhere": ("/v1/../x", body(), {}),
    "management": ("/api/users/list/", body(), {}),
    "event": ("/v1/events", body(), {}),
}


def test_r63_no_secret_is_told(door, provider, caplog):
    """Canaries in every place, driven down every path of success and failure, at DEBUG."""
    caplog.set_level(logging.DEBUG)
    told = []
    for reply in ANSWERS.values():
        if callable(reply):
            provider.script = reply
        else:
            provider.answers(reply)
        for name, (path, content, headers) in CALLS.items():
            known = {
                "authorization": f"Bearer {TOKEN}",
                "x_secret": SAID["header"],
                "cookie": f"session={SAID['cookie']}",
            }
            got = exchange(
                door.url, request(f"{path}?key={SAID['query']}", content, **known | headers)
            )
            if not (reply in ECHOES and name == "own key"):  # there it is another account's key
                told.append(b"\n".join([got.body, *(value for _, value in got.headers)]))
    door.api.get("/readyz")

    # What the provider says to the client is the client's, but for what is ours.
    ours = [s for s in SECRETS if s != SAID["said"]]
    assert [] == [s for s in ours if s.encode() in b"\n".join(told)]
    lines = [f"{record.getMessage()}\n{record.__dict__}" for record in caplog.records]
    assert [] == [s for s in SECRETS if s in "\n".join([caplog.text, *lines])]
    assert [] == [s for s in SECRETS if s.encode() in kept_in(door.folder)]
    assert [] == [s for s in SECRETS if s.encode() in kept_by(door.store)]
    assert [] == [s for s in SECRETS if s in door.api.get("/metrics").text]


def kept_in(folder):
    """Every byte of every file, the archive's as it is read, too."""
    files = [file for file in folder.rglob("*") if file.is_file()]
    assert {"wal"} <= {file.parent.name for file in files} | {d.name for d in folder.iterdir()}
    found = [file.read_bytes() for file in files]
    for file in folder.glob("*.sqlite*"):
        if file.suffix in (".sqlite", ".sqlite3"):
            with sqlite3.connect(file) as archive:
                found.append("\n".join(archive.iterdump()).encode())
    return b"\n".join(found)


def kept_by(store):
    """Every key, and what it holds."""
    found = []
    for key in store.scan_iter(count=10_000):
        found += [key, store.dump(key) or b""]
        kind = store.type(key)
        if kind == b"hash":
            found += store.hgetall(key).values()
        elif kind == b"stream":
            found += [b"".join(fields.values()) for _, fields in store.xrange(key)]
        elif kind == b"string":
            found.append(store.get(key) or b"")
    return b"\n".join(found)


@pytest.mark.parametrize("reply", ["echoed key", "echoed key, gzip"])
@pytest.mark.parametrize("path", [CHAT, REST])
def test_r63_a_key_that_a_provider_repeats_is_blanked(door, provider, reply, path):
    """All else of its error stays."""
    provider.answers(ANSWERS[reply])

    got = exchange(
        door.url,
        request(path, body(), authorization=f"Bearer {TOKEN}", accept_encoding="gzip"),
    )

    assert (401, ECHO.replace(KEY.encode(), b"*" * len(KEY))) == (got.status, got.body)
    assert None is got.header("content-encoding")
    assert got.whole


def test_r63_nothing_shows_what_it_holds():
    """What a debugger or a log line makes of a call has no header, query or body in it."""
    from gateway.openai.call import Endpoint, parse_call
    from gateway.proxy.passage import Passing

    async def never(*_):
        raise AssertionError

    passing = Passing(
        request_id="r",
        method="POST",
        path="p",
        headers=[(b"authorization", KEY.encode())],
        receive=never,
        send=never,
        query=QUERY.encode(),
        content=SAID["prompt"].encode(),
    )
    call = parse_call(Endpoint.CHAT, body())

    shown = repr(passing) + repr(call)
    assert [] == [s for s in SECRETS if s in shown]
