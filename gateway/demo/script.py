"""Write down an answer as steps: the frames of a stream or the halves of a body, with pauses.

Here pace and faults meet the content; nothing is sent.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from gateway.demo.answers import Choice
from gateway.demo.faults import Faults
from gateway.demo.playback import Cut, Pause, Step
from gateway.demo.wire import DONE, Envelope, delta, error, event


@dataclass(frozen=True, slots=True)
class Pace:
    """How long things take, before a model's slowness and a jitter of half to one and a half."""

    first_token_ms: int
    token_ms: int

    def first_s(self, slowness: float, rng: Random) -> float:
        return self.first_token_ms / 1_000 * slowness * rng.uniform(0.5, 1.5)

    def token_s(self, slowness: float, rng: Random) -> float:
        return self.token_ms / 1_000 * slowness * rng.uniform(0.5, 1.5)


REALISTIC: Final = Pace(first_token_ms=350, token_ms=18)
AT_ONCE: Final = Pace(first_token_ms=0, token_ms=0)
REASONING_TOKENS_PER_PAUSE: Final = 16
"""Hidden tokens come this many times faster than visible ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """All that a chat answer consists of, before it takes a form on the wire."""

    envelope: Envelope
    choices: Sequence[Choice]
    usage: dict[str, Any]
    faults: Faults
    pace: Pace
    rng: Random

    def think_s(self) -> float:
        """Seconds until the first token: the model's own time, and its reasoning."""
        slowness = self.envelope.model.slowness
        hidden = max(choice.reasoning_tokens for choice in self.choices)
        pauses = hidden // REASONING_TOKENS_PER_PAUSE
        return self.pace.first_s(slowness, self.rng) + sum(
            self.pace.token_s(slowness, self.rng) for _ in range(pauses)
        )

    def type_s(self) -> float:
        """Seconds to write the longest of the answers."""
        frames = max(len(choice.pieces()) for choice in self.choices)
        slowness = self.envelope.model.slowness
        return sum(self.pace.token_s(slowness, self.rng) for _ in range(frames))


def body_steps(body: bytes, faults: Faults) -> Iterator[Step]:
    """A body in two halves where a fault comes between them, else whole."""
    half = len(body) // 2
    if faults.cut_after is not None:
        yield body[:half]
        yield Cut()
    elif faults.stall_stream_s:
        yield body[:half]
        yield Pause(faults.stall_stream_s)
        yield body[half:]
    else:
        yield body


def stream_steps(answer: Answer, *, include_usage: bool) -> Iterator[Step]:
    """Role, content and finish frames of every choice, the usage frame if asked for, ``[DONE]``."""
    blank: dict[str, Any] = {"usage": None} if include_usage else {}
    frame, faults = answer.envelope.frame, answer.faults
    yield Pause(answer.think_s())
    for index in range(len(answer.choices)):
        start = {"role": "assistant", "content": "", "refusal": None}
        yield frame([delta(index, start)], **blank)
    yield from content_steps(
        answer, lambda index, piece: frame([delta(index, {"content": piece})], **blank)
    )
    if faults.cut_after is not None:
        yield Cut()
        return
    if faults.error_after is not None:
        yield event(error(500, "The server had an error while processing your request."))
        return
    for index, choice in enumerate(answer.choices):
        yield frame([delta(index, {}, choice.finish_reason)], **blank)
    if include_usage and faults.usage:
        yield frame([], usage=answer.usage)
    if faults.done:
        yield DONE


def content_steps(answer: Answer, frame: Callable[[int, str], bytes]) -> Iterator[Step]:
    """The content frames, up to the one before which a fault strikes.

    Args:
        frame: Of a piece of a choice, by its index.
    """
    faults, slowness = answer.faults, answer.envelope.model.slowness
    pieces = ((i, piece) for i, choice in enumerate(answer.choices) for piece in choice.pieces())
    for sent, (index, piece) in enumerate(pieces):
        if sent in (faults.cut_after, faults.error_after):
            return
        if sent:
            yield Pause(answer.pace.token_s(slowness, answer.rng))
        yield frame(index, piece)
        if sent == 0:
            yield Pause(faults.stall_stream_s)
