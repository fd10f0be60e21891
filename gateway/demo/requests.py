"""Requests to the demo upstream, read and checked as strictly as OpenAI does.

A field that OpenAI does not know is a 400: whatever a gateway forgets to cut out shows.
"""

from typing import Any, Final

import orjson

from gateway.demo.models import DemoModel, model_named
from gateway.demo.wire import Refusal

CHOICES_MAX: Final = 128
INPUTS_MAX: Final = 2_048
DIMENSIONS_MAX: Final = 3_072

_CHAT_FIELDS: Final = frozenset(  # from openai-python's completion_create_params
    """messages model audio frequency_penalty function_call functions logit_bias logprobs
    max_completion_tokens max_tokens metadata modalities moderation n parallel_tool_calls
    prediction presence_penalty prompt_cache_key prompt_cache_options prompt_cache_retention
    reasoning_effort response_format safety_identifier seed service_tier stop store stream
    stream_options temperature tool_choice tools top_logprobs top_p user verbosity
    web_search_options""".split()  # noqa: SIM905 - a list of forty lines reads worse
)
_EMBEDDING_FIELDS: Final = frozenset(
    ["input", "model", "dimensions", "encoding_format", "user", "safety_identifier"]
)


def parse(raw: bytes) -> dict[str, Any]:
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as exc:
        raise Refusal(400, f"We could not parse the JSON body of your request: {exc}") from exc
    if not isinstance(body, dict):
        raise Refusal(400, "The body of your request must be a JSON object.")
    return body


def check_chat(body: dict[str, Any]) -> DemoModel:
    """Refuse what OpenAI would; return the model asked for."""
    model = check(body, _CHAT_FIELDS, ("max_tokens", "max_completion_tokens"))
    check_messages(body)
    return model


def check(body: dict[str, Any], known: frozenset[str], caps: tuple[str, ...]) -> DemoModel:
    """Refuse what no route that writes text takes; return the model asked for.

    Args:
        known: The fields of the route.
        caps: Those of them that limit its output.
    """
    _only(body, known)
    model = _model(body)
    if model.embeds:
        raise Refusal(
            404,
            "This is not a chat model and thus not supported in the v1/chat/completions endpoint.",
            param="model",
        )
    for field in caps:
        _positive(body, field, None)
    _positive(body, "n", CHOICES_MAX)
    _check_stream(body)
    return model


def check_messages(body: dict[str, Any]) -> None:
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise Refusal(400, "'messages' must be a non-empty array.", param="messages")
    for index, message in enumerate(messages):
        _check_message(message, f"messages.[{index}]")


def check_embeddings(body: dict[str, Any]) -> tuple[DemoModel, list[str | list[int]]]:
    """Refuse what OpenAI would; return the model and one entry per input."""
    _only(body, _EMBEDDING_FIELDS)
    model = _model(body)
    if not model.embeds:
        raise Refusal(400, f"'{model.name}' does not embed; use demo-embedding.", param="model")
    _positive(body, "dimensions", DIMENSIONS_MAX)
    if body.get("encoding_format", "float") not in ("float", "base64"):
        raise Refusal(
            400, "'encoding_format' must be 'float' or 'base64'.", param="encoding_format"
        )
    given = body.get("input")
    inputs = [given] if isinstance(given, str) or _is_tokens(given) else given
    if (
        not isinstance(inputs, list)
        or not 1 <= len(inputs) <= INPUTS_MAX
        or not all((isinstance(one, str) and one) or _is_tokens(one) for one in inputs)
    ):
        raise Refusal(
            400, "'input' must be a non-empty string, array of tokens, or array of either."
        )
    return model, inputs


def _only(body: dict[str, Any], known: frozenset[str]) -> None:
    for field in body:
        if field not in known:
            raise Refusal(
                400, f"Unknown parameter: '{field}'.", param=field, code="unknown_parameter"
            )


def _model(body: dict[str, Any]) -> DemoModel:
    name = body.get("model")
    if not isinstance(name, str) or not name:
        raise Refusal(400, "you must provide a model parameter", param="model")
    return find_model(name)


def find_model(name: str) -> DemoModel:
    model = model_named(name)
    if model is None:
        raise Refusal(
            404,
            f"The model `{name}` does not exist or you do not have access to it.",
            param="model",
            code="model_not_found",
        )
    return model


def _check_message(message: Any, where: str) -> None:
    if not isinstance(message, dict) or not isinstance(message.get("role"), str):
        raise Refusal(400, f"'{where}' must be an object with a 'role'.", param=where)
    content = message.get("content")
    fine = content is None or isinstance(content, str)
    if not fine and not (isinstance(content, list) and all(isinstance(p, dict) for p in content)):
        raise Refusal(400, f"'{where}.content' must be a string or an array of parts.", param=where)


def _check_stream(body: dict[str, Any]) -> None:
    stream, options = body.get("stream"), body.get("stream_options")
    if stream is not None and not isinstance(stream, bool):
        raise Refusal(400, "'stream' must be a boolean.", param="stream")
    if options is None:
        return
    if not isinstance(options, dict):
        raise Refusal(400, "'stream_options' must be an object.", param="stream_options")
    if not stream:
        raise Refusal(
            400,
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
            param="stream_options",
        )


def _positive(body: dict[str, Any], field: str, most: int | None) -> None:
    value = body.get(field)
    if value is None:
        return
    if type(value) is not int or value < 1 or (most is not None and value > most):
        bound = f" up to {most}" if most is not None else ""
        raise Refusal(
            400, f"'{field}' must be a positive integer{bound}, not {value!r}.", param=field
        )


def _is_tokens(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(type(t) is int for t in value)
