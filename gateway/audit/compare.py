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
from gateway.metering.window_sums import InWindows

_NO_DAY: Final = DayTotals()
_WHOLE: Final = re.compile(rb"-?\d+")
_IDS: Final = re.compile(rb"\d+( \d+){5}")
"""As the scripts read an account's `windows`."""

_NO_IDS: Final = b"0 0 0 0 0 0"


def account(
    partition: int,
    number: int,
    fields: Fields,
    *,
    spent: Sums,
    in_windows: InWindows,
    held_pico: int,
) -> Iterator[Difference]:
    """An account against its events and its holds."""
    held = whole(fields, b"held")
    found = [*_totals(fields, spent), *_unopened(fields), *_windows(fields, spent, in_windows)]
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
    for subject, expected, opened in _opened(fields, in_windows):
        yield Difference(
            finding=Finding.WINDOW,
            partition=partition,
            customer_number=number,
            subject=subject,
            expected=expected,
            found=opened,
            unit=Unit.COUNT,
        )


_Found = tuple[Finding, str, int, int]
"""Field, expected, found."""


def amounts(fields: Fields, spent: Sums) -> Iterator[_Found]:
    """What a scope's account has spent, in all and in its windows.

    Whose events come from many streams, in an order that nobody keeps: of its windows only
    what cannot be is found.
    """
    yield from _totals(fields, spent)
    yield from _unopened(fields)
    for kind in KINDS:
        yield from _plausible(fields, kind)


def _totals(fields: Fields, spent: Sums) -> Iterator[_Found]:
    for name, expected in zip(("spent", "cost", "credit"), spent, strict=True):
        if (found := whole(fields, name.encode())) != expected:
            yield Finding.SPENT, name, expected, found


def _unopened(fields: Fields) -> Iterator[_Found]:
    """Whoever has spent has windows."""
    totals = {"charge": whole(fields, b"spent"), "cost": whole(fields, b"cost")}
    if not _IDS.fullmatch(fields.get(b"windows", b"")) and any(totals.values()):
        yield Finding.WINDOW, "windows", totals["charge"], 0


def _opened_ids(fields: Fields) -> list[int]:
    """Of the open windows, in the order of `KINDS`, then the end of the custom one."""
    text = fields.get(b"windows", b"")
    return list(map(int, (text if _IDS.fullmatch(text) else _NO_IDS).split()))


def _opened(fields: Fields, said: InWindows) -> Iterator[tuple[str, int, int]]:
    """The open windows against the latest that events name: which, expected id, found id.

    Others may be open that had begun before all events named theirs.
    """
    if not _IDS.fullmatch(fields.get(b"windows", b"")):
        return  # that is found as such
    *ids, custom_end = _opened_ids(fields)
    for kind, window, opened in zip(KINDS, said.windows, ids, strict=True):
        if opened != window.id and _is_exact(fields, said, kind, max(opened, window.id)):
            yield f"windows {kind}", window.id, opened
    is_known = ids[-1] == said.custom.id and _is_exact(fields, said, CUSTOM, ids[-1])
    if is_known and custom_end != said.custom_end:
        yield "windows custom end", said.custom_end, custom_end


def _windows(fields: Fields, spent: Sums, said: InWindows) -> Iterator[_Found]:
    """What of the totals lies outside each window: all but what events name it for."""
    for kind, window, opened in zip(KINDS, said.windows, _opened_ids(fields), strict=False):
        if window.id != opened or not _is_exact(fields, said, kind, opened):
            yield from _plausible(fields, kind)
            continue
        for amount, total, inside in zip(("charge", "cost"), spent, window[1:], strict=False):
            name = f"{kind}.past.{amount}"
            outside, expected = whole(fields, name.encode()), total - inside
            if not _is_whole(fields, name):
                yield Finding.WINDOW, name, total, 0
            elif outside != expected:
                yield Finding.WINDOW, name, expected, outside


def _is_exact(fields: Fields, said: InWindows, kind: str, window_id: int) -> bool:
    """Whether events tell all that counts in that window.

    It began after the last that names no windows; a custom one after management last had it
    begin afresh, which no event tells.
    """
    reset_ms = whole(fields, b"custom.reset") if kind == CUSTOM else 0
    return window_id * 1_000 > max(said.unknown_until_ms, reset_ms)


def _plausible(fields: Fields, kind: str) -> Iterator[_Found]:
    """Outside a window lies not less than nothing, nor more than all.

    A correction has what it corrects before it, and where that does not count, neither does
    the correction. But a custom window may have begun afresh in between.
    """
    for amount, field in (("charge", b"spent"), ("cost", b"cost")):
        name, total = f"{kind}.past.{amount}", whole(fields, field)
        outside = whole(fields, name.encode())
        if not _is_whole(fields, name):
            yield Finding.WINDOW, name, total, 0
        elif outside < 0:
            yield Finding.WINDOW, name, 0, outside
        elif outside > total and kind != CUSTOM:
            yield Finding.WINDOW, name, total, outside


def _is_whole(fields: Fields, name: str) -> bool:
    return bool(_WHOLE.fullmatch(fields.get(name.encode(), b"0")))


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
    yield from _unreadable(partition, number, fields)
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
    yield from _unreadable(partition, number, fields)
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


def _unreadable(partition: int, number: int, fields: Fields) -> Iterator[Difference]:
    """What is no number keeps the flusher from counting the customer, whatever it stands for."""
    for name in LIFETIME_FIELDS:
        if not _is_whole(fields, name):
            subject = f"{name} that can be read"
            yield _counter(partition, number, subject, 1, 0)


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
