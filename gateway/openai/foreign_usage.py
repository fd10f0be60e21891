"""Usage in answers of routes that are not ours: what generated says so.

Of an assistant's run only its own last word counts: its steps say their parts before, and
whoever looks at a run that is over is told once more what it used.
"""

from typing import Any, Final

from gateway.openai.answer import Facts, Reading, read_answer
from gateway.openai.halves import loads
from gateway.openai.sse import FrameSplitter, data_of, split_frames

_RUN: Final = "thread.run"
_THREADS: Final = "thread"


class ForeignStream:
    """Reads the usage in a stream of events, wherever it is cut.

    Attributes:
        done: The stream has said ``[DONE]``.
    """

    def __init__(self) -> None:
        self.done = False
        self._splitter = FrameSplitter()
        self._facts = Facts()

    def feed(self, chunk: bytes) -> None:
        self._read(self._splitter.feed(chunk))

    def reading(self) -> Reading:
        """What it has said, now that it is over."""
        self._read(self._splitter.finish())
        return self._facts.reading(complete=True)

    def _read(self, frames: bytes) -> None:
        for frame in split_frames(frames):
            payload = data_of(frame)
            if payload is None:
                continue
            if payload.strip() == b"[DONE]":
                self.done = True
            elif b'"usage"' in payload:
                self._take(payload)

    def _take(self, payload: bytes) -> None:
        try:
            document: Any = loads(payload)
        except ValueError:
            return
        if isinstance(document, dict) and _kind(document) in ("", _RUN):
            self._facts.add(document)


def foreign_answer(body: bytes) -> Reading:
    """What a whole answer says that it used; of a run nothing, since it may be said again."""
    try:
        document: Any = loads(body)
    except ValueError:
        return Reading()
    return Reading() if isinstance(document, dict) and _kind(document) else read_answer(body)


def _kind(document: dict[str, Any]) -> str:
    """What of a thread it is; "" for anything else."""
    kind = document.get("object")
    return kind if isinstance(kind, str) and kind.startswith(_THREADS) else ""
