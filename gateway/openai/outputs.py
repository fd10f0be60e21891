"""What can come of a call, told from its body: how many answers, what is billed by the piece.

Most of it is text, which the caps and the model's card limit. What they do not limit has its
bound here, from documented maxima, and its likely size, for answers that say nothing of
their usage (plain audio, subtitles, rerankings of small servers).
"""

import math
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from gateway.openai.fields import integer
from gateway.openai.input_bound import prompts_in
from gateway.openai.media_input import seconds_likely, seconds_max
from pricing.usage import Usage

IMAGE_TOKENS_MAX: Final = 20_000
"""Of one image drawn. The dearest documented: gpt-image-1 at high quality and 1024x1536, 6,240;
threefold, since later models draw larger ones."""

IMAGE_TOKENS_LIKELY: Final = 1_056
"""gpt-image-1 at medium quality, 1024x1024."""

PARTIAL_IMAGE_TOKENS: Final = 100
"""OpenAI documents it for each of ``partial_images``."""

SPEECH_TOKENS_MAX: Final = 16
"""For a character read aloud: 20 tokens a second, at a quarter of the speed."""

SPEECH_TOKENS_LIKELY: Final = 1.5

AUDIO_TOKENS_A_SECOND_LIKELY: Final = 10
TRANSCRIPT_TOKENS_A_SECOND_MAX: Final = 10
"""Four times what the fastest talkers say."""

RERANKED_AT_ONCE: Final = 100
"""Documents in one of Cohere's search units; each part of a long one counts as one."""

RERANKED_PART_BYTES_MIN: Final = 250
"""A part has 500 tokens, query included, and the query at most half of them."""


class Output(NamedTuple):
    """What a body asks for.

    Attributes:
        answers: Each is capped by itself.
        tokens: Of all of them, at most, if the card says no less; None: the caps and the card
            say, for each.
        pieces: Billed by the piece, at most; those that the model has no fee for do not count.
        likely_pieces: The same of an answer that does not say; None: as many.
        likely: Tokens of such an answer, beside its text.
        counted: The pieces are the provider's own count, not a guess: it bills by the request.
    """

    answers: int = 1
    tokens: int | None = None
    pieces: tuple[tuple[str, int], ...] = ()
    likely_pieces: tuple[tuple[str, int], ...] | None = None
    likely: Usage | None = None
    counted: bool = False


def text_output(document: Mapping[str, Any]) -> Output:
    """Of a model that writes: ``n`` or ``best_of`` answers."""
    return Output(_choices(document))


def prompts_output(document: Mapping[str, Any]) -> Output:
    """Of as many prompts as there are, each with its choices."""
    return Output(_choices(document) * prompts_in(document))


def no_output(_: Mapping[str, Any]) -> Output:
    """Of a model that only reads."""
    return Output(tokens=0)


def rerank_output(document: Mapping[str, Any]) -> Output:
    """Search units, where the model is billed by them."""
    documents = document.get("documents")
    several = documents if isinstance(documents, list) else [documents]
    parts = sum(1 + _text_bytes(each) // RERANKED_PART_BYTES_MIN for each in several)
    units = max(math.ceil(parts / RERANKED_AT_ONCE), 1)
    likely = max(math.ceil(len(several) / RERANKED_AT_ONCE), 1)
    return Output(tokens=0, pieces=(("rerank", units),), likely_pieces=(("rerank", likely),))


def image_output(document: Mapping[str, Any]) -> Output:
    """``n`` images, by tokens or each at the price of its quality and size."""
    images = integer(document, "n", least=1) or 1
    partial = integer(document, "partial_images", least=0) or 0
    quality, size = document.get("quality"), document.get("size")
    size = size if isinstance(size, str) and size else "1024x1024"
    kind = f"{quality if quality in _QUALITIES else 'standard'}-{size}"
    return Output(
        answers=images,
        tokens=images * (IMAGE_TOKENS_MAX + partial * PARTIAL_IMAGE_TOKENS),
        pieces=((f"image:{kind}"[:_UNIT_CHARS_MAX], images),),
        likely=Usage(image_out_tokens=images * IMAGE_TOKENS_LIKELY),
        counted=True,
    )


def speech_output(document: Mapping[str, Any]) -> Output:
    """Audio, by the character of what is read aloud, or by tokens."""
    text = document.get("input")
    characters = len(text) if isinstance(text, str) else 0
    return Output(
        tokens=characters * SPEECH_TOKENS_MAX,
        pieces=(("character", characters),),
        likely=Usage(audio_out_tokens=math.ceil(characters * SPEECH_TOKENS_LIKELY)),
        counted=True,
    )


def transcript_output(document: Mapping[str, Any]) -> Output:
    """Text, by the second of the audio, or by tokens."""
    seconds, likely = seconds_max(document), seconds_likely(document)
    return Output(
        tokens=seconds * TRANSCRIPT_TOKENS_A_SECOND_MAX,
        pieces=(("second", seconds),),
        likely_pieces=(("second", likely),),
        likely=Usage(audio_in_tokens=likely * AUDIO_TOKENS_A_SECOND_LIKELY),
    )


def _choices(document: Mapping[str, Any]) -> int:
    return max(integer(document, key, least=1) or 1 for key in ("n", "best_of"))


def _text_bytes(document: object) -> int:
    if isinstance(document, dict):
        return sum(map(_text_bytes, document.values()))
    return len(document.encode(errors="replace")) if isinstance(document, str) else 0


_QUALITIES: Final = ("standard", "hd", "low", "medium", "high")
_UNIT_CHARS_MAX: Final = 64
