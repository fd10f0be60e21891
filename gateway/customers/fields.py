"""What may be said about a customer: one parser a field, for calls and management alike.

A parser takes a JSON value and gives the canonical one, or raises ValueError with a
message that says what is expected. Two classes of fields differ in what a fault means to
a *call*: a faulty limit refuses it (a limit is never silently ignored), a faulty profile
field is dropped with a warning (it never fails a paid call).
"""

import difflib
import unicodedata
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time
from decimal import ROUND_DOWN, Decimal
from typing import Any, Final, NamedTuple

import orjson

from gateway.customers.windows import Duration
from pricing.money import pico_usd

TEXT_CHARACTERS_MAX: Final = 256
METADATA_BYTES_MAX: Final = 4096
BUDGET_USD_MAX: Final = 9_000_000
RATE_LIMIT_MAX: Final = 1_000_000
MARKUP_PERCENT_MAX: Final = 100_000

Canonical = str | int | bool | dict[str, Any] | None


class Field(NamedTuple):
    """One field of a customer.

    `parse` is never given null; what null means is up to the interface.
    """

    parse: Callable[[Any], Canonical]
    is_limit: bool


def identifier(value: object) -> str:
    """Canonical customer identifier: 1-256 characters, NFC, no control characters."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError("must be a string or an integer")
    text = unicodedata.normalize("NFC", str(value))
    if not text.strip():
        raise ValueError("must not be empty")
    if len(text) > TEXT_CHARACTERS_MAX:
        raise ValueError(f"must have at most {TEXT_CHARACTERS_MAX} characters, has {len(text)}")
    if not text.isprintable() and any(unicodedata.category(c) in _CONTROLS for c in text):
        raise ValueError("must not contain control characters")
    if text.startswith("~"):
        raise ValueError("must not start with '~', which is reserved")
    if text.lstrip()[0] in "{[":
        raise ValueError("must be a plain identifier, not JSON")
    return text


def text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("must be a string")
    normal = unicodedata.normalize("NFC", value)
    if len(normal) > TEXT_CHARACTERS_MAX:
        raise ValueError(f"must have at most {TEXT_CHARACTERS_MAX} characters")
    if not is_unicode(normal):
        raise ValueError("must be valid Unicode")
    if "\0" in normal:  # the scripts take it for "remove this field"
        raise ValueError("must not contain NUL")
    return normal


def email(value: object) -> str:
    address = text(value)
    local, at, domain = address.rpartition("@")
    if not (at and local and "." in domain) or any(c.isspace() for c in address):
        raise ValueError("must be an email address")
    return address


def metadata(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("must be an object")
    try:
        size = len(orjson.dumps(value))
    except orjson.JSONEncodeError as exc:  # a TypeError: lone surrogates, integers above 64 bits
        raise ValueError("must be plain JSON, with integers of at most 64 bits") from exc
    if size > METADATA_BYTES_MAX:
        raise ValueError(f"must be at most {METADATA_BYTES_MAX} bytes of JSON")
    return value


def budget(value: object) -> int:
    """USD, a number or decimal string -> pico-USD. A float counts as it is written.

    What a float has below a pico-dollar is the noise of an addition (0.1 + 0.2), and is cut.
    """
    amount = _decimal(value)
    if amount < 0:
        raise ValueError("must not be negative")
    if amount > BUDGET_USD_MAX:
        raise ValueError(f"must be at most {BUDGET_USD_MAX:,} USD")
    if isinstance(value, float) and amount >= _PICO:
        amount = amount.quantize(_PICO, rounding=ROUND_DOWN)
    return pico_usd(amount)


def credit(value: object) -> int:
    """USD, signed, a number or decimal string -> pico-USD; as `budget`."""
    amount = _decimal(value)
    if not amount:
        raise ValueError("must not be zero")
    pico = budget(float(abs(amount)) if isinstance(value, float) else abs(amount))
    return pico if amount > 0 else -pico


def markup(value: object) -> int:
    """Percent, at most four decimals -> parts per million."""
    percent = _decimal(value)
    if not 0 <= percent <= MARKUP_PERCENT_MAX:
        raise ValueError(f"must be between 0 and {MARKUP_PERCENT_MAX:,}")
    ppm = percent * 10_000
    if ppm != ppm.to_integral_value():
        raise ValueError("must have at most four decimals")
    return int(ppm)


def rate_limit(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("must be a whole number of calls per minute")
    if not 1 <= value <= RATE_LIMIT_MAX:
        raise ValueError(f"must be between 1 and {RATE_LIMIT_MAX:,}")
    return value


def duration(value: object) -> str:
    if value not in tuple(Duration):
        raise ValueError("must be one of " + ", ".join(Duration))
    return str(value)


def moment(value: object) -> str:
    """A date or datetime, ISO 8601; kept as text, since its zone is the configuration's.

    Spellings of one moment become one text: another spelling is no other anchor.
    """
    if not isinstance(value, str):
        raise ValueError("must be a date or datetime, like 2026-11-01")
    try:
        parsed: date = date.fromisoformat(value) if len(value) == 10 else _datetime(value)
    except ValueError as exc:
        raise ValueError("must be a date or datetime, like 2026-11-01") from exc
    if not 1970 < parsed.year < 9000:
        raise ValueError("must lie between the years 1971 and 8999")
    if not isinstance(parsed, datetime) or (parsed.tzinfo is None and parsed.time() == time()):
        return date(parsed.year, parsed.month, parsed.day).isoformat()
    if parsed.tzinfo is None:
        return parsed.isoformat()
    return parsed.astimezone(UTC).isoformat().replace("+00:00", "Z")


def flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


FIELDS: Final[Mapping[str, Field]] = {
    "name": Field(text, is_limit=False),
    "email": Field(email, is_limit=False),
    "metadata": Field(metadata, is_limit=False),
    "group_identifier": Field(identifier, is_limit=True),
    "period_budget": Field(budget, is_limit=True),
    "total_budget": Field(budget, is_limit=True),
    "budget_duration": Field(duration, is_limit=True),
    "period_start": Field(moment, is_limit=True),
    "period_end": Field(moment, is_limit=True),
    "markup_percentage": Field(markup, is_limit=True),
    "rate_limit": Field(rate_limit, is_limit=True),
}
"""What `customer_params` may carry beside `customer_identifier`; management may also block."""

PROFILE_FIELDS: Final = frozenset(name for name, field in FIELDS.items() if not field.is_limit)


def is_unicode(text: str) -> bool:
    """Whether it can be written at all: no lone surrogates, which JSON's escapes can spell."""
    return not any("\ud800" <= c <= "\udfff" for c in text)


def resembling(name: str) -> str | None:
    """The field that an unknown `name` was probably meant to be."""
    known = ["customer_identifier", *FIELDS]
    close = difflib.get_close_matches(name.lower().replace("-", "_"), known, n=1, cutoff=0.8)
    return close[0] if close else None


_PICO: Final = Decimal("1e-12")
_CONTROLS: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})


def _datetime(value: str) -> datetime:
    return datetime.fromisoformat(value)


def _decimal(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise ValueError("must be a number or a decimal string")
    written = str(value).strip()
    # Decimal reads "1_0" and other scripts' digits, too: a limit is no place to be generous.
    if "_" in written or not written.isascii():
        raise ValueError("must be a number or a decimal string")
    try:
        number = Decimal(written)
    except ArithmeticError as exc:
        raise ValueError("must be a number or a decimal string") from exc
    if not number.is_finite():
        raise ValueError("must be a finite number")
    return number
