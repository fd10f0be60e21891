"""``POST /api/estimate``: what a chat call could cost at most, and whether it would pass."""

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response

from gateway.api.answers import InvalidFields, answer
from gateway.api.auth import bearer
from gateway.api.bodies import read_raw_json
from gateway.api.endpoint import Endpoint, Handler
from gateway.api.query import Query
from gateway.api.services import Services
from gateway.customers.apps import App
from gateway.customers.credentials import Credential
from gateway.errors import CallerError, InvalidToken, NotFound
from pricing.money import usd


class Estimates:
    def __init__(self, services: Services) -> None:
        self._services = services

    def routes(self, guarded: Callable[[Handler], Handler]) -> list[Endpoint]:
        return [Endpoint("/api/estimate", {"POST": guarded(self.estimate)})]

    async def estimate(self, request: Request) -> Response:
        query = Query(request, ("app", "temporary_key"))
        key = query.text("temporary_key")
        if key is None:
            credential, refusal = Credential(app=self._app(request, query.text("app"))), None
        else:
            credential, refusal = await self._of_key(key, query.text("app"))
        content = await read_raw_json(request, self._services.request_bytes_max)
        found = await self._services.estimate(content, credential, dict(request.headers.raw))
        code, message = found.refused or (None, None)
        if refusal is not None:
            code, message = refusal.code, str(refusal)
        return answer(
            {
                "admitted": found.admitted and refusal is None,
                "worst_case_usd": _usd(found.worst_case_pico),
                "input_tokens_max": found.input_tokens_max,
                "output_cap": found.output_cap_tokens,
                "binding_limit": found.binding_limit,
                "remaining_usd": _usd(found.remaining_pico),
                "code": code,
                "message": message,
            }
        )

    async def _of_key(self, name: str, app: str | None) -> tuple[Credential, CallerError | None]:
        """Of a call with that temporary key; and why the key itself would not let it pass.

        Raises:
            InvalidFields: there is no such key, or it is of another app.
        """
        keys = self._services.keys
        try:
            key = await keys.find(name)
        except NotFound as exc:
            raise InvalidFields({"temporary_key": str(exc)}) from exc
        credential = keys.credential(key)
        if credential is None or app not in {None, credential.app.id}:
            raise InvalidFields({"temporary_key": f"This key is one of app {key.app!r}."})
        return credential, keys.refusal(key)

    def _app(self, request: Request, named: str | None) -> App:
        """Whose call it would be: the app that the query names, that asks, or the only one."""
        apps = {app.id: app for app in self._services.apps.all}
        if named is None:
            try:
                return self._services.apps.authenticate(bearer(request.headers))
            except InvalidToken:  # it is the admin key
                named = next(iter(apps)) if len(apps) == 1 else ""
        if named not in apps:
            raise InvalidFields({"app": "app must name one of: " + ", ".join(apps) + "."})
        return apps[named]


def _usd(amount_pico: int | None) -> str | None:
    return None if amount_pico is None else usd(amount_pico)
