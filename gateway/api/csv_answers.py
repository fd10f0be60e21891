"""Tables as answers: CSV to be saved."""

from collections.abc import Iterable, Sequence
from typing import Final

from starlette.responses import Response

from gateway.reports.csv_text import Row, csv_text

MEDIA_TYPE: Final = "text/csv; charset=utf-8"
_HEADERS: Final = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


def saved_as(name: str) -> dict[str, str]:
    """Headers of an answer that is a file."""
    return {**_HEADERS, "content-disposition": f'attachment; filename="{name}"'}


def csv_answer(header: Sequence[str], rows: Iterable[Row], name: str) -> Response:
    text = csv_text([header, *rows])
    return Response(text, 200, saved_as(f"{name}.csv"), MEDIA_TYPE)
