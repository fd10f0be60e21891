"""One call as the caller wrote it: what we must know of it, and the bytes to forward.

Strict only about what we read; everything else is the provider's to judge.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

import orjson

from gateway.errors import InvalidCall
from gateway.openai.body import Edit, Member, apply, cut, insert_after, members, replace
from gateway.openai.carriers import CARRIERS, KEPT_CARRIERS, CustomerFields, customer_fields
from gateway.openai.hosted_tools import HOSTED_FIELDS, HostedTools, hosted_tools
from gateway.openai.input_bound import chat_bound, embeddings_bound
from gateway.openai.output_cap import OUTPUT_CAP_FIELDS, OutputCaps

MODEL_CHARS_MAX: Final = 512


class Endpoint(StrEnum):
    """The path below ``/v1/``."""

    CHAT = "chat/completions"
    EMBEDDINGS = "embeddings"


REFUSED: Final = frozenset(
    {
        "fallback_models",
        "load_balance_group",
        "customer_credentials",
        "credential_override",
        "prompt",  # of chat and embeddings; it is a field of its own in /completions
        "cache_enabled",
        "models",
        "retry_params",
    }
)
"""Wishes for another gateway; they would change what the call means, or leak a key."""

CUT: Final = (CARRIERS - KEPT_CARRIERS) | REFUSED
"""Taken out before forwarding (a refused field gets that far only as null)."""

_COMMON: Final = CARRIERS | {"model"}
_READ: Final = {
    Endpoint.CHAT: _COMMON
    | {"messages", "stream", "stream_options", *OUTPUT_CAP_FIELDS, "prediction", "thinking"}
    | {"n", "best_of", "service_tier", "tools", "functions", "response_format"}
    | {*HOSTED_FIELDS, "max_tool_calls"},
    Endpoint.EMBEDDINGS: _COMMON | {"input"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call whose fields have the right types.

    Attributes:
        asked_for_usage: The caller itself set ``stream_options.include_usage``.
        customer_fields: Our carriers as found in the body, not validated.
        output_caps: What the caller set; which of it counts is the provider's to say.
        predicted_tokens: Of ``prediction``, at most, per choice: what of it is rejected is
            billed as output, beside the cap.
        thinking_tokens: Anthropic's ``thinking.budget_tokens``, which a cap must exceed; or 0.
        choices: Answers asked for: max(``n``, ``best_of``), at least 1.
        input_bound_tokens: Never fewer than the input has (`input_bound`), opaque ones aside.
        opaque_inputs: Inputs that only the model's context bounds, each.
        hosted: The tools that the provider runs, and bills by the use.
        tool_uses_max: ``max_tool_calls``, read only where there are such tools.
    """

    endpoint: Endpoint
    model: str
    stream: bool
    asked_for_usage: bool
    customer_fields: CustomerFields
    output_caps: OutputCaps
    predicted_tokens: int
    thinking_tokens: int
    choices: int
    input_bound_tokens: int
    opaque_inputs: int
    hosted: HostedTools | None
    tool_uses_max: int | None
    service_tier: str | None
    body: bytes = field(repr=False)
    members: tuple[Member, ...] = field(repr=False)
    cuts: tuple[Edit, ...] = field(repr=False)

    def forwarded(
        self, *, include_usage: bool, model: str | None = None, cap: tuple[Edit, ...] = ()
    ) -> bytes:
        """The caller's bytes with our fields cut out.

        Args:
            include_usage: Ask for usage in a chat stream whose caller did not.
            model: The upstream's name for the model, where it differs from the caller's.
            cap: Of the output, as `OutputCaps.lowered` writes it.
        """
        edits = [*self.cuts, *cap]
        if include_usage and self.stream and not self.asked_for_usage:
            edits.append(self._usage_edit())
        if model is not None and model != self.model:
            edits.append(replace(self._member("model"), orjson.dumps(model)))
        return apply(self.body, edits) if edits else self.body

    def _member(self, key: str) -> Member:
        return next(member for member in self.members if member.key == key)

    def _usage_edit(self) -> Edit:
        """The smallest edit that sets ``stream_options.include_usage``."""
        options = next((m for m in self.members if m.key == "stream_options"), None)
        if options is None:
            inserted = b'"stream_options":{"include_usage":true}'
            return insert_after(self._member("stream"), inserted)
        value = self.body[options.value_start : options.value_end]
        inner = members(value) if value != b"null" else ()
        if not inner:
            return replace(options, b'{"include_usage":true}')
        shifted = [
            Member(m.key, *(offset + options.value_start for offset in m[1:])) for m in inner
        ]
        wish = next((m for m in shifted if m.key == "include_usage"), None)
        if wish is None:
            return insert_after(shifted[-1], b'"include_usage":true')
        return replace(wish, b"true")


