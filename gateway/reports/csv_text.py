"""Tables as CSV (RFC 4180), safe to open in a spreadsheet.

A text that a spreadsheet would run as a formula gets an apostrophe before it: identifiers
and models are the callers' own words. Numbers are left as they are.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Final

Cell = str | int | float | Decimal | bool | None
Row = Sequence[Cell]

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")


def csv_text(rows: Iterable[Row]) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerows([_written(cell) for cell in row] for row in rows)
    return text.getvalue()


def _written(cell: Cell) -> str:
    if cell is None:
        return ""
    if isinstance(cell, str):
        return f"'{cell}" if cell.startswith(_FORMULA) else cell
    if isinstance(cell, Decimal):
        return f"{cell:f}"
    if isinstance(cell, bool):
        return "true" if cell else "false"
    return str(cell)
