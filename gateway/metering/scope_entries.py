"""What an event means to its group and its app, and how `scope_apply.lua` is told."""

from collections.abc import Collection, Iterator, Sequence
from typing import Final, NamedTuple

from gateway.customers.scopes import app_name, group_name
from gateway.event import Kind, UsageEvent
from gateway.store.client import Part
from gateway.store.keys import HOUR_MS, Partition

ENTRIES_MAX: Final = 400
"""In one script: a few milliseconds. What one source's batch has stays together."""

SOURCES_MAX: Final = 64
"""In one script."""


class Entry(NamedTuple):
    """One event, for one scope. Amounts in pico-USD."""

    scope: str
    event: UsageEvent
    window_ids: str


class Move(NamedTuple):
    """A cursor's way: what it passes, and where it must stand before."""

    source: int
    expected: str
    new: str
    entries: Sequence[Entry]


Call = tuple[list[str], list[Part], list[Move]]
"""Keys, arguments, and the moves that they carry."""


def entries_of(event: UsageEvent, apps: Collection[str], window_ids: str) -> Iterator[Entry]:
    """Of its group, and of its app if that is one of those that count.

    A refused call that never held anything is none of their business.
    """
    if event.kind is Kind.REFUSE and not event.hold_pico:
        return
    if event.group:
        yield Entry(group_name(event.group), event, window_ids)
    if event.app in apps:
        yield Entry(app_name(event.app), event, window_ids)


def script_calls(target: Partition, moves: Sequence[Move]) -> Iterator[Call]:
    """As few calls as carry the moves."""
    carried: list[Move] = []
    entries = 0
    for move in moves:
        too_many = entries + len(move.entries) > ENTRIES_MAX or len(carried) >= SOURCES_MAX
        if carried and too_many:
            yield _call(target, carried)
            carried, entries = [], 0
        carried.append(move)
        entries += len(move.entries)
    if carried:
        yield _call(target, carried)


def _call(target: Partition, moves: list[Move]) -> Call:
    keys = [target.cursors, target.scope_holds]
    index: dict[str, int] = {}

    def of(key: str) -> int:
        if key not in index:
            keys.append(key)
            index[key] = len(keys)
        return index[key]

    args: list[Part] = [len(moves)]
    for move in moves:
        args += [f"g:{move.source}", move.expected, move.new, len(move.entries)]
        for scope, event, window_ids in move.entries:
            args += [
                of(target.scope_account(scope)),
                of(target.scope_tombstones(_hour(event.request_id))),
                scope,
                event.request_id,
                event.kind.value,
                event.charge_pico,
                event.cost_pico,
                window_ids,
            ]
    return keys, args, moves


def _hour(request_id: str) -> int:
    """The id's own, so that a repetition finds what was remembered; 0 for one without a time."""
    try:
        return int(request_id[4:16], 16) // HOUR_MS
    except ValueError:
        return 0
