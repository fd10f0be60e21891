"""Live calls through the demo's own front door, by an ordinary HTTP client."""

import logging
import threading
from collections.abc import Mapping
from typing import Any, Final

import httpx

from gateway.demo.cast import LiveCall, trickle

CALL_SECONDS_MAX: Final = 30.0

log = logging.getLogger(__name__)


def call_now_and_then(
    *, url: str, tokens: Mapping[str, str], customers: int, seed: int, over: threading.Event
) -> None:
    """Call, wait, call, until `over` is set. `tokens`: app id -> its token."""
    with httpx.Client(base_url=url, timeout=CALL_SECONDS_MAX, trust_env=False) as client:
        for live in trickle(seed, customers):
            if over.wait(live.delay_s):
                return
            try:
                _call(client, live, tokens)
            except httpx.HTTPError as exc:
                if not over.is_set():
                    log.info("demo_call_failed error=%s", type(exc).__name__)


def _call(client: httpx.Client, live: LiveCall, tokens: Mapping[str, str]) -> None:
    member = live.member
    body: dict[str, Any] = {
        "model": live.model,
        "customer_params": {
            "customer_identifier": member.identifier,
            "name": member.name,
            "email": member.email,
        },
    }
    path = "/v1/chat/completions"
    if live.model == "demo-embedding":
        path, body["input"] = "/v1/embeddings", live.prompt
    else:
        body |= {"messages": [{"role": "user", "content": live.prompt}], "stream": live.stream}
    headers = {"authorization": f"Bearer {tokens[member.app]}"}
    with client.stream("POST", path, json=body, headers=headers) as answer:
        for _ in answer.iter_raw():
            pass
