"""The demo's live calls: the cast asks now and then, through the gateway's front door."""

import itertools
import logging
import threading
from collections.abc import Mapping
from typing import Any

import httpx

from gateway.demo.cast import LiveCall, trickle

CALL_SECONDS_MAX = 60.0
CALLS_MAX = 10_000_000
"""Months of a demo; no loop is without an end."""

_log = logging.getLogger(__name__)


def trickle_calls(
    *, url: str, tokens: Mapping[str, str], customers: int, seed: int, over: threading.Event
) -> None:
    """Make the calls of `gateway.demo.cast.trickle` one after another, until `over` is set.

    Args:
        url: The gateway, without ``/v1``.
        tokens: App id to token.
        customers, seed: The cast.
        over: Ends it within a call.
    """
    with httpx.Client(base_url=url, timeout=CALL_SECONDS_MAX, trust_env=False) as client:
        for call in itertools.islice(trickle(seed, customers), CALLS_MAX):
            if over.wait(call.delay_s):
                return
            try:
                _make(client, call, tokens[call.member.app])
            except httpx.HTTPError as exc:
                _log.info("demo_call_failed error=%s", type(exc).__name__)


def _make(client: httpx.Client, call: LiveCall, token: str) -> None:
    path, body = _asked(call)
    body["customer_params"] = {"customer_identifier": call.member.identifier}
    headers = {"authorization": f"Bearer {token}"}
    with client.stream("POST", path, json=body, headers=headers) as response:
        for _ in response.iter_raw():
            pass


def _asked(call: LiveCall) -> tuple[str, dict[str, Any]]:
    if call.model == "demo-embedding":
        return "/v1/embeddings", {"model": call.model, "input": call.prompt}
    messages = [{"role": "user", "content": call.prompt}]
    body = {"model": call.model, "messages": messages, "stream": call.stream}
    return "/v1/chat/completions", body
