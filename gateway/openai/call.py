"""One call as the caller wrote it: what we must know of it, and the bytes to forward.

Strict only about what we read; everything else is the provider's to judge.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from dataclasses import replace as replace_fields
from typing import Any, Final

import orjson

from gateway.errors import InvalidCall
from gateway.openai.body import Edit, Member, cut, insert_after, members, replace
from gateway.openai.carriers import (
    ABSENT,
    CARRIERS,
    KEPT_CARRIERS,
    CustomerFields,
    customer_fields,
)
from gateway.openai.content import Content, edited
from gateway.openai.endpoints import Endpoint, Traits
from gateway.openai.fields import flag, integer, refuse_duplicates, wrong_type
from gateway.openai.forms import Form, attached, said_twice
from gateway.openai.halves import loads
from gateway.openai.hosted_tools import HOSTED_FIELDS, HostedTools, hosted_tools, tool_uses_max
from gateway.openai.output_cap import OutputCaps
from gateway.openai.outputs import Output

__all__ = ["Call", "Endpoint", "parse_call"]

MODEL_CHARS_MAX: Final = 512

REFUSED: Final = frozenset(
    {
        "fallback_models",
        "load_balance_group",
        "customer_credentials",
        "credential_override",
        "prompt",  # but where it is a field of the route's own
        "cache_enabled",
        "models",
        "retry_params",
    }
)
"""Wishes for another gateway; they would change what the call means, or leak a key."""

CUT: Final = (CARRIERS - KEPT_CARRIERS) | REFUSED
"""Taken out before forwarding (a refused field gets that far only as null)."""

COMMON: Final = CARRIERS | {"model"}
_STREAMED: Final = frozenset({"stream", "stream_options"})
_HOSTED: Final = frozenset({"tools", "max_tool_calls", *HOSTED_FIELDS})


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
        output: What is asked for: how many answers, and what is billed by the piece.
        input_bound_tokens: Never fewer than the input has (`input_bound`), opaque ones aside.
        opaque_inputs: Inputs that only the model's context bounds, each.
        hosted: The tools that the provider runs, and bills by the use.
        tool_uses_max: How often it may, read only where there are such tools.
        background: The answer comes later, to whoever asks for it.
        attached_bytes: Of the body, what is files.
        form: The body, where it is a form; then `body` is empty.
        body_model: What the body calls the model, where the path has named it before: the
            path's name counts. "": it names none. None: there is but the body's name.
    """

    endpoint: Endpoint
    model: str
    stream: bool
    asked_for_usage: bool
    customer_fields: CustomerFields
    output_caps: OutputCaps
    predicted_tokens: int
    thinking_tokens: int
    output: Output
    input_bound_tokens: int
    opaque_inputs: int
    hosted: HostedTools | None
    tool_uses_max: int | None
    service_tier: str | None
    background: bool
    attached_bytes: int
    body: bytes = field(repr=False)
    members: tuple[Member, ...] = field(repr=False)
    cuts: tuple[Edit, ...] = field(repr=False)
    form: Form | None = field(repr=False, default=None)
    body_model: str | None = None

    @property
    def is_deployed(self) -> bool:
        """Whether its path names the model, as Azure's deployments have it."""
        return self.body_model is not None

    @property
    def traits(self) -> Traits:
        return self.endpoint.traits

    @property
    def choices(self) -> int:
        """Answers asked for, at least 1."""
        return self.output.answers

    def forwarded(
        self, *, include_usage: bool, model: str | None = None, cap: tuple[Edit, ...] = ()
    ) -> bytes | Content:
        """The caller's bytes with our fields cut out.

        Args:
            include_usage: Ask for usage in a chat stream whose caller did not.
            model: The upstream's name for the model, where it differs from the caller's.
            cap: Of the output, as `OutputCaps.lowered` writes it.
        """
        named = self.model if self.body_model is None else self.body_model
        renamed = model if model != named else None
        if self.form is not None:
            return self.form.forwarded(renamed)
        edits = [*self.cuts, *cap]
        if include_usage and self.stream and not self.asked_for_usage:
            edits.append(self._usage_edit())
        if renamed is not None:
            edits.append(self._model_edit(orjson.dumps(renamed)))
        return edited(self.body, edits)

    def _member(self, key: str) -> Member:
        return next(member for member in self.members if member.key == key)

    def _model_edit(self, name: bytes) -> Edit:
        named = next((member for member in self.members if member.key == "model"), None)
        if named is not None:
            return replace(named, name)
        stays = [m for m in self.members if not any(e.start <= m.start < e.end for e in self.cuts)]
        if stays:
            return insert_after(stays[-1], b'"model":' + name)
        inside = self.body.index(b"{") + 1
        return Edit(inside, inside, b'"model":' + name)

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


