"""One user's card, in the panel and on the page: budget, what it used in the range, last calls."""

import asyncio
from typing import Any, Final

from gateway.api.services import Services
from gateway.api.user_fields import looked_up
from gateway.customers.profile import ANONYMOUS, Profile
from gateway.dashboard import formats
from gateway.dashboard.board import standings_of
from gateway.dashboard.charts import Chart, Series, slot_labels, stacked
from gateway.dashboard.example import Example
from gateway.dashboard.folds import Fold
from gateway.dashboard.people import person, user_path
from gateway.dashboard.reports import Reports
from gateway.dashboard.spans import Span
from gateway.dashboard.visits import Visit
from gateway.errors import NotFound
from gateway.metering.roster.rows import row_of
from gateway.store.archive import LogFilter, Wanted, unless_away

CALLS: Final = 10


class UserCard:
    """What panel and page show of a user; without the archive, what is known without it."""

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
            unless_away(services.archive.page(calls)),
        )
        fold, models = await asyncio.gather(
            unless_away(reports.fold_of(span, number)),
            unless_away(reports.models_of(span, number)),
        )
        dearest = max((model.use.cost_pico for model in models or ()), default=0)
        return {
            "profile": profile,
            "person": person(profile),
            "path": user_path(profile.identifier),
            "created": _how_created(profile),
            "standing": standings[0],
            "lifetime": lifetime,
            "first_seen_ms": row_of(partition, profile, lifetime).first_seen_ms,
            "totals": fold.totals if fold else None,
            "chart": _chart(span, fold) if fold else None,
            "models": [
                (model, round(formats.share(model.use.cost_pico, dearest), 2))
                for model in models or ()
            ],
            "calls": None if latest is None else [archived.event for archived in latest.rows],
            "example": self._example.of(visit.request, profile.identifier),
            "editable": profile.identifier != ANONYMOUS,
        }


def _chart(span: Span, fold: Fold) -> Chart:
    cost = Series("Cost", "1", [slot.cost_pico for slot in fold.slots])
    return stacked(slot_labels(span), [cost], short=formats.short_money, exact=formats.money)


def _how_created(profile: Profile) -> str:
    """By management, if it has set anything; a call pins nothing."""
    return "API or dashboard" if "pinned" in profile.stored else "first call"
