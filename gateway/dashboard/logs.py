"""Logs: each call, the newest first; one opened: its customer first, then its arithmetic."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from starlette.responses import Response

from gateway.api.services import Services
from gateway.api.user_fields import looked_up
from gateway.arithmetic import Arithmetic, arithmetic, femto_usd
from gateway.customers import fields
from gateway.dashboard.board import standings_of
from gateway.dashboard.formats import padded
from gateway.dashboard.people import People, Person, person
from gateway.dashboard.rendering import Renderer
from gateway.dashboard.reports import Reports
from gateway.dashboard.twins import ROWS_MAX, amount, instant, twin
from gateway.dashboard.visits import Visit
from gateway.errors import NotFound
from gateway.event import Status, UsageEvent
from gateway.store.archive import (
    PAGE_SIZE_MAX,
    ArchivedEvent,
    Condition,
    LogFilter,
    Place,
    Wanted,
    with_key,
)
from gateway.store.operators import Operator
from pricing.compare import factor_of
from pricing.money import usd, usd_per_million

PAGE_SIZE: Final = 50
TURNS_MAX: Final = 40
"""Of a file: pages that are read; each has a bound of its own."""

STATUSES: Final = {
    "ok": "ok",
    "error": "failed",
    "aborted": "aborted",
    "rejected": "refused",
    "unresolved": "unresolved",
}
FILTERS: Final = ("customer", "model", "status", "app", "min_cost", "tag", "key", "id")
UNFILTERED: Final = dict.fromkeys(FILTERS)

COMPONENTS: Final = {
    "input": "Input",
    "cache_read": "Input, cached",
    "cache_write_5m": "Cache write, 5 minutes",
    "cache_write_1h": "Cache write, 1 hour",
    "output": "Output",
    "reasoning": "Output, reasoning",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a cost: quantity times rate is amount. Texts, exact."""

    label: str
    quantity: int
    rate: str
    amount: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    event: UsageEvent
    person: Person


class Logs:
    def __init__(
        self, services: Services, reports: Reports, people: People, renderer: Renderer
    ) -> None:
        self._services = services
        self._reports = reports
        self._people = people
        self._renderer = renderer

    async def page(self, visit: Visit) -> Response:
        state = visit.state
        chosen = state.get("log")
        panel = await self._panel(chosen) if chosen else None
        if visit.wants_panel:
            return self._renderer.page("logs_layer.html", visit, {"panel": panel})
        wanted, problems = await self._filter(visit)
        found = await self._services.archive.page(
            Wanted(filter=wanted, size=PAGE_SIZE, after=_place(state.get("after")))
        )
        following = f"{found.following.at_ms}-{found.following.row_id}" if found.following else None
        context: dict[str, Any] = {
            "rows": await self._rows(found.rows),
            "count": found.count,
            "exact": found.exact,
            "cut_short": found.cut_short,
            "following": following,
            "problems": problems,
            "statuses": STATUSES,
            "filters": FILTERS,
            "unfiltered": UNFILTERED,
            "filtered": [name for name in FILTERS if state.get(name)],
            "models": await self._reports.model_names(state.span),
            "apps": [app.id for app in self._services.apps.all],
            "live": state.get("live") != "0"
            and not state.get("after")
            and state.span.end_ms > visit.now_ms,
            "panel": panel,
        }
        return self._renderer.page("logs.html", visit, context)

    async def one(self, visit: Visit) -> Response:
        """The same that the panel shows, on a page of its own."""
        panel = await self._panel(visit.request.path_params["id"])
        if panel is None:
            raise NotFound("There is no such call, or it is no longer kept.")
        return self._renderer.page("log.html", visit, {"panel": panel})

    def twin(self, kind: str) -> Any:
        async def file(visit: Visit) -> Response:
            wanted, _ = await self._filter(visit)
            after: Place | None = None
            rows: list[dict[str, Any]] = []
            for _ in range(TURNS_MAX):
                found = await self._services.archive.page(
                    Wanted(filter=wanted, size=PAGE_SIZE_MAX, after=after)
                )
                rows += [_file_row(row) for row in await self._rows(found.rows)]
                after = found.following
                if after is None or len(rows) >= ROWS_MAX:
                    break
            return twin(kind, "calls", rows, FILE_COLUMNS)

        return file

    async def _rows(self, found: Sequence[ArchivedEvent]) -> list[Row]:
        people = await self._people.of((one.event.customer_number, one.partition) for one in found)
        return [Row(one.event, people[one.event.customer_number]) for one in found]

    async def _filter(self, visit: Visit) -> tuple[LogFilter, list[str]]:
        """What is asked for; a filter that cannot be read finds nothing, and says why."""
        state = visit.state
        problems: list[str] = []
        wanted = self._reports.of(state.span)
        if request_id := state.get("id"):
            return LogFilter(request_id=request_id.strip()), problems
        if customer := state.get("customer").strip():
            number = await self._number(customer)
            wanted = replace(wanted, customer_numbers=() if number is None else (number,))
            if number is None:
                problems.append(f"There is no user {customer[:64]!r}.")
        conditions: list[Condition] = []
        if least := state.get("min_cost").strip():
            try:
                pico = fields.budget(least.lstrip("$"))
                conditions.append(Condition("cost_pico", Operator.GTE, (pico,)))
            except ValueError as exc:
                problems.append(f"The least cost {exc}.")
        if tag := state.get("tag").strip():
            conditions.append(Condition("metadata", Operator.ICONTAINS, (tag,)))
        if key := state.get("key").strip():
            conditions.append(with_key(key))
        status = state.get("status")
        return replace(
            wanted,
            conditions=tuple(conditions),
            model=state.get("model").strip() or None,
            app=state.get("app") or None,
            status=Status(status) if status in STATUSES else None,
        ), problems

    async def _number(self, identifier: str) -> int | None:
        try:
            return await self._reports.customers.number(looked_up(identifier))
        except NotFound:
            return None

    async def _panel(self, request_id: str) -> dict[str, Any] | None:
        archive = self._services.archive
        archived = await archive.one(request_id)
        if archived is None:
            return None
        event = archived.event
        profiles, later = await asyncio.gather(
            self._reports.customers.profiles({event.customer_number: archived.partition}),
            archive.adjustments(request_id),
        )
        profile = profiles.get(event.customer_number)
        standing = (await standings_of(self._services, [profile]))[0] if profile else None
        found = arithmetic(event, self._services.rating)
        factor = factor_of(found.cost.price, found.cost.scope) if found.cost else 1
        return {
            "event": event,
            "person": person(profile) if profile else Person(event.customer_number, None),
            "standing": standing,
            "arithmetic": found,
            "lines": lines_of(found),
            "rounding": femto_usd(found.rounding_femto) if found.rounding_femto else None,
            "multiplier": str(factor) if factor != 1 else None,
            "markup_pico": event.charge_pico - event.cost_pico,
            "cost_usd": padded(usd(event.cost_pico)),
            "price": found.price,
            "later": [one.event for one in later],
            "speed": _speed(event),
        }


