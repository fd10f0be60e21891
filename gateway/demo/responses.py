"""POST /v1/responses, and what was made by it: kept, to be read and deleted."""

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any, Final

from gateway.demo import requests
from gateway.demo.models import DemoModel
from gateway.demo.playback import Cut, Pause, Step
from gateway.demo.script import Answer, content_steps
from gateway.demo.wire import Refusal, typed_event

KEPT_MAX: Final = 1_000

_FIELDS: Final = frozenset(  # from openai-python's response_create_params
    """background context_management conversation include input instructions max_output_tokens
    max_tool_calls metadata model parallel_tool_calls previous_response_id prompt
    prompt_cache_key prompt_cache_options prompt_cache_retention reasoning safety_identifier
    service_tier store stream stream_options temperature text tool_choice tools top_logprobs
    top_p truncation user""".split()  # noqa: SIM905
)


class Responses:
    def __init__(self) -> None:
        self._kept: OrderedDict[str, dict[str, Any]] = OrderedDict()

    def read(self, body: dict[str, Any]) -> tuple[DemoModel, list[dict[str, Any]]]:
        model = requests.check(body, _FIELDS, ("max_output_tokens",))
        messages = [*_instructions(body), *_messages(body.get("input", ""))]
        return model, [{"messages": messages, "max_tokens": body.get("max_output_tokens")}]

    def id(self, unique: str) -> str:
        return f"resp_{unique}"

    def whole(self, answer: Answer) -> dict[str, Any]:
        [choice] = answer.choices
        cut = choice.finish_reason == "length"
        part = {"type": "output_text", "text": choice.text, "annotations": []}
        item = _item(answer, "incomplete" if cut else "completed", [part])
        return self._envelope(answer, "incomplete" if cut else "completed") | {
            "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
            "output": [item],
            "usage": _usage(answer.usage) if answer.faults.usage else None,
        }

    def steps(self, answer: Answer, body: dict[str, Any]) -> Iterator[Step]:
        faults = answer.faults
        begun = self._envelope(answer, "in_progress")
        place = {"item_id": _item_id(answer), "output_index": 0, "content_index": 0}
        yield typed_event("response.created", response=begun)
        yield Pause(answer.think_s())
        item = _item(answer, "in_progress", [])
        yield typed_event("response.output_item.added", output_index=0, item=item)
        yield from content_steps(
            answer,
            lambda _, piece: typed_event(
                "response.output_text.delta", delta=piece, logprobs=[], **place
            ),
        )
        if faults.cut_after is not None:
            yield Cut()
            return
        if faults.error_after is not None:
            broken = {"code": "server_error", "message": "The server had an error."}
            failed = self._envelope(answer, "failed") | {"error": broken}
            yield typed_event("response.failed", response=failed)
            return
        whole = self.whole(answer)
        text = whole["output"][0]["content"][0]["text"]
        yield typed_event("response.output_text.done", text=text, logprobs=[], **place)
        yield typed_event("response.output_item.done", output_index=0, item=whole["output"][0])
        self.keep(whole, body)
        yield typed_event(f"response.{whole['status']}", response=whole)

    def refusal(self, body: dict[str, Any]) -> dict[str, Any]:
        return body

    def queued(self, answer: Answer, body: dict[str, Any]) -> dict[str, Any]:
        """The answer to a call for the background; who asks for it then finds it made."""
        self.keep(self.whole(answer) | {"background": True}, body)
        return self._envelope(answer, "queued") | {"background": True}

    def keep(self, response: dict[str, Any], body: dict[str, Any]) -> None:
        if body.get("store") is not False:
            self._kept[response["id"]] = response
            if len(self._kept) > KEPT_MAX:
                self._kept.popitem(last=False)

    def kept(self, name: str) -> dict[str, Any]:
        found = self._kept.get(name)
        if found is None:
            raise Refusal(404, f"Response with id '{name}' not found.")
        return found

    def forget(self, name: str) -> dict[str, Any]:
        self.kept(name)
        del self._kept[name]
        return {"id": name, "object": "response", "deleted": True}

    @staticmethod
    def _envelope(answer: Answer, status: str) -> dict[str, Any]:
        envelope = answer.envelope
        return {
            "id": envelope.id,
            "object": "response",
            "created_at": envelope.created_s,
            "status": status,
            "background": False,
            "error": None,
            "incomplete_details": None,
            "instructions": None,
            "metadata": {},
            "model": envelope.model.name,
            "output": [],
            "parallel_tool_calls": True,
            "service_tier": envelope.service_tier,
            "tool_choice": "auto",
            "tools": [],
            "usage": None,
        }


def _instructions(body: dict[str, Any]) -> list[dict[str, Any]]:
    told = body.get("instructions")
    return [{"role": "system", "content": told}] if isinstance(told, str) else []


def _messages(given: object) -> list[dict[str, Any]]:
    if isinstance(given, str):
        return [{"role": "user", "content": given}]
    if not isinstance(given, list) or not all(isinstance(item, dict) for item in given):
        raise Refusal(400, "'input' must be a text or an array of items.", param="input")
    return [
        {"role": item.get("role", "tool"), "content": item.get("content", item.get("output"))}
        for item in given
    ]


def _item(answer: Answer, status: str, content: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": _item_id(answer),
        "type": "message",
        "role": "assistant",
        "status": status,
        "content": content,
    }


def _item_id(answer: Answer) -> str:
    return answer.envelope.id.replace("resp_", "msg_")


def _usage(usage: dict[str, Any]) -> dict[str, Any]:
    prompt, completion = usage["prompt_tokens_details"], usage["completion_tokens_details"]
    return {
        "input_tokens": usage["prompt_tokens"],
        "input_tokens_details": {"cached_tokens": prompt["cached_tokens"]},
        "output_tokens": usage["completion_tokens"],
        "output_tokens_details": {"reasoning_tokens": completion["reasoning_tokens"]},
        "total_tokens": usage["total_tokens"],
    }
