"""The breakdown of a call, in its own answer, for who asked for it with ``request_breakdown``."""

from typing import Any, Final

import orjson

from gateway.event import UsageEvent
from pricing.money import PICO_PER_USD

_DONE: Final = (b"data: [DONE]", b"data:[DONE]")


def breakdown(
    event: UsageEvent, remaining_usd: str | None, resets_at: str | None
) -> dict[str, Any]:
    """What a call has used and cost its customer; seconds, and USD as Keywords AI has them."""
    input_tokens, cached, output, _ = event.usage.totals
    return {
        "prompt_tokens": input_tokens,
        "completion_tokens": output,
        "cached_tokens": cached,
        "cost": None if event.unpriced else event.charge_pico / PICO_PER_USD,
        "model": event.served_model or event.model,
        "latency": _seconds(event.latency_ms),
        "time_to_first_token": _seconds(event.first_token_ms),
        "budget_remaining_usd": remaining_usd,
        "budget_resets_at": resets_at,
    }


def before_done(frames: bytes, told: dict[str, Any]) -> bytes:
    """A stream's last frames, with one more before ``[DONE]``, or at their end."""
    frame = {
        "id": "request_breakdown",
        "object": "chat.completion.chunk",
        "choices": [],
        "request_breakdown": told,
    }
    ours = b"data: " + orjson.dumps(frame) + b"\n\n"
    at = max(map(frames.rfind, _DONE))
    return frames[:at] + ours + frames[at:] if at >= 0 else frames + ours


def into_body(content: bytes, told: dict[str, Any]) -> bytes:
    """An object's last bytes, with one member more; what ends otherwise stays as it is."""
    end = len(content.rstrip())
    if content[end - 1 : end] != b"}":
        return content
    comma = b"" if content[: end - 1].rstrip().endswith(b"{") else b","
    ours = comma + b'"request_breakdown":' + orjson.dumps(told)
    return content[: end - 1] + ours + content[end - 1 :]


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000
