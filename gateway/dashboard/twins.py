"""Twins: what a page shows as a file, for spreadsheets (CSV) and programs (JSON).

Money in them is exact, as decimal strings; times are RFC 3339, in UTC.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import orjson
from starlette.responses import Response

from gateway.clock import rfc3339
from gateway.reports.csv_text import csv_text
from pricing.money import usd

ROWS_MAX: Final = 10_000

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
    lines = ([row[column] for column in columns] for row in rows)
    return Response(csv_text([columns, *lines]), 200, headers, "text/csv")


def amount(pico: int | None) -> str | None:
    return None if pico is None else usd(pico)


def instant(at_ms: int | None) -> str | None:
    return None if at_ms is None else rfc3339(at_ms)
