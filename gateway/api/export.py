"""``GET /api/export/usage``: a span of usage as a file, written while it is read."""

from collections.abc import AsyncIterator, Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from gateway.api.csv_answers import MEDIA_TYPE, saved_as
from gateway.api.customers import Customers
from gateway.api.endpoint import Endpoint, Handler
from gateway.api.query import Query
from gateway.api.services import Services
from gateway.api.spans import span_of
from gateway.reports.export import Format, export
from gateway.store.archive import LogFilter

PARAMETERS: Final = ("format", "from", "to", "timezone", "app", "model", "customer_identifier")
_FORMATS: Final = {form.value: form for form in Format}
_MEDIA: Final = {Format.JSONL: "application/x-ndjson"}
_ENDING: Final = {Format.JSONL: "jsonl"}


class Export:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._customers = Customers(services)

    def routes(self, guarded: Callable[[Handler], Handler]) -> list[Endpoint]:
        return [Endpoint("/api/export/usage", {"GET": guarded(self.usage)})]

    async def usage(self, request: Request) -> Response:
        query = Query(request, PARAMETERS)
        form = query.choice("format", _FORMATS) or Format.CSV
        span = span_of(query, self._services.zone, self._services.clock.now_ms())
        wanted = LogFilter(
            start_ms=span.start_ms,
            end_ms=span.end_ms,
            customer_numbers=await self._customers.wanted(query),
            model=query.text("model"),
            app=query.text("app"),
        )
        parts = export(self._services.archive, wanted, form, self._services.directory.identifiers)
        # The first part before the head: an archive that is away is said with a status.
        first = await anext(parts, ("", 0))
        return StreamingResponse(
            _texts(first[0], parts),
            headers=saved_as(f"usage.{_ENDING.get(form, 'csv')}"),
            media_type=_MEDIA.get(form, MEDIA_TYPE),
        )


async def _texts(first: str, parts: AsyncIterator[tuple[str, int]]) -> AsyncIterator[str]:
    yield first
    async for text, _ in parts:
        yield text
