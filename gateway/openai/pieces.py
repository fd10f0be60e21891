"""What is billed by the piece: searches, seconds of audio, search units of a reranker.

The units are those of `pricing.card.FEE_UNITS`. Providers count their own tools in the usage
block or beside it; what they only list is for `gateway.openai.uses`.
"""

import math
from collections.abc import Mapping
from typing import Final

from gateway.openai.counts import Block, count, inner, part

Pieces = Mapping[str, int]

NO_PIECES: Final[Pieces] = {}

_STATED: Final = (
    ("server_tool_use", ("web_search_requests",), "web_search"),  # Anthropic, OpenRouter
    ("server_side_tool_usage_details", ("web_search_calls",), "web_search"),  # xAI
    ("server_side_tool_usage_details", ("x_search_calls",), "web_search"),
    ("server_side_tool_usage_details", ("file_search_calls",), "file_search"),  # collections
    ("server_side_tool_usage_details", ("document_search_calls",), "file_search:attached"),
    ("server_side_tool_usage_details", ("code_interpreter_calls",), "tool:code_interpreter"),
    ("web_search", ("num_requests",), "web_search"),  # OpenAI: see `tool_usage`
    ("file_search", ("num_requests",), "file_search"),
    ("billed_units", ("search_units",), "rerank"),  # Cohere
)
"""Where in a block pieces are counted: an object, a number in it, the unit. A unit's numbers
are added up: they are of different tools."""

_FLAT: Final = (
    ("num_search_queries", "web_search"),  # Perplexity, where it bills them
    ("prompt_audio_seconds", "second"),  # Mistral
    ("search_units", "rerank"),  # Cohere's, without the `billed_units` around them
)
_SEARCH_SIZE: Final = "search_context_size"
"""How much of the web Perplexity read for a request: the kind of its fee."""

_SEARCH_SIZES: Final = ("low", "medium", "high")

_KEYS: Final = frozenset(
    {name for name, _, _ in _STATED}
    | {name for name, _ in _FLAT}
    | {"tool_usage", "seconds", _SEARCH_SIZE}
)


def pieces(block: Block, uses: Pieces = NO_PIECES) -> tuple[tuple[str, int], ...]:
    """The pieces of a usage block, by unit; none of zero.

    Args:
        uses: Listed in the answer; what the block states of a unit goes before.
    """
    if block.keys().isdisjoint(_KEYS):
        return tuple(uses.items())
    found: dict[str, int] = {}
    for holder in (block, inner(block, ("tool_usage",))):
        for name, numbers, unit in _STATED:
            told = part(inner(holder, (name,)), numbers)
            if told:
                found[unit] = found.get(unit, 0) + told
    for name, unit in _FLAT:
        told = part(block, (name,))
        if told:
            found[unit] = told
    if seconds := _seconds(block):
        found["second"] = seconds
    if not any(unit.partition(":")[0] == "request" for unit in uses):
        found |= _request(block)
    stated = {unit.partition(":")[0] for unit in found}
    listed = {unit: n for unit, n in uses.items() if unit.partition(":")[0] not in stated}
    return (*listed.items(), *found.items())


def _request(block: Block) -> dict[str, int]:
    """The request itself, where its kind is told; one that used nothing is none."""
    size = block.get(_SEARCH_SIZE)
    if size in _SEARCH_SIZES and part(block, ("prompt_tokens", "completion_tokens")):
        return {f"request:{size}": 1}
    return {}


def _seconds(block: Block) -> int:
    """Of a transcription that is billed by its length; one that has begun counts."""
    seconds = block.get("seconds")
    if block.get("type") != "duration" or isinstance(seconds, bool):
        return 0
    if isinstance(seconds, float) and math.isfinite(seconds):
        seconds = math.ceil(seconds)
    return count(seconds) or 0
