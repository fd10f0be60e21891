"""Where the books differ from the events. Pure: each function compares one kind of thing."""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import date
from typing import Final

from gateway.audit.differences import Difference, Finding, Unit
from gateway.audit.history import Counted
from gateway.audit.snapshot import Fields, Snapshot
from gateway.audit.tally import Sums
from gateway.customers.windows import CUSTOM, KINDS
from gateway.metering.counters import LIFETIME_FIELDS, read_lifetime
from gateway.metering.totals import DayTotals, Lifetime, Totals, unpack

_NO_DAY: Final = DayTotals()
_WHOLE: Final = re.compile(rb"-?\d+")
_IDS: Final = re.compile(rb"\d+( \d+){5}")
"""As the scripts read an account's `windows`."""


def account(
    partition: int, number: int, fields: Fields, spent: Sums, held_pico: int
) -> Iterator[Difference]:
    """An account against its events and its holds."""
    held = whole(fields, b"held")
    found = [*amounts(fields, spent)]
    if held != held_pico:
        found.append((Finding.HELD, "held", held_pico, held))
    for finding, subject, expected, amount in found:
        yield Difference(
            finding=finding,
            partition=partition,
            customer_number=number,
            subject=subject,
            expected=expected,
            found=amount,
        )


def amounts(fields: Fields, spent: Sums) -> Iterator[tuple[Finding, str, int, int]]:
    """What an account has spent, in all and in its windows: field, expected, found."""
    for name, expected in zip(("spent", "cost", "credit"), spent, strict=True):
        if (found := whole(fields, name.encode())) != expected:
            yield Finding.SPENT, name, expected, found
    yield from _windows(fields)


def _windows(fields: Fields) -> Iterator[tuple[Finding, str, int, int]]:
    """How much of the totals lies outside each window: not less than nothing, nor more than all.

    A correction has what it corrects before it, and where that does not count, neither does
    the correction. But a custom window may have begun afresh in between.
    """
    totals = {"charge": whole(fields, b"spent"), "cost": whole(fields, b"cost")}
    if not _IDS.fullmatch(fields.get(b"windows", b"")) and any(totals.values()):
        yield Finding.WINDOW, "windows", totals["charge"], 0
    for kind in KINDS:
        for amount, total in totals.items():
            name = f"{kind}.past.{amount}"
            outside = whole(fields, name.encode())
            if not _WHOLE.fullmatch(fields.get(name.encode(), b"0")):
                yield Finding.WINDOW, name, total, 0
            elif outside < 0:
                yield Finding.WINDOW, name, 0, outside
            elif outside > total and kind != CUSTOM:
                yield Finding.WINDOW, name, total, outside


def leases(partition: int, seen: Snapshot) -> Iterator[Difference]:
    """Every hold has a lease, every lease a hold, and every record can be read."""
    unreadable = [hold.request_id for hold in seen.holds if hold.number is None]
    for finding, ids in (
        (Finding.HOLD_WITHOUT_EXPIRY, seen.no_lease),
        (Finding.EXPIRY_WITHOUT_HOLD, seen.no_hold),
        (Finding.HOLD_UNREADABLE, unreadable),
    ):
        for request_id in ids:
            expected, found = (1, 0) if finding is Finding.HOLD_WITHOUT_EXPIRY else (0, 1)
            yield Difference(
                finding=finding,
                partition=partition,
                subject=request_id,
                expected=expected,
                found=found,
                unit=Unit.COUNT,
            )


def endings(partition: int, twice: Mapping[str, tuple[int, int]]) -> Iterator[Difference]:
    """Each request id has one event that ends it."""
    for request_id, (number, times) in twice.items():
        yield Difference(
            finding=Finding.ENDED_TWICE,
            partition=partition,
            customer_number=number or None,
            subject=request_id,
            expected=1,
            found=times,
            unit=Unit.COUNT,
        )


def money_counters(
    partition: int, number: int, fields: Fields, counted: Sums
) -> Iterator[Difference]:
    """The counters that a checkpoint has too, so that no history is needed."""
    for name, expected in counted._asdict().items():
        if (found := whole(fields, name.encode())) != expected:
            yield _counter(partition, number, name, expected, found)


def counters(
    partition: int,
    number: int,
    fields: Fields,
    days: Mapping[date, DayTotals],
    counted: Counted,
) -> Iterator[Difference]:
    """All counters of a customer: its life, and each of its days."""
    stored = lifetime_of(fields)
    truth = counted.lifetime
    pairs = dict(zip(Totals._fields, zip(truth.totals, stored.totals, strict=True), strict=True))
    for name in ("first_seen_ms", "last_seen_ms", "active_days"):
        pairs[name] = (getattr(truth, name) or 0, getattr(stored, name) or 0)
    for name, (expected, found) in pairs.items():
        if expected != found:
            yield _counter(partition, number, name, expected, found)
    for day in sorted({*days, *counted.days}):
        of_day = zip(
            DayTotals._fields,
            counted.days.get(day, _NO_DAY),
            days.get(day, _NO_DAY),
            strict=True,
        )
        for name, expected, found in of_day:
            if expected != found:
                yield _counter(partition, number, f"{day} {name}", expected, found)


def lifetime_of(fields: Fields) -> Lifetime:
    names = (name.encode() for name in LIFETIME_FIELDS)
    return read_lifetime([str(whole(fields, name)).encode() for name in names])


def days_of(month: str, fields: Fields) -> dict[date, DayTotals]:
    """The days in one hash ``{p}cd:<number>:<yyyymm>``; what is no day counts as nothing."""
    found = {}
    for day, text in fields.items():
        with suppress(ValueError):
            found[date(int(month[:4]), int(month[4:]), int(day))] = unpack(text)
    return found


def whole(fields: Fields, name: bytes) -> int:
    """What is no number counts as nothing, and so differs."""
    try:
        return int(fields.get(name) or 0)
    except ValueError:
        return 0


def _counter(partition: int, number: int, subject: str, expected: int, found: int) -> Difference:
    return Difference(
        finding=Finding.COUNTER,
        partition=partition,
        customer_number=number,
        subject=subject,
        expected=expected,
        found=found,
        unit=Unit.USD if subject.endswith("_pico") else Unit.COUNT,
    )
