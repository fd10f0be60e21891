"""The facts of an answer: what it used, which model served it, how it ended.

Collected from whole answers here and from stream frames in `sse`. Nothing a provider sends
makes the reading fail: it only leaves facts out.

Zeros
    A provider that states zero usage when its answer has ended is believed: the call costs
    nothing. Some (Kimi, sglang) state zeros in every frame until the last; cut off before
    that one, they have said nothing, and the call is estimated. So zeros count when they
    were stated with the end of the answer, and, where they had been stated before it too,
    only once the stream is complete.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson

from gateway.openai.body import apply, cut, members
from gateway.openai.counts import UsageUnreadable, inner
from gateway.openai.halves import loads
from gateway.openai.heard import heard_seconds
from gateway.openai.reported_cost import reported_cost_pico
from gateway.openai.usage import merge, told_in, usage_blocks
from gateway.openai.uses import Uses
from pricing.usage import Usage

UNPARSED_BYTES_MAX: Final = 2_048
FACT_CHARS_MAX: Final = 256
"""Longer model names, ids and reasons are cut to this."""

MODELS_MAX: Final = 64
"""Of those that served one call so many are looked at."""

WHOLE_BYTES_MAX: Final = 65_536
"""From here on an answer's ``data`` (embeddings: megabytes of floats) is skipped, not built."""

_LAST_TYPES: Final = frozenset(
    {
        "response.completed",
        "response.incomplete",
        "response.failed",
        "response.cancelled",
        "response.done",
        "message_stop",
        "message-end",
        "transcript.text.done",
        "transcription.done",
        "speech.audio.done",
        "image_generation.completed",
        "image_edit.completed",
    }
)
"""Events that end their stream, where no choice does."""

_FAILURES: Final = frozenset({"error", "response.failed"})

_ENDED: Final = frozenset({"completed", "incomplete", "failed", "cancelled"})
"""How a response of OpenAI's Responses can have ended."""

_ANYWHERE: Final = frozenset({"global", "not_available"})
"""Places of inference that are none in particular."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What an answer said of itself.

    Attributes:
        usage: None: no usage seen, or none that could be read, or zeros that are not
            the provider's last word.
        usage_final: The usage covers the whole answer; else it is of a part of it, since
            more was to come when the stream was cut off.
        usage_cut: Parts that were stated larger than their whole, and cut down to it.
        unparsed: The start of a usage block that could not be read, as JSON.
        reported_cost_pico: What the provider says that the call cost, pico-USD.
        model: The model that served the call; None: it does not say, or several did.
        service_tier: As it was served.
        scope: Where it was served, as the price book has it (``us``); None: anywhere.
        upstream_id: The provider's id of the answer.
        ended: It has said why it ends; one that is made in the background may not have.
        failed: It has said that it is an error.
        heard_seconds: Of audio, where a transcript without usage tells it.
    """

    usage: Usage | None = None
    usage_final: bool = True
    usage_cut: tuple[str, ...] = ()
    unparsed: bytes | None = None
    reported_cost_pico: int | None = None
    model: str | None = None
    service_tier: str | None = None
    scope: str | None = None
    finish_reason: str | None = None
    upstream_id: str | None = None
    ended: bool = False
    failed: bool = False
    heard_seconds: int | None = None