def parse_call(endpoint: Endpoint, body: bytes) -> Call:
    """Read `body` once, shallowly.

    Raises:
        InvalidCall: names the field in `param`; `code` is ``invalid_json``,
            ``duplicate_field``, ``missing_field``, ``invalid_type``, ``invalid_value`` or
            ``unsupported_field``.
    """
    document = _document(body)
    found = members(body)
    if len(found) != len(document):
        _refuse_duplicates((m.key for m in found), _READ[endpoint])
    if not REFUSED.isdisjoint(document):
        _refuse_unsupported(document)
    cuts = cut(found, CUT)
    sent_bytes = len(body) - sum(edit.end - edit.start for edit in cuts)
    chat = endpoint is Endpoint.CHAT
    bound, opaque = (chat_bound if chat else embeddings_bound)(document, sent_bytes)
    hosted = hosted_tools(document) if chat else None
    return Call(
        endpoint=endpoint,
        model=_model(document),
        stream=chat and _stream(document),
        asked_for_usage=chat and _asked_for_usage(body, found, document),
        customer_fields=customer_fields(document, body, found),
        output_caps=_output_caps(document) if chat else OutputCaps(),
        predicted_tokens=_predicted(document, found) if chat else 0,
        thinking_tokens=_thinking(document) if chat else 0,
        choices=_choices(document) if chat else 1,
        input_bound_tokens=bound,
        opaque_inputs=opaque,
        hosted=hosted,
        tool_uses_max=_integer(document, "max_tool_calls", least=0) if hosted else None,
        service_tier=_service_tier(document) if chat else None,
        body=body,
        members=found,
        cuts=tuple(cuts),
    )


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        raise InvalidCall(f"The body is not valid JSON: {exc}.", code="invalid_json") from exc
    if not isinstance(document, dict):
        raise InvalidCall("The body must be a JSON object.", code="invalid_json")
    return document


def _refuse_duplicates(keys: Iterable[str], read: Collection[str], prefix: str = "") -> None:
    seen: set[str] = set()
    for key in keys:
        if key in seen and key in read:
            name = prefix + key
            raise InvalidCall(
                f"`{name}` stands twice in the body: send it once.",
                code="duplicate_field",
                param=name,
            )
        seen.add(key)


def _refuse_unsupported(document: dict[str, Any]) -> None:
    for key, value in document.items():
        if key in REFUSED and value is not None:
            raise InvalidCall(
                f"`{key}` is not supported by this gateway: leave it out.",
                code="unsupported_field",
                param=key,
            )


def _model(document: dict[str, Any]) -> str:
    model = document.get("model")
    if model is None:
        raise InvalidCall(
            "`model` is missing: name the model to call.", code="missing_field", param="model"
        )
    if not isinstance(model, str):
        raise _wrong_type("model", "a string")
    if not model or len(model) > MODEL_CHARS_MAX or not model.isprintable():
        raise InvalidCall(
            f"`model` must be 1 to {MODEL_CHARS_MAX} printable characters.", param="model"
        )
    return model


def _stream(document: dict[str, Any]) -> bool:
    stream = document.get("stream")
    if stream is None or isinstance(stream, bool):
        return bool(stream)
    raise _wrong_type("stream", "true or false")


def _asked_for_usage(body: bytes, found: tuple[Member, ...], document: dict[str, Any]) -> bool:
    options = document.get("stream_options")
    if options is None:
        return False
    if not isinstance(options, dict):
        raise _wrong_type("stream_options", "an object")
    member = next(m for m in found if m.key == "stream_options")
    inner = members(body[member.value_start : member.value_end])
    _refuse_duplicates((m.key for m in inner), ("include_usage",), "stream_options.")
    asked = options.get("include_usage")
    if asked is None or isinstance(asked, bool):
        return bool(asked)
    raise _wrong_type("stream_options.include_usage", "true or false")


def _output_caps(document: dict[str, Any]) -> OutputCaps:
    return OutputCaps(*(_integer(document, key, least=0) or None for key in OUTPUT_CAP_FIELDS))


def _predicted(document: dict[str, Any], found: tuple[Member, ...]) -> int:
    """No token is shorter than a byte, and JSON never spells text shorter than it is."""
    if document.get("prediction") is None:
        return 0
    member = next(m for m in found if m.key == "prediction")
    return member.value_end - member.value_start


def _thinking(document: dict[str, Any]) -> int:
    thinking = document.get("thinking")
    budget = thinking.get("budget_tokens") if isinstance(thinking, dict) else None
    return max(budget, 0) if isinstance(budget, int) else 0


def _choices(document: dict[str, Any]) -> int:
    return max(_integer(document, key, least=1) or 1 for key in ("n", "best_of"))


def _service_tier(document: dict[str, Any]) -> str | None:
    tier = document.get("service_tier")
    if tier is None or isinstance(tier, str):
        return tier
    raise _wrong_type("service_tier", "a string")


def _integer(document: dict[str, Any], key: str, *, least: int) -> int | None:
    number = document.get(key)
    if number is None:
        return None
    if not isinstance(number, int) or isinstance(number, bool):  # from 2^64 on it is a float
        raise _wrong_type(key, "a whole number below 2^64, written without point or exponent")
    if number < least:
        raise InvalidCall(f"`{key}` must be at least {least}.", param=key)
    return number


def _wrong_type(param: str, wanted: str) -> InvalidCall:
    return InvalidCall(f"`{param}` must be {wanted}.", code="invalid_type", param=param)
