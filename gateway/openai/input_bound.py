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
from typing import Any, Final

REQUEST_OVERHEAD_TOKENS: Final = 64
"""What a chat template adds once per request: start, priming of the answer, date."""

SCHEMA_OVERHEAD_TOKENS: Final = 1_024
"""The hidden prompt that comes with tools or a response schema. Anthropic documents
up to 530 tokens (tool-use system prompt); doubled."""

IMAGE_INPUT_TOKENS_MAX: Final = 50_000
"""The dearest documented image: gpt-4o-mini at high detail, 2,833 + 8 x 5,667 = 48,169."""

_SCHEMA_FIELDS: Final = frozenset({"tools", "functions", "response_format"})
_TEXT_PARTS: Final = frozenset({"text", "refusal", "input_text", "output_text"})
_IMAGE_PARTS: Final = frozenset({"image_url", "input_image"})
_MEDIA_FIELDS: Final = frozenset({"audio", "images", "videos", "files", "file_ids", "attachments"})


def chat_bound(document: Mapping[str, Any], sent_bytes: int) -> tuple[int, int]:
    """Bound a chat call of `sent_bytes`.

    Returns:
        The tokens, and 1 if some input is of a kind whose tokens its bytes do not bound
        (audio, files, unknown parts): then only the model's context is a bound. Else 0.
    """
    tokens = sent_bytes + REQUEST_OVERHEAD_TOKENS
    if not _SCHEMA_FIELDS.isdisjoint(document):
        tokens += SCHEMA_OVERHEAD_TOKENS
    messages = document.get("messages")
    if not isinstance(messages, list):
        return tokens, int(messages is not None)
    unbounded = False
    for message in messages:
        content = message.get("content") if isinstance(message, dict) else message
        if isinstance(content, list):
            extra, opaque = _parts(content)
            tokens += extra
            unbounded = unbounded or opaque
        elif content is not None and not isinstance(content, str):
            unbounded = True
        if isinstance(message, dict) and not _MEDIA_FIELDS.isdisjoint(message):
            unbounded = True
    return tokens, int(unbounded)


def embeddings_bound(document: Mapping[str, Any], sent_bytes: int) -> tuple[int, int]:
    """Bound an embeddings call, as `chat_bound` does: a token id takes at least a byte, too.

    Returns:
        The tokens, and how many inputs are of a kind that only the context bounds, each.
    """
    items = document.get("input")
    each = items if isinstance(items, list) else (items,)
    opaque = sum(type(item) is dict for item in each)
    return sent_bytes + REQUEST_OVERHEAD_TOKENS, opaque


def _parts(content: Iterable[Any]) -> tuple[int, bool]:
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
