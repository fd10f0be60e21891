"""`farebox ledger verify` and `rebuild`: do the books add up, and put the counters right.

Beside a running gateway or without one: the embedded store is used where it runs, and
started for the while where it does not.
"""

import json
import random
from collections.abc import Callable, Iterator
from typing import Any, Final

import click

from gateway.audit.check import Check
from gateway.audit.differences import Difference, Finding, Unit, drift_pico
from gateway.audit.report import Report
from gateway.audit.walk import rebuild as rebuild_all
from gateway.audit.walk import verify as verify_all
from gateway.cli.beside import has_archive, walked
from gateway.cli.fatal import Fatal
from gateway.config import Config
from gateway.parts import Parts
from pricing.money import usd

CLEAN, DIFFERENT, UNCHECKED = 0, 1, 2

SHOWN_MAX: Final = 100
"""Differences on the screen; `--json` has them all."""

_MEANINGS: Final = {
    Finding.SPENT: "what was spent is not the sum of the events",
    Finding.WINDOW: "a window is not what the events that name it add up to",
    Finding.HELD: "what is held is not the sum of the holds",
    Finding.HOLD_WITHOUT_EXPIRY: "a hold that never expires",
    Finding.EXPIRY_WITHOUT_HOLD: "a lease of a hold that is not there",
    Finding.HOLD_UNREADABLE: "a hold that cannot be read",
    Finding.COUNTER: "a counter is not what the events add up to",
    Finding.ENDED_TWICE: "a call that ended more than once",
    Finding.PRICE: "an amount that its tokens do not cost",
    Finding.ROSTER: "the users list says otherwise",
    Finding.ARCHIVE: "the archive says otherwise",
}


def verify(config: Config, *, full: bool, as_json: bool) -> int:
    """Check everything, and print what was found; returns the exit code.

    Args:
        full: With the archive: all that has ever been, not only what is in the streams.

    Raises:
        Fatal, StoreError, WrongPartitions: it could not be checked.
    """

    async def checked(parts: Parts, progress: Callable[[float], None]) -> Report:
        check = Check(
            parts.store,
            zone=parts.zone,
            rating=parts.rating,
            archive=parts.archive if full else None,
        )
        return await verify_all(parts.store, check, progress=progress)

    if full and not has_archive(config):
        raise Fatal(f"there is no archive in data_dir {config.data_dir}: leave --full out")
    report = walked(config, "Checking the books", checked, archive=full)
    click.echo(_json(report.to_json()) if as_json else "\n".join(_verified(report)))
    if report.found:
        return DIFFERENT
    return CLEAN if report.complete else UNCHECKED


def rebuild(config: Config, *, dry: bool, as_json: bool) -> int:
    """Write counters anew where they differ, and print which; returns the exit code.

    Raises:
        Fatal, StoreError, WrongPartitions: as `verify`; what was not mended is as it was.
    """

    async def mended(parts: Parts, progress: Callable[[float], None]) -> Report:
        chance = random.Random()  # noqa: S311 - to keep out of the flusher's step
        return await rebuild_all(
            parts.store,
            archive=parts.archive if archive else None,
            zone=parts.zone,
            chance=chance,
            dry=dry,
            progress=progress,
        )

    archive = has_archive(config)
    report = walked(config, "Rebuilding the counters", mended, archive=archive)
    done = {"dry_run": dry, **report.to_json()}
    click.echo(_json(done) if as_json else "\n".join(_rebuilt(report, dry=dry)))
    if report.unread or report.partial:
        return UNCHECKED
    return DIFFERENT if report.busy or (dry and report.found) else CLEAN


def _verified(report: Report) -> Iterator[str]:
    yield _seen("Checked", report)
    if report.partial:
        yield (
            f"Of {len(report.partial)} partitions only charges and costs were compared with the"
            " counters: their oldest events are in the archive (--full)."
        )
    yield from _unread(report)
    if report.ok and report.complete:
        yield "Every balance is the sum of its events, every counter their fold."
    yield from _listed(report)


def _rebuilt(report: Report, *, dry: bool) -> Iterator[str]:
    yield _seen("Folded", report)
    if report.partial:
        yield (
            f"{len(report.partial)} partitions were left as they are: their oldest events are"
            " in the archive, which is not in this data_dir."
        )
    yield from _unread(report)
    yield from _listed(report)
    if report.busy:
        yield (
            f"{len(report.busy)} customers were too busy to be mended: run it again at a quieter"
            " hour."
        )
    wrong = {(d.partition, d.customer_number) for d in report.differences}
    mended = len(wrong) - len(report.busy)
    would = "would be" if dry else "were"
    if not dry:
        yield f"The users list was written anew: {report.listed:,} rows."
    yield f"Counters of {mended} customers {would} written anew. Balances are never touched."


def _seen(verb: str, report: Report) -> str:
    return (
        f"{verb} {report.partitions} partitions, {report.customers:,} customers, "
        f"{report.events:,} live events."
    )


def _unread(report: Report) -> Iterator[str]:
    if report.unread:
        names = ", ".join(map(str, report.unread))
        yield f"Could not be read: partitions {names}. Why, it says above; try again."


def _listed(report: Report) -> Iterator[str]:
    if not report.found:
        return
    money = usd(drift_pico(report.differences))
    yield f"{report.found:,} differences, {money} USD in all:"
    for difference in report.differences[:SHOWN_MAX]:
        yield "  " + _line(difference)
    if report.found > SHOWN_MAX:
        yield f"  … and {report.found - SHOWN_MAX:,} more; --json has the first 10,000"


def _line(difference: Difference) -> str:
    shown = difference.to_json()
    unit = " USD" if difference.unit is Unit.USD else ""
    who = difference.customer or difference.customer_number or "-"
    return (
        f"{difference.finding.value}: {who} (partition {difference.partition}): "
        f"{difference.subject} is {shown['found']}{unit}, should be {shown['expected']}{unit}: "
        f"{_MEANINGS[difference.finding]}"
    )


def _json(content: Any) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False)
