"""One instant of a partition: what its accounts, holds and cursors say together."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from gateway.metering.checkpoints import Checkpoint, read
from gateway.store.client import Store
from gateway.store.keys import Partition

HASHES_MAX: Final = 300
"""In one snapshot: it holds up the partition for a few milliseconds."""

Fields = Mapping[bytes, bytes]


class Position(NamedTuple):
    """A stream id, by which entries are ordered."""

    ms: int
    seq: int


BEGINNING: Final = Position(0, 0)


class OpenHold(NamedTuple):
    """A hold's record; `number` is None where it cannot be read."""

    request_id: str
    number: int | None
    amount_pico: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What was true at once.

    Attributes:
        now_ms: Server time.
        last: Of the stream's entries; its beginning when it has none.
        cursors: By name.
        checkpoints: Customer number -> what its trimmed events came to; empty unless asked.
        held_pico: Customer number -> the sum of its holds.
        no_lease, no_hold: Request ids of holds without a lease, and of leases without a hold.
        hashes: The keys that were asked for, with their fields.
    """

    now_ms: int
    last: Position
    cursors: Mapping[str, Position]
    checkpoints: Mapping[int, Checkpoint]
    holds: Sequence[OpenHold]
    held_pico: Mapping[int, int]
    no_lease: Sequence[str]
    no_hold: Sequence[str]
    hashes: Mapping[str, Fields]

    def cursor(self, name: str) -> Position:
        return self.cursors.get(name, BEGINNING)


async def snapshot(
    store: Store, partition: Partition, keys: Sequence[str] = (), *, checkpoints: bool = False
) -> Snapshot:
    """Read `keys`, hashes of this partition, and all that they are compared with.

    Raises:
        LedgerUnavailable: the store is away.
    """
    assert len(keys) <= 2 * HASHES_MAX  # a month may begin after a batch was made up
    read_from = (
        partition.cursors,
        partition.stream,
        partition.holds,
        partition.expiries,
        partition.checkpoints,
    )
    now, last, cursors, sums, holds, no_lease, no_hold, hashes = await store.script(
        "snapshot", [*read_from, *keys], [int(checkpoints)]
    )
    opened = list(_holds(holds))
    places = {name.decode(): position(at) for name, at in _pairs(cursors)}
    trimmed_ms = places.get("trim", BEGINNING).ms
    held_pico: defaultdict[int, int] = defaultdict(int)
    for hold in opened:
        if hold.number is not None:
            held_pico[hold.number] += hold.amount_pico
    return Snapshot(
        now_ms=int(now),
        last=position(last),
        cursors=places,
        checkpoints={int(number): read(text, trimmed_ms) for number, text in _pairs(sums)},
        holds=opened,
        held_pico=dict(held_pico),
        no_lease=[request_id.decode() for request_id in no_lease],
        no_hold=[request_id.decode() for request_id in no_hold],
        hashes={key: dict(_pairs(flat)) for key, flat in zip(keys, hashes, strict=True)},
    )


def position(text: bytes) -> Position:
    """``1763726400000-3``; nothing at all is the beginning.

    A cursor that is no stream id is taken for the beginning too.
    """
    ms, dash, seq = text.partition(b"-")
    if not dash or not (ms.isdigit() and seq.isdigit()):
        return BEGINNING
    return Position(int(ms), int(seq))


def spelled(at: Position) -> str:
    """As the store has it; the beginning is ''."""
    return "" if at == BEGINNING else f"{at.ms}-{at.seq}"


def _pairs(flat: Sequence[bytes]) -> Iterator[tuple[bytes, bytes]]:
    return zip(flat[::2], flat[1::2], strict=True)


def _holds(flat: Sequence[Any]) -> Iterator[OpenHold]:
    for request_id, number, amount in zip(flat[::3], flat[1::3], flat[2::3], strict=True):
        yield OpenHold(request_id.decode(), int(number) if number else None, int(amount or 0))
