"""The demo upstream's JSON: OpenAI's shapes, field for field.

Source: the response types of openai-python 2.54 (``types/chat``, ``types/completion_usage.py``).
"""

import base64
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from gateway.demo.answers import Choice
from gateway.demo.models import MODELS, DemoModel

DONE: Final = b"data: [DONE]\n\n"
_MODEL_CREATED_S: Final = 1_767_225_600


class Refusal(Exception):
    """An HTTP error in OpenAI's shape."""

    def __init__(
        self, status: int, message: str, *, param: str | None = None, code: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body = error(status, message, param=param, code=code)


def error(
    status: int, message: str, *, param: str | None = None, code: str | None = None
) -> dict[str, Any]:
    kind = {429: "requests"}.get(
        status, "server_error" if status >= 500 else "invalid_request_error"
    )
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """What the objects of one answer have in common."""

    id: str
    created_s: int
    model: DemoModel
    service_tier: str

    def completion(self, choices: Sequence[Choice], usage: dict[str, Any] | None) -> dict[str, Any]:
        answer = {
            "id": self.id,
            "object": "chat.completion",
            "created": self.created_s,
            "model": self.model.name,
            "choices": [_whole(index, choice) for index, choice in enumerate(choices)],
            "usage": usage,
            "service_tier": self.service_tier,
            "system_fingerprint": fingerprint(self.model),
        }
        if usage is None:
            del answer["usage"]
        return answer

    def frame(self, choices: list[dict[str, Any]], **more: Any) -> bytes:
        """One ``data:`` frame; `more` is ``usage=…`` where the caller asked for it."""
        return event(
            {
                "id": self.id,
                "object": "chat.completion.chunk",
                "created": self.created_s,
                "model": self.model.name,
                "service_tier": self.service_tier,
                "system_fingerprint": fingerprint(self.model),
                "choices": choices,
                **more,
            }
        )


def event(payload: dict[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(payload) + b"\n\n"


def typed_event(kind: str, **fields: Any) -> bytes:
    """One frame whose type is told beside its data and in it."""
    payload = orjson.dumps({"type": kind, **fields})
    return b"event: " + kind.encode() + b"\ndata: " + payload + b"\n\n"


def delta(index: int, content: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
    return {"index": index, "delta": content, "logprobs": None, "finish_reason": finish_reason}


def chat_usage(prompt: int, cached: int, choices: Sequence[Choice]) -> dict[str, Any]:
    """The usage block; cached and reasoning tokens are inside the totals."""
    completion = sum(choice.completion_tokens for choice in choices)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": sum(choice.reasoning_tokens for choice in choices),
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def embeddings(
    model: DemoModel, vectors: Sequence[Sequence[float]], tokens: int, *, as_base64: bool
) -> dict[str, Any]:
    return {
        "object": "list",
        "data": [
            {
                "object": "embedding",
                "index": index,
                "embedding": _base64(vector) if as_base64 else list(vector),
            }
            for index, vector in enumerate(vectors)
        ],
        "model": model.name,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def model_list() -> dict[str, Any]:
    return {"object": "list", "data": [model_card(model) for model in MODELS.values()]}


def model_card(model: DemoModel) -> dict[str, Any]:
    return {
        "id": model.name,
        "object": "model",
        "created": _MODEL_CREATED_S,
        "owned_by": "farebox-demo",
    }


def fingerprint(model: DemoModel) -> str:
    return f"fp_{model.name.encode().hex()[-10:]}"


def _whole(index: int, choice: Choice) -> dict[str, Any]:
    return {
        "index": index,
        "message": {
            "role": "assistant",
            "content": choice.text,
            "refusal": None,
            "annotations": [],
        },
        "logprobs": None,
        "finish_reason": choice.finish_reason,
    }


def _base64(vector: Sequence[float]) -> str:
    """Little-endian float32, as OpenAI encodes them."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
