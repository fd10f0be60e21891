"""The commands: what each takes, and where it is done.

The parts are imported when a command runs, so that ``farebox --help`` answers at once.
"""

import os
import sys
from pathlib import Path
from typing import Any

import click

from gateway.cli.options import CONFIG, FAULT, HOST, JSON, PORT, USAGE, explained
from gateway.cli.prices import prices
from gateway.cli.user_commands import users


@click.group(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 ok, 1 a fault was found, 2 wrong usage or an unusable config.",
)
@click.version_option(package_name="farebox", prog_name="farebox")
@click.pass_context
def main(context: click.Context) -> None:
    """An OpenAI-compatible gateway that meters every customer and stops each at its budget."""
    if os.environ.get("NO_COLOR"):
        context.color = False


@main.command()
@CONFIG
@HOST
@PORT
@click.option("--workers", type=click.IntRange(1, 256), help="Processes that answer calls.")
def serve(
    config_file: Path | None, host: str | None, port: int | None, workers: int | None
) -> None:
    """Run the gateway, with the store it needs, until SIGTERM or Ctrl-C."""
    with explained():
        from gateway.cli.serve import serve as run
        from gateway.config import configured

        config = configured(config_file, os.environ)
        asked = {"host": host, "port": port, "workers": workers}
        wanted = {name: value for name, value in asked.items() if value is not None}
        server = config.server.model_copy(update=wanted)
        run(config.model_copy(update={"server": server}))


@main.command()
@CONFIG
def flush(config_file: Path | None) -> None:
    """Consolidate usage, apart from serving: for a machine of its own."""
    with explained():
        from gateway.cli.serve import flush as run
        from gateway.config import configured

        run(configured(config_file, os.environ))


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=click.IntRange(0, 65_535), default=8080, show_default=True)
@click.option("--days", type=click.IntRange(0, 400), default=30, show_default=True)
@click.option("--customers", type=click.IntRange(1, 10_000), default=40, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True, help="Another seed, another story.")
@click.option("--no-traffic", is_flag=True, help="Make no calls of its own after the start.")
@click.option(
    "--keep",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep everything in this folder instead of a temporary one.",
)
def demo(**options: object) -> None:
    """Run a gateway with customers, a month of history and a provider that costs nothing."""
    with explained():
        from gateway.cli.demo import Demo, run

        run(Demo(**options))  # type: ignore[arg-type]  # click has checked them


@main.command()
@click.argument("file", type=click.Path(path_type=Path), default="farebox.yaml")
def init(file: Path) -> None:
    """Write a commented config to FILE (farebox.yaml). Never overwrites."""
    with explained():
        from gateway.cli.texts import example_config

        try:
            with file.open("x", encoding="utf-8") as target:
                target.write(example_config())
        except FileExistsError:
            raise click.UsageError(f"{file} exists already: name another file") from None
        click.echo(f"Wrote {file}. Next: set the variables it names, then farebox check {file}")


@main.command()
@click.argument("file", type=click.Path(path_type=Path), envvar="FAREBOX_CONFIG")
@JSON
def check(file: Path, as_json: bool) -> None:
    """Say of FILE what works: config, store, upstreams, prices. Exit 1 on a fault."""
    with explained():
        from gateway.cli.check import FAULTY, check_file, lines, report

        findings = check_file(file, os.environ)
        click.echo(report(findings) if as_json else "\n".join(lines(findings)))
        sys.exit(FAULT if any(found.status == FAULTY for found in findings) else 0)


@main.group()
def ledger() -> None:
    """Check the books against the events that explain them, and put counters right."""


@ledger.command()
@CONFIG
@JSON
@click.option("--full", is_flag=True, help="With the archive: all that has ever been.")
def verify(config_file: Path | None, as_json: bool, full: bool) -> None:
    """Refold and compare. Exit 0: it adds up; 1: it does not; 2: it could not be checked."""
    with explained(USAGE):
        from gateway.cli.ledger import verify as run
        from gateway.config import configured

        sys.exit(run(configured(config_file, os.environ), full=full, as_json=as_json))


@ledger.command()
@CONFIG
@JSON
@click.option("--dry-run", "dry", is_flag=True, help="Only say what differs.")
def rebuild(config_file: Path | None, as_json: bool, dry: bool) -> None:
    """Write counters anew from the events; balances are never touched.

    Exit 0: all are right now; 1: some are not; 2: it could not be done.
    """
    with explained(USAGE):
        from gateway.cli.ledger import rebuild as run
        from gateway.config import configured

        sys.exit(run(configured(config_file, os.environ), dry=dry, as_json=as_json))


@main.group()
def token() -> None:
    """Signed customer tokens."""


@token.command("mint")
@CONFIG
@click.option("--customer", required=True, help="Whose it is: the only one it can call for.")
@click.option("--expires", default="1h", show_default=True, help="15m, 8h, 30d, or a time.")
@click.option("--app", help="For which app; needed where there are several.")
@click.option("--model", "models", multiple=True, help="What it may use; may have *. Repeatable.")
@click.option("--max-usd", help="The most that one call may cost.")
@click.option("--id", "name", help="Its jti, by which it can be revoked.")
@click.option("--key", help="The id of the key to sign with. Default: the first.")
def mint_token(config_file: Path | None, **asked: Any) -> None:
    """Print a token for one customer, signed with a key of the configuration."""
    with explained(USAGE):
        from gateway.cli.token import minted
        from gateway.config import configured

        click.echo(minted(configured(config_file, os.environ), **asked))


@main.command()
@CONFIG
@click.option(
    "--format",
    "form",
    type=click.Choice(["csv", "jsonl", "focus"]),
    default="csv",
    show_default=True,
    help="focus: the columns of FOCUS 1.2.",
)
@click.option("--from", "start", help="A date or a time; from the beginning without.")
@click.option("--to", "end", help="Where it ends, itself left out; until now without.")
@click.option(
    "--output",
    "-o",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A new file; the screen without.",
)
def export(config_file: Path | None, **asked: Any) -> None:
    """Write usage out: a line for each call, event and correction."""
    with explained(USAGE):
        from gateway.cli.export import export_usage
        from gateway.config import configured

        export_usage(configured(config_file, os.environ), **asked)


@main.command()
def schema() -> None:
    """Print the config's JSON schema, for editors."""
    with explained():
        from gateway.cli.texts import json_schema

        click.echo(json_schema())


main.add_command(prices)
main.add_command(users)
