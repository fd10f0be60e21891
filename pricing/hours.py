"""Instants, days and hours as price files write them, in UTC."""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Final

from pricing.card import WEEK_MINUTES
from pricing.fields import shown, text, texts

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_MINUTES: Final = 24 * 60
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_SPAN = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)")


def instant_ms(value: object) -> int:
    """An RFC 3339 text, or what a YAML parser makes of one; UTC where no zone is given."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError as exc:
            raise ValueError(
                f'must be an instant such as "2025-09-29T00:00:00Z", not {value!r}'
            ) from exc
    if isinstance(value, datetime):
        moment = value if value.tzinfo else value.replace(tzinfo=UTC)
        return (moment - EPOCH) // timedelta(milliseconds=1)
    if isinstance(value, date):
        return instant_ms(datetime(value.year, value.month, value.day, tzinfo=UTC))
    raise ValueError(f'must be an instant such as "2025-09-29T00:00:00Z", not {shown(value)}')


def day(value: object) -> str:
    if isinstance(value, date):
        return value.isoformat()[:10]
    try:
        return date.fromisoformat(text(value)).isoformat()
    except ValueError as exc:
        raise ValueError(f"must be a day such as 2025-11-15, not {shown(value)}") from exc


def weekdays(value: object) -> list[int]:
    """``mon-fri`` or ``sat,sun``, as numbers from Monday = 0."""
    numbers: list[int] = []
    for part in text(value).split(","):
        first, _, last = part.strip().partition("-")
        if first not in DAYS or (last and last not in DAYS):
            raise ValueError(f"must be days such as mon-fri or sat,sun, not {value!r}")
        start, end = DAYS.index(first), DAYS.index(last or first)
        numbers += [number % 7 for number in range(start, end + 1 if end >= start else end + 8)]
    return numbers


def spans(value: object) -> list[tuple[int, int]]:
    """``["01:00-04:00"]`` as minutes since midnight, half-open."""
    found_spans = []
    for span in texts(value):
        found = _SPAN.fullmatch(span)
        hours = [int(part) for part in found.groups()] if found else []
        if not hours or hours[2] * 60 + hours[3] > DAY_MINUTES:
            raise ValueError(f"must be spans such as 01:00-04:00, not {span!r}")
        found_spans.append((hours[0] * 60 + hours[1], hours[2] * 60 + hours[3]))
    return found_spans


def week_minutes(day: int, start: int, end: int) -> list[tuple[int, int]]:
    """Minutes since Monday 00:00; a span that ends before it starts runs into the next day."""
    begins = day * DAY_MINUTES + start
    ends = day * DAY_MINUTES + end + (DAY_MINUTES if end <= start else 0)
    if ends <= WEEK_MINUTES:
        return [(begins, ends)]
    return [(begins, WEEK_MINUTES), (0, ends - WEEK_MINUTES)]
