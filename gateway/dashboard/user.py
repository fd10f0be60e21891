"""One user's page, and what can be done to it: create, change, block, credit, delete."""

import secrets
from collections.abc import Mapping
from typing import Any, Final

from starlette.responses import RedirectResponse, Response

from gateway.api.answers import InvalidFields
from gateway.api.services import Services
from gateway.api.user_fields import changed, created, credited, looked_up
from gateway.customers.profile import Profile
from gateway.dashboard.board import Board
from gateway.dashboard.people import person, user_path
from gateway.dashboard.rendering import Renderer
from gateway.dashboard.user_card import UserCard
from gateway.dashboard.visits import Visit
from gateway.errors import Conflict, GatewayError, InvalidCall
from pricing.money import usd

CALLS: Final = 10
DURATIONS: Final = ("monthly", "daily", "weekly", "yearly")

_TEXTS: Final = ("name", "email", "group_identifier")
_AMOUNTS: Final = ("period_budget", "total_budget")
_NUMBERS: Final = ("markup_percentage", "rate_limit")

FIELDS: Final = (*_TEXTS, *_AMOUNTS, "budget_duration", *_NUMBERS)


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
            await self._services.users.create(
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
        values: dict[str, str] = {n: visit.form[n].strip() for n in FIELDS if n in visit.form}
        before = values_of(profile)
        content = _content({n: v for n, v in values.items() if v != before.get(n, "")})
        try:
            change = changed(profile.identifier, content)
            await self._services.users.change(profile.identifier, change)
        except (InvalidFields, InvalidCall) as exc:
            return self._form(visit, profile, {**before, **values}, errors_of(exc), 422)
        return self._back(visit, profile, "saved")

    async def block(self, visit: Visit) -> Response:
        directory = self._services.directory
        profile = await directory.known(looked_up(_named(visit)))
        blocks = visit.form.get("blocked") == "1"
        await self._services.users.change(profile.identifier, {"blocked": blocks or None})
        return self._back(visit, profile, "blocked" if blocks else "unblocked")

    async def credit(self, visit: Visit) -> Response:
        """Raise what remains of the limit in total, once a form however often it is sent."""
        profile = await self._services.directory.known(looked_up(_named(visit)))
        content = {"amount_usd": visit.form.get("amount", "").strip() or None}
        content |= {
            name: visit.form[name] for name in ("reason", "idempotency_key") if visit.form.get(name)
        }
        try:
            await self._services.users.credit(profile.identifier, credited(content))
        except (InvalidFields, InvalidCall, Conflict) as exc:
            errors = {"credit": next(iter(errors_of(exc).values()))}
            return self._form(visit, profile, values_of(profile), errors, 422)
        return self._back(visit, profile, "credited")

    async def erase(self, visit: Visit) -> Response:
        """Delete; the identifier has to be typed, since nothing brings it back."""
        profile = await self._services.directory.known(looked_up(_named(visit)))
        if visit.form.get("confirm", "").strip() != profile.identifier:
            errors = {"confirm": "Type the identifier exactly as it is."}
            return self._form(visit, profile, values_of(profile), errors, 422)
        await self._services.users.delete(profile.identifier)
        self._board.forget()
        return RedirectResponse(visit.state.link("/users", said="deleted"), 303)

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
            "once": secrets.token_urlsafe(12),
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
