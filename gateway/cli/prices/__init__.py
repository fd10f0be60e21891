"""`farebox prices`: what people do with prices. Each command is imported when it runs."""

import os
import sys
from pathlib import Path
from typing import IO

import click

from gateway.cli.options import CONFIG, FAULT, JSON, USAGE, explained

_SPAN_HELP = "RFC 3339, or a day of the reporting zone."


@click.group()
def prices() -> None:
    """Look prices up, work costs out, and put right what was billed wrong."""


@prices.command()
@click.argument("model")
@click.option("--at", "at", help="An instant, or a day (taken at 12:00 UTC). Default: now.")
@click.option("--provider", help="Only there. Default: wherever the name is known.")
@CONFIG
@JSON
def show(
    model: str, at: str | None, provider: str | None, config_file: Path | None, as_json: bool
) -> None:
    """What MODEL costs, and what it has cost. Exit 1: no price book has that name."""
    with explained():
        from gateway.cli.prices.show import show as run

        sys.exit(run(model, at=at, provider=provider, config_file=config_file, as_json=as_json))


@prices.command()
@click.argument("file", type=click.File("rb"))
@CONFIG
def cost(file: IO[bytes], config_file: Path | None) -> None:
    """Price usage blocks: a JSON object or JSON lines in FILE, or - for standard input.

    Each is {"provider", "model", "at", "usage"}, and may have "service_tier", "endpoint",
    "deployment_scope" and "tool_calls"; each gives one line of JSON. Exit 0, whatever it
    says; 2: FILE cannot be read.
    """
    with explained(USAGE):
        from gateway.cli.prices.cost import cost as run

        run(file, config_file=config_file)


@prices.command()
@click.argument("request_id")
@CONFIG
@JSON
def explain(request_id: str, config_file: Path | None, as_json: bool) -> None:
    """The arithmetic of one call, from the archive. Exit 1: there is none of that id."""
    with explained():
        from gateway.cli.prices.explain import explain as run
        from gateway.config import configured

        sys.exit(run(configured(config_file, os.environ), request_id, as_json=as_json))


@prices.command()
@click.argument("before")
@click.argument("after")
@JSON
def diff(before: str, after: str, as_json: bool) -> None:
    """What differs between two price books.

    BEFORE and AFTER are each a config, a price file, a folder of them, a compiled book, or
    the word `shipped`. Exit 1: AFTER would not be adopted by a running gateway unconfirmed.
    """
    with explained(USAGE):
        from gateway.cli.prices.diff import diff as run

        sys.exit(run(before, after, as_json=as_json))


@prices.command()
@click.argument("book", default="shipped")
@JSON
def lint(book: str, as_json: bool) -> None:
    """What looks wrong in BOOK (see diff; default: the shipped one). Exit 1: something."""
    with explained(USAGE):
        from gateway.cli.prices.lint import lint as run

        sys.exit(FAULT if run(book, as_json=as_json) else 0)


@prices.command()
@click.option("--since", help=_SPAN_HELP + " Default: all that the archive has.")
@CONFIG
@JSON
def unknown(since: str | None, config_file: Path | None, as_json: bool) -> None:
    """The names that were called without a price: how often, by whom, last when."""
    with explained():
        from gateway.cli.prices.unknown import unknown as run
        from gateway.config import configured

        run(configured(config_file, os.environ), since=since, as_json=as_json)


@prices.command()
@click.option("--since", required=True, help="The first call: " + _SPAN_HELP)
@click.option("--until", help="The first call that is not meant. Default: now.")
@click.option("--dry-run", "dry", is_flag=True, help="Only say what would change.")
@CONFIG
@JSON
def rerate(
    since: str, until: str | None, dry: bool, config_file: Path | None, as_json: bool
) -> None:
    """Price calls again by the book of today, and book the differences.

    What changes is summed up by customer first. A second run changes nothing.
    Exit 0: all is right now; 1: another run was at work, run it again; 2: it could not be done.
    """
    with explained(USAGE):
        from gateway.cli.prices.rerate import rerate as run
        from gateway.config import configured

        config = configured(config_file, os.environ)
        sys.exit(run(config, since=since, until=until, dry=dry, as_json=as_json))
