"""Misbehaviour on request: how a caller asks the demo upstream to fail.

Either the header ``x-demo-fault: <faults>`` or a last user message that is
``!<faults>``; both take a list separated by ``;``:

=====================  ==========================================================
``status N``           answer HTTP status N (400-599) with an error body
``stall S``            say nothing at all for S seconds, then go on
``stall-stream S``     stop for S seconds after the first piece of the answer
``cut [N]``            break the connection after N content frames (default 1),
                       or half-way through a JSON body
``error-frame [N]``    an error frame after N content frames, then a clean end
``no-done``            end the stream cleanly, without ``data: [DONE]``
``no-usage``           never report usage
``no-stream-options``  answer 400 to any request that has ``stream_options``
=====================  ==========================================================

Example: ``!stall 0.5; status 503``. A message whose first word is none of these is an
ordinary message; an unknown fault in the header is an error.
"""

from dataclasses import dataclass, replace
from typing import Final

STALL_S_MAX: Final = 600.0
FAULTS_MAX: Final = 8


class UnknownFault(ValueError):
    """The text names no fault; the message says which do exist."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """What to do wrong; the default is nothing."""

    status: int | None = None
    stall_s: float = 0.0
    stall_stream_s: float = 0.0
    cut_after: int | None = None
    error_after: int | None = None
    done: bool = True
    usage: bool = True
    stream_options: bool = True


NONE: Final = Faults()
NAMES: Final = (
    "status",
    "stall",
    "stall-stream",
    "cut",
    "error-frame",
    "no-done",
    "no-usage",
    "no-stream-options",
)


def wanted(header: str | None, message: str) -> Faults:
    """Read both carriers; the header wins.

    Raises:
        UnknownFault: the header, or a message that clearly is a fault, cannot be read.
    """
    if header is not None:
        return parse(header)
    words = message.removeprefix("!").split(maxsplit=1)
    if message.startswith("!") and words and words[0].rstrip(";") in NAMES:
        return parse(message.removeprefix("!"))
    return NONE


def parse(text: str) -> Faults:
    """Read a list of faults.

    Raises:
        UnknownFault: an unknown name, or an argument that is missing or out of range.
    """
    found = NONE
    for part in text.split(";")[:FAULTS_MAX]:
        if part.strip():
            found = _with(found, part.split())
    return found


def _with(found: Faults, words: list[str]) -> Faults:  # noqa: PLR0911 - one return a fault
    match words:
        case ["status", number]:
            return replace(found, status=int(_number(number, 400, 599)))
        case ["stall", seconds]:
            return replace(found, stall_s=_number(seconds, 0, STALL_S_MAX))
        case ["stall-stream", seconds]:
            return replace(found, stall_stream_s=_number(seconds, 0, STALL_S_MAX))
        case ["cut", *rest] if len(rest) <= 1:
            return replace(found, cut_after=_frames(rest))
        case ["error-frame", *rest] if len(rest) <= 1:
            return replace(found, error_after=_frames(rest))
        case ["no-done"]:
            return replace(found, done=False)
        case ["no-usage"]:
            return replace(found, usage=False)
        case ["no-stream-options"]:
            return replace(found, stream_options=False)
    raise UnknownFault(f"no such demo fault: {' '.join(words)!r}; there are {', '.join(NAMES)}")


def _frames(rest: list[str]) -> int:
    return int(_number(rest[0], 0, 10_000)) if rest else 1


def _number(text: str, least: float, most: float) -> float:
    try:
        number = float(text)
    except ValueError as exc:
        raise UnknownFault(f"a demo fault needs a number, not {text!r}") from exc
    if not least <= number <= most:
        raise UnknownFault(f"a demo fault's number must be {least} to {most}, not {text}")
    return number
