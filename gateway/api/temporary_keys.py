"""Temporary keys: make, list, show, change, forget them, under Keywords AI's path and fields."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from gateway.api.answers import InvalidFields, MalformedBody, answer
from gateway.api.auth import bearer
from gateway.api.bodies import read_json
from gateway.api.endpoint import Endpoint, Handler
from gateway.api.figures import dollars, dollars_or_none
from gateway.api.query import Query, page_of
from gateway.api.services import Services
from gateway.api.times import instant
from gateway.clock import rfc3339
from gateway.customers import fields
from gateway.customers.apps import App
from gateway.customers.credentials import ANY_MODEL
from gateway.customers.temporary_keys import PREFIX, TemporaryKey
from gateway.customers.tokens import MODELS_MAX
from gateway.errors import InvalidToken
from pricing.money import usd

Json = dict[str, Any]

PAGE_SIZE: Final = 50
UNLIMITED: Final = -1
"""What Keywords AI calls any number of uses."""

USES_MAX: Final = 10**12
NEVER_USED: Final = "1970-01-01T00:00:00Z"
"""Which is how Keywords AI says it."""


class TemporaryKeyRoutes:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._keys = services.keys

    def routes(self, guarded: Callable[[Handler], Handler]) -> list[Endpoint]:
        all_of_them = {"GET": guarded(self.page), "POST": guarded(self.create)}
        one = {"GET": self.show, "PATCH": self.change, "DELETE": self.delete}
        return [
            Endpoint("/api/temporary-keys", all_of_them),
            Endpoint("/api/temporary-keys/{id}", {m: guarded(do) for m, do in one.items()}),
        ]

    async def create(self, request: Request) -> Response:
        content = await self._content(request)
        errors: dict[str, str] = {}
        app = self._app(request, content.pop("app", None), errors)
        wanted = _changed(TemporaryKey(id="", digest="", app=app, made_ms=0), content, errors)
        if errors:
            raise InvalidFields(errors)
        key, token = await self._keys.make(wanted)
        return answer({**await self._row(key), "api_key": token}, 201)

    async def page(self, request: Request) -> Response:
        page, page_size = Query(request, ("page", "page_size")).page(PAGE_SIZE)
        count, keys = await self._keys.page((page - 1) * page_size, page_size)
        rows = await asyncio.gather(*map(self._row, keys))
        found = page_of(request, list(rows), count=count, page=page, page_size=page_size)
        return answer({**found, "current_filters": {}})

    async def show(self, request: Request) -> Response:
        return answer(await self._row(await self._keys.find(request.path_params["id"])))

    async def change(self, request: Request) -> Response:
        content = await self._content(request)
        errors: dict[str, str] = {}
        if "app" in content:
            errors["app"] = "A key stays with its app: make another key."
            del content["app"]
        key = _changed(await self._keys.find(request.path_params["id"]), content, errors)
        if errors:
            raise InvalidFields(errors)
        await self._keys.change(key)
        return answer(await self._row(key))

    async def delete(self, request: Request) -> Response:
        await self._keys.delete(request.path_params["id"])
        return Response(status_code=204)

    async def _content(self, request: Request) -> Json:
        content = await read_json(request, self._services.request_bytes_max)
        if not isinstance(content, dict):
            raise MalformedBody("The body must be a JSON object.")
        return content

    def _app(self, request: Request, named: object, errors: dict[str, str]) -> str:
        """Whose calls a new key makes: of the app named, of the one that asks, of the only one."""
        apps = self._services.apps.all
        if named is None:
            asking = self._asking(request)
            if asking is not None:
                return asking.id
            if len(apps) == 1:
                return apps[0].id
        if not any(app.id == named for app in apps):
            errors["app"] = "app must name one of: " + ", ".join(app.id for app in apps) + "."
        return str(named)

    def _asking(self, request: Request) -> App | None:
        try:
            return self._services.apps.authenticate(bearer(request.headers))
        except InvalidToken:  # it is the admin key
            return None

    async def _row(self, key: TemporaryKey) -> Json:
        spent = (await self._services.ledger.scope_balance(key.scope.name)).spent.charge_pico
        return {
            "id": key.id,
            "prefix": PREFIX + key.id,
            "created": rfc3339(key.made_ms),
            "name": key.name,
            "app": key.app,
            "customer_identifier": key.customer,
            "models": list(key.models),
            "revoked": key.revoked,
            "expiry_date": None if key.until_ms is None else rfc3339(key.until_ms),
            "key_usage": key.uses,
            "max_usage": UNLIMITED if key.uses_max is None else key.uses_max,
            "last_used": NEVER_USED if key.used_ms is None else rfc3339(key.used_ms),
            "rate_limit": key.rate,
            "spending_limit": dollars_or_none(key.budget_pico),
            "spending_limit_usd": None if key.budget_pico is None else usd(key.budget_pico),
            "spending_in_period": dollars(spent),
            "spent_usd": usd(spent),
            "is_test": key.test,
            "is_temporary": True,
        }


def _changed(key: TemporaryKey, content: Json, errors: dict[str, str]) -> TemporaryKey:
    """The key with what `content` says of it; null removes. Faults go into `errors`."""
    changes: dict[str, Any] = {}
    for name, value in content.items():
        if name not in FIELDS:
            known = ", ".join(sorted([*FIELDS, "app"]))
            errors[name[:64]] = f"Unknown field; known are {known}."
            continue
        attribute, parse = FIELDS[name]
        if value is None:
            changes[attribute] = _DEFAULTS.get(attribute)
            continue
        try:
            changes[attribute] = parse(value)
        except ValueError as exc:
            errors[name] = f"{name} {exc}."
    return replace(key, **changes)


def _instant(value: object) -> int:
    if not isinstance(value, str):
        raise ValueError("must be a time with its zone, like 2026-11-21T18:30:00Z")
    return instant(value)


def _uses(value: object) -> int | None:
    if value == UNLIMITED and not isinstance(value, bool):
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= USES_MAX:
        raise ValueError("must be a whole number, or -1 for any number")
    return value


def _rate(value: object) -> int | None:
    return None if value == UNLIMITED else fields.rate_limit(value)


def _models(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not 0 < len(value) <= MODELS_MAX:
        raise ValueError(_NOT_MODELS)
    if not all(isinstance(m, str) and 0 < len(m) <= fields.TEXT_CHARACTERS_MAX for m in value):
        raise ValueError(_NOT_MODELS)
    return ANY_MODEL if value == list(ANY_MODEL) else tuple(value)


_NOT_MODELS: Final = f"must be a list of 1 to {MODELS_MAX} model names, which may have *"

FIELDS: Final[Mapping[str, tuple[str, Callable[[Any], Any]]]] = {
    "name": ("name", fields.text),
    "expiry_date": ("until_ms", _instant),
    "max_usage": ("uses_max", _uses),
    "rate_limit": ("rate", _rate),
    "spending_limit": ("budget_pico", fields.budget),
    "customer_identifier": ("customer", fields.identifier),
    "models": ("models", _models),
    "revoked": ("revoked", fields.flag),
    "is_test": ("test", fields.flag),
}
"""As they are written -> as the key has them, and the parser."""

_DEFAULTS: Final[Mapping[str, Any]] = {"models": ANY_MODEL, "revoked": False, "test": False}
"""What null makes of a field, where that is not None."""
