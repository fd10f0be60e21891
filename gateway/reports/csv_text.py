"""Tables as CSV (RFC 4180), safe to open in a spreadsheet.

Identifiers, names and models are the callers' own words, and a spreadsheet runs a text that
begins like a formula. Such a text gets an apostrophe before it; so does what begins like one
behind a semicolon or a tab, with which cells begin where a comma is the decimal point. Numbers
are left as they are.
"""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Final

Cell = str | int | float | Decimal | bool | None
Row = Sequence[Cell]

_SIGNS: Final = "=+\\-@\u2212\ufe62\ufe63\ufe66\ufe6b\uff0b\uff0d\uff1d\uff20"
"""What formulas begin with, also in the widths that spreadsheets take for the same."""

_UNSEEN: Final = (
    r"\s\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
)
"""What may stand before a sign and is skipped, or not shown."""

_FORMULA: Final = re.compile(f"(^|[;\t\r\n])([{_UNSEEN}]*[{_SIGNS}])|^(?=[\t\r\n])")
_NUMBER: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?")


def csv_text(rows: Iterable[Row]) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerows([_written(cell) for cell in row] for row in rows)
    return text.getvalue()


def harmless(text: str) -> str:
    """A text that a spreadsheet shows as it is, but for apostrophes where it would run it."""
    if text.isalnum() or _NUMBER.fullmatch(text):
        return text
    return _FORMULA.sub(r"\1'\2", text)


def _written(cell: Cell) -> str:
    if cell is None:
        return ""
    if isinstance(cell, str):
        return harmless(cell)
    if isinstance(cell, Decimal):
        return f"{cell:f}"
    if isinstance(cell, bool):
        return "true" if cell else "false"
    return str(cell)
