"""Frames: length, checksum, payload. A reader stops where a frame is not whole.

    4 bytes  length of the payload, big-endian
    4 bytes  CRC-32 of the length and the payload
    n bytes  payload

A process that dies in the middle of a write leaves a torn frame at the end, a disk that
lies leaves a damaged one anywhere. Nothing behind either can be trusted, since the next
frame's beginning is told by this one's length.
"""

from binascii import crc32
from collections.abc import Iterator
from struct import Struct
from typing import Final

FRAME_BYTES_MAX: Final = 1_048_576
"""A record carries an event's details and a profile: some kilobytes."""

_HEAD: Final = Struct(">II")
_LENGTH: Final = Struct(">I")


def frame(payload: bytes) -> bytes:
    """`payload`, ready to be appended."""
    assert len(payload) <= FRAME_BYTES_MAX, "a record is longer than a reader accepts"
    length = len(payload)
    return _HEAD.pack(length, crc32(payload, crc32(_LENGTH.pack(length)))) + payload


def payloads(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Each whole frame's end and payload, up to the first that is torn or damaged."""
    at = 0
    while at + _HEAD.size <= len(content):
        length, checksum = _HEAD.unpack_from(content, at)
        end = at + _HEAD.size + length
        if length > FRAME_BYTES_MAX or end > len(content):
            return
        payload = content[at + _HEAD.size : end]
        if crc32(payload, crc32(_LENGTH.pack(length))) != checksum:
            return
        yield end, payload
        at = end
