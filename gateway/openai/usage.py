"""Providers' usage blocks, read into buckets that never overlap.

One set of rules reads every dialect, with no provider named: see `usage_from`. A block is
data from outside: whatever it holds, a number comes out or `UsageUnreadable`, and the
numbers are never negative and never add up to more than was reported.

docs/usage.md has the dialects in a table; tests/gateway/openai/usage_table.py has one of
each with the buckets it becomes.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from gateway.openai.counts import Block, UsageUnreadable, count, inner, part, whole
from gateway.openai.dialects import in_openai_form
from gateway.openai.pieces import NO_PIECES, Pieces, pieces
from pricing.usage import Usage

KEYS_MAX: Final = 128
"""A merged block takes no further keys beyond these."""

ITERATIONS_MAX: Final = 64
"""Of one answer, that are looked at."""

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
_AUDIO: Final = ("audio_tokens",)
_IMAGE: Final = ("image_tokens",)
_REASONING: Final = ("reasoning_tokens", "thinking_tokens")


def usage_blocks(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the non-empty usage blocks of an answer or a stream frame, the weightiest last.

    They are views of one count, never parts of a sum: Groq states it in ``x_groq`` and again
    in ``usage``, Moonshot inside a choice, Anthropic in two frames, each with some of it.
    """
    timings = document.get("timings")
    if timings and isinstance(timings, dict):
        yield from _llama_timings(timings)
    choices = document.get("choices")
    response = None
    holders: tuple[Any, ...]
    if isinstance(choices, list):
        holders = (document.get("x_groq"), *choices, document)
    else:
        response = document.get("response")  # the events of OpenAI's Responses
        # Anthropic's message_start, Cohere's message-end.
        holders = (document.get("message"), document.get("delta"), response, document)
    for holder in holders:
        block = holder.get("usage") if isinstance(holder, dict) else None
        if block and isinstance(block, dict):
            yield block
    if not isinstance(choices, list):
        yield from _beside_usage(document, response)


def _beside_usage(document: Mapping[str, Any], response: object) -> Iterator[dict[str, Any]]:
    """What stands in an answer as usage, but not in an object of that name."""
    block = document.get("usageMetadata")  # Gemini
    if block and isinstance(block, dict):
        yield block
    meta = document.get("meta")  # Cohere's embeddings and rerankings
    if isinstance(meta, dict) and ("billed_units" in meta or "tokens" in meta):
        yield meta
    holder = response if isinstance(response, dict) else document
    tools = holder.get("tool_usage")
    if tools and isinstance(tools, dict) and holder.get("usage"):
        yield {"tool_usage": tools}
    if document.get("type") == "speech.audio.done":  # all that it says is said aloud
        spoken = inner(document, ("usage",)).get("output_tokens")
        yield {"output_tokens_details": {"audio_tokens": spoken}}


