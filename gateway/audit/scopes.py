"""Groups and apps: what their accounts hold and have spent, against holds and events.

A group's account is the sum of all events that name it, from every partition, each as far as
its cursor there has come. An app is counted from the day it got a limit, which the events do
not tell, and what days long gone came to is not kept by temporary key: of these only the
holds are compared.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.audit.compare import amounts, whole
from gateway.audit.differences import Difference, Finding
from gateway.audit.snapshot import BEGINNING, HASHES_MAX, Fields, Position, snapshot
from gateway.audit.tally import NOTHING, Sums, plus
from gateway.customers.scopes import group_name
from gateway.event import Kind, UsageEvent
from gateway.metering.totals import Totals
from gateway.store.archive import PastDay
from gateway.store.client import Store
from gateway.store.keys import Partition

_GROUPS: Final = group_name("")
_CURSOR: Final = "g:"
_WITH_LIMITS: Final = ("group", "app")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeBook:
    """A group's or an app's account at one instant.

    Attributes:
        name: ``group:<identifier>``, ``app:<id>`` or ``key:<id>``.
        cursors: By source partition, up to which event its account has counted.
    """

    name: str
    partition: int
    fields: Fields
    held_pico: int
    cursors: Mapping[int, Position]

    @property
    def kind(self) -> str:
        """``group``, ``app`` or ``key``."""
        return self.name.partition(":")[0]

    @property
    def is_group(self) -> bool:
        return self.name.startswith(_GROUPS)


async def scope_books(
    store: Store, partition: Partition, known: Collection[str]
) -> list[ScopeBook]:
    """Of the scopes of a partition: those that are known to be there, and those with holds.

    Raises:
        LedgerUnavailable: the store is away.
    """
    holding = await store.command("HKEYS", partition.scope_holds)
    names = sorted({*known, *map(_scope_of, holding)})
    found: list[ScopeBook] = []
    for start in range(0, len(names), HASHES_MAX):
        found += await _books(store, partition, names[start : start + HASHES_MAX])
    return found


async def _books(store: Store, partition: Partition, names: Sequence[str]) -> list[ScopeBook]:
    keys = {name: partition.scope_account(name) for name in names}
    seen = await snapshot(store, partition, [partition.scope_holds, *keys.values()])
    held: Counter[str] = Counter()
    for member, record in seen.hashes[partition.scope_holds].items():
        amount = record.partition(b"|")[0]
        held[_scope_of(member)] += int(amount) if amount.isdigit() else 0
    cursors = {
        int(name.removeprefix(_CURSOR)): at
        for name, at in seen.cursors.items()
        if name.startswith(_CURSOR)
    }
    return [
        ScopeBook(
            name=name,
            partition=partition.index,
            fields=seen.hashes[key],
            held_pico=held[name],
            cursors=cursors,
        )
        for name, key in keys.items()
    ]


def _scope_of(member: bytes) -> str:
    """``<scope> <request id>``; a group's name may have blanks in it."""
    return member.rpartition(b" ")[0].decode(errors="replace")


def held_differences(books: Iterable[ScopeBook]) -> Iterator[Difference]:
    """Each scope's `held` against the sum of its holds."""
    for book in books:
        held = whole(book.fields, b"held")
        if held != book.held_pico:
            yield Difference(
                finding=Finding.HELD,
                partition=book.partition,
                subject=f"{book.name} held",
                expected=book.held_pico,
                found=held,
            )


def overshoot(books: Iterable[ScopeBook]) -> dict[str, int]:
    """By kind of scope and by cause, as `gateway.audit.check.Sum` names it.

    What passes the limit of a temporary key is not told apart: only its call knows that limit.
    """
    found: Counter[str] = Counter()
    for book in books:
        if book.kind in _WITH_LIMITS:
            for cause in ("settle", "event"):
                over = whole(book.fields, f"over.{cause}".encode())
                found[f"{book.kind}_over_{cause}_pico"] += over
    return dict(found)


class GroupTally:
    """What one partition's events add to groups, as far as their accounts have counted them."""

    def __init__(self, source: int, groups: Mapping[str, ScopeBook]) -> None:
        self.sums: dict[str, Sums] = {}
        self._source = source
        self._groups = groups

    def add(self, at: Position, event: UsageEvent) -> tuple[()]:
        """Take an event in. Nothing is wrong with it: an `Inspection`."""
        if event.group and (event.kind is not Kind.REFUSE or event.hold_pico):
            book = self._groups.get(group_name(event.group))
            if book is not None and at <= book.cursors.get(self._source, BEGINNING):
                self._add(book.name, Sums(event.charge_pico, event.cost_pico))
        return ()

    def add_past(self, past: Iterable[PastDay]) -> None:
        """Events that are gone from the archive too; every cursor has passed them."""
        for day in past:
            if day.group:
                totals = Totals(*day.numbers[: len(Totals._fields)])
                self._add(group_name(day.group), Sums(totals.charge_pico, totals.cost_pico))

    def _add(self, name: str, more: Sums) -> None:
        self.sums[name] = plus(self.sums.get(name, NOTHING), more)


def spent_differences(
    groups: Iterable[ScopeBook], sums: Mapping[str, Sums]
) -> Iterator[Difference]:
    """Each group's account against what all partitions' events add to it."""
    for book in groups:
        spent = sums.get(book.name, NOTHING)
        for finding, subject, expected, found in amounts(book.fields, spent):
            yield Difference(
                finding=finding,
                partition=book.partition,
                subject=f"{book.name} {subject}",
                expected=expected,
                found=found,
            )
