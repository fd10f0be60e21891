"""How many input tokens a call to Anthropic's ``messages`` can have at most."""

from collections.abc import Mapping
from typing import Any, Final, TypeGuard

from gateway.openai.input_bound import (
    IMAGE_INPUT_TOKENS_MAX,
    REQUEST_OVERHEAD_TOKENS,
    SCHEMA_OVERHEAD_TOKENS,
    InputBound,
    tools_bound,
)

_TEXT_BLOCKS: Final = frozenset({"text", "tool_use", "thinking", "redacted_thinking"})


def messages_bound(document: Mapping[str, Any], sent_bytes: int) -> InputBound:
    """Bound a call, as `gateway.openai.input_bound.chat_bound` does.

    PDFs, files by id and what the provider's own tools had found have no bound but the
    model's context.
    """
    tokens = sent_bytes + REQUEST_OVERHEAD_TOKENS + tools_bound(document.get("tools"))
    if document.get("output_config") is not None:
        tokens += SCHEMA_OVERHEAD_TOKENS
    opaque = document.get("container") is not None
    contents = [document.get("system")]
    messages = document.get("messages")
    if isinstance(messages, list):
        contents += [m.get("content") if isinstance(m, dict) else m for m in messages]
    else:
        opaque = opaque or messages is not None
    for content in contents:
        extra, unbounded = _content(content)
        tokens += extra
        opaque = opaque or unbounded
    return InputBound(tokens, int(opaque))


def _content(content: object) -> tuple[int, bool]:
    """What a text, or the blocks of a content, can have beyond their bytes."""
    if content is None or isinstance(content, str):
        return 0, False
    if not isinstance(content, list):
        return 0, True
    found = [_block(block) for block in content]
    return sum(extra for extra, _ in found), any(unbounded for _, unbounded in found)


def _block(block: object) -> tuple[int, bool]:
    kind = block.get("type") if isinstance(block, dict) else None
    if not isinstance(block, dict) or not isinstance(kind, str):
        return 0, True
    source = block.get("source")
    if kind == "image":
        return IMAGE_INPUT_TOKENS_MAX - _inline_bytes(source), False
    if kind in ("tool_result", "search_result"):
        return _content(block.get("content"))
    if kind == "document" and _is_inline(source):
        return _content(source["content"]) if "content" in source else (0, False)
    return 0, kind not in _TEXT_BLOCKS


def _is_inline(source: object) -> TypeGuard[dict[str, Any]]:
    return isinstance(source, dict) and source.get("type") in ("text", "content")


def _inline_bytes(source: object) -> int:
    """Size of the image inside the body, which is no text."""
    data = source.get("data") if isinstance(source, dict) else None
    return len(data) if isinstance(data, str) else 0
