"""Keys: the apps of the configuration, and temporary keys that are made, shown once, and end."""

import asyncio
from dataclasses import replace
from datetime import date
from typing import Any, Final

from starlette.responses import RedirectResponse, Response

from gateway.api.answers import InvalidFields
from gateway.api.services import Services
from gateway.customers import fields
from gateway.customers.temporary_keys import TemporaryKey
from gateway.dashboard.rendering import Renderer
from gateway.dashboard.twins import ROWS_MAX, amount, instant, twin
from gateway.dashboard.users import page_number
from gateway.dashboard.visits import Visit
from gateway.store.archive.days import day_start_ms

PAGE_SIZE: Final = 50


class KeysPage:
    def __init__(self, services: Services, renderer: Renderer) -> None:
        self._services = services
        self._renderer = renderer

    async def page(self, visit: Visit) -> Response:
        return await self._shown(visit)

    def twin(self, kind: str) -> Any:
        async def file(_: Visit) -> Response:
            rows: list[dict[str, Any]] = []
            while len(rows) < ROWS_MAX:
                some = (await self._rows(len(rows)))[1]
                rows += [_file_row(key, spent) for key, spent in some]
                if len(some) < PAGE_SIZE:
                    break
            return twin(kind, "keys", rows, FILE_COLUMNS)

        return file

    async def create(self, visit: Visit) -> Response:
        """The answer is the page itself: the key stands in it, and nowhere else."""
        values = {name: visit.form.get(name, "").strip() for name in _FIELDS}
        try:
            wanted = self._read(values, visit.form.get("app", ""))
        except InvalidFields as exc:
            return await self._shown(visit, values=values, errors=exc.errors, status=422)
        key, token = await self._services.keys.make(wanted)
        return await self._shown(visit, made=key, token=token)

    async def revoke(self, visit: Visit) -> Response:
        keys = self._services.keys
        if visit.form.get("delete") == "1":
            await keys.delete(visit.request.path_params["id"])
        else:
            key = await keys.find(visit.request.path_params["id"])
            await keys.change(replace(key, revoked=True))
        return RedirectResponse("/keys", 303)

    def _read(self, values: dict[str, str], app: str) -> TemporaryKey:
        errors: dict[str, str] = {}
        if not any(known.id == app for known in self._services.apps.all):
            errors["app"] = "Choose an app."
        found: dict[str, Any] = {}
        for name, (attribute, parse) in self._parsers().items():
            if values[name]:
                try:
                    found[attribute] = parse(values[name])
                except ValueError as exc:
                    errors[name] = str(exc)[:1].upper() + str(exc)[1:]
        if errors:
            raise InvalidFields(errors)
        return TemporaryKey(id="", digest="", app=app, made_ms=0, **found)

    def _parsers(self) -> dict[str, Any]:
        zone = self._services.zone
        return {
            "name": ("name", fields.text),
            "customer_identifier": ("customer", fields.identifier),
            "spending_limit": ("budget_pico", fields.budget),
            "expiry_date": (
                "until_ms",
                lambda text: day_start_ms(_date(text), zone),
            ),
            "max_usage": ("uses_max", _whole),
        }

    async def _shown(
        self,
        visit: Visit,
        *,
        made: TemporaryKey | None = None,
        token: str | None = None,
        values: dict[str, str] | None = None,
        errors: Any = None,
        status: int = 200,
    ) -> Response:
        page = page_number(visit.state.get("page"))
        count, rows = await self._rows((page - 1) * PAGE_SIZE)
        context: dict[str, Any] = {
            "apps": self._services.apps.all,
            "rows": rows,
            "count": count,
            "page": page,
            "pages": -(-count // PAGE_SIZE),
            "made": made,
            "token": token,
            "values": values or {},
            "errors": errors or {},
        }
        return self._renderer.page("keys.html", visit, context, status)

    async def _rows(self, offset: int) -> tuple[int, list[tuple[TemporaryKey, int]]]:
        """How many there are, and a page of them, each with what it has spent, pico-USD."""
        count, keys = await self._services.keys.page(offset, PAGE_SIZE)
        balances = await asyncio.gather(
            *(self._services.ledger.scope_balance(key.scope.name) for key in keys)
        )
        spent = [balance.spent.charge_pico for balance in balances]
        return count, list(zip(keys, spent, strict=True))


FILE_COLUMNS: Final = (
    *("key_id", "name", "app", "customer_identifier", "revoked", "ends_at"),
    *("spent_usd", "limit_usd", "uses", "uses_max"),
)


def _file_row(key: TemporaryKey, spent_pico: int) -> dict[str, Any]:
    return {
        "key_id": key.id,
        "name": key.name,
        "app": key.app,
        "customer_identifier": key.customer,
        "revoked": key.revoked,
        "ends_at": instant(key.until_ms),
        "spent_usd": amount(spent_pico),
        "limit_usd": amount(key.budget_pico),
        "uses": key.uses,
        "uses_max": key.uses_max,
    }


_FIELDS: Final = ("name", "customer_identifier", "spending_limit", "expiry_date", "max_usage")


def _date(text: str) -> date:

    try:
        return date.fromisoformat(text)
    except ValueError as exc:
        raise ValueError("must be a date, like 2026-12-31") from exc


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 12):
        raise ValueError("must be a whole number")
    return int(text)
