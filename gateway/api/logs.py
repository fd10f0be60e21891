"""Logs: the metadata of calls, reported usage and refusals, from the archive."""

from collections.abc import Callable, Mapping
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from gateway.api.answers import InvalidFields, MalformedBody, answer
from gateway.api.bodies import read_json
from gateway.api.customers import Customers
from gateway.api.endpoint import Endpoint, Handler
from gateway.api.figures import dollars
from gateway.api.log_filters import PARAMETERS, LogFilters
from gateway.api.log_rows import ROW_FIELDS, one, payload_json, row
from gateway.api.query import Query
from gateway.api.services import Services
from gateway.arithmetic import arithmetic
from gateway.errors import NotFound
from gateway.store.archive import OFFSET_MAX, Listed, Place, Sort, Wanted

PAGE_SIZE: Final = 100

_SORTS: Final[Mapping[str, tuple[Sort, bool]]] = {
    sign + name: (sort, bool(sign))
    for name, sort in {
        "id": Sort.TIME,
        "timestamp": Sort.TIME,
        "cost": Sort.COST,
        "charge": Sort.CHARGE,
        "latency": Sort.LATENCY,
        "time_to_first_token": Sort.FIRST_TOKEN,
        "prompt_tokens": Sort.INPUT,
        "completion_tokens": Sort.OUTPUT,
    }.items()
    for sign in ("-", "")
}
_NEWEST_FIRST: Final = (Sort.TIME, True)
FOREIGN: Final = ("is_test", "all_envs", "fetch_filters")
"""Keywords AI's: there are no tests and no environments here, and filters are documented."""

OF_PAGES: Final = ("page", "page_size", "sort_by", "after", "include_fields", *FOREIGN)


class Logs:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._customers = Customers(services)
        self._filters = LogFilters(services)

    def routes(self, guarded: Callable[[Handler], Handler]) -> list[Endpoint]:
        page, summary = guarded(self.page), guarded(self.summary)
        return [
            Endpoint("/api/request-logs", {"GET": page, "POST": page}),
            Endpoint("/api/request-logs/list", {"GET": page, "POST": page}),
            Endpoint("/api/request-logs/summary", {"GET": summary, "POST": summary}),
            Endpoint("/api/request-logs/{id}", {"GET": guarded(self.show)}),
        ]

    async def page(self, request: Request) -> Response:
        query = Query(request, (*PARAMETERS, *OF_PAGES))
        page, size = query.page(PAGE_SIZE)
        sort, descending = query.choice("sort_by", _SORTS) or _NEWEST_FIRST
        after = query.get("after", _place)
        fields = query.get("include_fields", _fields)
        _check(page, size, sort, after)
        wanted = Wanted(
            filter=await self._filters.read(query, await self._body(request)),
            sort=sort,
            descending=descending,
            offset=(page - 1) * size,
            size=size,
            after=after,
        )
        found = await self._services.archive.page(wanted)
        profiles = await self._customers.profiles(
            {archived.event.customer_number: archived.partition for archived in found.rows}
        )
        rows = [
            row(archived.event, profiles.get(archived.event.customer_number))
            for archived in found.rows
        ]
        if fields is not None:
            rows = [{name: shown[name] for name in shown if name in fields} for shown in rows]
        return answer(
            {
                "count": found.count,
                **({} if found.exact else {"count_exact": False}),
                "next": _next(request, wanted, found, page + 1),
                "previous": _address(request, page=page - 1) if page > 1 else None,
                "results": rows,
            }
        )

    async def summary(self, request: Request) -> Response:
        query = Query(request, (*PARAMETERS, *FOREIGN))
        wanted = await self._filters.read(query, await self._body(request))
        totals = await self._services.archive.summary(wanted)
        return answer(
            {
                "total_cost": dollars(totals.charge_pico),
                "total_tokens": totals.total_tokens,
                "number_of_requests": totals.requests,
            }
        )

    async def show(self, request: Request) -> Response:
        Query(request, ())
        request_id = request.path_params["id"]
        archived = None
        if "\0" not in request_id:  # PostgreSQL takes none
            archived = await self._services.archive.one(request_id)
        if archived is None:
            raise NotFound(f"There is no log {request_id[:64]!r}.")
        event = archived.event
        profiles = await self._customers.profiles({event.customer_number: archived.partition})
        profile = profiles.get(event.customer_number)
        card = await self._customers.card(profile) if profile else None
        later = await self._services.archive.adjustments(request_id)
        found = arithmetic(event, self._services.rating)
        shown = one(event, profile, card, found, [added.event for added in later])
        payload = await self._services.archive.payloads.one(request_id)
        if payload is not None:
            shown["payload"] = payload_json(payload)
        return answer(shown)

    async def _body(self, request: Request) -> object:
        """The filters in the body of a POST."""
        if request.method != "POST":
            return None
        body = await read_json(request, self._services.request_bytes_max)
        if not isinstance(body, dict):
            raise MalformedBody('The body must be a JSON object, like {"filters": {}}.')
        if unknown := [name for name in body if name != "filters"]:
            raise InvalidFields(
                dict.fromkeys((name[:64] for name in unknown), "The body has filters only.")
            )
        return body.get("filters")


def _check(page: int, size: int, sort: Sort, after: Place | None) -> None:
    if page * size > OFFSET_MAX + size:
        raise InvalidFields(
            {"page": f"Pages end after {OFFSET_MAX:,} rows; follow next, which goes on with after."}
        )
    if after is not None and (page > 1 or sort is not Sort.TIME):
        raise InvalidFields({"after": "after goes with sort_by=-id or id, and without page."})


def _next(request: Request, wanted: Wanted, found: Listed, page: int) -> str | None:
    """By number as far as numbers go; else from a place in the order."""
    if found.following is None:
        return None
    by_number = wanted.after is None and wanted.offset + wanted.size <= OFFSET_MAX
    if by_number and not found.cut_short:
        return _address(request, page=page)
    if wanted.sort is not Sort.TIME:
        return None
    return _address(request, after=f"{found.following.at_ms}-{found.following.row_id}")


def _address(request: Request, **changes: object) -> str:
    url = request.url
    if "after" in changes:
        url = url.remove_query_params("page")
    return str(url.include_query_params(**changes))


def _place(text: str) -> Place:
    at_ms, dash, row_id = text.partition("-")
    if not (dash and all(part.isascii() and part.isdecimal() for part in (at_ms, row_id))):
        raise ValueError("must be taken from the next of another page")
    place = Place(int(at_ms[:20]), int(row_id[:20]))
    if max(place) >= 2**63:
        raise ValueError("must be taken from the next of another page")
    return place


def _fields(text: str) -> frozenset[str]:
    names = frozenset(name.strip() for name in text.split(",") if name.strip())
    if unknown := sorted(names - set(ROW_FIELDS)):
        raise ValueError(
            f"has {unknown[0][:64]!r}, which no row has; rows have {', '.join(ROW_FIELDS)}"
        )
    return names
