"""How many input tokens a call to ``responses`` can have at most.

What is sent in the body is bounded by its bytes, as a chat is. What the body only refers to
(an earlier response, a conversation, a stored prompt, a file) is bounded by the model's
context alone, and so are items whose text the provider has kept. Ciphertext (reasoning that
the caller hands back) is base64: it is never shorter than its tokens.
"""

from collections.abc import Mapping
from typing import Any, Final

from gateway.openai.input_bound import (
    REQUEST_OVERHEAD_TOKENS,
    SCHEMA_OVERHEAD_TOKENS,
    InputBound,
    parts_bound,
    tools_bound,
)

_REFERENCES: Final = ("previous_response_id", "conversation", "prompt")
_TEXT_ITEMS: Final = frozenset(
    {
        "function_call",
        "custom_tool_call",
        "local_shell_call",
        "local_shell_call_output",
        "apply_patch_call",
        "apply_patch_call_output",
        "computer_call",
        "mcp_approval_request",
        "mcp_approval_response",
        "mcp_list_tools",
        "reasoning",
    }
)
_PARTED_ITEMS: Final = {
    None: "content",
    "message": "content",
    "function_call_output": "output",
    "custom_tool_call_output": "output",
    "computer_call_output": "output",
}
"""Items by type, and the field that holds their text or their parts."""


def responses_bound(document: Mapping[str, Any], sent_bytes: int) -> InputBound:
    """Bound a call, as `gateway.openai.input_bound.chat_bound` does."""
    tokens = sent_bytes + REQUEST_OVERHEAD_TOKENS + tools_bound(document.get("tools"))
    if document.get("text") is not None:
        tokens += SCHEMA_OVERHEAD_TOKENS
    opaque = any(document.get(name) is not None for name in _REFERENCES)
    for told in (document.get("input"), document.get("instructions")):
        if isinstance(told, list):
            for item in told:
                extra, unbounded = _item(item)
                tokens += extra
                opaque = opaque or unbounded
        elif told is not None and not isinstance(told, str):
            opaque = True
    return InputBound(tokens, int(opaque))


def _item(item: object) -> tuple[int, bool]:
    """What an item can have beyond its bytes, and whether that has no bound."""
    kind = item.get("type") if isinstance(item, dict) else ""
    if not isinstance(item, dict) or not (kind is None or isinstance(kind, str)):
        return 0, True
    if kind in _TEXT_ITEMS:
        return 0, False
    if kind not in _PARTED_ITEMS:
        return 0, True
    content = item.get(_PARTED_ITEMS[kind])
    if isinstance(content, dict):  # a screenshot
        content = [content]
    if isinstance(content, list):
        return parts_bound(content)
    return 0, content is not None and not isinstance(content, str)
