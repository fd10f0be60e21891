"""What the load generator and the mock upstream say to each other, through whatever is tested.

Each request names its caller and carries a plan for its answer inside the user message, so
that one mock serves every scenario and no header has to survive a proxy:

    caller-000000000017;<delay ms>;<chunks>;<gap ms>#

The answer repeats the caller: whoever gets somebody else's answer finds out.
"""

from dataclasses import dataclass
from typing import Final

import orjson

CALLER_BYTES: Final = 19
OWN_TIME: Final = b"fp_"
"""In an answer: before the twelve digits of the microseconds that the mock took."""
CUSTOMERS: Final = 100
APP_TOKEN: Final = "farebox-benchmark-token"
MODEL: Final = "demo-small"
FOREVER_MS: Final = 3_600_000

_FILLER: Final = "Compare the two offers below and say which one is cheaper over three years. " * 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How the mock is to answer: `chunks` 0 is one JSON body, else that many content frames."""

    delay_ms: int = 0
    chunks: int = 0
    gap_ms: int = 0


def caller(number: int) -> bytes:
    return b"caller-%012d" % number


def request_bytes(number: int, plan: Plan, *, host: str) -> bytes:
    """One whole POST, as an application with a budgeted customer would send it."""
    content = f"{caller(number).decode()};{plan.delay_ms};{plan.chunks};{plan.gap_ms}# {_FILLER}"
    body: dict[str, object] = {
        "model": MODEL,
        "messages": [
            {"role": "system", "content": "You are brief."},
            {"role": "user", "content": content},
        ],
        "max_tokens": 256,
        "temperature": 0.2,
        "customer_params": {
            "customer_identifier": f"customer_{number % CUSTOMERS}",
            "period_budget": 1_000_000,
        },
    }
    if plan.chunks:
        body["stream"] = True
    payload = orjson.dumps(body)
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: {host}\r\n"
        f"authorization: Bearer {APP_TOKEN}\r\ncontent-type: application/json\r\n"
        f"accept: application/json\r\nuser-agent: farebox-benchmark\r\n"
        f"content-length: {len(payload)}\r\n\r\n"
    )
    return head.encode() + payload


def read_own_time_s(body: bytes) -> float:
    """Seconds that the mock itself took for this answer."""
    at = body.find(OWN_TIME) + len(OWN_TIME)
    digits = body[at : at + 12]
    return int(digits) / 1e6 if digits.isdigit() else 0.0


def read_plan(body: bytes) -> tuple[bytes, Plan]:
    """The caller and the plan in a request's body; any other body is planless."""
    start = body.find(b"caller-")
    if start < 0:
        return caller(0), Plan()
    end = body.index(b"#", start)
    name, delay, chunks, gap = body[start:end].split(b";")
    return name, Plan(delay_ms=int(delay), chunks=int(chunks), gap_ms=int(gap))
