"""State: what a page shows, as its URL holds it. Only what is not the default is written."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, tzinfo
from typing import Final
from urllib.parse import quote, urlencode

from starlette.requests import Request

from gateway.dashboard.spans import DEFAULT, PRESETS, Span, span

EVERYWHERE: Final = ("range", "from", "to", "compare")
"""Kept when another page is opened."""

PARAMETERS_MAX: Final = 40
CHARACTERS_MAX: Final = 512
SPAN_NAMES: Final = ("range", "from", "to")


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Of one page.

    Attributes:
        problem: Why what the URL asks for is not what is shown.
    """

    path: str
    params: Mapping[str, str]
    span: Span
    problem: str | None = None

    @property
    def compares(self) -> bool:
        return self.params.get("compare") != "0"

    def get(self, name: str, default: str = "") -> str:
        return self.params.get(name, default)

    def link(self, path: str | None = None, **changes: object) -> str:
        """The URL of this state with changes; None takes a parameter out.

        Another path keeps only what is kept everywhere.
        """
        kept = self.params
        if path is not None and path != self.path:
            kept = {name: value for name, value in kept.items() if name in EVERYWHERE}
        params = {**kept, **{name.rstrip("_"): value for name, value in changes.items()}}
        query = urlencode({k: v for k, v in params.items() if v not in (None, "")})
        return (path or self.path) + (f"?{query}" if query else "")

    def ranged(self, name: str) -> str:
        """The same page for another range."""
        chosen = None if name == DEFAULT else name
        return self.link(range=chosen, from_=None, to=None, page=None, after=None)

    def hidden(self, *without: str) -> list[tuple[str, str]]:
        """What a GET form has to send along to keep this state."""
        return [(name, value) for name, value in self.params.items() if name not in without]


def read_state(request: Request, *, now_ms: int, zone: tzinfo) -> State:
    """Never refuses: who follows an old link sees the page, and why it is not as asked."""
    items = request.query_params.multi_items()[:PARAMETERS_MAX]
    # A database may have no NUL in a text, and then the archive has this in its place.
    params = {n: v[:CHARACTERS_MAX].replace("\0", "\ufffd") for n, v in items if v}
    if "col" in params:  # of a form, one a checkbox
        params["cols"] = ".".join(value for name, value in items if name == "col")
        del params["col"]
    name, problem = params.get("range", DEFAULT), None
    if name not in PRESETS:
        params.pop("range", None)
        name, problem = DEFAULT, "There is no such range."
    found = span(name, now_ms=now_ms, zone=zone)
    if "from" in params or "to" in params:
        try:
            found = span("custom", now_ms=now_ms, zone=zone, days=_days(params))
        except (ValueError, OverflowError) as exc:
            problem = str(exc)
            params.pop("from", None)
            params.pop("to", None)
    return State(path=_path(request), params=params, span=found, problem=problem)


def _days(params: Mapping[str, str]) -> tuple[date, date]:
    try:
        first = date.fromisoformat(params.get("from") or params["to"])
        last = date.fromisoformat(params.get("to") or params["from"])
    except ValueError as exc:
        raise ValueError("A range needs two dates, like 2026-11-21.") from exc
    if not all(1971 < day.year < 8999 for day in (first, last)):
        raise ValueError("A range lies between the years 1972 and 8998.")
    return first, last


def _path(request: Request) -> str:
    raw: bytes | None = request.scope.get("raw_path")
    return raw.partition(b"?")[0].decode("ascii", "replace") if raw else quote(request.url.path)
