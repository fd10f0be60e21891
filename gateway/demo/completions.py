"""POST /v1/completions: a text, or tokens, is continued; many at once, too."""

from collections.abc import Iterator
from typing import Any, Final

from gateway.demo import requests
from gateway.demo.models import DemoModel
from gateway.demo.playback import Cut, Pause, Step
from gateway.demo.script import Answer, content_steps
from gateway.demo.wire import DONE, Refusal, error, event, fingerprint

_FIELDS: Final = frozenset(  # from openai-python's completion_create_params
    """model prompt best_of echo frequency_penalty logit_bias logprobs max_tokens n
    presence_penalty seed stop stream stream_options suffix temperature top_p user""".split()  # noqa: SIM905
)


class Completions:
    def read(self, body: dict[str, Any]) -> tuple[DemoModel, list[dict[str, Any]]]:
        model = requests.check(body, _FIELDS, ("max_tokens",))
        prompts = [_text(prompt) for prompt in _prompts(body.get("prompt", ""))]
        asked = {"max_tokens": body.get("max_tokens"), "n": body.get("n")}
        return model, [
            {**asked, "messages": [{"role": "user", "content": prompt}]} for prompt in prompts
        ]

    def id(self, unique: str) -> str:
        return f"cmpl-{unique}"

    def whole(self, answer: Answer) -> dict[str, Any]:
        choices = [
            _choice(index, choice.text, choice.finish_reason)
            for index, choice in enumerate(answer.choices)
        ]
        return self._envelope(answer, choices) | (
            {"usage": answer.usage} if answer.faults.usage else {}
        )

    def steps(self, answer: Answer, body: dict[str, Any]) -> Iterator[Step]:
        asked = bool((body.get("stream_options") or {}).get("include_usage"))
        blank: dict[str, Any] = {"usage": None} if asked else {}
        faults = answer.faults

        def frame(index: int, piece: str, reason: str | None = None) -> bytes:
            return event(self._envelope(answer, [_choice(index, piece, reason)]) | blank)

        yield Pause(answer.think_s())
        yield from content_steps(answer, frame)
        if faults.cut_after is not None:
            yield Cut()
            return
        if faults.error_after is not None:
            yield event(error(500, "The server had an error while processing your request."))
            return
        for index, choice in enumerate(answer.choices):
            yield frame(index, "", choice.finish_reason)
        if asked and faults.usage:
            yield event(self._envelope(answer, []) | {"usage": answer.usage})
        if faults.done:
            yield DONE

    def refusal(self, body: dict[str, Any]) -> dict[str, Any]:
        return body

    @staticmethod
    def _envelope(answer: Answer, choices: list[dict[str, Any]]) -> dict[str, Any]:
        envelope = answer.envelope
        return {
            "id": envelope.id,
            "object": "text_completion",
            "created": envelope.created_s,
            "model": envelope.model.name,
            "system_fingerprint": fingerprint(envelope.model),
            "choices": choices,
        }


def _choice(index: int, text: str, reason: str | None) -> dict[str, Any]:
    return {"text": text, "index": index, "logprobs": None, "finish_reason": reason}


def _prompts(given: object) -> list[Any]:
    is_one = isinstance(given, str) or (isinstance(given, list) and given and _is_id(given[0]))
    prompts = [given] if is_one else given
    if not isinstance(prompts, list) or not prompts:
        raise Refusal(400, "'prompt' must be a text, tokens, or an array of either.")
    return prompts


def _text(prompt: object) -> str:
    if isinstance(prompt, str):
        return prompt
    if isinstance(prompt, list) and all(map(_is_id, prompt)):
        return "".join(f" t{token}" for token in prompt)
    raise Refusal(400, "'prompt' must be a text, tokens, or an array of either.", param="prompt")


def _is_id(token: object) -> bool:
    return type(token) is int
