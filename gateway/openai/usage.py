"""Providers' usage blocks, read into buckets that never overlap.

One set of rules reads every dialect, with no provider named: see `usage_from`. A block is
data from outside: whatever it holds, a number comes out or `UsageUnreadable`, and the
numbers are never negative and never add up to more than was reported.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pricing.usage import Usage

TOKENS_MAX: Final = 10**12
"""A count beyond this is no count."""

KEYS_MAX: Final = 128
"""A merged block takes no further keys beyond these."""

_INPUT: Final = ("prompt_tokens", "input_tokens")
_OUTPUT: Final = ("completion_tokens", "output_tokens")
_INPUT_DETAILS: Final = (
    "prompt_tokens_details",
    "input_tokens_details",
    "input_token_details",
    "prompt_token_details",
)
_OUTPUT_DETAILS: Final = (
    "completion_tokens_details",
    "output_tokens_details",
    "output_token_details",
)
_CACHED: Final = (
    "cached_tokens",
    "prompt_cache_hit_tokens",
    "num_cached_tokens",
    "cache_read_input_tokens",
)
_CACHE_WRITES: Final = ("cache_write_tokens", "cache_creation_input_tokens")


class UsageUnreadable(Exception):
    """There is a block, but no token count in it that makes sense."""


def usage_blocks(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the non-empty usage blocks of an answer or a stream frame, the weightiest last.

    They are views of one count, never parts of a sum: Groq states it in ``x_groq`` and again
    in ``usage``, Moonshot inside a choice.
    """
    choices = document.get("choices")
    holders = [document.get("x_groq"), *(choices if isinstance(choices, list) else ()), document]
    for holder in holders:
        block = holder.get("usage") if isinstance(holder, dict) else None
        if block and isinstance(block, dict):
            yield block


def merge(block: dict[str, Any], newer: Mapping[str, Any]) -> None:
    """Let what `newer` states replace what `block` stated: key by key, nulls state nothing."""
    for key, value in newer.items():
        old = block.get(key)
        if value is None or (key not in block and len(block) >= KEYS_MAX):
            continue
        if isinstance(value, dict) and isinstance(old, dict) and len(old) < KEYS_MAX:
            block[key] = old | {k: v for k, v in value.items() if v is not None}
        else:
            block[key] = value


def usage_from(block: object) -> Usage:
    """Read one usage block.

    * Cached, written, audio and image tokens are parts of the input, and reasoning, audio
      and image of the output; Anthropic's own form (cache counts beside ``input_tokens``,
      without ``prompt_tokens``) is the exception: there they come on top.
    * Tokens that only the total knows of are reasoning, unless stated reasoning differs.
    * Parts larger than the whole are cut down to it; parts that are no numbers are none.

    Raises:
        UsageUnreadable: not an object, or without a usable input or output count.
    """
    if not isinstance(block, Mapping):
        raise UsageUnreadable("not an object")
    reported_input = _whole(block, _INPUT)
    output = _whole(block, _OUTPUT)
    total = _part(block, ("total_tokens",))
    if output is None:  # embeddings: everything is input
        if reported_input is None and not total:
            raise UsageUnreadable("neither input nor output tokens")
        reported_input, output = max(reported_input or 0, total), 0
    if reported_input is None:
        reported_input = max(total - output, 0)
    inputs = _inputs(block, reported_input, total - output)
    hidden = total - sum(inputs.values()) - output
    return Usage(**inputs, **_outputs(block, output, hidden))


def _inputs(block: Mapping[str, Any], reported: int, room: int) -> dict[str, Any]:
    details = _details(block, _INPUT_DETAILS)
    cached = _part(details, _CACHED) or _part(block, _CACHED)
    written = _part(details, _CACHE_WRITES) or _part(block, _CACHE_WRITES)
    if _is_beside(block):
        reported += cached + written
    elif cached > reported and reported + cached <= room:
        reported += cached  # xAI: the total says that the cached ones came on top
    share = _Shares(reported)
    cached = share.take(cached)
    written = share.take(written)
    of_cached = _details(details, ("cached_tokens_details",))
    cached_share = _Shares(cached)
    audio_cached = cached_share.take(_part(of_cached, ("audio_tokens",)))
    image_cached = cached_share.take(_part(of_cached, ("image_tokens",)))
    written_1h = min(
        written,
        _part(_details(block, ("cache_creation",)), ("ephemeral_1h_input_tokens",)),
    )
    audio = share.take(max(_part(details, ("audio_tokens",)) - audio_cached, 0))
    image = share.take(max(_part(details, ("image_tokens",)) - image_cached, 0))
    return {
        "input_tokens": share.rest,
        "cache_read_tokens": cached_share.rest,
        "cache_write_5m_tokens": written - written_1h,
        "cache_write_1h_tokens": written_1h,
        "audio_in_tokens": audio,
        "audio_cached_tokens": audio_cached,
        "image_in_tokens": image,
        "image_cached_tokens": image_cached,
    }


def _outputs(block: Mapping[str, Any], reported: int, hidden: int) -> dict[str, Any]:
    details = _details(block, _OUTPUT_DETAILS)
    reasoning = _part(details, ("reasoning_tokens",))
    if hidden > 0 and reasoning in (0, hidden):  # Gemini's and xAI's compatible layers
        reasoning = hidden
        reported += hidden
    share = _Shares(reported)
    return {
        "reasoning_tokens": share.take(reasoning),
        "audio_out_tokens": share.take(_part(details, ("audio_tokens",))),
        "image_out_tokens": share.take(_part(details, ("image_tokens",))),
        "output_tokens": share.rest,
    }


class _Shares:
    """Hands out parts of a whole until nothing is left."""

    __slots__ = ("rest",)

    def __init__(self, whole: int) -> None:
        self.rest = whole

    def take(self, wanted: int) -> int:
        taken = min(wanted, self.rest)
        self.rest -= taken
        return taken


def _is_beside(block: Mapping[str, Any]) -> bool:
    return (
        block.get("prompt_tokens") is None
        and not _details(block, _INPUT_DETAILS)
        and ("cache_read_input_tokens" in block or "cache_creation_input_tokens" in block)
    )


def _details(block: Mapping[str, Any], names: tuple[str, ...]) -> Mapping[str, Any]:
    for name in names:
        details = block.get(name)
        if details and isinstance(details, Mapping):
            return details
    return {}


def _whole(block: Mapping[str, Any], names: tuple[str, ...]) -> int | None:
    """The first stated count; what is stated but no count spoils the block."""
    for name in names:
        value = block.get(name)
        if value is not None:
            count = _count(value)
            if count is None:
                raise UsageUnreadable(f"{name} is not a token count")
            return count
    return None


def _part(block: Mapping[str, Any], names: tuple[str, ...]) -> int:
    if not block:
        return 0
    for name in names:
        count = _count(block.get(name))
        if count:
            return count
    return 0


def _count(value: object) -> int | None:
    if isinstance(value, float) and value.is_integer() and value <= TOKENS_MAX:
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= TOKENS_MAX:
        return value
    return None
