"""Analytics: totals over a span of time, from the archive."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from gateway.api.answers import InvalidFields, answer
from gateway.api.customers import Customers
from gateway.api.endpoint import Endpoint, Handler
from gateway.api.figures import dollars
from gateway.api.query import Query
from gateway.api.services import Services
from gateway.api.times import moment
from gateway.store.archive import LogFilter, Metric

SPAN_MS: Final = 30 * 24 * 3_600_000
"""What is shown when no `from` is given."""

TOP: Final = 10
TOP_MAX: Final = 1_000

_FILTERS: Final = ("from", "to", "app", "model", "customer_identifier")
_METRICS: Final = {m.value: m for m in (Metric.COST, Metric.TOKENS, Metric.REQUESTS)}


class Analytics:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._customers = Customers(services)

    def routes(self, guarded: Callable[[Handler], Handler]) -> list[Endpoint]:
        return [
            Endpoint("/api/analytics/summary", {"GET": guarded(self.summary)}),
            Endpoint("/api/analytics/top-users", {"GET": guarded(self.top_users)}),
        ]

    async def summary(self, request: Request) -> Response:
        wanted = await self._filter(Query(request, _FILTERS))
        totals = await self._services.archive.summary(wanted)
        return answer(
            {
                "requests": totals.requests,
                "total_tokens": totals.total_tokens,
                "prompt_tokens": totals.input_tokens,
                "cached_tokens": totals.cached_tokens,
                "completion_tokens": totals.output_tokens,
                "reasoning_tokens": totals.reasoning_tokens,
                "total_cost": dollars(totals.cost_pico),
                "total_charge": dollars(totals.charge_pico),
                "active_users": totals.active_users - await self._anonymous(wanted),
                "errors": totals.errors,
                "rejected": totals.rejected,
                "unpriced": totals.unpriced,
            }
        )

    async def top_users(self, request: Request) -> Response:
        query = Query(request, (*_FILTERS, "metric", "limit"))
        metric = query.choice("metric", _METRICS) or Metric.COST
        limit = query.whole("limit", 1, TOP_MAX) or TOP
        wanted = await self._filter(query)
        archive = self._services.archive
        users = await archive.top_users(wanted, metric, limit)
        totals = await archive.summary(wanted)
        profiles = await self._customers.profiles({u.customer_number: u.partition for u in users})
        data: list[dict[str, Any]] = []
        for user in users:
            profile = profiles.get(user.customer_number)
            data.append(
                {
                    "customer_identifier": profile.identifier if profile else None,
                    "name": profile.text("name") if profile else None,
                    "cost": dollars(user.cost_pico),
                    "tokens": user.tokens,
                    "requests": user.requests,
                }
            )
        other = {
            "cost": dollars(totals.cost_pico - sum(user.cost_pico for user in users)),
            "tokens": totals.total_tokens - sum(user.tokens for user in users),
            "requests": totals.requests - sum(user.requests for user in users),
        }
        return answer({"data": data, "other": other})

    async def _anonymous(self, wanted: LogFilter) -> int:
        """1 when the anonymous customer is among the active, since it is nobody in particular."""
        number = await self._customers.anonymous()
        numbers = wanted.customer_numbers
        if number is None or (numbers is not None and number not in numbers):
            return 0
        its_own = await self._services.archive.summary(replace(wanted, customer_numbers=(number,)))
        return its_own.active_users

    async def _filter(self, query: Query) -> LogFilter:
        zone = self._services.zone
        end_ms = query.get("to", lambda text: moment(text, zone))
        until_ms = self._services.clock.now_ms() if end_ms is None else end_ms
        start_ms = query.get("from", lambda text: moment(text, zone))
        if start_ms is not None and start_ms > until_ms:
            raise InvalidFields({"from": "from must not be after to."})
        return LogFilter(
            start_ms=until_ms - SPAN_MS if start_ms is None else start_ms,
            end_ms=until_ms if end_ms is not None else until_ms + 1,
            customer_numbers=await self._customers.wanted(query),
            model=query.text("model"),
            app=query.text("app"),
        )
