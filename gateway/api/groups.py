"""Groups: the limits that customers share, set while gateways run, and what is left of them."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from gateway.api.answers import InvalidFields, MalformedBody, answer
from gateway.api.bodies import read_json
from gateway.api.endpoint import Endpoint, Handler
from gateway.api.figures import dollars, dollars_or_none
from gateway.api.query import Query, page_of
from gateway.api.services import Services
from gateway.api.user_rows import Json, overshoot, remaining
from gateway.clock import rfc3339
from gateway.customers import fields
from gateway.customers.fields import FIELDS
from gateway.customers.groups import Group
from gateway.customers.scopes import Scope, group_name
from gateway.customers.windows import CUSTOM, KIND_OF, Duration
from gateway.errors import NotFound
from gateway.ledger.ledger import Spent
from gateway.store.keys import SCOPES

PAGE_SIZE: Final = 50
IDENTIFIER: Final = "group_identifier"
_FIELDS: Final = Group.__struct_fields__
_NOTHING: Final = Spent()


class GroupRoutes:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._groups = services.groups

    def routes(self, guarded: Callable[[Handler], Handler]) -> list[Endpoint]:
        one = {"GET": self.show, "PUT": self.put, "DELETE": self.delete}
        return [
            Endpoint("/api/groups", {"GET": guarded(self.page)}),
            Endpoint("/api/groups/{id}", {m: guarded(do) for m, do in one.items()}),
        ]

    async def page(self, request: Request) -> Response:
        page, size = Query(request, ("page", "page_size")).page(PAGE_SIZE)
        await self._groups.refresh()
        names = sorted({*self._with_limits(), *await self._counted()})
        some = names[(page - 1) * size : page * size]
        rows = await asyncio.gather(*map(self._row, some))
        return answer(page_of(request, list(rows), count=len(names), page=page, page_size=size))

    async def show(self, request: Request) -> Response:
        Query(request, ())
        identifier = _asked_for(request)
        await self._groups.refresh()
        known = identifier in self._with_limits()
        scope = group_name(identifier)
        if not known and not await self._services.store.command("SISMEMBER", SCOPES, scope):
            raise _unknown(identifier)
        return answer(await self._row(identifier))

    async def put(self, request: Request) -> Response:
        Query(request, ())
        identifier = _asked_for(request)
        content = await read_json(request, self._services.request_bytes_max)
        group = _group(content, identifier)
        if group.anchor and (wrong := self._services.directory.calendar.problem(group.anchor)):
            raise InvalidFields({"period_end": f"{wrong}."})
        await self._groups.refresh()
        before = self._groups.scopes.named(group_name(identifier))
        await self._groups.put(identifier, group)
        after = self._groups.scopes.named(before.name)
        await self._services.ledger.scopes.limit_changed(before, after)
        return answer(await self._row(identifier))

    async def delete(self, request: Request) -> Response:
        Query(request, ())
        identifier = _asked_for(request)
        await self._groups.refresh()
        if identifier not in self._groups.set:
            if group_name(identifier) in self._groups.scopes.configured:
                raise InvalidFields(
                    {IDENTIFIER: "Its limits are in the configuration: take them out there."}
                )
            raise _unknown(identifier)
        await self._groups.remove(identifier)
        return Response(status_code=204)

    def _with_limits(self) -> set[str]:
        configured = self._groups.scopes.configured.values()
        return {*self._groups.set, *(s.identifier for s in configured if s.kind == "group")}

    async def _counted(self) -> set[str]:
        """Those that calls have named, with a limit or without."""
        names = await self._services.store.command("SMEMBERS", SCOPES)
        scopes = (Scope(name.decode()) for name in names)
        return {scope.identifier for scope in scopes if scope.kind == "group"}

    async def _row(self, identifier: str) -> Json:
        scope = self._groups.scopes.named(group_name(identifier))
        balance = await self._services.ledger.scope_balance(scope.name)
        directory, clock = self._services.directory, self._services.clock
        limits, terms = scope.limits, scope.terms(directory.calendar, clock.now_ms())
        kind = CUSTOM if scope.anchor else KIND_OF[limits.budget_duration]
        window, of_period = terms.windows.by_kind[kind], balance.by_kind.get(kind, _NOTHING)
        count = self._services.ledger.rules.count
        return {
            IDENTIFIER: identifier,
            "source": self._source(identifier),
            "period_budget": dollars_or_none(limits.period_budget_pico),
            "total_budget": dollars_or_none(limits.total_budget_pico),
            "budget_duration": limits.budget_duration.value,
            "period_start": rfc3339(window.start_ms),
            "period_end": rfc3339(window.end_ms),
            "total_period_usage": dollars(of_period.charge_pico),
            "total_usage": dollars(balance.spent.charge_pico),
            **remaining(terms, balance, kind, count),
            **overshoot(balance),
        }

    def _source(self, identifier: str) -> str | None:
        """Where its limits come from."""
        if identifier in self._groups.set:
            return "api"
        configured = group_name(identifier) in self._groups.scopes.configured
        return "config" if configured else None


def _group(content: Any, identifier: str) -> Group:
    """Raises InvalidFields: names every faulty field."""
    if not isinstance(content, dict):
        raise MalformedBody("The body must be a JSON object.")
    told = {name: value for name, value in content.items() if value is not None}
    errors: dict[str, str] = {}
    if told.pop(IDENTIFIER, identifier) != identifier:
        errors[IDENTIFIER] = "A group cannot be renamed; leave it out."
    found = _parsed(told, errors)
    if not (found.keys() | errors.keys()) & {"period_budget", "total_budget"}:
        errors["period_budget"] = "Give the group a period_budget or a total_budget."
    if "period_end" in found and "period_start" not in found:
        errors["period_end"] = "period_end needs a period_start."
    if errors:
        raise InvalidFields(errors)
    if "budget_duration" in found:
        found["budget_duration"] = Duration(found["budget_duration"])
    return Group(**found)


def _parsed(told: Json, errors: dict[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in told.items():
        if name not in _FIELDS:
            errors[name[:64]] = f"Unknown field; known are {', '.join(_FIELDS)}."
            continue
        try:
            found[name] = FIELDS[name].parse(value)
        except ValueError as exc:
            errors[name] = f"{name} {exc}."
    return found


def _asked_for(request: Request) -> str:
    identifier = request.path_params["id"]
    try:
        return fields.identifier(identifier)
    except ValueError as exc:
        raise _unknown(identifier, f": an identifier {exc}") from exc


def _unknown(identifier: str, why: str = "") -> NotFound:
    return NotFound(f"There is no group {identifier[:64]!r}{why}.", code="group_not_found")
