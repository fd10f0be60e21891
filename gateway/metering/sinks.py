"""What the stream's events go to, and how each of these keeps its place.

A sink has its own place in every stream, and moves it by compare-and-set once its work is
safe. One may fail or lag without the others; whatever was done for a place that did not
move is done again, with the same result.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from redis.exceptions import ResponseError

from gateway.event import UsageEvent
from gateway.store.client import Part, Store
from gateway.store.keys import Partition

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Tail:
    """What a stream has after a place in it: at most one batch.

    Attributes:
        cursor: The stream id after which this begins, as the sink gave it; '' is the start.
        last_id: Where the cursor goes; entries that are no events are passed over.
        length: How many entries it has, those that are no events included.
        is_full: There may be more behind it.
        since: The store's `changes` when it was read.
    """

    partition: Partition
    cursor: str
    last_id: str
    events: Sequence[tuple[str, UsageEvent]]
    length: int
    is_full: bool
    since: int


class Sink(Protocol):
    """One reader of all streams.

    Nothing is trimmed from a stream that a sink has not passed: what `cursors` says is both
    where its next batch begins and what it still needs. A sink that keeps several places in
    one stream gives the lowest, and skips in `take` what some of them have passed.
    """

    name: str
    """For the log; of those that keep their places in ``{p}cur``, the field."""

    @property
    def is_ready(self) -> bool:
        """Whether it would take something now."""
        ...

    async def cursors(self, partitions: Sequence[Partition]) -> Sequence[str | None]:
        """For each stream the id of the last entry it has passed; '' is the start.

        None: it wants nothing of this stream, now or later.
        """
        ...

    async def take(self, tails: Sequence[Tail]) -> list[bool]:
        """Take each tail in whole, or not at all; says which cursors moved.

        Raises:
            LedgerUnavailable: the store is away.
        """
        ...


async def cursors_of(store: Store, field: str, partitions: Sequence[Partition]) -> list[str]:
    """Places that are kept beside their streams, in a field of ``{p}cur``.

    A damaged key reads as the start: its partition stands still there, and trims nothing.
    """
    replies = await each(store, [("HGET", p.cursors, field) for p in partitions])
    found: list[str] = []
    for partition, reply in zip(partitions, replies, strict=True):
        if isinstance(reply, ResponseError):
            stuck(partition, field, reply)
            found.append("")
        else:
            found.append((reply or b"").decode())
    return found


async def each(store: Store, commands: Sequence[Sequence[Part]]) -> list[Any]:
    """The replies; in place of those that the server refuses to give, its error.

    Raises:
        LedgerUnavailable: the store is away.
    """
    try:
        return await store.commands(commands)
    except ResponseError:  # one is damaged: ask again, so that the others are not lost with it
        asked = (store.command(*parts) for parts in commands)
        replies = await asyncio.gather(*asked, return_exceptions=True)
    for reply in replies:
        if isinstance(reply, BaseException) and not isinstance(reply, ResponseError):
            raise reply
    return replies


async def move(
    store: Store,
    cursor: str,
    tail: Tail,
    writes: Mapping[str, Sequence[str]],
    customers: Sequence[int] = (),
) -> bool:
    """Write fields (key -> field, value, ...) and pass the tail, if nobody else has.

    Args:
        customers: Numbers of those whose rows in the roster this makes out of date.
    """
    args: list[str | int | bytes] = [cursor, tail.cursor, tail.last_id, len(customers), *customers]
    for fields in writes.values():
        args += [len(fields) // 2, *fields]
    partition = tail.partition
    keys = [partition.cursors, partition.stream, partition.changed, *writes]
    return bool(await store.script("apply", keys, args))


def outcome(name: str, tail: Tail, result: Any) -> bool:
    """A partition whose keys are damaged stands still, and the others go on."""
    if isinstance(result, ResponseError):
        stuck(tail.partition, name, result)
        return False
    if isinstance(result, BaseException):
        raise result
    return bool(result)


def stuck(partition: Partition, name: str, error: ResponseError) -> None:
    log.error("partition_stuck index=%d cursor=%s error=%s", partition.index, name, error)
