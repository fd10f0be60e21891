"""A chat stream on its way through: relayed byte for byte, read beside.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html. Frames are told
apart by their blank lines and searched for a few markers; JSON is parsed only in the first
frame and where a marker stands. A quote inside a JSON string is escaped, so text that
speaks of ``"usage"`` can not be mistaken for the key.
"""

import re
from collections.abc import Collection
from typing import Any, Final

from gateway.openai.answer import Facts, Reading
from gateway.openai.halves import loads
from gateway.openai.seen_text import said_bytes, text_bytes

HELD_BYTES_MAX: Final = 65_536
"""What waits at most for its frame's end when we hold back; then it flows."""

FRAME_BYTES_MAX: Final = 1_048_576
"""A frame longer than this passes unread."""

_TEXT_EVENTS: Final = ("message", "content", "ping")
"""How the types of Anthropic's and Cohere's events begin."""

_LF, _CR = ord("\n"), ord("\r")
_BOM: Final = b"\xef\xbb\xbf"

# Two line ends in a row. Atomic: the two bytes of one CRLF are never taken for two line ends.
_FRAME_END: Final = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")


class FrameSplitter:
    """Cuts a byte stream behind its last whole frame, wherever chunks are cut.

    Holds what is left over, up to `FRAME_BYTES_MAX`; a longer frame is given out in parts.

    Attributes:
        in_long_frame: The end of a frame that was given out in parts has not come yet.
    """

    __slots__ = ("_after_cr", "_pending", "in_long_frame")

    def __init__(self) -> None:
        self._pending = bytearray()
        self._after_cr = False
        self.in_long_frame = False

    @property
    def pending_bytes(self) -> int:
        return len(self._pending)

    def pending_from(self, start: int) -> bytes:
        return bytes(self._pending[start:])

    def at_boundary(self, chunk: bytes) -> bool:
        """Whether `chunk` is itself a row of whole frames, as most chunks are."""
        between = not self._pending and not self._after_cr and not self.in_long_frame
        return between and chunk.endswith((b"\n\n", b"\n\r\n"))

    @property
    def may_get_lf(self) -> bool:
        """Whether an LF that comes next would still belong to the last frame's end."""
        return self._after_cr

    def late_lf(self, chunk: bytes) -> bool:
        """Whether `chunk` begins with the LF of the CRLF that ended the last frame.

        A frame is given out at the CR, since nothing need follow. Ask once per chunk.
        """
        if not chunk or not self._after_cr:
            return False
        self._after_cr = False
        return chunk[0] == _LF

    def feed(self, chunk: bytes) -> bytes:
        """Add `chunk` and return the whole frames there are now, with their line ends."""
        if not chunk:
            return b""
        data: bytes | bytearray = chunk
        if self._pending:
            self._pending += chunk
            data = self._pending
        end = _last_frame_end(data, max(len(data) - len(chunk) - 3, 0))
        if end:
            self.in_long_frame = False
        elif len(data) > FRAME_BYTES_MAX:
            end = len(data)
            self.in_long_frame = True
        frames = bytes(data[:end])
        self._after_cr = end == len(data) and frames.endswith(b"\r")
        if data is self._pending:
            del self._pending[:end]
        else:
            self._pending += data[end:]
        return frames

    def finish(self) -> bytes:
        """Return what never became a frame."""
        rest = bytes(self._pending)
        self._pending.clear()
        return rest


def _last_frame_end(data: bytes | bytearray, start: int) -> int:
    """One past the last pair of line ends behind `start`, or 0."""
    end = data.rfind(b"\n\n", start) + 2
    if data.find(b"\r", start) >= 0:
        for pair in (b"\n\r", b"\r\r"):
            found = data.rfind(pair, start) + 2
            if found >= 2 and data[found : found + 1] == b"\n":
                found += 1
            end = max(end, found)
    return end if end >= 2 else 0


def split_frames(frames: bytes) -> list[bytes]:
    """Split whole frames from each other; each keeps its line ends."""
    pieces = []
    start = 0
    for end in _FRAME_END.finditer(frames):
        pieces.append(frames[start : end.end()])
        start = end.end()
    if start < len(frames):
        pieces.append(frames[start:])
    return pieces


def data_of(frame: bytes) -> bytes | None:
    """The payload of a frame's ``data`` lines, or None for comments and the like."""
    lines = frame.removeprefix(_BOM).splitlines()
    data = [line[5:].removeprefix(b" ") for line in lines if line.startswith(b"data:")]
    return b"\n".join(data) if data else None


