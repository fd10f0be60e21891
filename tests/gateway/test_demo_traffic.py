"""The demo's live calls reach a real server as an SDK would make them."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from gateway.cli import demo_traffic
from gateway.cli.demo_traffic import trickle_calls
from gateway.demo.cast import APPS, cast_members, trickle

CALLS = 12


@pytest.fixture
def gateway():
    """A server that notes what it is asked: (url, calls, whether it has had `CALLS`)."""
    calls: list[tuple[str, str, dict[str, Any]]] = []
    enough = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            calls.append((self.path, self.headers["authorization"], body))
            self.send_response(402 if len(calls) % 2 else 200)
            self.end_headers()
            if len(calls) >= CALLS:
                enough.set()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", calls, enough
        server.shutdown()
        thread.join()


def test_the_cast_calls_until_the_demo_is_over(gateway, monkeypatch):
    """Each under its own name and with its app's token; a refusal does not end it."""
    url, calls, enough = gateway
    monkeypatch.setattr(
        demo_traffic, "trickle", lambda *cast: (c._replace(delay_s=0.001) for c in trickle(*cast))
    )
    over = threading.Event()
    tokens = {app: f"token-of-{app}" for app in APPS}
    caller = threading.Thread(
        target=trickle_calls,
        kwargs={"url": url, "tokens": tokens, "customers": 20, "seed": 1, "over": over},
    )

    caller.start()
    assert enough.wait(20)
    over.set()
    caller.join(20)

    assert not caller.is_alive()
    apps = {member.identifier: member.app for member in cast_members(20, 1)}
    for path, authorization, body in calls:
        customer = body["customer_params"]["customer_identifier"]
        assert f"Bearer token-of-{apps[customer]}" == authorization
        wanted = "/v1/embeddings" if "input" in body else "/v1/chat/completions"
        assert wanted == path