class Facts:
    """Collects a `Reading` from one or many JSON documents; later statements win.

    Args:
        whole: There is one document, and it is all of the answer.
        draws: It comes of an images route: its output is images.

    Attributes:
        finished: The answer has said why it ends, in any dialect.
        failed: It has said that it is an error.
    """

    __slots__ = (
        "_block",
        "_draws",
        "_known",
        "_models",
        "_stated_at_end",
        "_stated_before",
        "_unparsed",
        "_uses",
        "_whole",
        "failed",
        "finished",
    )

    def __init__(self, *, whole: bool = False, draws: bool = False) -> None:
        self.finished = False
        self.failed = False
        self._draws = draws
        self._whole = whole
        self._block: dict[str, Any] = {}
        self._uses = Uses()
        self._known: dict[str, str] = {}
        self._models: set[str] = set()
        self._unparsed: bytes | None = None
        self._stated_before = False  # the end of the answer
        self._stated_at_end = False

    @property
    def usage_seen(self) -> bool:
        return bool(self._block)

    def add(self, document: dict[str, Any]) -> bool:
        """Take in one answer or frame; say whether it stated usage."""
        choices = document.get("choices")
        if isinstance(choices, list):
            self._note_facts(document)
            self._uses.add_executed(choices)
            self._models |= models_of(document)
            for choice in choices:
                if isinstance(choice, dict):
                    self._note_end(choice.get("finish_reason"))
        else:
            self._add_native(document)
        self.failed = self.failed or bool(document.get("error"))
        stated = False
        for block in usage_blocks(document):
            merge(self._block, block)
            stated = True
        if stated:
            self._stated_at_end = self._whole or self.finished or self.failed
            self._stated_before = self._stated_before or not self._stated_at_end
        odd = document.get("usage")
        if odd and not isinstance(odd, dict):
            self._unparsed = _excerpt(odd)
        return stated

    def add_broken(self, raw: bytes) -> None:
        """Take in what is no JSON; a usage block in it is kept up to its first brace."""
        start = raw.rfind(b'"usage"')
        if start >= 0:
            end = raw.find(b"}", start, start + UNPARSED_BYTES_MAX) + 1
            self._unparsed = raw[start : end or start + len(b'"usage"')]

    def reading(self, *, complete: bool) -> Reading:
        """What is known by now.

        Args:
            complete: The answer has come to its end, and nothing of it was cut off.
        """
        block, known = self._block, self._known
        cut: tuple[str, ...] = ()
        usage, unparsed = None, self._unparsed
        if block:
            try:
                (usage, cut), unparsed = (
                    told_in(block, self._uses.pieces(), draws=self._draws),
                    None,
                )
            except UsageUnreadable:
                unparsed = _excerpt(block)
            if usage is not None and not (usage.total or usage.fees or self._zeros_count(complete)):
                usage = None
        return Reading(
            usage=usage,
            usage_final=complete or self._stated_at_end,
            usage_cut=cut,
            unparsed=unparsed,
            reported_cost_pico=reported_cost_pico(block),
            model=known.get("model") if len(self._models) < 2 else None,
            service_tier=service_tier_of(block, known.get("service_tier")),
            scope=scope_of(block),
            finish_reason=known.get("finish_reason"),
            upstream_id=known.get("id"),
            ended=self.finished,
            failed=self.failed,
        )

    def _zeros_count(self, complete: bool) -> bool:
        return self._stated_at_end and (complete or not self._stated_before)

    def _add_native(self, document: dict[str, Any]) -> None:
        """Take in what is no chat completion: Responses, Anthropic, Gemini, audio, images."""
        inside = [document.get("response"), document.get("message")]
        holders = [document, *(one for one in inside if isinstance(one, dict))]
        for holder in holders:
            self._note_facts(holder)
            self._note("model", holder.get("modelVersion"))
            self._note("id", holder.get("responseId"))
            if holder.get("output"):
                self._uses.add_output(holder)
        self._uses.add_candidates(document.get("candidates"))
        for reason in _reasons(document, holders):
            self._note_end(reason)
        kind = document.get("type")
        if isinstance(kind, str):
            if kind in _LAST_TYPES and not self.finished:
                self._note_end(kind)
            self.failed = self.failed or kind in _FAILURES

    def _note_facts(self, holder: dict[str, Any]) -> None:
        for name in ("model", "service_tier", "id"):
            self._note(name, holder.get(name))

    def _note_end(self, reason: object) -> None:
        self._note("finish_reason", reason)
        self.finished = self.finished or "finish_reason" in self._known

    def _note(self, name: str, value: object) -> None:
        if isinstance(value, str) and value:
            self._known[name] = value[:FACT_CHARS_MAX]


def read_answer(body: bytes, *, draws: bool = False) -> Reading:
    """Read a whole (non-stream) answer. Never raises; an HTML page is an empty reading."""
    facts = Facts(whole=True, draws=draws)
    try:
        document = loads(body if len(body) < WHOLE_BYTES_MAX else _without_data(body))
    except ValueError:
        facts.add_broken(body)
        return facts.reading(complete=True)
    if isinstance(document, dict):
        facts.add(document)
    return facts.reading(complete=True)


def read_transcript(body: bytes) -> Reading:
    """Read a whole transcript: JSON, or text, or subtitles."""
    reading = read_answer(body)
    return reading if reading.usage else replace(reading, heard_seconds=heard_seconds(body))


def _reasons(document: dict[str, Any], holders: list[dict[str, Any]]) -> Iterator[object]:
    """Why the answer ends, where it is no chat completion and says so."""
    delta = document.get("delta")
    for holder in (document, delta):
        if isinstance(holder, dict):  # Anthropic, Cohere
            yield holder.get("stop_reason")
            yield holder.get("finish_reason")
    candidates = document.get("candidates")
    for candidate in candidates if isinstance(candidates, list) else ():
        if isinstance(candidate, dict):  # Gemini
            yield candidate.get("finishReason")
    for holder in holders:
        status = holder.get("status")
        if isinstance(status, str) and status in _ENDED:  # OpenAI's Responses
            details = holder.get("incomplete_details")
            yield status
            yield details.get("reason") if isinstance(details, dict) else None


def service_tier_of(block: dict[str, Any], beside: str | None) -> str | None:
    """How it was served: Anthropic and Gemini say so among the usage."""
    if block.get("speed") == "fast":
        return "fast"
    if beside is None:
        for name in ("service_tier", "serviceTier", "trafficType"):
            value = block.get(name)
            if isinstance(value, str) and value and len(value) <= FACT_CHARS_MAX:
                return value.lower().removeprefix("on_demand_")
    return beside


def models_of(document: Mapping[str, Any]) -> set[str]:
    """Those among which Groq divides a count: its compound systems ask several in one call."""
    beside = document.get("x_groq")
    found: set[str] = set()
    for holder in (document, beside if isinstance(beside, dict) else {}):
        if holder.get("usage_breakdown"):
            told = inner(holder, ("usage_breakdown",)).get("models")
            for each in told[:MODELS_MAX] if isinstance(told, list) else ():
                if isinstance(each, dict) and isinstance(each.get("model"), str):
                    found.add(each["model"])
    return found


def scope_of(block: dict[str, Any]) -> str | None:
    value = block.get("inference_geo")
    if isinstance(value, str) and value and value not in _ANYWHERE:
        return value[:FACT_CHARS_MAX].lower()
    return None


def _without_data(body: bytes) -> bytes:
    try:
        return apply(body, cut(members(body), ("data",)))
    except ValueError:
        return body


def _excerpt(stated: object) -> bytes:
    # Only the block itself: what stands beside it in the answer is none of our business.
    try:
        return orjson.dumps(stated)[:UNPARSED_BYTES_MAX]
    except orjson.JSONEncodeError:  # nested beyond what it writes
        return b""
