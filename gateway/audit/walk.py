"""A whole store: every partition checked, or its counters rebuilt, one after the other."""

import random
from collections.abc import Callable, Iterator, Mapping
from datetime import tzinfo
from typing import Final

from redis.exceptions import ResponseError

from gateway.audit.archived import Retired, archived
from gateway.audit.check import TRIES_MAX, Check
from gateway.audit.differences import DIFFERENCES_MAX
from gateway.audit.entries import Trimmed
from gateway.audit.reading import Reading
from gateway.audit.rebuild import Mended, Rebuild
from gateway.audit.report import Report
from gateway.audit.roster import roster_differences, write_roster
from gateway.audit.scopes import ScopeBook, scope_books, spent_differences
from gateway.audit.snapshot import BEGINNING, snapshot
from gateway.audit.survey import Known, survey
from gateway.audit.tally import NOTHING, Sums, plus
from gateway.store.archive import Archive
from gateway.store.client import Store
from gateway.store.keys import Partition

SURVEY_SHARE: Final = 0.1
"""Of the progress that is shown: the walk through the keys."""

Progress = Callable[[float], None]


async def verify(store: Store, check: Check, *, progress: Progress) -> Report:
    """Compare everything; `progress` is told the share done, 0 to 1.

    Raises:
        LedgerUnavailable: the store is away.
    """
    known = await survey(store, counters=True, progress=lambda x: progress(x * SURVEY_SHARE))
    report = Report(await store.time_ms(store.keyspace.partitions[0]))
    groups = await _groups(store, known)
    sums: dict[str, Sums] = {}
    for partition in _each(store, progress):
        report.partitions += 1
        try:
            checked = await check.run(partition, known[partition.index], groups)
        except (Trimmed, Retired, ResponseError) as exc:
            report.miss(partition.index, exc)
            continue
        report.customers += checked.customers
        report.events += checked.events
        report.add(checked.differences, checked.found)
        if not checked.all_counters:
            report.partial.append(partition.index)
        for name, more in checked.groups.items():
            sums[name] = plus(sums.get(name, NOTHING), more)
    wrong = await roster_differences(store)
    report.add(wrong[:DIFFERENCES_MAX], len(wrong))
    if not report.partial and report.complete:
        wrong = list(spent_differences(groups.values(), sums))
        report.add(wrong, len(wrong))
    return report


async def _groups(store: Store, known: Mapping[int, Known]) -> dict[str, ScopeBook]:
    """Before anything is read: each as far as it had counted by then."""
    found = {}
    for partition in store.keyspace.partitions:
        if partition.index in known:
            for book in await scope_books(store, partition, known[partition.index].scopes):
                if book.is_group:
                    found[book.name] = book
    return found


async def rebuild(
    store: Store,
    *,
    archive: Archive | None,
    zone: tzinfo,
    chance: random.Random,
    dry: bool,
    progress: Progress,
) -> Report:
    """Mend every customer's counters, and write the users list anew.

    What differed in the counters is in the report.

    A partition that was trimmed needs the archive; without it it is left as it is, and is
    in `partial`.

    Raises:
        LedgerUnavailable: the store is away; what was not mended is as it was.
    """
    known = await survey(store, counters=True, progress=lambda x: progress(x * SURVEY_SHARE))
    report = Report(await store.time_ms(store.keyspace.partitions[0]))
    for partition in _each(store, progress):
        report.partitions += 1
        try:
            mended, events = await _mend(
                store,
                partition,
                known[partition.index],
                archive=archive,
                zone=zone,
                chance=chance,
                dry=dry,
            )
        except (Trimmed, Retired, ResponseError) as exc:
            report.miss(partition.index, exc)
            continue
        if mended is None:
            report.partial.append(partition.index)
            continue
        report.customers += mended.customers
        report.events += events
        report.add(mended.differences, len(mended.differences))
        report.busy += mended.busy
    if not dry:
        report.listed = await write_roster(store)
    return report


async def _mend(
    store: Store,
    partition: Partition,
    known: Known,
    *,
    archive: Archive | None,
    zone: tzinfo,
    chance: random.Random,
    dry: bool,
) -> tuple[Mended | None, int]:
    for tries in range(1, TRIES_MAX + 1):
        first = await snapshot(store, partition, checkpoints=True)
        before = None
        if archive is not None and (trimmed := first.cursor("trim")) != BEGINNING:
            before = (await archived(archive, partition.index, trimmed, zone)).before
        reading = Reading(store, partition, first, zone=zone, before=before)
        if reading.history is None:
            return None, 0
        try:
            await reading.read_to(first.last)
            numbers = reading.numbers(known, first)
            done = await Rebuild(store, reading, known, chance, dry=dry).run(numbers)
        except Trimmed:
            if tries == TRIES_MAX:
                raise
        else:
            return done, reading.tally.events
    raise AssertionError


def _each(store: Store, progress: Progress) -> Iterator[Partition]:
    partitions = store.keyspace.partitions
    for done, partition in enumerate(partitions):
        progress(SURVEY_SHARE + (1 - SURVEY_SHARE) * done / len(partitions))
        yield partition
    progress(1.0)
