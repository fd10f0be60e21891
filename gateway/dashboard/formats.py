"""How numbers and times look on a page: exact in the tooltip, readable in the text."""

from datetime import UTC, datetime, tzinfo
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

from pricing.money import PICO_PER_USD, usd

NOTHING: Final = "\N{EN DASH}"
MINUS: Final = "\N{MINUS SIGN}"
_FINEST: Final = Decimal("0.000001")
_STEPS: Final = ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "k"))


def money(amount_pico: int | None) -> str:
    """``$1,234.56``; below a dollar up to six digits, and never zero for what is not."""
    if amount_pico is None:
        return NOTHING
    sign, amount = MINUS if amount_pico < 0 else "", Decimal(abs(amount_pico)) / PICO_PER_USD
    if not amount:
        return "$0"
    if amount < _FINEST:
        return f"{sign}<$0.000001"
    if amount >= 1:
        return f"{sign}${amount.quantize(Decimal('0.01'), ROUND_HALF_EVEN):,}"
    cents = amount.quantize(Decimal("0.01"), ROUND_HALF_EVEN)
    if amount == cents:
        return f"{sign}${cents}"
    places = 4 if amount >= Decimal("0.001") else 6
    rounded = amount.quantize(Decimal(1).scaleb(-places), ROUND_HALF_EVEN)
    return f"{sign}$1.00" if rounded == 1 else f"{sign}${rounded:f}"


def padded(amount: str) -> str:
    """An exact decimal with two decimals at least, so that a column of them lines up."""
    whole, _, rest = amount.partition(".")
    return f"{whole}.{rest:0<2}"


def exact(amount_pico: int | None) -> str:
    """All digits, for a tooltip."""
    return "" if amount_pico is None else f"{usd(amount_pico)} USD"


def short_money(amount_pico: int) -> str:
    """For an axis: ``$1.2k``, ``$0.05``."""
    amount = Decimal(amount_pico) / PICO_PER_USD
    if amount >= 1000:
        return f"${compact(int(amount))}"
    if amount >= 10 or amount == amount.to_integral_value():
        return f"${amount.quantize(Decimal(1))}"
    return f"${amount.normalize():f}"


def count(number: int | None) -> str:
    return NOTHING if number is None else f"{number:,}"


def compact(number: float | None) -> str:
    """``12.3k``, ``4.6M``: three digits are enough to compare by. Below ten thousand, all."""
    if number is None:
        return NOTHING
    if abs(number) < 10_000 and number == int(number):
        return f"{number:,.0f}"
    for size, unit in _STEPS:
        if abs(number) >= 0.9995 * size:
            scaled = number / size
            digits = 0 if abs(scaled) >= 99.95 else 1
            return f"{scaled:.{digits}f}".removesuffix(".0") + unit
    return f"{number:,.0f}" if number == int(number) else f"{number:.1f}"


def share(part: float, whole: float) -> float:
    """Percent; 0 of nothing."""
    return 100 * part / whole if whole else 0.0


def percent(value: float | None) -> str:
    if value is None:
        return NOTHING
    if 0 < value < 0.1:
        return "<0.1%"
    if 99.9 < value < 100:
        return ">99.9%"
    return f"{value:.0f}%" if value >= 10 or value == 0 else f"{value:.1f}%"


def duration(ms: float | None) -> str:
    if ms is None:
        return NOTHING
    if ms < 1000:
        return f"{ms:.0f} ms"
    if ms < 60_000:
        return f"{ms / 1000:.1f} s" if ms < 9950 else f"{ms / 1000:.0f} s"
    minutes, seconds = divmod(round(ms / 1000), 60)
    return f"{minutes} min {seconds} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def short_duration(ms: float) -> str:
    """For an axis: ``500 ms``, ``80 s``."""
    return f"{ms:.0f} ms" if 0 < ms < 1000 else f"{ms / 1000:g} s"


def ago(then_ms: int | None, now_ms: int) -> str:
    """``3 min ago``, ``in 4 days``."""
    if then_ms is None:
        return "never"
    seconds = (now_ms - then_ms) // 1000
    if -5 < seconds < 5:
        return "just now"
    text = _length(abs(seconds))
    return f"{text} ago" if seconds >= 0 else f"in {text}"


def _length(seconds: int) -> str:
    for size, unit in ((86_400, "day"), (3600, "h"), (60, "min")):
        if seconds >= size * (1 if unit != "day" else 2):
            number = seconds // size
            return f"{number} days" if unit == "day" else f"{number} {unit}"
    return f"{seconds} s"


def when(at_ms: int | None, zone: tzinfo, form: str = "minute") -> str:
    """On the zone's clock: ``21 Nov 2026, 18:30``."""
    if at_ms is None:
        return NOTHING
    at = datetime.fromtimestamp(at_ms / 1000, zone)
    if form == "day":
        return f"{at.day} {at:%b %Y}"
    if form == "clock":
        return f"{at:%H:%M:%S}"
    if form == "second":
        return f"{at.day} {at:%b %Y, %H:%M:%S}"
    return f"{at.day} {at:%b, %H:%M}" if form == "brief" else f"{at.day} {at:%b %Y, %H:%M}"


def machine(at_ms: int) -> str:
    """For ``<time datetime>``."""
    at = datetime.fromtimestamp(at_ms / 1000, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def initials(name: str) -> str:
    """Of an avatar: the first letters of the first and the last word that have one."""
    words = name.replace("_", " ").replace("-", " ").replace("/", " ").split()
    letters = [next((c for c in word if c.isalnum()), "") for word in words]
    found = [letter for letter in letters if letter]
    return (found[0] + (found[-1] if len(found) > 1 else "")).upper() if found else "?"
