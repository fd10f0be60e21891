"""One user: who it is, its budget, what it used in the range, its last calls; and changing it."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from starlette.responses import RedirectResponse, Response

from gateway.api.answers import InvalidFields
from gateway.api.services import Services
from gateway.api.user_fields import changed, check_merged_metadata, created, looked_up
from gateway.api.user_rows import first_seen_ms
from gateway.customers.profile import ANONYMOUS, Profile
from gateway.dashboard import formats
from gateway.dashboard.board import Board, standings_of
from gateway.dashboard.charts import Series, slot_labels, stacked
from gateway.dashboard.example import Example
from gateway.dashboard.people import person, user_path
from gateway.dashboard.rendering import Renderer
from gateway.dashboard.reports import Reports
from gateway.dashboard.visits import Visit
from gateway.errors import Conflict, GatewayError, InvalidCall, NotFound
from gateway.store.archive import LogFilter
from pricing.money import usd

CALLS: Final = 10
DURATIONS: Final = ("monthly", "daily", "weekly", "yearly")

_TEXTS: Final = ("name", "email", "group_identifier")
_AMOUNTS: Final = ("period_budget", "total_budget")
_NUMBERS: Final = ("markup_percentage", "rate_limit")
FIELDS: Final = (*_TEXTS, *_AMOUNTS, "budget_duration", *_NUMBERS)


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
        standings, lifetime, totals, before, slots, models, calls = await asyncio.gather(
            standings_of(services, [profile]),
            services.counters.lifetime(partition, number),
            reports.totals(span, number),
            reports.before(span, number),
            reports.slots(span, number),
            reports.models(span, number),
            services.archive.newest(LogFilter(customer_numbers=(number,)), CALLS),
        )
        labels = slot_labels(span)
        cost = Series("Cost", "1", [slot.cost_pico for slot in slots])
        dearest = max((model.cost_pico for model in models), default=0)
        return {
            "profile": profile,
            "person": person(profile),
            "path": user_path(profile.identifier),
            "created": _how_created(profile),
            "standing": standings[0],
            "lifetime": lifetime,
            "first_seen_ms": first_seen_ms(profile, lifetime),
            "totals": totals,
            "before": before,
            "chart": stacked(labels, [cost], short=formats.short_money, exact=formats.money),
            "models": [
                (model, round(formats.share(model.cost_pico, dearest), 2)) for model in models
            ],
            "calls": [archived.event for _, archived in calls],
            "example": self._example.of(visit.request, profile.identifier),
            "editable": profile.identifier != ANONYMOUS,
            "values": values_of(profile),
        }


class UserPages:
    def __init__(
        self, services: Services, card: UserCard, board: Board, renderer: Renderer
    ) -> None:
        self._services = services
        self._card = card
        self._board = board
        self._renderer = renderer

    async def page(self, visit: Visit) -> Response:
        profile = await self._services.directory.known(looked_up(_named(visit)))
        context = await self._card.of(visit, profile)
        return self._renderer.page("user.html", visit, {"panel": context})

    async def form(self, visit: Visit) -> Response:
        """To change a user."""
        profile = await self._services.directory.known(looked_up(_named(visit)))
        return self._form(visit, profile, values_of(profile), {})

    async def new(self, visit: Visit) -> Response:
        """To create one."""
        return self._form(visit, None, {"budget_duration": DURATIONS[0]}, {})

    async def create(self, visit: Visit) -> Response:
        values = {name: visit.form.get(name, "").strip() for name in FIELDS}
        identifier = visit.form.get("customer_identifier", "").strip()
        content = {name: v for name, v in _content(values).items() if v is not None}
        try:
            named, change = created({"customer_identifier": identifier or None, **content})
            await self._services.directory.create(
                named, {name: value for name, value in change.items() if value is not None}
            )
        except (InvalidFields, InvalidCall, Conflict) as exc:
            shown = {**values, "customer_identifier": identifier}
            return self._form(visit, None, shown, errors_of(exc), 422)
        self._board.forget()
        return RedirectResponse(visit.state.link(user_path(named), said="created"), 303)

    async def change(self, visit: Visit) -> Response:
        """The whole form: a field that was emptied is removed."""
        directory = self._services.directory
        profile = await directory.known(looked_up(_named(visit)))
        values = {n: visit.form[n].strip() for n in FIELDS if n in visit.form}
        before = values_of(profile)
        content = _content({n: v for n, v in values.items() if v != before.get(n, "")})
        try:
            change = changed(profile.identifier, content)
            check_merged_metadata(profile, change)
            await directory.change(profile.identifier, change)
        except (InvalidFields, InvalidCall) as exc:
            return self._form(visit, profile, {**before, **values}, errors_of(exc), 422)
        return self._back(visit, profile, "saved")

    async def block(self, visit: Visit) -> Response:
        directory = self._services.directory
        profile = await directory.known(looked_up(_named(visit)))
        blocks = visit.form.get("blocked") == "1"
        await directory.change(profile.identifier, {"blocked": blocks or None})
        return self._back(visit, profile, "blocked" if blocks else "unblocked")

    def _back(self, visit: Visit, profile: Profile, said: str) -> Response:
        self._board.forget()
        target = visit.state.link(user_path(profile.identifier), said=said)
        return RedirectResponse(target, 303)

    def _form(
        self,
        visit: Visit,
        profile: Profile | None,
        values: Mapping[str, str],
        errors: Mapping[str, str],
        status: int = 200,
    ) -> Response:
        context = {
            "profile": profile,
            "person": person(profile) if profile else None,
            "path": user_path(profile.identifier) if profile else None,
            "values": values,
            "errors": errors,
            "durations": DURATIONS,
        }
        return self._renderer.page("user_form.html", visit, context, status)


def values_of(profile: Profile) -> dict[str, str]:
    """Its own fields, as a form shows them."""
    found = {name: profile.text(name) or "" for name in (*_TEXTS, "budget_duration")}
    for name in _AMOUNTS:
        amount = profile.whole(name)
        found[name] = "" if amount is None else usd(amount)
    ppm, rate = profile.whole("markup_percentage"), profile.whole("rate_limit")
    found["markup_percentage"] = "" if ppm is None else f"{ppm / 10_000:g}"
    found["rate_limit"] = "" if rate is None else str(rate)
    return found


def _content(values: Mapping[str, str]) -> dict[str, Any]:
    """Texts of a form as the JSON that the API takes; an empty one is null."""
    content: dict[str, Any] = {name: value or None for name, value in values.items()}
    rate = content.get("rate_limit")
    if rate is not None and rate.isascii() and rate.isdecimal():
        content["rate_limit"] = int(rate)
    return content


def errors_of(error: GatewayError) -> dict[str, str]:
    """Field -> what is wrong with it, without the field's name, which stands above it."""
    if isinstance(error, InvalidFields):
        return {name: _said(name, text) for name, text in error.errors.items()}
    if isinstance(error, Conflict):
        return {"customer_identifier": "There is a user of this identifier already."}
    param = error.param or ""
    return {param: _said(param, str(error))}


def _said(name: str, text: str) -> str:
    short = text.removeprefix(f"{name} ")
    return short[:1].upper() + short[1:]


def _named(visit: Visit) -> str:
    identifier: str = visit.request.path_params["id"]
    return identifier


def _how_created(profile: Profile) -> str:
    """By management, if it has set anything; a call pins nothing."""
    return "API or dashboard" if "pinned" in profile.stored else "first call"
