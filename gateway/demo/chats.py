"""POST /v1/chat/completions."""

from collections.abc import Iterator
from typing import Any

from gateway.demo import requests
from gateway.demo.models import DemoModel
from gateway.demo.playback import Step
from gateway.demo.script import Answer, stream_steps


class Chats:
    def read(self, body: dict[str, Any]) -> tuple[DemoModel, list[dict[str, Any]]]:
        return requests.check_chat(body), [body]

    def id(self, unique: str) -> str:
        return f"chatcmpl-{unique}"

    def whole(self, answer: Answer) -> dict[str, Any]:
        return answer.envelope.completion(
            answer.choices, answer.usage if answer.faults.usage else None
        )

    def steps(self, answer: Answer, body: dict[str, Any]) -> Iterator[Step]:
        include_usage = bool((body.get("stream_options") or {}).get("include_usage"))
        return stream_steps(answer, include_usage=include_usage)

    def refusal(self, body: dict[str, Any]) -> dict[str, Any]:
        return body
