"""Commands that work beside a running gateway or without one.

The embedded store is used where it runs, and started for the while where it does not.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import click
from sqlalchemy.exc import SQLAlchemyError

from gateway.cli.fatal import Fatal
from gateway.clock import SystemClock
from gateway.config import Config, resolve
from gateway.errors import LedgerUnavailable
from gateway.parts import Parts, build_parts
from gateway.store.archive import FILE_NAME
from gateway.store.embedded import EmbeddedStore, is_running
from gateway.store.valkey import folder_of

T = TypeVar("T")
Progress = Callable[[float], None]
Walk = Callable[[Parts, Progress], Awaitable[T]]


def walked(config: Config, label: str, walk: Walk[T], *, archive: bool) -> T:
    """What `walk` returns, given the parts and what takes the share done.

    Args:
        archive: It is used, too.

    Raises:
        Fatal, StoreError, WrongPartitions: it could not be done.
    """

    async def run(url: str, progress: Progress) -> T:
        parts = build_parts(config, store_url=url, clock=SystemClock())
        if archive:
            await _prepare(parts)
        try:
            await parts.store.connect()
            if not parts.store.is_ready:
                raise Fatal("the store is away: start it, or correct redis.url")
            return await walk(parts, progress)
        except LedgerUnavailable as exc:
            raise Fatal("the store went away before everything was read: try again") from exc
        except SQLAlchemyError as exc:
            # Not str(exc): SQLAlchemy puts rows into it.
            raise Fatal(f"the archive cannot be read: {getattr(exc, 'orig', exc)}") from exc
        finally:
            await parts.store.close()
            await parts.archive.close()

    with _store(config) as url, progressing(label) as progress:
        return asyncio.run(run(url, progress))


async def _prepare(parts: Parts) -> None:
    try:
        await parts.archive.prepare()
    except RuntimeError as exc:  # a later version of farebox wrote it
        raise Fatal(str(exc)) from exc


def has_archive(config: Config) -> bool:
    """One at a URL is taken to be there: what asks it says if it is not."""
    return config.archive.url is not None or (config.data_dir / FILE_NAME).exists()


@contextmanager
def _store(config: Config) -> Iterator[str]:
    """The store's URL, while it answers."""
    if config.redis.url is not None or is_running(config.data_dir):
        yield resolve(config).store_url
    elif folder_of(config.data_dir).exists():
        with EmbeddedStore(config.data_dir) as store:
            yield store.url
    else:
        raise Fatal(f"there is no store in data_dir {config.data_dir}: nothing to look at")


@contextmanager
def progressing(label: str) -> Iterator[Callable[[float], None]]:
    """A bar on a terminal, nothing elsewhere; yields what takes the share done, 0 to 1."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    with click.progressbar(length=1_000, label=label, file=sys.stderr) as bar:
        yield lambda share: bar.update(int(share * 1_000) - bar.pos)
