"""Instants as callers write them: RFC 3339, and where a span is asked for, a bare date."""

import re
from datetime import UTC, datetime, time, tzinfo
from typing import Final

from gateway.store.archive.days import day_start_ms

NOON: Final = time(12, tzinfo=UTC)

_RFC3339: Final = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_YEARS: Final = range(1971, 9000)


def instant(text: str) -> int:
    """RFC 3339 -> Unix ms.

    Raises:
        ValueError: says what is expected.
    """
    if not _RFC3339.fullmatch(text):
        raise ValueError("must be a time with its zone, like 2026-11-21T18:30:00Z")
    return _ms(_parsed(text))


def moment(text: str, zone: tzinfo) -> int:
    """An instant, or a date, which is its first moment in `zone`; Unix ms.

    A ``+`` that was not percent-encoded arrives in a query as a blank.

    Raises:
        ValueError: says what is expected.
    """
    if _DATE.fullmatch(text):
        return day_start_ms(_parsed(text).date(), zone)
    unblanked = f"{text[:-6]}+{text[-5:]}" if text[-6:-5] == " " else text
    if not _RFC3339.fullmatch(unblanked):
        raise ValueError("must be a date like 2026-11-21, or a time like 2026-11-21T18:30:00Z")
    return instant(unblanked)


def instant_or_noon(text: str) -> int:
    """An instant, or a day, which is its noon in UTC: when a price of that day is in force.

    A ``+`` that was not percent-encoded arrives in a query as a blank.

    Raises:
        ValueError: says what is expected.
    """
    if _DATE.fullmatch(text):
        return _ms(datetime.combine(_parsed(text), NOON))
    return moment(text, UTC)


def _parsed(text: str) -> datetime:
    try:
        parsed = datetime.fromisoformat(text.upper())
    except ValueError as exc:
        raise ValueError("must be a time that exists, like 2026-11-21T18:30:00Z") from exc
    if parsed.year not in _YEARS:
        raise ValueError("must lie between the years 1971 and 8999")
    return parsed


def _ms(when: datetime) -> int:
    """Whole milliseconds, cut; without a float in between."""
    return int(when.timestamp() // 1) * 1000 + when.microsecond // 1000
