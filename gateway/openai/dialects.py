"""Usage in a provider's own form, told in OpenAI's: the same block under other names.

A dialect is known by a key that only it has. What differs by rule and not by name (what is
part of what, and what comes on top) is for `usage`.
"""

from collections.abc import Callable
from typing import Any, Final

from gateway.openai.counts import Block, UsageUnreadable, count, inner, part, whole

MODALITIES_MAX: Final = 64
"""Entries of one of Gemini's lists that are read."""


def in_openai_form(block: Block) -> Block:
    """`block` as OpenAI would have stated it; most providers do.

    Raises:
        UsageUnreadable: a count that it cannot do without is no count.
    """
    if not block.keys().isdisjoint(_MARKS):
        for mark, translated in _DIALECTS:
            if mark in block and ("prompt_tokens" not in block or mark in _GO_BEFORE):
                return translated(block)
    return block


def _gemini(block: Block) -> Block:
    """``usageMetadata``: thoughts beside the candidates, what tools read beside the prompt."""
    prompt = whole(block, ("promptTokenCount",))
    total = part(block, ("totalTokenCount",))
    tools = part(block, ("toolUsePromptTokenCount",))
    answer = whole(block, ("candidatesTokenCount", "responseTokenCount")) or 0
    thoughts = part(block, ("thoughtsTokenCount",))
    if prompt is None:
        if not total:
            raise UsageUnreadable("neither prompt nor total tokens")
        prompt = max(total - tools - answer - thoughts, 0)
    if thoughts > answer or total != prompt + tools + answer:  # they are not among the answer's
        answer += thoughts
    read = _modalities(block, "promptTokensDetails", "toolUsePromptTokensDetails")
    return {
        "prompt_tokens": prompt + tools,
        "completion_tokens": answer,
        "total_tokens": total,
        "prompt_tokens_details": read
        | {
            "cached_tokens": block.get("cachedContentTokenCount"),
            "cached_tokens_details": _modalities(block, "cacheTokensDetails"),
        },
        "completion_tokens_details": _modalities(
            block, "candidatesTokensDetails", "responseTokensDetails"
        )
        | {"reasoning_tokens": thoughts},
    }


def _modalities(block: Block, *names: str) -> dict[str, Any]:
    """Audio and images in lists by modality. Video and documents are priced as text."""
    found = {"audio_tokens": 0, "image_tokens": 0}
    for name in names:
        entries = block.get(name)
        for entry in entries[:MODALITIES_MAX] if isinstance(entries, list) else ():
            if isinstance(entry, dict):
                key = f"{str(entry.get('modality')).lower()}_tokens"
                if key in found:
                    found[key] += count(entry.get("tokenCount")) or 0
    return found


def _cohere(block: Block) -> Block:
    """Billed units are what counts; ``tokens`` beside them holds the provider's own prompt too."""
    told = inner(block, ("billed_units", "tokens"))
    images = part(told, ("image_tokens",))
    prompt, answer = whole(told, ("input_tokens",)), whole(told, ("output_tokens",))
    if prompt is None and answer is None and not images:
        if "search_units" not in told:
            raise UsageUnreadable("nothing billed that we know")
        prompt = 0
    return {
        "prompt_tokens": (prompt or 0) + images,
        "completion_tokens": answer or 0,
        "cached_tokens": block.get("cached_tokens"),
        "prompt_tokens_details": {"image_tokens": images},
    }


def _converse(block: Block) -> Block:
    """Bedrock's Converse: Anthropic's rules under other names."""
    told = block.get("cacheDetails")
    hour = 0
    for entry in told[:MODALITIES_MAX] if isinstance(told, list) else ():
        if isinstance(entry, dict) and entry.get("ttl") == "1h":
            hour += part(entry, ("inputTokens",))
    return {
        "input_tokens": block.get("inputTokens"),
        "output_tokens": block.get("outputTokens"),
        "cache_read_input_tokens": block.get("cacheReadInputTokens"),
        "cache_creation_input_tokens": block.get("cacheWriteInputTokens"),
        "cache_creation": {"ephemeral_1h_input_tokens": hour},
    }


def _audio_by_the_second(block: Block) -> Block:
    """Mistral's Voxtral: audio is billed by its length, and stands in the total alone."""
    if not part(block, ("prompt_audio_seconds",)):
        return block
    return {
        "prompt_tokens": block.get("prompt_tokens") or 0,
        "completion_tokens": block.get("completion_tokens") or 0,
    }


_DIALECTS: Final[tuple[tuple[str, Callable[[Block], Block]], ...]] = (
    ("promptTokenCount", _gemini),
    ("totalTokenCount", _gemini),
    ("billed_units", _cohere),
    ("tokens", _cohere),
    ("inputTokens", _converse),
    ("prompt_audio_seconds", _audio_by_the_second),
)
_MARKS: Final = frozenset(mark for mark, _ in _DIALECTS)
_GO_BEFORE: Final = frozenset({"billed_units", "prompt_audio_seconds"})
"""What is billed by these, whatever tokens are counted beside them."""
