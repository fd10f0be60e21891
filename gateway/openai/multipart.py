"""A multipart form, read as it arrives: where its parts stand, and what the small ones say.

Strict where two readers could disagree about what a part is called or where it ends: a form
that the provider would read otherwise could be priced as one and served as another. So no
escapes in names, no transfer encodings, no line that only begins like a delimiter.

Source: RFC 7578, RFC 2046 section 5.1.
"""

import re
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from gateway.errors import InvalidCall, UnsupportedMedia

MEDIA: Final = b"multipart/form-data"
PARTS_MAX: Final = 1_000
HEAD_BYTES_MAX: Final = 8_192
FIELD_BYTES_MAX: Final = 65_536
"""A longer field is not kept, and read by nobody."""
KEPT_BYTES_MAX: Final = 1_048_576
"""Of all fields together."""

_BOUNDARY: Final = re.compile(
    rb';[ \t]*boundary=(?:"([^"\\]+)"|([^";\s]+))[ \t]*(?=;|$)', re.IGNORECASE
)
_BOUNDARY_CHARS: Final = re.compile(rb"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]")
_PARAMETER: Final = re.compile(rb';[ \t]*([0-9A-Za-z*_-]+)=(?:"([^"\r\n]*)"|([^";\s\\]+))[ \t]*')
_PLAIN: Final = frozenset({b"7bit", b"8bit", b"binary"})


@dataclass(frozen=True, slots=True)
class Part:
    """One part, as offsets into the body.

    Attributes:
        start: Where the delimiter before it begins, at its dashes; the next part's is its end.
        is_file: It has a filename.
        text: What it says; None: a file, or too long to be kept.
    """

    name: str
    start: int
    end: int
    content_start: int
    content_end: int
    is_file: bool
    text: bytes | None

    @property
    def size(self) -> int:
        return self.content_end - self.content_start


def boundary_of(content_type: bytes) -> bytes:
    """What separates the parts.

    Raises:
        UnsupportedMedia: there is none, or there are two.
    """
    found = [a or b for a, b in _BOUNDARY.findall(content_type)]
    if len(found) != 1 or not _BOUNDARY_CHARS.fullmatch(found[0]):
        raise UnsupportedMedia(
            "A form needs one 'boundary' in its Content-Type: leave that header to your "
            "HTTP client.",
            param="content-type",
        )
    boundary: bytes = found[0]
    return boundary


class _State(Enum):
    BEFORE = auto()
    DELIMITER = auto()
    HEAD = auto()
    CONTENT = auto()
    AFTER = auto()


