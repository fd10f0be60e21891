"""Users: create, list, show and change customers, under Keywords AI's paths and fields."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from gateway.api.answers import InvalidFields, answer
from gateway.api.bodies import read_json
from gateway.api.endpoint import Endpoint, Handler
from gateway.api.query import Query, page_of
from gateway.api.services import Services
from gateway.api.user_fields import (
    IDENTIFIER,
    changed,
    check_merged_metadata,
    created,
    looked_up,
)
from gateway.api.user_rows import Json, Standing, detail, row
from gateway.customers.profile import Profile
from gateway.store.archive import LogFilter
from gateway.store.client import Part
from gateway.store.keys import CUSTOMERS_BY_FIRST_SEEN

PAGE_SIZE: Final = 50

_ORDERS: Final[dict[str, Sequence[Part]]] = {"-first_seen": ("REV",), "first_seen": ()}


class Users:
    def __init__(self, services: Services) -> None:
        self._services = services

    def routes(self, guarded: Callable[[Handler], Handler]) -> list[Endpoint]:
        create, show, change = guarded(self.create), guarded(self.show), guarded(self.change)
        return [
            Endpoint("/api/users", {"GET": guarded(self.index), "POST": create, "PATCH": change}),
            Endpoint("/api/users/create", {"POST": create}),
            Endpoint("/api/users/list", {"GET": guarded(self.page)}),
            Endpoint("/api/users/{id}", {"GET": show, "PATCH": change}),
            Endpoint("/api/user/detail", {"GET": show}),
            Endpoint("/api/user/detail/{id}", {"GET": show}),
            Endpoint("/api/user/update", {"PATCH": change}),
            Endpoint("/api/user/update/{id}", {"PATCH": change}),
        ]

    async def create(self, request: Request) -> Response:
        body = await read_json(request, self._services.request_bytes_max)
        identifier, change = created(body)
        profile = await self._services.directory.create(
            identifier, {name: value for name, value in change.items() if value is not None}
        )
        return answer(await self._detail(profile), 201)

    async def index(self, request: Request) -> Response:
        """``/api/users/`` lists; with ``?customer_identifier=`` it shows that one."""
        if IDENTIFIER in request.query_params:
            return await self.show(request)
        return await self.page(request)

    async def show(self, request: Request) -> Response:
        profile = await self._services.directory.known(_asked_for(request))
        return answer(await self._detail(profile))

    async def change(self, request: Request) -> Response:
        identifier = _asked_for(request)
        body = await read_json(request, self._services.request_bytes_max)
        change = changed(identifier, body)
        directory = self._services.directory
        check_merged_metadata(await directory.known(identifier), change)
        return answer(await self._detail(await directory.change(identifier, change)))

    async def page(self, request: Request) -> Response:
        query = Query(request, ("page", "page_size", "sort_by"))
        page, page_size = query.page(PAGE_SIZE)
        order = query.choice("sort_by", _ORDERS)
        order = _ORDERS["-first_seen"] if order is None else order
        first = (page - 1) * page_size
        count, names = await self._services.store.commands(
            [
                ("ZCARD", CUSTOMERS_BY_FIRST_SEEN),
                ("ZRANGE", CUSTOMERS_BY_FIRST_SEEN, first, first + page_size - 1, *order),
            ]
        )
        rows = await self._rows([name.decode() for name in names])
        return answer(page_of(request, rows, count=count, page=page, page_size=page_size))

    async def _rows(self, identifiers: Sequence[str]) -> list[Json]:
        """One row a customer, in two round trips however many there are."""
        store, counters = self._services.store, self._services.counters
        partitions = [self._services.directory.partition_of(name) for name in identifiers]
        numbers = await store.commands(
            [("GET", p.number(i)) for p, i in zip(partitions, identifiers, strict=True)]
        )
        found = [
            (identifier, partition, int(number))
            for identifier, partition, number in zip(identifiers, partitions, numbers, strict=True)
            if number is not None  # deleted since the index was read
        ]
        profiles, lifetimes = await asyncio.gather(
            store.commands([("HGETALL", p.profile(number)) for _, p, number in found]),
            counters.lifetimes([(p, number) for _, p, number in found]),
        )
        return [
            row(Profile.from_reply(identifier, number, reply), lifetime)
            for (identifier, _, number), reply, lifetime in zip(
                found, profiles, lifetimes, strict=True
            )
        ]

    async def _detail(self, profile: Profile) -> Json:
        services = self._services
        partition = services.directory.partition_of(profile.identifier)
        balance, lifetime, models = await asyncio.gather(
            services.ledger.balance(profile),
            services.counters.lifetime(partition, profile.number),
            services.archive.models(LogFilter(customer_numbers=(profile.number,))),
        )
        now_ms = services.clock.now_ms()
        return detail(
            Standing(
                profile=profile,
                lifetime=lifetime,
                balance=balance,
                terms=services.directory.terms(profile, now_ms),
                models=models,
                now_ms=now_ms,
                zone=services.zone,
                count=services.ledger.rules.count,
            )
        )


def _asked_for(request: Request) -> str:
    """The customer that the path or ``?customer_identifier=`` names; the query wins.

    Raises:
        InvalidFields: neither does, or the query has more than that.
        NotFound: no customer can have that identifier.
    """
    named = Query(request, (IDENTIFIER,)).text(IDENTIFIER) or request.path_params.get("id")
    if named is None:
        raise InvalidFields({IDENTIFIER: "Name the customer, as ?customer_identifier=..."})
    return looked_up(named)
