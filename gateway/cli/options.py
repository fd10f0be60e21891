"""What commands have in common: options, exit codes, and how a fault is told."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

FAULT, USAGE = 1, 2

CONFIG = click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="FAREBOX_CONFIG",
    help="The settings. Without it: the providers whose key is in the environment.",
)
HOST = click.option("--host", help="Listen on this address instead of the configured one.")
PORT = click.option("--port", type=click.IntRange(0, 65_535), help="0 takes any free port.")

JSON = click.option("--json", "as_json", is_flag=True, help="For a program to read.")


@contextmanager
def explained(fault: int = FAULT) -> Iterator[None]:
    """End a command with a sentence and its exit code, where we know what went wrong."""
    from gateway.cli.fatal import Fatal, Misused
    from gateway.config import ConfigError
    from gateway.store.embedded import StoreError
    from gateway.store.keys import WrongPartitions

    try:
        yield
    except ConfigError as exc:
        click.echo(str(exc), err=True)
        sys.exit(USAGE)
    except (Fatal, StoreError, WrongPartitions) as exc:
        click.echo(f"farebox: {exc}", err=True)
        sys.exit(USAGE if isinstance(exc, Misused) else fault)
    except OSError as exc:
        click.echo(f"farebox: {exc.filename or 'system'}: {exc.strerror}", err=True)
        sys.exit(fault)
