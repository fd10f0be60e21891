"""What groups and apps have spent: from the streams into their accounts, with their holds.

A customer's partition and that of its group are different ones, so no script touches both.
What joins them is the stream: each call ends in exactly one event that names its group and
its app, and here that event takes the scope's hold off and charges it, once.

Each target partition has a cursor for each source, ``g:<source>`` in its own ``cur``, which
moves by compare-and-set in the script that counts (``scope_apply.lua``). This process
remembers where they stand, and reads each source from the lowest. Where a batch has nothing
for a target its cursor need not move at once: it is stored once a second, in one script
for all sources.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import Final

from redis.exceptions import ResponseError

from gateway.clock import Clock
from gateway.customers.scopes import NO_SCOPES, Scopes
from gateway.customers.windows import Calendar
from gateway.event import UsageEvent
from gateway.metering.scope_entries import Entry, Move, entries_of, script_calls
from gateway.metering.sinks import Tail
from gateway.store.client import Part, Store
from gateway.store.keys import SCOPES, Partition
from gateway.store.stream_ids import halves, joined

STORED_SECONDS: Final = 1.0
"""How long a cursor may stay behind what this process knows to hold nothing for it."""

ASIDE_SECONDS: Final = 5.0
"""How long a target whose keys are damaged is left alone; the others go on meanwhile."""

REWIND_MS: Final = 600_000
"""How far is read again when the store has changed: its streams may have lost their ends,
and go on below where the cursors stand. What was counted already is known by its id."""

log = logging.getLogger(__name__)


_OfSources = Mapping[int, list[tuple[str, Entry]]]
_Found = defaultdict[int, defaultdict[int, list[tuple[str, Entry]]]]
"""By target, by source: the stream ids and entries that count there."""


class _Target:
    """A partition in which groups or apps live.

    Attributes:
        stored: By source, where the store's cursor stands.
        known: By source, up to where nothing is left for this target; not below `stored`.
    """

    __slots__ = ("aside_until", "known", "partition", "stored", "stored_at")

    def __init__(self, partition: Partition, stored: list[str], now: float) -> None:
        self.partition = partition
        self.stored = stored
        self.known = list(stored)
        self.stored_at = now
        self.aside_until = float("-inf")

    def lagging(self) -> Iterator[Move]:
        for source, (stored, known) in enumerate(zip(self.stored, self.known, strict=True)):
            if halves(stored) < halves(known):
                yield Move(source, stored, known, ())


class ScopeSink:
    """Of all partitions of a store.

    Args:
        calendar: That of budgets.
        scopes: What is configured: limits, and whose periods are its own.
        count: What limits are about, ``charge`` or ``cost``.
    """

    name = "scopes"
    is_ready = True

    def __init__(
        self,
        store: Store,
        calendar: Calendar,
        clock: Clock,
        scopes: Scopes = NO_SCOPES,
        count: str = "charge",
    ) -> None:
        self._store = store
        self._calendar = calendar
        self._clock = clock
        self._configured = scopes
        self._count_of = count
        self._targets: dict[int, _Target] = {}
        self._apps: set[str] = set()
        self._scopes = 0
        self._changes = self._rewound = 0
        store.on_change(self.store_changed)

    def store_changed(self) -> None:
        """What was acknowledged may be lost: ask again where everything stands."""
        self._targets.clear()
        self._scopes = 0
        self._changes += 1

    async def cursors(self, partitions: Sequence[Partition]) -> Sequence[str | None]:
        """For each source the lowest place of any target; None while there are no scopes.

        A target that is set aside holds nobody up; `events.hot_hours` is the time to mend it.
        """
        await self._find_targets()
        await self._store_lagging()
        targets = self._ready() or list(self._targets.values())
        if not targets:
            return [None] * len(partitions)
        return [min((t.known[p.index] for t in targets), key=halves) for p in partitions]

    async def take(self, tails: Sequence[Tail]) -> list[bool]:
        await self._find_apps({e.app for tail in tails for _, e in tail.events})
        await self._find_targets()
        found = self._sorted(tails)
        targets = self._ready()
        await asyncio.gather(*(self._take(t, tails, found[t.partition.index]) for t in targets))
        left = self._ready()
        return [
            bool(left)
            and all(halves(t.known[tail.partition.index]) >= halves(tail.last_id) for t in left)
            for tail in tails
        ]

    def _sorted(self, tails: Sequence[Tail]) -> _Found:
        found: _Found = defaultdict(lambda: defaultdict(list))
        for tail in tails:
            for stream_id, event in tail.events:
                window_ids = partial(self._window_ids, stream_id, event)
                for entry in entries_of(event, self._apps, window_ids):
                    home = self._store.keyspace.partition_of(entry.scope).index
                    found[home][tail.partition.index].append((stream_id, entry))
        return found

    def _window_ids(self, stream_id: str, event: UsageEvent, scope: str) -> str:
        """Of what is not held: the windows of its time, if it was posted in them."""
        anchor = self._configured.named(scope).anchor
        posted = self._calendar.at(int(stream_id.partition("-")[0]), anchor)
        return self._calendar.ids_shared(event.at_ms, posted)

    def _facts(self, name: str) -> tuple[Part, ...]:
        scope = self._configured.named(name)
        return (scope.anchor_text, *scope.terms(self._calendar, self._clock.now_ms()).told)

    async def _take(self, target: _Target, tails: Sequence[Tail], found: _OfSources) -> None:
        moves = []
        for tail in tails:
            source = tail.partition.index
            known = target.known[source]
            if _is_after(tail.cursor, known) or not _is_after(tail.last_id, known):
                continue  # it has passed this tail, or reads from its own place next time
            entries = [e for at, e in found.get(source, ()) if _is_after(at, known)]
            if entries:
                moves.append(Move(source, target.stored[source], tail.last_id, entries))
            else:
                target.known[source] = tail.last_id
        if moves:  # not in a store that may have lost what was read
            await self._count(target, moves, since=tails[0].since)

    async def _store_lagging(self) -> None:
        now = self._clock.monotonic()
        due = [t for t in self._ready() if now - t.stored_at >= STORED_SECONDS]
        for target in due:
            target.stored_at = now
        since = self._store.changes
        lagging = [(target, moves) for target in due if (moves := [*target.lagging()])]
        await asyncio.gather(*(self._count(*one, since=since) for one in lagging))

    async def _count(self, target: _Target, moves: Sequence[Move], *, since: int) -> None:
        calls = script_calls(target.partition, moves, count=self._count_of, facts=self._facts)
        for keys, args, carried in calls:
            try:
                outcomes = await self._store.script("scope_apply", keys, args, since=since)
            except ResponseError as exc:
                self._set_aside(target, exc)
                return
            for move, moved in zip(carried, outcomes, strict=True):
                if moved:
                    target.stored[move.source] = target.known[move.source] = move.new
            if not all(outcomes):  # another flusher was here
                await self._load(target.partition)
                return

    def _set_aside(self, target: _Target, error: ResponseError) -> None:
        log.error("scopes_stuck index=%d error=%s", target.partition.index, error)
        target.aside_until = self._clock.monotonic() + ASIDE_SECONDS

    def _ready(self) -> list[_Target]:
        now = self._clock.monotonic()
        return [t for t in self._targets.values() if t.aside_until <= now]

    async def _find_apps(self, apps: Collection[str]) -> None:
        """Which of these apps count. Asked after their events were read: who is held is in it."""
        unknown = [app for app in apps if app and app not in self._apps]
        if unknown:
            names = [f"app:{app}" for app in unknown]
            found = await self._store.command("SMISMEMBER", SCOPES, *names)
            self._apps |= {app for app, counts in zip(unknown, found, strict=True) if counts}

    async def _find_targets(self) -> None:
        partitions = self._store.keyspace.partitions
        if len(self._targets) == len(partitions):
            return
        scopes = await self._store.command("SCARD", SCOPES)
        if scopes == self._scopes:
            return
        names = await self._store.command("SMEMBERS", SCOPES)
        homes = {self._store.keyspace.partition_of(name.decode()).index for name in names}
        changes = self._changes
        rewind = changes != self._rewound
        await asyncio.gather(
            *(self._load(partitions[home], rewind=rewind) for home in homes - set(self._targets))
        )
        if changes == self._changes:  # else those that were found before are forgotten again
            self._rewound, self._scopes = changes, scopes
        else:
            self._targets.clear()

    async def _load(self, partition: Partition, *, rewind: bool = False) -> None:
        sources = range(len(self._store.keyspace.partitions))
        now = self._clock.monotonic()
        try:
            reply = await self._store.command(
                "HMGET", partition.cursors, *(f"g:{source}" for source in sources)
            )
        except ResponseError as exc:
            target = _Target(partition, [""] * len(sources), now)
            self._set_aside(target, exc)
        else:
            target = _Target(partition, [(cursor or b"").decode() for cursor in reply], now)
            if rewind:
                target.known = [_rewound(stored) for stored in target.stored]
        self._targets[partition.index] = target


def _is_after(stream_id: str, other: str) -> bool:
    return halves(stream_id) > halves(other)


def _rewound(stream_id: str) -> str:
    return joined(max(0, halves(stream_id)[0] - REWIND_MS), 0) if stream_id else ""
