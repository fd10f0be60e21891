"""One user's card, in the panel and on the page: budget, what it used in the range, last calls."""

import asyncio
from typing import Any, Final

from gateway.api.services import Services
from gateway.api.user_fields import looked_up
from gateway.customers.profile import ANONYMOUS, Profile
from gateway.dashboard import formats
from gateway.dashboard.board import standings_of
from gateway.dashboard.charts import Series, slot_labels, stacked
from gateway.dashboard.example import Example
from gateway.dashboard.people import person, user_path
from gateway.dashboard.reports import Reports
from gateway.dashboard.visits import Visit
from gateway.errors import NotFound
from gateway.metering.roster.rows import row_of
from gateway.store.archive import LogFilter, Wanted

CALLS: Final = 10


class UserCard:
    """What panel and page show of a user."""

    def __init__(self, services: Services, reports: Reports, example: Example) -> None:
        self._services = services
        self._reports = reports
        self._example = example

    async def context(self, visit: Visit, identifier: str) -> dict[str, Any] | None:
        """None: there is no such user."""
        try:
            profile = await self._services.directory.known(looked_up(identifier))
        except NotFound:
            return None
        return await self.of(visit, profile)

    async def of(self, visit: Visit, profile: Profile) -> dict[str, Any]:
        services, reports, span = self._services, self._reports, visit.state.span
        number = profile.number
        partition = services.directory.partition_of(profile.identifier)
        calls = Wanted(filter=LogFilter(customer_numbers=(number,)), size=CALLS)
        standings, lifetime, latest = await asyncio.gather(
            standings_of(services, [profile]),
            services.counters.lifetime(partition, number),
            services.archive.page(calls),
        )
        fold, models = await asyncio.gather(
            reports.fold_of(span, number, partition.index), reports.models_of(span, number)
        )
        labels = slot_labels(span)
        cost = Series("Cost", "1", [slot.cost_pico for slot in fold.slots])
        dearest = max((model.use.cost_pico for model in models), default=0)
        return {
            "profile": profile,
            "person": person(profile),
            "path": user_path(profile.identifier),
            "created": _how_created(profile),
            "standing": standings[0],
            "lifetime": lifetime,
            "first_seen_ms": row_of(partition, profile, lifetime).first_seen_ms,
            "totals": fold.totals,
            "chart": stacked(labels, [cost], short=formats.short_money, exact=formats.money),
            "models": [
                (model, round(formats.share(model.use.cost_pico, dearest), 2)) for model in models
            ],
            "calls": [archived.event for archived in latest.rows],
            "example": self._example.of(visit.request, profile.identifier),
            "editable": profile.identifier != ANONYMOUS,
        }


def _how_created(profile: Profile) -> str:
    """By management, if it has set anything; a call pins nothing."""
    return "API or dashboard" if "pinned" in profile.stored else "first call"
