"""How a list of users is asked for, and answered: order, search, filters, where to go on."""

import base64
import unicodedata
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

import orjson
from starlette.requests import Request

from gateway.api.answers import InvalidFields, MalformedBody
from gateway.api.query import Query
from gateway.api.user_rows import Json, row
from gateway.metering.roster.conditions import (
    NUMBERS,
    STRINGS,
    Condition,
    Narrowing,
    Search,
    Value,
)
from gateway.metering.roster.roster import NEWEST_FIRST, OFFSET_MAX, Cursor, Found, Order, Wanted
from gateway.metering.roster.rows import Column
from gateway.store.operators import OF_NUMBERS, OF_TEXT, Operator
from pricing.money import PICO_PER_USD

PAGE_SIZE: Final = 50
FILTER_VALUES_MAX: Final = 1_000
NUMBER_MAX: Final = Decimal(10) ** 18

COLUMNS: Final[Mapping[str, Column]] = {
    "first_seen": Column.FIRST_SEEN,
    "last_active_timeframe": Column.LAST_SEEN,
    "number_of_requests": Column.REQUESTS,
    "total_cost": Column.CHARGE,
    "total_tokens": Column.TOKENS,
    "active_days": Column.ACTIVE_DAYS,
    "average_latency": Column.LATENCY,
    "average_ttft": Column.TTFT,
    "customer_identifier": Column.IDENTIFIER,
    "email": Column.EMAIL,
    "name": Column.NAME,
}
ORDERS: Final[Mapping[str, Order]] = {
    sign + name: Order(column, descending=bool(sign))
    for name, column in COLUMNS.items()
    for sign in ("-", "")
}
FILTERED: Final = tuple(name for name, c in COLUMNS.items() if c in NUMBERS or c in STRINGS)
ASKED_FOR: Final = tuple(name for name, column in COLUMNS.items() if column in STRINGS)
"""Filters that may stand in the query string, and mean equality."""

PARAMETERS: Final = (
    *("page", "page_size", "sort_by", "search", "after", "environment"),
    *ASKED_FOR,
)
_ENVIRONMENTS: Final = {"prod": True}
"""Keywords AI has two; here all customers are in one."""

_OPERATORS: Final = {operator.value: operator for operator in Operator}


def wanted(request: Request, filters: object = None) -> Wanted:
    """What a request asks for.

    Args:
        filters: Of its body: ``{field: {"operator": ..., "value": [...]}}``.

    Raises:
        InvalidFields: names every faulty parameter or filter.
    """
    query = Query(request, PARAMETERS)
    query.choice("environment", _ENVIRONMENTS)
    page, size = query.page(PAGE_SIZE)
    order = query.choice("sort_by", ORDERS) or NEWEST_FIRST
    after = query.get("after", lambda text: _cursor(text, order))
    offset = (page - 1) * size
    if offset > OFFSET_MAX:
        raise InvalidFields(
            {"page": f"Pages end after {OFFSET_MAX:,} rows; follow next, which goes on with after."}
        )
    if after is not None and page > 1:
        raise InvalidFields({"page": "Give page or after, not both."})
    narrowings: list[Narrowing] = [
        Condition(COLUMNS[name], Operator.EQUAL, (_value(COLUMNS[name], text),))
        for name in ASKED_FOR
        if (text := query.text(name)) is not None
    ]
    search = query.text("search")
    if search is not None:
        narrowings.append(Search(search))
    return Wanted(
        order=order,
        narrowings=[*narrowings, *_conditions(filters)],
        offset=offset,
        size=size,
        after=after,
    )


def filters_of(body: object) -> object:
    """The filters in the body of a list.

    Raises:
        MalformedBody: it is no object.
        InvalidFields: there is something else in it.
    """
    if not isinstance(body, dict):
        raise MalformedBody('The body must be a JSON object, like {"filters": {}}.')
    if unknown := [name for name in body if name != "filters"]:
        raise InvalidFields(
            dict.fromkeys(
                (name[:64] for name in unknown),
                "Unknown field. The body has filters; page, sort_by and search stand in the query.",
            )
        )
    return body.get("filters")


