"""`farebox users`: its commands. What they do is imported when one runs."""

import os
from pathlib import Path

import click

from gateway.cli.options import CONFIG, JSON, explained


@click.group()
def users() -> None:
    """Look at customers, and set what they may spend."""


@users.command("list")
@click.option("--search", help="The beginning of an identifier, a name or an email address.")
@click.option("--sort-by", default="-first_seen", show_default=True, help="- for descending.")
@click.option("--limit", type=click.IntRange(1, 1_000), default=50, show_default=True)
@CONFIG
@JSON
def list_users(
    search: str | None, sort_by: str, limit: int, config_file: Path | None, as_json: bool
) -> None:
    """The first customers, in an order of the users list."""
    with explained():
        from gateway.api.user_list import ORDERS
        from gateway.cli.users import listed
        from gateway.config import configured

        if sort_by not in ORDERS:
            raise click.UsageError("--sort-by must be one of " + ", ".join(ORDERS))
        config = configured(config_file, os.environ)
        listed(config, search=search, sort_by=sort_by, limit=limit, as_json=as_json)


@users.command()
@click.argument("customer")
@CONFIG
@JSON
def show(customer: str, config_file: Path | None, as_json: bool) -> None:
    """All that is known of CUSTOMER. Exit 1: there is none of that identifier."""
    with explained():
        from gateway.cli.users import shown
        from gateway.config import configured

        shown(configured(config_file, os.environ), customer, as_json=as_json)


@users.command("set")
@click.argument("customer")
@click.argument("fields", nargs=-1, required=True, metavar="FIELD=VALUE...")
@click.option("--create", is_flag=True, help="Make the customer, if it is not there.")
@CONFIG
@JSON
def set_fields(
    customer: str,
    fields: tuple[str, ...],
    create: bool,
    config_file: Path | None,
    as_json: bool,
) -> None:
    """Set fields of CUSTOMER, and pin them: no call overrides them then.

    For example period_budget=100 budget_duration=weekly blocked=true; null clears a field,
    and its pin. Exit 1: a field is wrong, or there is no such customer.
    """
    with explained():
        from gateway.cli.users import set_
        from gateway.config import configured

        config = configured(config_file, os.environ)
        set_(config, customer, fields, create=create, as_json=as_json)