def parse_call(endpoint: Endpoint, body: bytes, deployment: str | None = None) -> Call:
    """Read `body` once, shallowly.

    Args:
        deployment: The model, where the path names it.

    Raises:
        InvalidCall: names the field in `param`; `code` is ``invalid_json``,
            ``duplicate_field``, ``missing_field``, ``invalid_type``, ``invalid_value`` or
            ``unsupported_field``.
    """
    document = document_of(body)
    traits = endpoint.traits
    found = members(body)
    if len(found) != len(document):
        refuse_duplicates((m.key for m in found), _read_by(traits))
    if not REFUSED.isdisjoint(document):
        _refuse_unsupported(document, traits)
    cuts = cut(found, CUT - traits.own)
    return call_of(
        endpoint,
        document,
        sent_bytes=len(body) - sum(edit.end - edit.start for edit in cuts),
        body=body,
        found=found,
        cuts=tuple(cuts),
        deployment=deployment,
    )


def parse_shallow(endpoint: Endpoint, body: bytes, deployment: str | None = None) -> Call:
    """As `parse_call`, and the body is left out: for who has it already."""
    return replace_fields(parse_call(endpoint, body, deployment), body=b"")


def parse_form(endpoint: Endpoint, form: Form, deployment: str | None = None) -> Call:
    """Read a form that has been taken apart, as `parse_call` reads JSON.

    Raises:
        InvalidCall: as `parse_call`.
    """
    traits = endpoint.traits
    for name in said_twice(form):
        refuse_duplicates((name, name), _read_by(traits))
    _refuse_unsupported(
        {name.partition("[")[0]: value for name, value in form.document.items()}, traits
    )
    call = call_of(
        endpoint,
        form.document,
        sent_bytes=form.sent_bytes,
        body=b"",
        found=(),
        cuts=(),
        deployment=deployment,
    )
    return replace_fields(call, customer_fields=form.customer_fields, form=form)


def call_of(
    endpoint: Endpoint,
    document: Mapping[str, Any],
    *,
    sent_bytes: int,
    body: bytes,
    found: tuple[Member, ...],
    cuts: tuple[Edit, ...],
    deployment: str | None = None,
) -> Call:
    """Read the fields of a body that has been taken apart.

    Args:
        deployment: As for `parse_call`.
        sent_bytes: How much of it is forwarded.
        found: Its members, where it is JSON.
        cuts: What of it is not forwarded.

    Raises:
        InvalidCall: as `parse_call`.
    """
    traits = endpoint.traits
    bound = traits.input_bound(document, sent_bytes)
    hosted = hosted_tools(document) if traits.hosted else None
    return Call(
        endpoint=endpoint,
        model=model_of(document, traits.default_model, deployment),
        stream=traits.streams and flag(document, "stream"),
        asked_for_usage=traits.asks_usage and _asked_for_usage(body, found, document),
        customer_fields=_customer_fields(document, body, found, traits),
        output_caps=_output_caps(document, traits),
        predicted_tokens=_predicted(document, found) if "prediction" in traits.reads else 0,
        thinking_tokens=_thinking(document) if "thinking" in traits.reads else 0,
        output=traits.output(document),
        input_bound_tokens=bound.tokens,
        opaque_inputs=bound.opaque,
        hosted=hosted,
        tool_uses_max=tool_uses_max(document) if hosted else None,
        service_tier=_service_tier(document) if "service_tier" in traits.reads else None,
        background=traits.backgrounds and flag(document, "background"),
        attached_bytes=sum(file.size_bytes for file in attached(document)) if traits.form else 0,
        body=body,
        members=found,
        cuts=cuts,
        body_model=None if deployment is None else _said(document.get("model")),
    )


