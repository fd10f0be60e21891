"""Which span a query asks about: from, to, granularity, and in whose days."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta, tzinfo
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gateway.api.answers import InvalidFields
from gateway.api.query import Query
from gateway.api.times import moment
from gateway.reports import Granularity, Span, SpanTooLong
from gateway.store.archive.days import day_start_ms

DAYS: Final = 30
"""What is shown when no `from` is given: so many days, the last one included."""

PARAMETERS: Final = ("from", "to", "granularity", "timezone")
_GRANULARITIES: Final[Mapping[str, Granularity]] = {g.value: g for g in Granularity}


def span_of(query: Query, zone: tzinfo, now_ms: int) -> Span:
    """The half-open span.

    Args:
        zone: In which days begin where the query names none.

    Raises:
        InvalidFields: names the parameter at fault.
    """
    own_zone: tzinfo = query.get("timezone", _zone) or zone
    end_ms = query.get("to", lambda text: moment(text, own_zone))
    until_ms = now_ms + 1 if end_ms is None else end_ms
    start_ms = query.get("from", lambda text: moment(text, own_zone))
    if start_ms is None:
        start_ms = day_start_ms(_day(until_ms - 1, own_zone) - timedelta(days=DAYS - 1), own_zone)
    if start_ms > until_ms:
        raise InvalidFields({"from": "from must not be after to."})
    try:
        return Span(
            start_ms=start_ms,
            end_ms=until_ms,
            zone=own_zone,
            granularity=query.choice("granularity", _GRANULARITIES) or Granularity.DAY,
            goes_on=end_ms is None,
        )
    except SpanTooLong as exc:
        raise InvalidFields({"from": f"The span {exc}."}) from exc


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("must be an IANA time zone, like Europe/Berlin") from None


def _day(at_ms: int, zone: tzinfo) -> date:
    return datetime.fromtimestamp(at_ms // 1000, zone).date()
