"""The bytes of a JSON object: where its top-level members stand, and edits that touch nothing else.

Values are skipped, not built. All functions expect an object that a JSON parser has
accepted; on anything else they raise `ValueError` or give meaningless spans, but end.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from functools import cache
from typing import Final, NamedTuple

from gateway.openai.halves import loads

NESTING_MAX: Final = 16
"""Containers skipped in one match of the pattern; deeper ones are counted token by token."""

_BACKSLASH: Final = ord("\\")
_OPENING: Final = b"[{"


class Member(NamedTuple):
    r"""One ``"key": value`` of the object, as offsets into its bytes.

    Attributes:
        key: Unescaped: ``"mod\u0065l"`` is ``model``.
        start: Where the key's opening quote stands.
        value_start: The value's first byte.
        value_end: One past the value's last byte.
    """

    key: str
    start: int
    value_start: int
    value_end: int


class Edit(NamedTuple):
    """Put `text` in place of the bytes from `start` to `end`."""

    start: int
    end: int
    text: bytes


class _Patterns(NamedTuple):
    head: re.Pattern[bytes]
    name: re.Pattern[bytes]
    member: re.Pattern[bytes]
    tail: re.Pattern[bytes]
    token: re.Pattern[bytes]


def members(body: bytes) -> tuple[Member, ...]:
    """Find the top-level members of the object `body`, in order, duplicates included.

    Raises:
        ValueError: `body` is not a JSON object.
    """
    patterns = _patterns()
    masked = _masked(body)
    head = patterns.head.match(masked)
    if head is None:
        raise ValueError("not a JSON object")
    position = head.end()
    if masked[position : position + 1] == b"}":
        return ()
    found = []
    match = patterns.member.match
    while True:
        if hit := match(masked, position):
            key_start, key_end = hit.span(1)
            value_start, value_end = hit.span(2)
            position = hit.end()
        else:
            key_start, key_end, value_start, value_end, position = _deep_member(masked, position)
        raw = body[key_start:key_end]
        key = raw.decode() if _BACKSLASH not in raw else str(loads(b'"' + raw + b'"'))
        found.append(Member(key, key_start - 1, value_start, value_end))
        if masked[position - 1] == 125:  # a closing brace
            return tuple(found)


def cut(found: Sequence[Member], keys: Collection[str]) -> list[Edit]:
    """Take the members named in `keys` out, each with one comma and the space around it.

    Space before the first member and after the last one stays.
    """
    last_kept = -1
    for index, member in enumerate(found):
        if member.key not in keys:
            last_kept = index
    edits = [
        Edit(member.start, found[index + 1].start, b"")
        for index, member in enumerate(found[: max(last_kept, 0)])
        if member.key in keys
    ]
    if found and last_kept < len(found) - 1:  # nothing kept follows: the comma before goes
        start = found[last_kept].value_end if last_kept >= 0 else found[0].start
        edits.append(Edit(start, found[-1].value_end, b""))
    return edits


def replace(member: Member, value: bytes) -> Edit:
    return Edit(member.value_start, member.value_end, value)


def insert_after(member: Member, text: bytes) -> Edit:
    """Add the member `text` (``"key":value``) right behind `member`."""
    return Edit(member.value_end, member.value_end, b"," + text)


def apply(body: bytes, edits: Iterable[Edit]) -> bytes:
    """Make all `edits` at once; they must not overlap. Every other byte stays."""
    pieces: list[bytes] = []
    position = 0
    for edit in sorted(edits):
        assert position <= edit.start, "edits overlap"
        pieces += (body[position : edit.start], edit.text)
        position = edit.end
    pieces.append(body[position:])
    return b"".join(pieces)


def _masked(body: bytes) -> bytes:
    # Escaped backslashes and quotes are blanked (same length), so that a string simply ends
    # at the next quote: several times faster to skip than a pattern that knows escapes.
    if _BACKSLASH not in body:
        return body
    return body.replace(b"\\\\", b"__").replace(b'\\"', b"__")


def _deep_member(masked: bytes, position: int) -> tuple[int, int, int, int, int]:
    patterns = _patterns()
    name = patterns.name.match(masked, position)
    if name is None or masked[name.end() : name.end() + 1] not in (b"[", b"{"):
        raise ValueError(f"not a JSON object: no member at byte {position}")
    depth = 0
    for token in patterns.token.finditer(masked, name.end()):
        first = masked[token.start()]
        if first == 34:  # a string
            continue
        size = token.end() - token.start()
        if first in _OPENING:
            depth += size
        elif depth > size:
            depth -= size
        else:
            value_end = token.start() + depth
            tail = patterns.tail.match(masked, value_end)
            if tail is None:
                break
            return *name.span(1), name.end(), value_end, tail.end()
    raise ValueError("not a JSON object: brackets do not balance")


@cache
def _patterns() -> _Patterns:
    # Possessive throughout: a failed match never goes back, so time is linear. No
    # alternation inside a repeat, which CPython before 3.11.5 gets wrong (gh-106052).
    space = rb"[ \t\n\r]*+"
    string = rb'"[^"]*+"'
    plain = rb'[^\[\]{}"]*+'
    flat = plain + rb"(?:" + string + plain + rb")*+"
    container = rb"[\[{]" + flat + rb"[\]}]"
    for _ in range(NESTING_MAX - 1):
        container = rb"[\[{]" + flat + rb"(?:" + container + flat + rb")*+[\]}]"
    name = space + rb'"([^"]*+)"' + space + rb":" + space
    value = rb"(" + string + rb'|[^\[\]{}",\s]++|' + container + rb")"
    tail = space + rb"[,}]"
    return _Patterns(
        head=re.compile(space + rb"\{" + space),
        name=re.compile(name),
        member=re.compile(name + value + tail),
        tail=re.compile(tail),
        token=re.compile(string + rb"|[\[{]++|[\]}]++"),
    )
