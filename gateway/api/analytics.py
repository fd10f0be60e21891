"""Analytics: what the dashboard draws, as JSON or CSV."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from gateway.api.answers import InvalidFields, answer
from gateway.api.csv_answers import csv_answer
from gateway.api.customers import Customers
from gateway.api.endpoint import Endpoint, Handler
from gateway.api.figures import dollars, seconds
from gateway.api.query import Query
from gateway.api.services import Services
from gateway.api.spans import PARAMETERS, span_of
from gateway.clock import rfc3339
from gateway.reports import (
    NOTHING,
    Filter,
    GroupBy,
    Measure,
    Pace,
    Shares,
    Slot,
    Span,
    TopUsers,
)
from gateway.reports.csv_text import Row
from gateway.store.archive import Summary
from pricing.money import PICO_PER_USD

TOP: Final = 10
TOP_MAX: Final = 1_000
USERS: Final = 8
USERS_MAX: Final = 100
KEYS: Final = 20
KEYS_MAX: Final = 100
OTHER: Final = "(other)"
TOTAL: Final = "total"
ERROR_RATE: Final = "error_rate"

FILTERS: Final = (*PARAMETERS, "app", "model", "customer_identifier", "format")
_FORMATS: Final = {"json": False, "csv": True}
_MEASURES: Final = {measure.value: measure for measure in Measure}
_GROUPS: Final = {group.value: group for group in GroupBy}
_MONEY: Final = frozenset({Measure.COST, Measure.CHARGE})
_PACES: Final[Mapping[str, Callable[[Pace], int | None]]] = {
    "latency_p50": lambda pace: pace.p50,
    "latency_p95": lambda pace: pace.p95,
    "ttft_p50": lambda pace: pace.first_p50,
    "ttft_p95": lambda pace: pace.first_p95,
}
_METRICS: Final = {name: name for name in (*_MEASURES, ERROR_RATE, *_PACES)}

Json = dict[str, Any]


class Analytics:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._customers = Customers(services)
        self._reports = services.reports

    def routes(self, guarded: Callable[[Handler], Handler]) -> list[Endpoint]:
        handlers = {
            "summary": self.summary,
            "top-users": self.top_users,
            "daily-active-users": self.daily_active_users,
            "cost-by-user": self.cost_by_user,
            "series": self.series,
        }
        return [
            Endpoint(f"/api/analytics/{name}{suffix}", {"GET": guarded(handler)})
            for name, handler in handlers.items()
            for suffix in ("", ".csv")
        ]

    async def summary(self, request: Request) -> Response:
        query = Query(request, FILTERS)
        totals = await self._reports.summary(self._span(query), await self._filter(query))
        if _wants_csv(request, query):
            told: dict[str, Any] = _summary(totals, _exact)
            return csv_answer(list(told), [tuple(told.values())], "summary")
        return answer(_summary(totals, dollars))

    async def top_users(self, request: Request) -> Response:
        query = Query(request, (*FILTERS, "metric", "limit"))
        measure = query.choice("metric", _MEASURES) or Measure.COST
        limit = query.whole("limit", 1, TOP_MAX) or TOP
        span, wanted = self._span(query), await self._filter(query)
        found = await self._reports.top_users(span, wanted, measure, limit)
        if _wants_csv(request, query):
            header = ["customer_identifier", "name", "cost", "charge", "tokens", "requests"]
            return csv_answer(header, await self._top_rows(found), "top-users")
        profiles = await self._customers.profiles({u.number: u.partition for u in found.users})
        data = [
            {
                "customer_identifier": profile.identifier if profile else None,
                "name": profile.text("name") if profile else None,
                **_use(user.use),
            }
            for user in found.users
            for profile in [profiles.get(user.number)]
        ]
        return answer({"data": data, "other": _use(found.other)})

    async def daily_active_users(self, request: Request) -> Response:
        query = Query(request, FILTERS)
        span = self._span(query)
        found = await self._reports.active(span, await self._filter(query))
        data: list[dict[str, str | int]] = [
            {
                "date": span.label(begins),
                "active": of_slot.active,
                "new": of_slot.new,
                "returning": of_slot.returning,
            }
            for (_, begins), of_slot in zip(span.starts(), found, strict=True)
        ]
        if _wants_csv(request, query):
            header = ["date", "active", "new", "returning"]
            days: list[Row] = [tuple(day.values()) for day in data]
            return csv_answer(header, days, "daily-active-users")
        return answer({"data": data})

    async def cost_by_user(self, request: Request) -> Response:
        query = Query(request, (*FILTERS, "metric", "limit"))
        measure = query.choice("metric", _MEASURES) or Measure.COST
        limit = query.whole("limit", 1, USERS_MAX) or USERS
        span, wanted = self._span(query), await self._filter(query)
        found = await self._reports.series(span, wanted, GroupBy.CUSTOMER, measure, limit)
        names = await self._names(found)
        if _wants_csv(request, query):
            header = ["date", "customer_identifier", measure.value]
            return csv_answer(header, _long(span, found, names, measure, span.label), "users")
        data = [
            {
                "date": span.label(begins),
                "users": _values(found, slot, names, measure),
                "other": _amount(found.other.get(slot, NOTHING), measure),
            }
            for slot, begins in span.starts()
        ]
        return answer({"data": data})

    async def series(self, request: Request) -> Response:
        query = Query(request, (*FILTERS, "metric", "group_by", "limit"))
        metric = query.choice("metric", _METRICS) or Measure.COST.value
        by = query.choice("group_by", _GROUPS) or GroupBy.NONE
        limit = query.whole("limit", 1, KEYS_MAX) or KEYS
        span, wanted = self._span(query), await self._filter(query)
        as_csv = _wants_csv(request, query)
        if metric not in _MEASURES:
            if by is not GroupBy.NONE:
                raise InvalidFields({"group_by": f"group_by must be none for {metric}."})
            rates = await self._rates(span, wanted, metric)
            times = [rfc3339(begins) for _, begins in span.starts()]
            if as_csv:
                rows: list[Row] = [[at, TOTAL, v] for at, v in zip(times, rates, strict=True)]
                return csv_answer(["time", "key", metric], rows, "series")
            pairs = zip(times, rates, strict=True)
            return answer({"data": [{"time": at, "values": {TOTAL: rate}} for at, rate in pairs]})
        measure = _MEASURES[metric]
        found = await self._reports.series(span, wanted, by, measure, limit)
        names = await self._names(found) if by is GroupBy.CUSTOMER else _plain_names(found, by)
        if as_csv:
            return csv_answer(
                ["time", by.value if by is not GroupBy.NONE else "key", metric],
                _long(span, found, names, measure, rfc3339),
                "series",
            )
        data = []
        for slot, begins in span.starts():
            values = _values(found, slot, names, measure)
            if found.other:
                values[OTHER] = _amount(found.other.get(slot, NOTHING), measure)
            data.append({"time": rfc3339(begins), "values": values})
        return answer({"data": data})

    async def _rates(self, span: Span, wanted: Filter, metric: str) -> list[float | None]:
        """Of each slot: durations in seconds, or the share of errors; None: no calls."""
        if metric in _PACES:
            paces = await self._reports.paces(span, wanted)
            return [seconds(_PACES[metric](pace)) for pace in paces]
        found = await self._reports.series(span, wanted, GroupBy.NONE, Measure.REQUESTS)
        return [
            _error_rate(found.slots.get(slot, {}).get("", NOTHING)) for slot, _ in span.starts()
        ]

    async def _top_rows(self, found: TopUsers) -> list[Row]:
        profiles = await self._customers.profiles({u.number: u.partition for u in found.users})
        rows: list[Row] = []
        for user in found.users:
            profile = profiles.get(user.number)
            identifier = profile.identifier if profile else _gone(user.number)
            rows.append([identifier, profile.text("name") if profile else None, *_cells(user.use)])
        return [*rows, [None, OTHER, *_cells(found.other)]]

    async def _names(self, found: Shares) -> dict[Any, str]:
        """Identifiers of the customers among the keys."""
        numbers = {key: found.partitions[key] for key in found.keys if key}
        profiles = await self._customers.profiles(numbers)
        names = {number: _gone(number) for number in numbers}
        names |= {number: profile.identifier for number, profile in profiles.items()}
        return {**names, "": "(none)"}

    def _span(self, query: Query) -> Span:
        return span_of(query, self._services.zone, self._services.clock.now_ms())

    async def _filter(self, query: Query) -> Filter:
        return Filter(
            app=query.text("app"),
            model=query.text("model"),
            customers=await self._customers.wanted(query),
        )


def _summary(totals: Summary, money: Callable[[int], Any]) -> Json:
    return {
        "requests": totals.requests,
        "total_tokens": totals.total_tokens,
        "prompt_tokens": totals.input_tokens,
        "cached_tokens": totals.cached_tokens,
        "completion_tokens": totals.output_tokens,
        "reasoning_tokens": totals.reasoning_tokens,
        "total_cost": money(totals.cost_pico),
        "total_charge": money(totals.charge_pico),
        "active_users": totals.active_users,
        "errors": totals.errors,
        "rejected": totals.rejected,
        "unpriced": totals.unpriced,
    }


def _use(use: Slot) -> Json:
    return {
        "cost": dollars(use.cost_pico),
        "charge": dollars(use.charge_pico),
        "tokens": use.tokens,
        "requests": use.requests,
    }


def _cells(use: Slot) -> Row:
    return [_exact(use.cost_pico), _exact(use.charge_pico), use.tokens, use.requests]


def _amount(use: Slot, measure: Measure) -> float | int:
    return dollars(use.of(measure)) if measure in _MONEY else use.of(measure)


def _values(
    found: Shares, slot: int, names: Mapping[Any, str], measure: Measure
) -> dict[str, float | int]:
    """Every key in every slot, so that charts need no filling."""
    here = found.slots.get(slot, {})
    return {names[key]: _amount(here.get(key, NOTHING), measure) for key in found.keys}


def _long(
    span: Span,
    found: Shares,
    names: Mapping[Any, str],
    measure: Measure,
    label: Callable[[int], str],
) -> list[Row]:
    """A row for each slot and key."""
    rows: list[Row] = []
    for slot, begins in span.starts():
        uses = [(names[key], found.slots.get(slot, {}).get(key, NOTHING)) for key in found.keys]
        if found.other:
            uses.append((OTHER, found.other.get(slot, NOTHING)))
        for name, use in uses:
            amount = use.of(measure)
            rows.append([label(begins), name, _exact(amount) if measure in _MONEY else amount])
    return rows


def _plain_names(found: Shares, by: GroupBy) -> dict[Any, str]:
    nameless = TOTAL if by is GroupBy.NONE else "(none)"
    return {key: key or nameless for key in found.keys}


def _error_rate(use: Slot) -> float | None:
    """The share of errors among calls and errors: most errors never became a call."""
    asked = use.requests + use.errors
    return use.errors / asked if asked else None


def _gone(number: int) -> str:
    """A customer that was deleted; no identifier begins so."""
    return f"~{number}"


def _exact(amount_pico: int) -> Decimal:
    return Decimal(amount_pico) / PICO_PER_USD


def _wants_csv(request: Request, query: Query) -> bool:
    asked = query.choice("format", _FORMATS)
    if asked is not None:
        return asked
    if request.url.path.rstrip("/").endswith(".csv"):
        return True
    return request.headers.get("accept", "").partition(",")[0].strip().startswith("text/csv")
