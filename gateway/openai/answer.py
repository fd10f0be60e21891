"""The facts of an answer: what it used, which model served it, how it ended.

Collected from whole answers here and from stream frames in `sse`. Nothing a provider sends
makes the reading fail: it only leaves facts out.
"""

from dataclasses import dataclass
from typing import Any, Final

import orjson

from gateway.openai.body import apply, cut, members
from gateway.openai.usage import UsageUnreadable, merge, usage_blocks, usage_from
from pricing.usage import Usage

UNPARSED_BYTES_MAX: Final = 2_048
FACT_CHARS_MAX: Final = 256
"""Longer model names, ids and reasons are cut to this."""

WHOLE_BYTES_MAX: Final = 65_536
"""From here on an answer's ``data`` (embeddings: megabytes of floats) is skipped, not built."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What an answer said of itself.

    Attributes:
        usage: None: no usage seen, or none that could be read, or nothing but zeros
            (some providers send them until the last frame; no call takes no tokens).
        unparsed: The start of a usage block that could not be read, as JSON.
        model: The model that served the call.
        upstream_id: The provider's id of the answer.
    """

    usage: Usage | None = None
    unparsed: bytes | None = None
    model: str | None = None
    service_tier: str | None = None
    finish_reason: str | None = None
    upstream_id: str | None = None


class Facts:
    """Collects a `Reading` from one or many JSON documents; later statements win."""

    __slots__ = ("_block", "_known", "_unparsed")

    def __init__(self) -> None:
        self._block: dict[str, Any] = {}
        self._known: dict[str, str] = {}
        self._unparsed: bytes | None = None

    @property
    def usage_seen(self) -> bool:
        return bool(self._block)

    @property
    def finished(self) -> bool:
        return "finish_reason" in self._known

    def add(self, document: dict[str, Any]) -> None:
        """Take in one answer or frame."""
        for name in ("model", "service_tier", "id"):
            self._note(name, document.get(name))
        choices = document.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict):
                self._note("finish_reason", choice.get("finish_reason"))
        for block in usage_blocks(document):
            merge(self._block, block)
        stated = document.get("usage")
        if stated and not isinstance(stated, dict):
            self._unparsed = _excerpt(stated)

    def add_broken(self, raw: bytes) -> None:
        """Take in what is no JSON; a usage block in it is kept up to its first brace."""
        start = raw.rfind(b'"usage"')
        if start >= 0:
            end = raw.find(b"}", start, start + UNPARSED_BYTES_MAX) + 1
            self._unparsed = raw[start : end or start + len(b'"usage"')]

    def reading(self) -> Reading:
        try:
            usage = usage_from(self._block)
        except UsageUnreadable:
            usage = Usage()
        unparsed = _excerpt(self._block) if self._block else self._unparsed
        return Reading(
            usage=usage if usage.total else None,
            unparsed=None if usage.total else unparsed,
            model=self._known.get("model"),
            service_tier=self._known.get("service_tier"),
            finish_reason=self._known.get("finish_reason"),
            upstream_id=self._known.get("id"),
        )

    def _note(self, name: str, value: object) -> None:
        if isinstance(value, str) and value:
            self._known[name] = value[:FACT_CHARS_MAX]


def read_answer(body: bytes) -> Reading:
    """Read a whole (non-stream) answer. Never raises; an HTML page is an empty reading."""
    facts = Facts()
    try:
        document = orjson.loads(body if len(body) < WHOLE_BYTES_MAX else _without_data(body))
    except ValueError:
        facts.add_broken(body)
        return facts.reading()
    if isinstance(document, dict):
        facts.add(document)
    return facts.reading()


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
