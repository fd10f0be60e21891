"""What calls that come with pictures or sound can read at most, and how long a sound can be."""

import math
from collections.abc import Mapping
from typing import Any, Final

from gateway.openai.forms import attached
from gateway.openai.input_bound import (
    IMAGE_INPUT_TOKENS_MAX,
    REQUEST_OVERHEAD_TOKENS,
    InputBound,
)

AUDIO_BYTES_A_SECOND_MIN: Final = 750
"""Opus at 6 kbit/s, the least that its encoders make."""

AUDIO_BYTES_A_SECOND_LIKELY: Final = 8_000

AUDIO_SECONDS_BILLED_MIN: Final = 10
"""Groq bills no less."""

AUDIO_SECONDS_MAX: Final = 24 * 3600
"""Of audio that is named and not sent."""

AUDIO_TOKENS_A_SECOND_MAX: Final = 32
"""Gemini's; OpenAI's are ten."""

_PICTURES: Final = ("image", "images", "mask")


def pictures_bound(document: Mapping[str, Any], sent_bytes: int) -> InputBound:
    """Bound a call to an images route: its text, and each picture that it has or names."""
    files = attached(document)
    named = sum(_count(document.get(field)) for field in _PICTURES)
    text_bytes = sent_bytes - sum(file.size_bytes for file in files)
    pictures = max(len(files), named)
    return InputBound(text_bytes + pictures * IMAGE_INPUT_TOKENS_MAX + REQUEST_OVERHEAD_TOKENS)


def audio_bound(document: Mapping[str, Any], sent_bytes: int) -> InputBound:
    """Bound a transcription: its prompt, and its audio."""
    text_bytes = sent_bytes - sum(file.size_bytes for file in attached(document))
    heard = seconds_max(document) * AUDIO_TOKENS_A_SECOND_MAX
    return InputBound(text_bytes + heard + REQUEST_OVERHEAD_TOKENS)


def seconds_max(document: Mapping[str, Any]) -> int:
    """How long the audio can be, told from its size."""
    files = attached(document)
    if not files:
        return AUDIO_SECONDS_MAX
    size = sum(file.size_bytes for file in files)
    return max(math.ceil(size / AUDIO_BYTES_A_SECOND_MIN), AUDIO_SECONDS_BILLED_MIN)


def seconds_likely(document: Mapping[str, Any]) -> int:
    """How long it is, if it is compressed as most is."""
    size = sum(file.size_bytes for file in attached(document))
    return math.ceil(size / AUDIO_BYTES_A_SECOND_LIKELY)


def _count(named: object) -> int:
    return len(named) if isinstance(named, list) else int(named is not None)
