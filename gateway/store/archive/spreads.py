"""What no sum tells: who called, and how long calls took; in a form that is put together fast.

Callers are a set of small numbers (`sums.CALLERS` gives each customer one), as the bits of one
integer. Durations are counted by classes that are the narrower the shorter they are: whole
milliseconds to 511, from there 256 classes from each power of two to the next; a quantile is at
most 0.2 % beside.
"""

import zlib
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

_FINE_BITS: Final = 8
_EXACT: Final = 2 << _FINE_BITS

Durations = Mapping[int, int]
"""Class -> how many."""

_write = msgspec.msgpack.Encoder().encode
_read = msgspec.msgpack.Decoder(dict[int, int]).decode


def class_of(ms: int) -> int:
    if ms < _EXACT:
        return max(ms, 0)
    coarse = ms.bit_length() - _FINE_BITS - 1
    return (coarse << _FINE_BITS) + (ms >> coarse)


def middle_of(number: int) -> int:
    """The duration that stands for a class, in ms."""
    if number < _EXACT:
        return number
    coarse = (number >> _FINE_BITS) - 1
    return ((number - (coarse << _FINE_BITS)) << coarse) + (1 << coarse) // 2


def quantile(durations: Durations, share: float) -> int | None:
    """The nearest rank, in ms; None of nothing."""
    count = sum(durations.values())
    rank = min(int(share * count), count - 1)
    for number in sorted(durations):
        rank -= durations[number]
        if rank < 0:
            return middle_of(number)
    return None


def together(parts: Iterable[Durations]) -> Counter[int]:
    found: Counter[int] = Counter()
    for part in parts:
        found.update(part)
    return found


def packed(durations: Durations) -> bytes:
    return _write({number: count for number, count in durations.items() if count > 0})


def unpacked(blob: bytes) -> dict[int, int]:
    return _read(blob)


def bits(numbers: Iterable[int]) -> int:
    """A set of small numbers as one integer."""
    wanted = list(numbers)
    if not wanted:
        return 0
    found = bytearray((max(wanted) >> 3) + 1)
    for number in wanted:
        found[number >> 3] |= 1 << (number & 7)
    return int.from_bytes(found, "little")


def packed_bits(found: int) -> bytes:
    return zlib.compress(found.to_bytes((found.bit_length() + 7) // 8, "little"), 1)


def unpacked_bits(blob: bytes) -> int:
    return int.from_bytes(zlib.decompress(blob), "little")
