"""Twins: what a page shows as a file, for spreadsheets (CSV) and programs (JSON).

Money in them is exact, as decimal strings; times are RFC 3339, in UTC.
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import orjson
from starlette.responses import Response

from gateway.clock import rfc3339
from pricing.money import usd

ROWS_MAX: Final = 10_000

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
_HEADERS: Final = {"cache-control": "no-store", "x-content-type-options": "nosniff"}

Row = Mapping[str, Any]


def twin(kind: str, name: str, rows: Iterable[Row], columns: Sequence[str]) -> Response:
    """A file to be saved.

    Args:
        kind: ``csv`` or ``json``.
        name: Of the file, without its ending.
    """
    headers = {**_HEADERS, "content-disposition": f'attachment; filename="{name}.{kind}"'}
    if kind == "json":
        return Response(orjson.dumps({"data": list(rows)}), 200, headers, "application/json")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([cell(row[column]) for column in columns])
    return Response(text.getvalue(), 200, headers, "text/csv")


def cell(value: object) -> str:
    """A cell that a spreadsheet takes for text, whatever a customer is called."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    text = str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def amount(pico: int | None) -> str | None:
    return None if pico is None else usd(pico)


def instant(at_ms: int | None) -> str | None:
    return None if at_ms is None else rfc3339(at_ms)
