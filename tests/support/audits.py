"""An auditor of a store at rest: whatever ended here, and wherever, the books add up.

Reads every key for itself, with none of the code that wrote them but the fold.
"""

import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC
from typing import Any

import redis

from gateway.event import Kind, UsageEvent
from gateway.metering.counters import lifetime_command, read_lifetime
from gateway.metering.fold import advance, fold
from gateway.metering.totals import Lifetime
from gateway.store.keys import META, Keyspace, Partition
from tests.support.streams import events_in

TERMINAL = frozenset({Kind.SETTLE, Kind.RELEASE, Kind.REFUSE, Kind.ORPHAN})
MARK = b"."
"""A tombstone bucket's own mark is no id."""

Entries = list[tuple[str, UsageEvent]]


def audit(client: redis.Redis) -> Iterator[str]:
    """What does not add up, in words; nothing where all is well."""
    fixed: Any = client.hget(META, "partitions")
    if fixed is None:
        return
    for partition in Keyspace(int(fixed)).partitions:
        entries = events_in(client, partition.stream)
        for problem in (
            *_accounts(client, partition, entries),
            *_ends(client, partition, entries),
            *_cursors(client, partition, entries),
            *_counters(client, partition, entries),
        ):
            yield f"{partition.tag}: {problem}"


def _accounts(client: redis.Redis, partition: Partition, entries: Entries) -> Iterator[str]:
    """A balance is the sum of its events, what is held that of the holds."""
    spent: Counter[int] = Counter()
    for _, event in entries:
        spent[event.customer_number] += event.charge_pico
    held: Counter[int] = Counter()
    records: Any = client.hgetall(partition.holds)
    for record in records.values():
        number, amount, *_ = record.split(b"|")
        held[int(number)] += int(amount)
    for key in client.scan_iter(f"{partition.tag}a:*"):
        number = int(key.rsplit(b":")[-1])
        fields: Any = client.hgetall(key)
        if int(fields.get(b"spent", 0)) != spent[number]:
            yield f"{key} has spent {fields.get(b'spent')}, its events say {spent[number]}"
        if int(fields.get(b"held", 0)) != held[number]:
            yield f"{key} holds {fields.get(b'held')}, its holds say {held[number]}"
        spent.pop(number, None)
    if +spent:
        yield f"events without an account: {spent}"
    leases: Any = client.zrange(partition.expiries, 0, -1)
    if set(records) != set(leases):
        yield f"{len(records)} holds and {len(leases)} leases"


def _ends(client: redis.Redis, partition: Partition, entries: Entries) -> Iterator[str]:
    """An id has one end, and exactly the ended ones have their tombstone."""
    ends = Counter(event.request_id for _, event in entries if event.kind in TERMINAL)
    yield from (f"{name} ended {times} times" for name, times in ends.items() if times > 1)
    tombs: set[bytes] = set()
    for key in client.scan_iter(f"{partition.tag}d:*"):
        members: Any = client.smembers(key)
        tombs |= members - {MARK}
    if tombs != {name.encode() for name in ends}:
        yield f"{len(tombs)} tombstones, {len(ends)} ends"
    orphans = {e.request_id for _, e in entries if e.kind is Kind.ORPHAN}
    orphans -= {e.request_id for _, e in entries if e.kind is Kind.ADJUST}
    kept: set[str] = set()
    for key in client.scan_iter(f"{partition.tag}o:*"):
        names: Any = client.hkeys(key)
        kept |= {name.decode() for name in names}
    if kept != orphans:
        yield f"{len(kept)} orphans await the truth, the stream says {len(orphans)}"


def _cursors(client: redis.Redis, partition: Partition, entries: Entries) -> Iterator[str]:
    """Nobody has passed what is not there."""
    last = _place(entries[-1][0]) if entries else (0, 0)
    cursors: Any = client.hgetall(partition.cursors)
    for name, cursor in cursors.items():
        if re.fullmatch(rb"\d+-\d+", cursor) and _place(cursor.decode()) > last:
            yield f"cursor {name} stands at {cursor}, the stream ends at {last}"


def _counters(client: redis.Redis, partition: Partition, entries: Entries) -> Iterator[str]:
    """They are the fold of what their cursor has passed."""
    cursor: Any = client.hget(partition.cursors, "flush")
    passed = _place(cursor.decode()) if cursor else (0, 0)
    counted = fold((e for stream_id, e in entries if _place(stream_id) <= passed), UTC)
    keys = {f"{partition.tag}c:{number}".encode() for number in counted}
    there = set(client.scan_iter(f"{partition.tag}c:*"))
    yield from (f"{key} counts what no event says" for key in there - keys)
    for number, change in counted.items():
        _, *names = lifetime_command(partition, number)
        reply: Any = client.hmget(names[0], names[1:])
        folded, _ = advance(Lifetime(), {}, change)
        if read_lifetime(reply) != folded:
            yield f"counters of {number}: {read_lifetime(reply)}, the events say {folded}"


def _place(stream_id: str) -> tuple[int, int]:
    millis, sequence = stream_id.split("-")
    return int(millis), int(sequence)
