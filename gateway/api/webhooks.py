"""Webhooks: where alerts go, what became of each, and a test."""

import secrets
from collections.abc import Callable
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response

from gateway.alerts.alert import Alert, Topic
from gateway.api.answers import answer
from gateway.api.endpoint import Endpoint, Handler
from gateway.api.query import Query, page_of
from gateway.api.services import Services
from gateway.clock import rfc3339
from gateway.errors import Conflict, NotFound
from gateway.store.archive import Delivery, State

PAGE_SIZE: Final = 50

Json = dict[str, Any]


class Webhooks:
    def __init__(self, services: Services) -> None:
        self._services = services

    def routes(self, guarded: Callable[[Handler], Handler]) -> list[Endpoint]:
        return [
            Endpoint("/api/webhooks", {"GET": guarded(self.index)}),
            Endpoint("/api/webhooks/test", {"POST": guarded(self.test)}),
            Endpoint("/api/webhooks/deliveries", {"GET": guarded(self.page)}),
            Endpoint("/api/webhooks/deliveries/{id}/retry", {"POST": guarded(self.retry)}),
        ]

    async def index(self, _: Request) -> Response:
        endpoints = self._services.watch.endpoints
        return answer(
            {
                "results": [
                    {
                        "url": endpoint.url,
                        "events": sorted(topic.value for topic in endpoint.topics),
                        "allow_private": endpoint.private,
                    }
                    for endpoint in endpoints
                ]
            }
        )

    async def test(self, _: Request) -> Response:
        """Send every address something harmless."""
        watch = self._services.watch
        if not watch.endpoints:
            raise Conflict("There are no webhooks in the configuration.", code="no_webhooks")
        at_ms = self._services.clock.now_ms()
        once = f"test {secrets.token_hex(16)}"
        await watch.tell(Alert(topic=Topic.TEST, once=once, at_ms=at_ms, data={"hello": "there"}))
        return answer({"queued": len(watch.endpoints)}, 202)

    async def page(self, request: Request) -> Response:
        query = Query(request, ("page", "page_size", "state"))
        page, page_size = query.page(PAGE_SIZE)
        state = query.choice("state", {state.value: state for state in State})
        first = (page - 1) * page_size
        count, found = await self._services.outbox.page(first, page_size, state)
        rows = [_row(delivery) for delivery in found]
        return answer(page_of(request, rows, count=count, page=page, page_size=page_size))

    async def retry(self, request: Request) -> Response:
        name = request.path_params["id"]
        if not await self._services.outbox.again(name, self._services.clock.now_ms()):
            raise NotFound(f"There is no delivery {name[:64]!r} that was not taken.")
        return answer({"queued": 1}, 202)


def _row(delivery: Delivery) -> Json:
    pending = delivery.state is State.PENDING
    return {
        "id": delivery.message_id,
        "url": delivery.url,
        "type": delivery.topic,
        "state": delivery.state.value,
        "created": rfc3339(delivery.made_ms),
        "attempts": delivery.attempts,
        "next_attempt": rfc3339(max(delivery.due_ms, delivery.made_ms)) if pending else None,
        "status_code": delivery.status_code,
        "problem": delivery.problem,
        "delivered": None if delivery.taken_ms is None else rfc3339(delivery.taken_ms),
        "payload": orjson.loads(delivery.body),
    }