def _llama_timings(timings: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """llama.cpp counts there what was cached, and all of it when it was asked for no usage."""
    cached, read, said = (count(timings.get(n)) for n in ("cache_n", "prompt_n", "predicted_n"))
    if read is not None and said is not None:
        yield {
            "prompt_tokens": (cached or 0) + read,
            "completion_tokens": said,
            "cached_tokens": cached,
        }


def merge(block: dict[str, Any], newer: Mapping[str, Any]) -> None:
    """Let what `newer` states replace what `block` stated: key by key, nulls state nothing.

    Nor do zeros throughout, where something was counted before: counts do not shrink.
    """
    if block and states_nothing(newer) and not states_nothing(block):
        return
    for key, value in newer.items():
        old = block.get(key)
        if value is None or (key not in block and len(block) >= KEYS_MAX):
            continue
        if isinstance(value, dict) and isinstance(old, dict) and len(old) < KEYS_MAX:
            block[key] = old | {k: v for k, v in value.items() if v is not None}
        else:
            block[key] = value


def states_nothing(block: Mapping[str, Any]) -> bool:
    """Whether nothing is counted: zeros, nulls and words, also in the objects inside."""
    for value in block.values():
        if isinstance(value, dict):
            if any(value.values()):
                return False
        elif value and not isinstance(value, str):
            return False
    return True


class Told(NamedTuple):
    """What a block says.

    Attributes:
        cut: Parts that it says are larger than their whole, by bucket: they were cut down to
            it, so that the amounts are within what was reported, and may be wrong.
    """

    usage: Usage
    cut: tuple[str, ...] = ()


def usage_from(block: object, uses: Pieces = NO_PIECES, *, draws: bool = False) -> Usage:
    """The buckets of one usage block, as `told_in` reads it.

    Raises:
        UsageUnreadable: not an object, or without a usable input or output count.
    """
    return told_in(block, uses, draws=draws).usage


def told_in(block: object, uses: Pieces = NO_PIECES, *, draws: bool = False) -> Told:
    """Read one usage block.

    * Cached, written, audio and image tokens are parts of the input, and reasoning, audio
      and image of the output; Anthropic's own form (cache counts beside ``input_tokens``,
      without ``prompt_tokens``) is the exception: there they come on top.
    * Tokens that only the total knows of are reasoning, unless stated reasoning differs.
    * Perplexity's reasoning and citations come on top of a total that knows of neither.
    * What Anthropic used to make a conversation shorter, and OpenAI to draw images in the
      course of an answer, is counted apart from the rest, and added.
    * Parts larger than the whole are cut down to it, and named; parts that are no numbers
      are none.

    Args:
        uses: Pieces counted elsewhere in the answer.
        draws: It is of an images route: output is images, if the block does not split it.

    Raises:
        UsageUnreadable: not an object, or without a usable input or output count.
    """
    if not isinstance(block, dict):
        raise UsageUnreadable("not an object")
    cuts = _Cuts()
    usage = _tokens(in_openai_form(block), pieces(block, uses), cuts, draws=draws)
    if "iterations" in block or "tool_usage" in block:
        for more in _apart(block, cuts):
            usage += more
    return Told(usage, tuple(dict.fromkeys(cuts)))


class _Cuts(list[str]):
    """The buckets that were larger than what they are a part of."""

    def within(self, whole: int, name: str, told: int) -> int:
        """The part, at most the whole."""
        if told <= whole:
            return told
        self.append(name)
        return whole


def _tokens(
    block: Block, fees: tuple[tuple[str, int], ...], cuts: _Cuts, *, draws: bool = False
) -> Usage:
    reported_input = whole(block, _INPUT)
    output = whole(block, _OUTPUT)
    total = part(block, ("total_tokens",))
    if output is None:  # embeddings: everything is input
        if reported_input is None and not total:
            if fees:
                return Usage(fees=fees)
            raise UsageUnreadable("neither input nor output tokens")
        reported_input, output = max(reported_input or 0, total), 0
    if reported_input is None:
        reported_input = max(total - output, 0)
    inputs = _inputs(block, reported_input, total - output, cuts)
    hidden = total - sum(inputs.values()) - output
    inputs["input_tokens"] += part(block, ("citation_tokens",))
    return Usage(**inputs, **_outputs(block, output, hidden, cuts, draws=draws), fees=fees)


def _apart(block: Block, cuts: _Cuts) -> Iterator[Usage]:
    """What was used beside the answer itself and is billed with it."""
    iterations = block.get("iterations")
    told = iterations[:ITERATIONS_MAX] if isinstance(iterations, list) else []
    told = [one for one in told if isinstance(one, dict) and one.get("type") == "compaction"]
    images = inner(inner(block, ("tool_usage",)), ("image_gen",))
    for one in (*told, *((images,) if images else ())):
        try:
            yield _tokens(one, (), cuts)
        except UsageUnreadable:
            continue


def _inputs(block: Block, reported: int, room: int, cuts: _Cuts) -> dict[str, int]:
    details = inner(block, _INPUT_DETAILS)
    cached = part(details, _CACHED) or part(block, _CACHED)
    written = part(details, _CACHE_WRITES) or part(block, _CACHE_WRITES)
    if _is_beside(block):
        reported += cached + written
    elif cached > reported and reported + cached <= room:
        reported += cached  # xAI: the total says that the cached ones came on top
    cached = cuts.within(reported, "cache_read", cached)
    written = cuts.within(reported - cached, "cache_write", written)
    audio, image = part(details, _AUDIO), part(details, _IMAGE)
    if not (written or audio or image or "cached_tokens_details" in details):
        return {"input_tokens": reported - cached, "cache_read_tokens": cached}
    of_cached = inner(details, ("cached_tokens_details",))
    audio_cached = cuts.within(cached, "audio_cached", part(of_cached, _AUDIO))
    image_cached = cuts.within(cached - audio_cached, "image_cached", part(of_cached, _IMAGE))
    by_age = inner(block, ("cache_creation",)) or inner(details, ("cache_creation",))
    told_1h = part(by_age, ("ephemeral_1h_input_tokens",))
    written_1h = cuts.within(written, "cache_write_1h", told_1h)
    rest = reported - cached - written
    audio = cuts.within(rest, "audio_in", max(audio - audio_cached, 0))
    image = cuts.within(rest - audio, "image_in", max(image - image_cached, 0))
    return {
        "input_tokens": rest - audio - image,
        "cache_read_tokens": cached - audio_cached - image_cached,
        "cache_write_5m_tokens": written - written_1h,
        "cache_write_1h_tokens": written_1h,
        "audio_in_tokens": audio,
        "audio_cached_tokens": audio_cached,
        "image_in_tokens": image,
        "image_cached_tokens": image_cached,
    }


def _outputs(
    block: Block, reported: int, hidden: int, cuts: _Cuts, *, draws: bool
) -> dict[str, int]:
    details = inner(block, _OUTPUT_DETAILS)
    reasoning = part(details, _REASONING)
    if not reasoning and (beside := part(block, _REASONING)):
        reasoning = beside
        if hidden <= 0 and _is_perplexity(block, reported, beside):
            reported += beside
    if hidden > 0 and reasoning in (0, hidden):  # Gemini's and xAI's compatible layers
        reasoning = hidden
        reported += hidden
    audio, image = part(details, _AUDIO), part(details, _IMAGE)
    if not details and (draws or _draws(block)):
        image = reported
    reasoning = cuts.within(reported, "reasoning", reasoning)
    audio = cuts.within(reported - reasoning, "audio_out", audio)
    image = cuts.within(reported - reasoning - audio, "image_out", image)
    return {
        "output_tokens": reported - reasoning - audio - image,
        "reasoning_tokens": reasoning,
        "audio_out_tokens": audio,
        "image_out_tokens": image,
    }


def _is_beside(block: Block) -> bool:
    return (
        block.get("prompt_tokens") is None
        and not inner(block, _INPUT_DETAILS)
        and ("cache_read_input_tokens" in block or "cache_creation_input_tokens" in block)
    )


def _is_perplexity(block: Block, reported: int, reasoning: int) -> bool:
    """Whether flat ``reasoning_tokens`` come on top: sglang states a part of the output there."""
    return reasoning > reported or bool(part(block, ("citation_tokens", "num_search_queries")))


def _draws(block: Block) -> bool:
    """Whether it is an image that was made: the images routes split the input so, and only they."""
    details = block.get("input_tokens_details")
    return isinstance(details, dict) and details.keys() == _IMAGE_PARTS


_IMAGE_PARTS: Final = frozenset({"image_tokens", "text_tokens"})
