"""POST /v1/messages, in Anthropic's form. Source: the types of its Python SDK."""

from collections.abc import Iterator
from typing import Any, Final

from gateway.demo import requests
from gateway.demo.models import DemoModel
from gateway.demo.playback import Cut, Pause, Step
from gateway.demo.script import Answer, content_steps
from gateway.demo.wire import Refusal, typed_event

_FIELDS: Final = frozenset(
    """model messages max_tokens system stream stop_sequences temperature top_k top_p tools
    tool_choice thinking metadata service_tier container context_management output_config
    mcp_servers cache_control inference_geo""".split()  # noqa: SIM905
)
_REASONS: Final = {"stop": "end_turn", "length": "max_tokens"}


class Messages:
    def read(self, body: dict[str, Any]) -> tuple[DemoModel, list[dict[str, Any]]]:
        model = requests.check(body, _FIELDS, ("max_tokens",))
        if body.get("max_tokens") is None:
            raise Refusal(400, "max_tokens: Field required", param="max_tokens")
        requests.check_messages(body)
        system = body.get("system")
        leading = [{"role": "system", "content": system}] if system else []
        messages = [*leading, *body["messages"]]
        return model, [{"messages": messages, "max_tokens": body["max_tokens"]}]

    def id(self, unique: str) -> str:
        return f"msg_{unique}"

    def whole(self, answer: Answer) -> dict[str, Any]:
        [choice] = answer.choices
        whole = self._envelope(answer) | {
            "content": [{"type": "text", "text": choice.text}],
            "stop_reason": _REASONS[choice.finish_reason],
            "usage": _usage(answer.usage, answer.usage["completion_tokens"]),
        }
        if not answer.faults.usage:
            del whole["usage"]
        return whole

    def steps(self, answer: Answer, body: dict[str, Any]) -> Iterator[Step]:  # noqa: ARG002
        faults, output = answer.faults, answer.usage["completion_tokens"]
        begun = self._envelope(answer)
        if faults.usage:
            begun["usage"] = _usage(answer.usage, 1)
        yield Pause(answer.think_s())
        yield typed_event("message_start", message=begun)
        block = {"type": "text", "text": ""}
        yield typed_event("content_block_start", index=0, content_block=block)
        yield from content_steps(
            answer,
            lambda _, piece: typed_event(
                "content_block_delta", index=0, delta={"type": "text_delta", "text": piece}
            ),
        )
        if faults.cut_after is not None:
            yield Cut()
            return
        if faults.error_after is not None:
            yield typed_event("error", error={"type": "overloaded_error", "message": "Overloaded"})
            return
        yield typed_event("content_block_stop", index=0)
        reason = {"stop_reason": _REASONS[answer.choices[0].finish_reason], "stop_sequence": None}
        usage = {"usage": {"output_tokens": output}} if faults.usage else {}
        yield typed_event("message_delta", delta=reason, **usage)
        if faults.done:
            yield typed_event("message_stop")

    def refusal(self, body: dict[str, Any]) -> dict[str, Any]:
        told = body["error"]
        return {"type": "error", "error": {"type": told["type"], "message": told["message"]}}

    @staticmethod
    def _envelope(answer: Answer) -> dict[str, Any]:
        return {
            "id": answer.envelope.id,
            "type": "message",
            "role": "assistant",
            "model": answer.envelope.model.name,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
        }


def _usage(usage: dict[str, Any], output_tokens: int) -> dict[str, Any]:
    cached = usage["prompt_tokens_details"]["cached_tokens"]
    return {
        "input_tokens": usage["prompt_tokens"] - cached,
        "cache_read_input_tokens": cached,
        "cache_creation_input_tokens": 0,
        "output_tokens": output_tokens,
        "service_tier": "standard",
    }