def page(request: Request, asked: Wanted, found: Found) -> Json:
    """The answer, with the addresses of its neighbours."""
    here = asked.offset // asked.size + 1
    return {
        "count": found.count,
        **({} if found.exact else {"count_exact": False}),
        "next": _next(request, asked, found, here + 1),
        "previous": _address(request, page=here - 1) if here > 1 else None,
        "results": [row(one) for one in found.rows],
    }


def _next(request: Request, asked: Wanted, found: Found, page: int) -> str | None:
    """By number as far as numbers go; else from a place in the order."""
    if found.following is None:
        return None
    by_number = asked.offset + asked.size <= OFFSET_MAX and not found.cut_short
    if asked.after is None and by_number:
        return _address(request, page=page)
    return _address(request, after=_spelled(asked.order, found.following))


def _address(request: Request, **changes: Any) -> str:
    url = request.url
    if "after" in changes:
        url = url.remove_query_params("page")
    return str(url.include_query_params(**changes))


def _spelled(order: Order, cursor: Cursor) -> str:
    text = [order.column.value, order.descending, cursor.score, cursor.entry.decode()]
    return base64.urlsafe_b64encode(orjson.dumps(text)).decode().rstrip("=")


def _cursor(text: str, order: Order) -> Cursor:
    try:
        padded = text + "=" * (-len(text) % 4)
        column, descending, score, entry = orjson.loads(base64.b64decode(padded, b"-_", True))
        if not isinstance(score, int | float) or not isinstance(entry, str) or not entry:
            raise ValueError
    except (ValueError, TypeError) as exc:
        raise ValueError("must be taken from the next of another page") from exc
    if (column, descending) != (order.column.value, order.descending):
        raise ValueError("belongs to a list with another sort_by")
    return Cursor(float(score), entry.encode())


def _conditions(filters: object) -> list[Condition]:
    if filters is None:
        return []
    if not isinstance(filters, dict):
        raise InvalidFields({"filters": "filters must be an object of fields."})
    found, errors = [], {}
    for name, asked in filters.items():
        try:
            found.append(_condition(name, asked))
        except ValueError as exc:
            errors[f"filters.{name[:64]}"] = f"{exc}."
    if errors:
        raise InvalidFields(errors)
    return found


def _condition(name: str, asked: object) -> Condition:
    if name not in FILTERED:
        raise ValueError("Unknown field. Filters are for " + ", ".join(FILTERED))
    if not isinstance(asked, dict) or not set(asked) <= {"operator", "value"}:
        raise ValueError('A filter is {"operator": "gt", "value": [10]}')
    column = COLUMNS[name]
    known = OF_NUMBERS if column in NUMBERS else OF_TEXT
    operator = _OPERATORS.get(asked.get("operator") or "")
    if operator is None or operator not in known:
        raise ValueError("operator must be one of " + ", ".join(f'"{o}"' for o in sorted(known)))
    values = asked.get("value")
    values = values if isinstance(values, list) else [values]
    if operator is Operator.ISNULL:
        return Condition(column, operator, (_flag(values),))
    if not 1 <= len(values) <= FILTER_VALUES_MAX:
        raise ValueError(f"value must have 1 to {FILTER_VALUES_MAX:,} values")
    return Condition(column, operator, tuple(_value(column, value) for value in values))


def _flag(values: list[object]) -> str:
    if len(values) == 1 and isinstance(values[0], bool):
        return "true" if values[0] else "false"
    raise ValueError("value must be true or false")


def _value(column: Column, value: object) -> Value:
    if column not in NUMBERS:
        if not isinstance(value, str) or "\0" in value:
            raise ValueError("value must be text, without NUL")
        return unicodedata.normalize("NFC", value)
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("value must be a number")
    try:
        number = Decimal(str(value))
    except ArithmeticError as exc:
        raise ValueError("value must be a number") from exc
    if not number.is_finite() or abs(number) > NUMBER_MAX:
        raise ValueError(f"value must be a number up to {NUMBER_MAX:,}")
    return number * PICO_PER_USD if column is Column.CHARGE else number
