"""The part of a partition's history that is in the archive: before the stream, and beside it."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from types import MappingProxyType
from typing import Final, NamedTuple

from gateway.audit.differences import Difference, Finding, Unit
from gateway.audit.history import Counted, History, after
from gateway.audit.scopes import GroupTally, ScopeBook
from gateway.audit.snapshot import BEGINNING, Position, Snapshot, position
from gateway.audit.tally import NOTHING, Sums
from gateway.event import Kind, UsageEvent
from gateway.metering.checkpoints import Checkpoint
from gateway.metering.retention import change_of
from gateway.metering.totals import Lifetime
from gateway.store.archive import Archive

TRIES_MAX: Final = 5
"""Readings again because rows were retired meanwhile."""

Thing = tuple[str, bool]
"""What the archive has one row of: a request id, and whether it is the adjustment of it."""


class Row(NamedTuple):
    """Whose it is, and its charge, cost and credit."""

    customer_number: int
    sums: Sums


class Retired(Exception):
    """Rows were retired again and again while they were read."""


@dataclass(slots=True)
class Archived:
    """Of one partition.

    Attributes:
        before: By customer, the counters of what was trimmed from the stream.
        rows: Of what is in the archive and was not trimmed.
        groups: What was trimmed adds to them.
    """

    groups: GroupTally
    before: Mapping[int, Counted] = field(default_factory=dict)
    rows: dict[Thing, Row] = field(default_factory=dict)


async def archived(
    archive: Archive,
    partition: int,
    trimmed: Position,
    zone: tzinfo,
    groups: Mapping[str, ScopeBook] = MappingProxyType({}),
) -> Archived:
    """Read the partition's rows.

    Raises:
        Retired: old rows did not stay long enough to be read.
        sqlalchemy.exc.SQLAlchemyError: the archive cannot be read.
    """
    for _ in range(TRIES_MAX):
        past = await archive.past(partition)
        changes = change_of(past)
        base = {n: after(Counted(Lifetime(), {}), change) for n, change in changes.items()}
        history = History(zone, trimmed, base)
        found = Archived(GroupTally(partition, groups))
        found.groups.add_past(past)
        at = ""
        while page := await archive.events_of(partition, at):
            at = page[-1].stream_id
            placed = [(position(row.stream_id.encode()), row.event) for row in page]
            old = [pair for pair in placed if pair[0] <= trimmed]
            history.add(old)
            for place, event in old:
                found.groups.add(place, event)
            found.rows |= {
                thing(event): Row(event.customer_number, _sums(event))
                for place, event in placed
                if place > trimmed
            }
            await asyncio.sleep(0)
        if past == await archive.past(partition):
            found.before = {number: history.at(number, trimmed) for number in history.numbers}
            return found
    raise Retired


def _sums(event: UsageEvent) -> Sums:
    return Sums(event.charge_pico, event.cost_pico, event.credit_pico)


def thing(event: UsageEvent) -> Thing:
    return event.request_id, event.kind is Kind.ADJUST


def before_the_stream(
    partition: int, first: Snapshot, before: Mapping[int, Counted]
) -> Iterator[Difference]:
    """Each customer's checkpoint against the rows of what was trimmed."""
    for number in sorted({*first.checkpoints, *before}):
        totals = before[number].lifetime.totals if number in before else None
        found = (
            Sums(totals.charge_pico, totals.cost_pico, totals.credit_pico) if totals else NOTHING
        )
        expected = Sums(*first.checkpoints.get(number, Checkpoint()).money)
        for name, of_checkpoint, of_rows in zip(Sums._fields, expected, found, strict=True):
            if of_checkpoint != of_rows:
                yield Difference(
                    finding=Finding.ARCHIVE,
                    partition=partition,
                    customer_number=number,
                    subject=f"{name.removesuffix('_pico')} of what was trimmed",
                    expected=of_checkpoint,
                    found=of_rows,
                )


class BesideTheStream:
    """Live events against their rows, as far as the archive's cursor has come, and back."""

    def __init__(self, partition: int, archived_to: Position, rows: Mapping[Thing, Row]) -> None:
        self._partition = partition
        self._archived_to = archived_to
        self._rows = rows
        self._met: set[Thing] = set()

    def check(self, at: Position, event: UsageEvent) -> Iterable[Difference]:
        which = thing(event)
        self._met.add(which)
        if at > self._archived_to or self._archived_to == BEGINNING:
            return
        row, number = self._rows.get(which), event.customer_number
        if row is None:
            yield self._difference(number, f"{event.request_id} row", 1, 0, Unit.COUNT)
            return
        for name, expected, found in zip(_AMOUNTS, _sums(event), row.sums, strict=True):
            if expected != found:
                yield self._difference(number, f"{event.request_id} {name}", expected, found)

    def lost(self) -> Iterable[Difference]:
        """Rows of money whose events the store has no more, once all of them were checked.

        It came back without its newest writes, and nobody knew of these to put them back.
        """
        for which in self._rows.keys() - self._met:
            row = self._rows[which]
            for name, found in zip(_AMOUNTS, row.sums, strict=True):
                if found:
                    subject = f"{which[0]} {name}, lost by the store"
                    yield self._difference(row.customer_number, subject, 0, found)

    def _difference(
        self, number: int, subject: str, expected: int, found: int, unit: Unit = Unit.USD
    ) -> Difference:
        return Difference(
            finding=Finding.ARCHIVE,
            partition=self._partition,
            customer_number=number or None,
            subject=subject,
            expected=expected,
            found=found,
            unit=unit,
        )


_AMOUNTS: Final = ("charge", "cost", "credit")
