"""How many input tokens a call can have at most, told from its bytes alone.

A byte-level token spans at least one byte of text, and JSON never spells text shorter than
it is, so the forwarded body's size bounds the text, the tools and the schemas. The frame
that providers put round each message (about four tokens) is covered by that message's own
punctuation (``{"role":""},`` is eleven bytes). On top come the constants below.

Loose on purpose: a hold is returned within seconds, an overspend is not. Not covered:
what a provider's hosted tools (web search) read and cost in addition: see
`gateway.openai.hosted_tools`.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from gateway.openai.hosted_tools import is_built_in

REQUEST_OVERHEAD_TOKENS: Final = 64
"""What a chat template adds once per request: start, priming of the answer, date."""

SCHEMA_OVERHEAD_TOKENS: Final = 1_024
"""The hidden prompt that comes with tools or a response schema. Anthropic documents
up to 530 tokens (tool-use system prompt); doubled."""

BUILT_IN_TOOL_TOKENS: Final = 1_024
"""A tool that the body only names, and whose description the provider adds. Anthropic documents
up to 735 tokens (computer use)."""

IMAGE_INPUT_TOKENS_MAX: Final = 50_000
"""The dearest documented image: gpt-4o-mini at high detail, 2,833 + 8 x 5,667 = 48,169."""

_SCHEMA_FIELDS: Final = frozenset({"tools", "functions", "response_format"})
_TEXT_PARTS: Final = frozenset(
    {"text", "refusal", "input_text", "output_text", "summary_text", "reasoning_text"}
)
_IMAGE_PARTS: Final = frozenset({"image_url", "input_image", "computer_screenshot"})
_MEDIA_FIELDS: Final = frozenset({"audio", "images", "videos", "files", "file_ids", "attachments"})


class InputBound(NamedTuple):
    """How much a call can read.

    Attributes:
        tokens: Never fewer than the input has, opaque ones aside.
        opaque: How many inputs are of a kind whose tokens the bytes do not bound (audio,
            files, what is named and not sent): only the model's context does.
    """

    tokens: int
    opaque: int = 0


def chat_bound(document: Mapping[str, Any], sent_bytes: int) -> InputBound:
    """Bound a chat of `sent_bytes`; all of it is one input."""
    tokens = sent_bytes + REQUEST_OVERHEAD_TOKENS
    if not _SCHEMA_FIELDS.isdisjoint(document):
        tokens += SCHEMA_OVERHEAD_TOKENS
    messages = document.get("messages")
    if not isinstance(messages, list):
        return InputBound(tokens, int(messages is not None))
    unbounded = False
    for message in messages:
        content = message.get("content") if isinstance(message, dict) else message
        if isinstance(content, list):
            extra, opaque = parts_bound(content)
            tokens += extra
            unbounded = unbounded or opaque
        elif content is not None and not isinstance(content, str):
            unbounded = True
        if isinstance(message, dict) and not _MEDIA_FIELDS.isdisjoint(message):
            unbounded = True
    return InputBound(tokens, int(unbounded))


def embeddings_bound(document: Mapping[str, Any], sent_bytes: int) -> InputBound:
    """Bound a call whose ``input`` is texts, or tokens: an id of one takes a byte, too."""
    items = document.get("input")
    each = items if isinstance(items, list) else (items,)
    opaque = sum(type(item) is dict for item in each)
    return InputBound(sent_bytes + REQUEST_OVERHEAD_TOKENS, opaque)


def prompts_bound(document: Mapping[str, Any], sent_bytes: int) -> InputBound:
    """Bound a call to ``completions``: texts or tokens, one or many."""
    prompt = document.get("prompt")
    each = prompt if isinstance(prompt, list) else (prompt,)
    opaque = sum(isinstance(item, dict) for item in each)
    return InputBound(sent_bytes + prompts_in(document) * REQUEST_OVERHEAD_TOKENS, opaque)


def prompts_in(document: Mapping[str, Any]) -> int:
    """How many prompts there are: a list of numbers is one, in tokens."""
    prompt = document.get("prompt")
    several = isinstance(prompt, list) and prompt and not isinstance(prompt[0], int)
    return len(prompt) if several and isinstance(prompt, list) else 1


def tools_bound(tools: object) -> int:
    """What tools can have beyond their bytes: their prompt, and what those are that are named."""
    if not isinstance(tools, list):
        return SCHEMA_OVERHEAD_TOKENS if tools is not None else 0
    named = sum(isinstance(tool, dict) and is_built_in(tool) for tool in tools)
    return SCHEMA_OVERHEAD_TOKENS + named * BUILT_IN_TOOL_TOKENS


def parts_bound(content: Iterable[Any]) -> tuple[int, bool]:
    """What the parts of a content can have beyond their bytes, and whether some have no bound."""
    tokens, unbounded = 0, False
    for part in content:
        if isinstance(part, str):
            continue
        kind = part.get("type") if isinstance(part, dict) else None
        if not isinstance(kind, str):
            unbounded = True
        elif kind in _IMAGE_PARTS:
            tokens += IMAGE_INPUT_TOKENS_MAX - _inline_bytes(part)
        elif kind not in _TEXT_PARTS:
            unbounded = True
    return tokens, unbounded


def _inline_bytes(part: Mapping[str, Any]) -> int:
    """Size of the image data inside `part`, which is no text (never more than its bytes)."""
    image = part.get("image_url")
    url = image.get("url") if isinstance(image, dict) else image
    return len(url) if isinstance(url, str) and url.startswith("data:") else 0
