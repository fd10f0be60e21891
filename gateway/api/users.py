"""Users: create, list, show and change customers, under Keywords AI's paths and fields."""

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response

from gateway.api import user_list
from gateway.api.answers import InvalidFields, answer
from gateway.api.bodies import read_json
from gateway.api.endpoint import Endpoint, Handler
from gateway.api.query import Query
from gateway.api.services import Services
from gateway.api.user_fields import IDENTIFIER, changed, created, credited, looked_up
from gateway.api.user_rows import detail
from gateway.ledger.results import Recorded
from pricing.money import usd


class Users:
    def __init__(self, services: Services) -> None:
        self._users = services.users
        self._request_bytes_max = services.request_bytes_max

    def routes(self, guarded: Callable[[Handler], Handler]) -> list[Endpoint]:
        create, show, change = guarded(self.create), guarded(self.show), guarded(self.change)
        delete, credit = guarded(self.delete), guarded(self.credit)
        every = {"GET": show, "PATCH": change, "DELETE": delete}
        listed, filtered = guarded(self.page), guarded(self.filtered_page)
        return [
            Endpoint("/api/users", {**every, "GET": guarded(self.index), "POST": create}),
            Endpoint("/api/users/create", {"POST": create}),
            Endpoint("/api/users/list", {"GET": listed, "POST": filtered}),
            Endpoint("/api/users/{id}", every),
            Endpoint("/api/users/{id}/credits", {"POST": credit}),
            Endpoint("/api/user/detail", {"GET": show}),
            Endpoint("/api/user/detail/{id}", {"GET": show}),
            Endpoint("/api/user/update", {"PATCH": change}),
            Endpoint("/api/user/update/{id}", {"PATCH": change}),
        ]

    async def create(self, request: Request) -> Response:
        identifier, change = created(await self._body(request))
        return answer(detail(await self._users.create(identifier, change)), 201)

    async def index(self, request: Request) -> Response:
        """``/api/users/`` lists; with ``?customer_identifier=`` it shows that one."""
        if IDENTIFIER in request.query_params:
            return await self.show(request)
        return await self.page(request)

    async def show(self, request: Request) -> Response:
        return answer(detail(await self._users.show(_asked_for(request))))

    async def change(self, request: Request) -> Response:
        identifier = _asked_for(request)
        change = changed(identifier, await self._body(request))
        return answer(detail(await self._users.change(identifier, change)))

    async def delete(self, request: Request) -> Response:
        await self._users.delete(_asked_for(request))
        return Response(status_code=204)

    async def credit(self, request: Request) -> Response:
        identifier = looked_up(request.path_params["id"])
        credit = credited(await self._body(request))
        receipt, standing = await self._users.credit(identifier, credit)
        is_new = receipt.outcome is Recorded.ACCEPTED
        shown = detail(standing)
        content = {
            "id": receipt.event_id,
            "customer_identifier": identifier,
            "amount_usd": usd(receipt.charge_pico),
            "reason": credit.reason,
            "duplicate": not is_new,
            **{name: shown[name] for name in ("credits_usd", "remaining_usd")},
        }
        return answer(content, 201 if is_new else 200)

    async def page(self, request: Request) -> Response:
        return await self._page(request)

    async def filtered_page(self, request: Request) -> Response:
        return await self._page(request, user_list.filters_of(await self._body(request)))

    async def _page(self, request: Request, filters: object = None) -> Response:
        asked = user_list.wanted(request, filters)
        return answer(user_list.page(request, asked, await self._users.page(asked)))

    async def _body(self, request: Request) -> object:
        return await read_json(request, self._request_bytes_max)


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
