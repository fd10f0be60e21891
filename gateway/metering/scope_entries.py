"""What an event means to its group, its app and its key, and how `scope_apply.lua` is told."""

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Final, NamedTuple

from gateway.customers.scopes import app_name, group_name, key_name
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


Facts = Callable[[str], Sequence[Part]]
"""Of a scope, by its name: its anchor, then its limits as `Terms.told` says them."""

Call = tuple[list[str], list[Part], list[Move]]
"""Keys, arguments, and the moves that they carry."""


def entries_of(
    event: UsageEvent, apps: Collection[str], window_ids: Callable[[str], str]
) -> Iterator[Entry]:
    """Of its group, of its app if that is one of those that count, and of its temporary key.

    A refused call that never held anything is none of their business. `window_ids` says in
    which windows of a scope an event counts that was not held for.
    """
    if event.kind is Kind.REFUSE and not event.hold_pico:
        return
    if event.group:
        group = group_name(event.group)
        yield Entry(group, event, window_ids(group))
    if event.app in apps:
        app = app_name(event.app)
        yield Entry(app, event, window_ids(app))
    if event.key:
        key = key_name(event.key)
        yield Entry(key, event, window_ids(key))


def script_calls(
    target: Partition, moves: Sequence[Move], *, count: str, facts: Facts
) -> Iterator[Call]:
    """As few calls as carry the moves; `count` says what limits are about."""
    carried: list[Move] = []
    entries = 0
    for move in moves:
        too_many = entries + len(move.entries) > ENTRIES_MAX or len(carried) >= SOURCES_MAX
        if carried and too_many:
            yield _call(target, carried, count, facts)
            carried, entries = [], 0
        carried.append(move)
        entries += len(move.entries)
    if carried:
        yield _call(target, carried, count, facts)


def _call(target: Partition, moves: list[Move], count: str, facts: Facts) -> Call:
    keys = [target.cursors, target.scope_holds]
    index: dict[str, int] = {}
    scopes: dict[str, int] = {}
    told: list[Part] = []

    def key(name: str) -> int:
        if name not in index:
            keys.append(name)
            index[name] = len(keys)
        return index[name]

    def scope(name: str) -> int:
        if name not in scopes:
            told.extend([key(target.scope_account(name)), name, *facts(name)])
            scopes[name] = len(scopes) + 1
        return scopes[name]

    passed: list[Part] = [len(moves)]
    for move in moves:
        passed += [f"g:{move.source}", move.expected, move.new, len(move.entries)]
        for name, event, window_ids in move.entries:
            passed += [
                scope(name),
                key(target.scope_tombstones(_hour(event.request_id))),
                event.request_id,
                event.kind.value,
                event.charge_pico,
                event.cost_pico,
                window_ids,
            ]
    return keys, [count, len(scopes), *told, *passed], moves


def _hour(request_id: str) -> int:
    """The id's own, so that a repetition finds what was remembered; 0 for one without a time."""
    try:
        return int(request_id[4:16], 16) // HOUR_MS
    except ValueError:
        return 0