def lines_of(found: Arithmetic) -> list[Line]:
    """Every line of the cost; with what was rounded they add up to it, to the last digit."""
    return [
        Line(
            COMPONENTS.get(item.component, item.component.replace("_", " ").capitalize()),
            item.quantity,
            f"${padded(usd_per_million(item.rate_femto))} per 1M"
            if item.per == 1
            else f"${padded(femto_usd(item.rate_femto))} per {item.per:,}",
            f"${padded(femto_usd(item.amount_femto))}",
            f"at the rate of {item.fallback_from}" if item.fallback_from else "",
        )
        for item in found.items
    ]


def _place(text: str) -> Place | None:
    at, dash, row = text.partition("-")
    known = dash and at.isdecimal() and row.isdecimal() and len(at) < 16 and len(row) < 19
    return Place(int(at), int(row)) if known else None


def _speed(event: UsageEvent) -> float | None:
    """Output tokens a second, after the first."""
    if event.latency_ms is None or not event.usage.output_total:
        return None
    ms = event.latency_ms - (event.first_token_ms or 0)
    return event.usage.output_total * 1000 / ms if ms > 0 else None


FILE_COLUMNS: Final = (
    *("time", "request_id", "customer_identifier", "model", "provider", "app", "endpoint"),
    *("status", "status_code", "stream", "input_tokens", "cached_tokens", "output_tokens"),
    *("reasoning_tokens", "cost_usd", "charge_usd", "latency_ms", "first_token_ms"),
    *("finish_reason", "usage_source"),
)


def _file_row(row: Row) -> dict[str, Any]:
    event = row.event
    usage = event.usage
    known = event.amounts_known
    return {
        "time": instant(event.at_ms),
        "request_id": event.request_id,
        "customer_identifier": row.person.identifier,
        "model": event.model,
        "provider": event.provider,
        "app": event.app,
        "endpoint": event.endpoint,
        "status": event.status.value,
        "status_code": event.status_code,
        "stream": event.stream,
        "input_tokens": usage.input_total,
        "cached_tokens": usage.cached_total,
        "output_tokens": usage.output_total,
        "reasoning_tokens": usage.reasoning_tokens,
        "cost_usd": amount(event.cost_pico) if known else None,
        "charge_usd": amount(event.charge_pico) if known else None,
        "latency_ms": event.latency_ms,
        "first_token_ms": event.first_token_ms,
        "finish_reason": event.finish_reason,
        "usage_source": event.source.value if event.source else None,
    }
