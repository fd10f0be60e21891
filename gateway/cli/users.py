"""`farebox users`: customers, as the management API shows and changes them."""

import json
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, Final, TypeVar

import click

from gateway.api import user_fields
from gateway.api.answers import InvalidFields
from gateway.api.user_list import ORDERS
from gateway.api.user_rows import Json, detail, row
from gateway.api.user_service import UserService
from gateway.app import users_of
from gateway.cli.beside import walked
from gateway.cli.columns import columns
from gateway.cli.fatal import Fatal
from gateway.config import Config
from gateway.errors import CallerError, NotFound
from gateway.metering.roster.conditions import Narrowing, Search
from gateway.metering.roster.roster import Wanted
from gateway.parts import Parts

T = TypeVar("T")

_HEADS: Final = ("customer", "name", "email", "last active", "calls", "tokens", "charged USD")
_NUMBERS: Final = (4, 5, 6)
_MONEY: Final = frozenset({"period_budget", "total_budget", "total_usage", "total_period_usage"})


def listed(config: Config, *, search: str | None, sort_by: str, limit: int, as_json: bool) -> None:
    """Print the first customers of the list, in the order asked for.

    Raises:
        Fatal, StoreError: the store cannot be read.
    """
    narrowings: list[Narrowing] = [Search(search)] if search else []
    wanted = Wanted(order=ORDERS[sort_by], narrowings=narrowings, size=limit)
    found = _with_users(config, lambda users: users.page(wanted))
    rows = [row(listed) for listed in found.rows]
    if as_json:
        exact = {} if found.exact else {"count_exact": False}
        click.echo(_json({"count": found.count, **exact, "results": rows}))
        return
    more = "" if found.exact else " at least"
    click.echo("\n".join(columns([_HEADS, *map(_cells, rows)], right=_NUMBERS, indent="")))
    click.echo(f"{len(rows):,} of{more} {found.count:,} customers.")


def shown(config: Config, identifier: str, *, as_json: bool) -> None:
    """Print all that is known of a customer.

    Raises:
        Fatal, StoreError: there is no such customer, or the store cannot be read.
    """
    name = _identifier(identifier)
    _print(detail(_with_users(config, lambda users: users.show(name))), as_json=as_json)


def set_(
    config: Config, identifier: str, fields: Sequence[str], *, create: bool, as_json: bool
) -> None:
    """Set fields, each ``name=value``, and pin them; ``null`` clears one and its pin.

    Args:
        create: Make the customer if it is not there.

    Raises:
        Fatal, StoreError: a field is wrong, there is no such customer, or the store is away.
    """
    name, body = _identifier(identifier), dict(map(_assigned, fields))

    async def written(users: UserService) -> Any:
        try:
            return await users.change(name, user_fields.changed(name, body))
        except NotFound:
            if not create:
                raise
        made, change = user_fields.created({**body, user_fields.IDENTIFIER: name})
        return await users.create(made, change)

    _print(detail(_with_users(config, written)), as_json=as_json)


def _with_users(config: Config, do: Callable[[UserService], Awaitable[T]]) -> T:
    async def done(parts: Parts, _: Callable[[float], None]) -> T:
        try:
            return await do(users_of(parts))
        except InvalidFields as exc:
            raise Fatal("; ".join(exc.errors.values())) from exc
        except CallerError as exc:
            raise Fatal(str(exc)) from exc

    return walked(config, "Asking the store", done, archive=True)


def _identifier(text: str) -> str:
    try:
        return user_fields.looked_up(text)
    except NotFound as exc:
        raise Fatal(str(exc)) from exc


def _assigned(text: str) -> tuple[str, Any]:
    """``name=value``; the value as JSON where it is some, else as text."""
    name, equals, value = text.partition("=")
    if not equals:
        raise Fatal(f"{text!r} is no assignment: write it as field=value")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _print(shown: Json, *, as_json: bool) -> None:
    click.echo(_json(shown) if as_json else "\n".join(_lines(shown)))


def _lines(shown: Json) -> Iterator[str]:
    yield click.style(shown["customer_identifier"], bold=True)
    yield from columns(
        [(name, _text(name, value)) for name, value in shown.items() if value not in (None, [], {})]
    )


def _cells(shown: Json) -> tuple[str, ...]:
    return (
        shown["customer_identifier"],
        shown["name"] or "",
        shown["email"] or "",
        shown["last_active_timeframe"] or "never",
        f"{shown['number_of_requests']:,}",
        f"{shown['total_tokens']:,}",
        f"{shown['total_cost']:,.6f}",
    )


def _text(name: str, value: Any) -> str:
    if name in _MONEY:
        return f"{value:,.6f}".rstrip("0").rstrip(".")
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _json(content: Any) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False)
