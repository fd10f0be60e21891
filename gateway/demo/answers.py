"""What the demo upstream says, and how many tokens that is: pure and deterministic.

The counting rule, so that a test can do it by hand:

* a text is ``ceil(UTF-8 bytes / 4)`` tokens, an image or other attachment 85;
* a chat prompt is the sum over its messages plus 3 a message, plus its tools as compact JSON;
* cached are the leading system and developer messages, down to a multiple of 128, once the
  prompt has 1,024 tokens (OpenAI's thresholds; stateless, so the first call counts as a repeat);
* reasoning is 64 to 512 tokens, drawn from the request.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from random import Random
from typing import Any, Final

import orjson

from gateway.demo.models import DemoModel

MESSAGE_TOKENS: Final = 3
ATTACHMENT_TOKENS: Final = 85
CACHE_PROMPT_TOKENS_MIN: Final = 1_024
CACHE_STEP_TOKENS: Final = 128
ECHO_CHARS_MAX: Final = 2_000
FRAME_CHARS_MAX: Final = 48
SENTENCES_MAX: Final = 6

_SENTENCES: Final = (
    "A meter that is read once a month surprises once a month.",
    "Small numbers add up quietly, and large ones add up in public.",
    "The cheapest token is the one that was not asked for.",
    "Somebody always reads the bill, so it may as well be readable.",
    "A cache is a promise that yesterday's answer will do.",
    "Every limit is generous until the first busy Monday.",
    "What is counted twice is trusted by nobody.",
    "Long prompts are letters; short prompts are telegrams.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One answer, already cut to its limit; `completion_tokens` includes the reasoning."""

    text: str
    finish_reason: str
    completion_tokens: int
    reasoning_tokens: int

    def pieces(self) -> list[str]:
        """The text as a stream carries it: about a word a frame."""
        return _PIECE.findall(self.text)


_PIECE: Final = re.compile(rf"(?s)\s*\S{{1,{FRAME_CHARS_MAX}}}|\s+")


def random_from(*parts: object) -> Random:
    """A generator that depends on `parts` and nothing else."""
    text = "\x1f".join(map(str, parts)).encode("utf-8", "surrogatepass")
    return Random(blake2b(text, digest_size=16).digest())  # noqa: S311 - reproducible, no secret


def text_tokens(text: str) -> int:
    return -(-len(text.encode("utf-8", "replace")) // 4)


def prompt_tokens(body: Mapping[str, Any]) -> int:
    count = sum(_message_tokens(message) for message in body["messages"])
    tools = body.get("tools") or body.get("functions")
    return count + (text_tokens(orjson.dumps(tools).decode()) if tools else 0)


def cached_tokens(body: Mapping[str, Any]) -> int:
    """How much of the prompt a provider's cache would have served."""
    if prompt_tokens(body) < CACHE_PROMPT_TOKENS_MIN:
        return 0
    leading = 0
    for message in body["messages"]:
        if message.get("role") not in ("system", "developer"):
            break
        leading += _message_tokens(message)
    return leading - leading % CACHE_STEP_TOKENS


def last_user_text(body: Mapping[str, Any]) -> str:
    """The text of the last user message; empty when there is none."""
    for message in reversed(body["messages"]):
        if message.get("role") == "user":
            return "".join(_texts(message))
    return ""


def choices(body: Mapping[str, Any], model: DemoModel, seed: int) -> tuple[Choice, ...]:
    """The answers to a chat request, one for each of its ``n``.

    They depend on the model, the messages and the seed only, and start with
    ``You said: `` and the last user message, so that an answer names its caller.
    """
    limit = body.get("max_completion_tokens") or body.get("max_tokens")
    messages = orjson.dumps(body["messages"])
    said = last_user_text(body)[:ECHO_CHARS_MAX]
    return tuple(
        _choice(said, random_from(seed, model.name, messages, index), model, limit)
        for index in range(body.get("n") or 1)
    )


def embedding(tokens_or_text: str | Sequence[int], dimensions: int, seed: int) -> list[float]:
    """A vector of length one that depends on the input and the seed only."""
    rng = random_from("embedding", seed, tokens_or_text)
    raw = [rng.uniform(-1.0, 1.0) for _ in range(dimensions)]
    norm = sum(x * x for x in raw) ** 0.5 or 1.0
    return [x / norm for x in raw]


def _choice(said: str, rng: Random, model: DemoModel, limit: int | None) -> Choice:
    reasoning = 64 * rng.randint(1, 8) if model.reasons else 0
    filler = " ".join(rng.sample(_SENTENCES, rng.randint(1, SENTENCES_MAX)))
    text = f"You said: {said} {filler}"
    if limit is None or reasoning + text_tokens(text) <= limit:
        return Choice(
            text=text,
            finish_reason="stop",
            completion_tokens=reasoning + text_tokens(text),
            reasoning_tokens=reasoning,
        )
    # Reasoning comes first and eats the limit, as it does at the real providers.
    reasoning = min(reasoning, limit)
    cut = text.encode("utf-8", "replace")[: 4 * (limit - reasoning)].decode("utf-8", "ignore")
    return Choice(
        text=cut, finish_reason="length", completion_tokens=limit, reasoning_tokens=reasoning
    )


def _message_tokens(message: Mapping[str, Any]) -> int:
    attachments = _attachments(message)
    texts = sum(text_tokens(text) for text in _texts(message))
    return MESSAGE_TOKENS + texts + ATTACHMENT_TOKENS * attachments


def _texts(message: Mapping[str, Any]) -> list[str]:
    content = message.get("content")
    if isinstance(content, str):
        return [content]
    parts = content if isinstance(content, list) else []
    return [part["text"] for part in parts if isinstance(part.get("text"), str)]


def _attachments(message: Mapping[str, Any]) -> int:
    content = message.get("content")
    parts = content if isinstance(content, list) else []
    return sum(1 for part in parts if not isinstance(part.get("text"), str))