class FormReader:
    """Finds the parts of a form in its pieces, however they are cut.

    Attributes:
        parts: Those that have ended.
    """

    def __init__(self, boundary: bytes) -> None:
        self.parts: list[Part] = []
        self._delimiter = b"\r\n--" + boundary
        self._state = _State.BEFORE
        # The first delimiter may do without the line break before it.
        self._unread = b"\r\n"
        self._at = -2  # of the first unread byte, in the body
        self._start = 0
        self._content_start = 0
        self._name = ""
        self._is_file = False
        self._kept: list[bytes] | None = None
        self._part_bytes = 0
        self._kept_bytes = 0

    def feed(self, piece: bytes) -> None:
        """Read on.

        Raises:
            InvalidCall: it is no form, or one that could be read in two ways.
        """
        self._unread += piece
        while self._step():
            pass

    def finish(self) -> list[Part]:
        """The parts, once all has come.

        Raises:
            InvalidCall: the last delimiter has not.
        """
        if self._state is not _State.AFTER:
            raise _invalid("it is cut short: its last delimiter is missing")
        return self.parts

    def _step(self) -> bool:
        """Take something from what is unread; False: more must come first."""
        match self._state:
            case _State.BEFORE:
                return self._before()
            case _State.DELIMITER:
                return self._after_delimiter()
            case _State.HEAD:
                return self._head()
            case _State.CONTENT:
                return self._content()
        if self._unread.strip(b"\r\n"):
            raise _invalid("there is something behind its last delimiter")
        self._skip(len(self._unread))
        return False

    def _before(self) -> bool:
        found = self._unread.find(self._delimiter)
        seen = self._unread[:found] if found >= 0 else self._unread[: -len(self._delimiter)]
        if seen.strip(b"\r\n"):
            raise _invalid("it does not begin with its delimiter")
        if found < 0:
            self._skip(len(seen))
            return False
        self._begin(found)
        return True

    def _after_delimiter(self) -> bool:
        mark = self._unread[:2]
        if len(mark) < 2:
            return False
        self._skip(2)
        if mark == b"\r\n":
            self._state = _State.HEAD
        elif mark == b"--":
            self._state = _State.AFTER
        else:
            raise _invalid("a line of it only begins like its delimiter")
        return True

    def _head(self) -> bool:
        end = self._unread.find(b"\r\n\r\n")
        if max(end, 0 if end >= 0 else len(self._unread)) > HEAD_BYTES_MAX:
            raise _invalid("the head of a part is too long")
        if end < 0:
            return False
        if len(self.parts) >= PARTS_MAX:
            raise _invalid(f"it has more than {PARTS_MAX:,} parts")
        self._name, self._is_file = _named(self._unread[:end])
        self._skip(end + 4)
        self._content_start = self._at
        self._kept = None if self._is_file else []
        self._part_bytes = 0
        self._state = _State.CONTENT
        return True

    def _content(self) -> bool:
        found = self._unread.find(self._delimiter)
        if found < 0:
            self._keep(max(len(self._unread) - len(self._delimiter) + 1, 0))
            return False
        self._keep(found)
        kept = None if self._kept is None else b"".join(self._kept)
        part = (self._start, self._at + 2, self._content_start, self._at)
        self.parts.append(Part(self._name, *part, self._is_file, kept))
        self._begin(0)
        return True

    def _begin(self, found: int) -> None:
        self._skip(found)
        self._start = self._at + 2  # behind the line break, which belongs to what was before
        self._skip(len(self._delimiter))
        self._state = _State.DELIMITER

    def _keep(self, size: int) -> None:
        if self._kept is not None and size:
            self._part_bytes += size
            self._kept_bytes += size
            if self._part_bytes > FIELD_BYTES_MAX or self._kept_bytes > KEPT_BYTES_MAX:
                self._kept = None
                self._kept_bytes -= self._part_bytes
            else:
                self._kept.append(self._unread[:size])
        self._skip(size)

    def _skip(self, size: int) -> None:
        self._unread = self._unread[size:]
        self._at += size


def _named(head: bytes) -> tuple[str, bool]:
    """A part's name, and whether it is a file."""
    disposition: bytes | None = None
    for line in head.split(b"\r\n"):
        header, colon, value = line.partition(b":")
        header = header.lower()
        if not colon or header != header.strip() or b"\n" in line or b"\r" in line:
            raise _invalid("the head of a part is malformed")
        if header == b"content-disposition":
            if disposition is not None:
                raise _invalid("a part has two Content-Dispositions")
            disposition = value.strip()
        elif header == b"content-transfer-encoding" and value.strip().lower() not in _PLAIN:
            raise _invalid("a part has a Content-Transfer-Encoding: send it as it is")
    parameters = _parameters(disposition)
    name = parameters.get(b"name")
    if name is None or b"\\" in name or b"name*" in parameters:
        raise _invalid("a part has no plain name")
    return name.decode("utf-8", "replace"), bool(parameters.keys() & {b"filename", b"filename*"})


def _parameters(disposition: bytes | None) -> dict[bytes, bytes]:
    kind, semicolon, rest = (disposition or b"").partition(b";")
    rest = semicolon + rest
    if kind.strip().lower() != b"form-data":
        raise _invalid("a part is not 'Content-Disposition: form-data'")
    found: dict[bytes, bytes] = {}
    while rest:
        matched = _PARAMETER.match(rest)
        if matched is None or (key := matched[1].lower()) in found:
            raise _invalid("the Content-Disposition of a part is malformed")
        found[key] = matched[2] if matched[2] is not None else matched[3]
        rest = rest[matched.end() :]
    return found


def _invalid(why: str) -> InvalidCall:
    return InvalidCall(f"The form cannot be read: {why}.", code="invalid_form")
