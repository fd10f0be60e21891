"""``GET /api/audit``: do the books add up, by the auditor's last round."""

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response

from gateway.api.answers import answer
from gateway.api.endpoint import Endpoint, Handler
from gateway.api.query import Query
from gateway.api.services import Services
from gateway.audit.records import records, summary


class Audit:
    def __init__(self, services: Services) -> None:
        self._store = services.store

    def routes(self, guarded: Callable[[Handler], Handler]) -> list[Endpoint]:
        return [Endpoint("/api/audit", {"GET": guarded(self.show)})]

    async def show(self, request: Request) -> Response:
        Query(request, ())
        found = await records(self._store)
        return answer(summary(found, len(self._store.keyspace.partitions)))
