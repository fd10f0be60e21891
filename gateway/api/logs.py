"""Logs: the metadata of calls, reported usage and refusals, from the archive."""

from collections.abc import Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from gateway.api.answers import answer
from gateway.api.customers import Customers
from gateway.api.endpoint import Endpoint, Handler
from gateway.api.figures import dollars
from gateway.api.log_rows import one, row
from gateway.api.query import Query, page_of
from gateway.api.services import Services
from gateway.api.times import moment
from gateway.arithmetic import arithmetic
from gateway.errors import NotFound
from gateway.event import Status
from gateway.store.archive import LogFilter

PAGE_SIZE: Final = 100
STATUS_CODE_MAX: Final = 599

_FILTERS: Final = (
    "customer_identifier",
    "model",
    "app",
    "status",
    "status_code",
    "start_time",
    "end_time",
)
_NEWEST_FIRST: Final = {"-id": True, "id": False}
_STATUSES: Final = {status.value: status for status in Status}


class Logs:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._customers = Customers(services)

    def routes(self, guarded: Callable[[Handler], Handler]) -> list[Endpoint]:
        return [
            Endpoint("/api/request-logs/list", {"GET": guarded(self.page)}),
            Endpoint("/api/request-logs/summary", {"GET": guarded(self.summary)}),
            Endpoint("/api/request-logs/{id}", {"GET": guarded(self.show)}),
        ]

    async def page(self, request: Request) -> Response:
        query = Query(request, (*_FILTERS, "page", "page_size", "sort_by"))
        page, page_size = query.page(PAGE_SIZE)
        newest_first = query.choice("sort_by", _NEWEST_FIRST) is not False
        wanted = await self._filter(query)
        found = await self._services.archive.logs(
            wanted, page=page, page_size=page_size, newest_first=newest_first
        )
        profiles = await self._customers.profiles(
            {archived.event.customer_number: archived.partition for archived in found.rows}
        )
        rows = [
            row(archived.event, profiles.get(archived.event.customer_number))
            for archived in found.rows
        ]
        return answer(page_of(request, rows, count=found.count, page=page, page_size=page_size))

    async def summary(self, request: Request) -> Response:
        totals = await self._services.archive.summary(await self._filter(Query(request, _FILTERS)))
        return answer(
            {
                "total_cost": dollars(totals.charge_pico),
                "total_tokens": totals.total_tokens,
                "number_of_requests": totals.requests,
            }
        )

    async def show(self, request: Request) -> Response:
        Query(request, ())
        request_id = request.path_params["id"]
        archived = await self._services.archive.one(request_id)
        if archived is None:
            raise NotFound(f"There is no log {request_id[:64]!r}.")
        event = archived.event
        profiles = await self._customers.profiles({event.customer_number: archived.partition})
        profile = profiles.get(event.customer_number)
        card = await self._customers.card(profile) if profile else None
        later = await self._services.archive.adjustments(request_id)
        found = arithmetic(event, self._services.rating)
        return answer(one(event, profile, card, found, [added.event for added in later]))

    async def _filter(self, query: Query) -> LogFilter:
        zone = self._services.zone
        return LogFilter(
            start_ms=query.get("start_time", lambda text: moment(text, zone)),
            end_ms=query.get("end_time", lambda text: moment(text, zone)),
            customer_numbers=await self._customers.wanted(query),
            model=query.text("model"),
            app=query.text("app"),
            status=query.choice("status", _STATUSES),
            status_code=query.whole("status_code", 0, STATUS_CODE_MAX),
        )