class StreamReader:
    """Relays a stream and reads what it says of itself; nothing in it makes this raise.

    Attributes:
        frames: Lines of data seen, ``[DONE]`` included.
        seen_text_bytes: Bytes of generated text seen, about.
        done: Its last frame was seen: ``[DONE]``, or the route's own last event.
        error_seen: A frame carried an error object.
    """

    __slots__ = (
        "_begun",
        "_closed",
        "_counted_text_bytes",
        "_facts",
        "_hold_back",
        "_last_events",
        "_last_marks",
        "_released_bytes",
        "_repeats",
        "_splitter",
        "_withheld_last",
        "_withholds",
        "done",
        "error_seen",
        "frames",
        "seen_text_bytes",
    )

    def __init__(
        self,
        *,
        hold_back_usage: bool,
        aligned: bool = False,
        last_events: Collection[str] = (),
        draws: bool = False,
    ) -> None:
        """Start a stream.

        Args:
            aligned: Bytes leave at frame ends, though none is held back.
            last_events: Types of events that end it.
            draws: As for `Facts`.
            hold_back_usage: We asked for usage and the caller did not: bytes leave at frame
                ends, without the frame that exists only for that reason.
        """
        self.frames = 0
        self.seen_text_bytes = 0
        self.done = False
        self.error_seen = False
        self._hold_back = hold_back_usage or aligned
        self._withholds = hold_back_usage
        self._splitter = FrameSplitter()
        self._facts = Facts(draws=draws)
        self._last_events = last_events
        self._last_marks = tuple(f'"{name}"'.encode() for name in last_events)
        self._begun = False
        self._closed = False
        self._counted_text_bytes = 0
        self._repeats = False  # Responses: whole texts come again when they are done
        self._released_bytes = 0  # of what is pending: it had become too long to wait
        self._withheld_last = False

    @property
    def usage_seen(self) -> bool:
        return self._facts.usage_seen

    @property
    def uncounted_text_bytes(self) -> int:
        """Of the text seen, what came after usage was last stated."""
        return self.seen_text_bytes - self._counted_text_bytes

    @property
    def ended(self) -> bool:
        """The answer came to its end: ``[DONE]``, an error, or a choice that said why it stops.

        Some providers never send ``[DONE]``, so its absence alone does not make a stream short.
        """
        return self.done or self.error_seen or self._facts.finished

    @property
    def between_frames(self) -> bool:
        """Whether what was given out ends where a frame does, or nothing was yet."""
        splitter = self._splitter
        if splitter.may_get_lf or splitter.in_long_frame:
            return False
        return not (self._released_bytes if self._hold_back else splitter.pending_bytes)

    def reading(self) -> Reading:
        complete = (self.done or self._closed) and self.ended
        return self._facts.reading(complete=complete)

    def feed(self, chunk: bytes) -> bytes:
        """Take in `chunk`; return what to send now (may be empty; `chunk` itself if it can)."""
        if self._splitter.at_boundary(chunk):
            kept = self._read(chunk)
            return kept if self._hold_back else chunk
        if not self._hold_back:
            self._read(self._splitter.feed(chunk))
            return chunk
        return self._held(chunk)

    def finish(self) -> bytes:
        """Return what was still waiting when the stream ended; only then is all of it read."""
        self._closed = True
        kept = self._read(self._splitter.finish())
        return kept if self._hold_back else b""

    def _held(self, chunk: bytes) -> bytes:
        head = b""
        if self._splitter.late_lf(chunk):
            head = b"" if self._withheld_last else b"\n"
            chunk = chunk[1:]
        kept = self._read(self._splitter.feed(chunk))
        if self._splitter.pending_bytes > HELD_BYTES_MAX:
            kept += self._splitter.pending_from(self._released_bytes)
            self._released_bytes = self._splitter.pending_bytes
        return head + kept

    def _read(self, frames: bytes) -> bytes:
        """Read `frames`; return those of their bytes that are the caller's and not sent yet."""
        if not frames:
            return frames
        released, self._released_bytes = self._released_bytes, 0
        self._withheld_last = False
        self.frames += frames.startswith(b"data:") + frames.count(b"\ndata:")
        self.frames += frames.count(b"\rdata:")
        if self._begun and not self._has_marker(frames):
            self._count_text(frames)
            return frames[released:]
        kept: list[bytes] = []
        for frame in split_frames(frames):
            self._count_text(frame)
            ours = self._read_frame(frame) and self._withholds and not (released and not kept)
            self._withheld_last = ours
            if not ours:
                kept.append(frame)
        return b"".join(kept)[released:]

    def _count_text(self, frames: bytes) -> None:
        self.seen_text_bytes += said_bytes(frames) if self._repeats else text_bytes(frames)

    def _read_frame(self, frame: bytes) -> bool:
        """Read one frame; say whether it exists only because we asked for usage."""
        payload = data_of(frame)
        if payload is None or (self._begun and not self._has_marker(payload)):
            return False
        if payload.strip() == b"[DONE]":
            self.done = True
            return False
        try:
            document: Any = loads(payload)
        except ValueError:
            self._facts.add_broken(payload)
            return False
        if not isinstance(document, dict):
            return False
        if self._facts.add(document):
            self._counted_text_bytes = self.seen_text_bytes
        choices, usage = document.get("choices"), document.get("usage")
        if not self._begun:
            self._begin(document, choices)
        self.error_seen = self._facts.failed
        kind = document.get("type")
        self.done = self.done or (isinstance(kind, str) and kind in self._last_events)
        # A frame that carries an error is the caller's, whatever else is in it.
        asked_for = choices == [] and bool(usage) and isinstance(usage, dict)
        return asked_for and not document.get("error")

    def _has_marker(self, frames: bytes) -> bool:
        if _has_marker(frames):
            return True
        marks = self._last_marks  # none in chats, whose streams are the most
        return bool(marks) and any(mark in frames for mark in marks)

    def _begin(self, document: dict[str, Any], choices: object) -> None:
        """From here on only frames with a marker are parsed, where it is known to have one."""
        kind = document.get("type")
        kind = kind if isinstance(kind, str) else ""
        self._repeats = kind.startswith("response.")
        # Azure's first frame has no choices, nor a model. Audio and images say their ends in
        # types of their own: they have no markers, and few frames.
        self._begun = (
            bool(choices)
            or self._repeats
            or kind.startswith(_TEXT_EVENTS)
            or "candidates" in document
        )


def _has_marker(frames: bytes) -> bool:
    if b'"usage"' in frames:
        nulls = frames.count(b'"usage":null') + frames.count(b'"usage": null')
        if nulls != frames.count(b'"usage"'):
            return True
    return (
        b'"usageMetadata"' in frames
        or b'"finish_reason":"' in frames
        or b'"finish_reason": "' in frames
        or b'"executed_tools"' in frames
        or b'"error"' in frames
        or b"[DONE]" in frames
    )