def _said(model: object) -> str:
    return model if isinstance(model, str) else ""


def _read_by(traits: Traits) -> frozenset[str]:
    """The fields that are read: one that stood twice could be read otherwise upstream."""
    read = COMMON | traits.reads | frozenset(traits.caps)
    return read | (_STREAMED if traits.streams else set()) | (_HOSTED if traits.hosted else set())


def _customer_fields(
    document: Mapping[str, Any], body: bytes, found: tuple[Member, ...], traits: Traits
) -> CustomerFields:
    carried = customer_fields(document, body, found)
    metadata = document.get("metadata") if traits.names_user else None
    named = metadata.get("user_id") if isinstance(metadata, dict) else None
    if named is None or carried.user is not ABSENT:
        return carried
    return replace_fields(carried, user=named)


def document_of(body: bytes) -> dict[str, Any]:
    try:
        document = loads(body)
    except orjson.JSONDecodeError as exc:
        raise InvalidCall(f"The body is not valid JSON: {exc}.", code="invalid_json") from exc
    if not isinstance(document, dict):
        raise InvalidCall("The body must be a JSON object.", code="invalid_json")
    return document


def _refuse_unsupported(document: Mapping[str, Any], traits: Traits) -> None:
    for key, value in document.items():
        if key in REFUSED and value is not None and not _is_own(key, value, traits):
            raise InvalidCall(
                f"`{key}` is not supported by this gateway: leave it out.",
                code="unsupported_field",
                param=key,
            )


def _is_own(key: str, value: object, traits: Traits) -> bool:
    """Whether it is the route's own field: a prompt stored elsewhere has an id of its own kind."""
    return key in traits.own and not (isinstance(value, dict) and "prompt_id" in value)


def model_of(
    document: Mapping[str, Any], default: str | None, deployment: str | None = None
) -> str:
    model = document.get("model", default) if deployment is None else deployment
    if model is None:
        raise InvalidCall(
            "`model` is missing: name the model to call.", code="missing_field", param="model"
        )
    if not isinstance(model, str):
        raise wrong_type("model", "a string")
    if not model or len(model) > MODEL_CHARS_MAX or not model.isprintable():
        raise InvalidCall(
            f"`model` must be 1 to {MODEL_CHARS_MAX} printable characters.", param="model"
        )
    return model


def _asked_for_usage(body: bytes, found: tuple[Member, ...], document: Mapping[str, Any]) -> bool:
    options = document.get("stream_options")
    if options is None:
        return False
    if not isinstance(options, dict):
        raise wrong_type("stream_options", "an object")
    member = next(m for m in found if m.key == "stream_options")
    inner = members(body[member.value_start : member.value_end])
    refuse_duplicates((m.key for m in inner), ("include_usage",), "stream_options.")
    asked = options.get("include_usage")
    if asked is None or isinstance(asked, bool):
        return bool(asked)
    raise wrong_type("stream_options.include_usage", "true or false")


def _output_caps(document: Mapping[str, Any], traits: Traits) -> OutputCaps:
    caps = {name: integer(document, name, least=0) for name in traits.caps}
    if traits.cap_field is None:  # of a chat: zero is no cap to some providers
        caps = {name: cap or None for name, cap in caps.items()}
    elif traits.cap_required and caps[traits.cap_field] is None:
        raise InvalidCall(
            f"`{traits.cap_field}` is missing: say how long the answer may become.",
            code="missing_field",
            param=traits.cap_field,
        )
    return OutputCaps(**caps)


def _predicted(document: Mapping[str, Any], found: tuple[Member, ...]) -> int:
    """No token is shorter than a byte, and JSON never spells text shorter than it is."""
    if document.get("prediction") is None:
        return 0
    member = next(m for m in found if m.key == "prediction")
    return member.value_end - member.value_start


def _thinking(document: Mapping[str, Any]) -> int:
    thinking = document.get("thinking")
    budget = thinking.get("budget_tokens") if isinstance(thinking, dict) else None
    return max(budget, 0) if isinstance(budget, int) else 0


def _service_tier(document: Mapping[str, Any]) -> str | None:
    tier = document.get("service_tier")
    if tier is None or isinstance(tier, str):
        return tier
    raise wrong_type("service_tier", "a string")
