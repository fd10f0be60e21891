"""The part of a partition's history that is in the archive: before the stream, and beside it."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from types import MappingProxyType
from typing import Final

from gateway.audit.differences import Difference, Finding, Unit
from gateway.audit.history import Counted, History, after
from gateway.audit.scopes import GroupTally, ScopeBook
from gateway.audit.snapshot import BEGINNING, Position, Snapshot, position
from gateway.audit.tally import NOTHING, Sums
from gateway.event import Kind, UsageEvent
from gateway.metering.retention import change_of
from gateway.metering.totals import Lifetime
from gateway.store.archive import Archive

TRIES_MAX: Final = 5
"""Readings again because rows were retired meanwhile."""

Thing = tuple[str, bool]
"""What the archive has one row of: a request id, and whether it is the adjustment of it."""


class Retired(Exception):
    """Rows were retired again and again while they were read."""


@dataclass(slots=True)
class Archived:
    """Of one partition.

    Attributes:
        before: By customer, the counters of what was trimmed from the stream.
        rows: Charge and cost of what is in the archive and was not trimmed.
        groups: What was trimmed adds to them.
    """

    groups: GroupTally
    before: Mapping[int, Counted] = field(default_factory=dict)
    rows: dict[Thing, Sums] = field(default_factory=dict)


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
                thing(event): Sums(event.charge_pico, event.cost_pico, event.credit_pico)
                for place, event in placed
                if place > trimmed
            }
            await asyncio.sleep(0)
        if past == await archive.past(partition):
            found.before = {number: history.at(number, trimmed) for number in history.numbers}
            return found
    raise Retired


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
        expected = Sums(*first.checkpoints.get(number, NOTHING))
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
    """Live events against their rows, as far as the archive's cursor has come."""

    def __init__(self, partition: int, archived_to: Position, rows: Mapping[Thing, Sums]) -> None:
        self._partition = partition
        self._archived_to = archived_to
        self._rows = rows

    def check(self, at: Position, event: UsageEvent) -> Iterable[Difference]:
        if at > self._archived_to or self._archived_to == BEGINNING:
            return
        row = self._rows.get(thing(event))
        if row is None:
            yield self._difference(event, "row", 1, 0, Unit.COUNT)
            return
        amounts = (event.charge_pico, event.cost_pico, event.credit_pico)
        for name, expected, found in zip(("charge", "cost", "credit"), amounts, row, strict=True):
            if expected != found:
                yield self._difference(event, name, expected, found, Unit.USD)

    def _difference(
        self, event: UsageEvent, what: str, expected: int, found: int, unit: Unit
    ) -> Difference:
        return Difference(
            finding=Finding.ARCHIVE,
            partition=self._partition,
            customer_number=event.customer_number or None,
            subject=f"{event.request_id} {what}",
            expected=expected,
            found=found,
            unit=unit,
        )
