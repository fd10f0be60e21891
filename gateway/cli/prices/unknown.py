"""`farebox prices unknown`: the names that were called without a price."""

import json
from collections.abc import Iterator, Mapping
from typing import Any
from zoneinfo import ZoneInfo

import click

from gateway.api.times import moment
from gateway.cli.beside import Progress, has_archive, walked
from gateway.cli.columns import columns
from gateway.cli.fatal import Fatal, Misused
from gateway.clock import rfc3339
from gateway.config import Config
from gateway.parts import Parts
from gateway.rating import Rating
from gateway.store.archive import LogFilter, UnpricedUse

Names = Mapping[int, str]


def unknown(config: Config, *, since: str | None, as_json: bool) -> None:
    """Print the names, the most called first.

    Raises:
        Fatal, StoreError: nothing could be read.
    """
    if not has_archive(config):
        raise Fatal(f"there is no archive in data_dir {config.data_dir}: nothing to look at")
    try:
        start_ms = moment(since, ZoneInfo(config.reports.timezone)) if since else None
    except ValueError as exc:
        raise Misused(f"--since {exc}") from exc

    async def read(parts: Parts, _: Progress) -> list[dict[str, Any]]:
        uses = await parts.archive.unpriced(LogFilter(start_ms=start_ms))
        numbers = {n: partition for use in uses for n, partition in use.customers.items()}
        names = await parts.directory.identifiers(numbers) if numbers else {}
        return [_row(use, names, parts.rating) for use in uses]

    rows = walked(config, "Reading the archive", read, archive=True)
    click.echo(json.dumps(rows, indent=2) if as_json else "\n".join(_lines(rows)))


def _row(use: UnpricedUse, names: Names, rating: Rating) -> dict[str, Any]:
    now = rating.known(use.provider, use.model, use.last_ms)
    return {
        "provider": use.provider,
        "model": use.model,
        "requests": use.requests,
        "tokens": use.tokens,
        "first_seen": rfc3339(use.first_ms),
        "last_seen": rfc3339(use.last_ms),
        "customers": use.customer_count,
        "customer_identifiers": [names[n] for n in use.customers if n in names],
        "priced_now": now.price.id if now.price else None,
        "steps": list(now.steps),
    }


def _lines(rows: list[dict[str, Any]]) -> Iterator[str]:
    if not rows:
        yield "Every call has a price."
        return
    table = [("name", "calls", "tokens", "last seen", "customers")]
    for row in rows:
        shown = ", ".join(row["customer_identifiers"])
        more = row["customers"] - len(row["customer_identifiers"])
        table.append(
            (
                f"{row['provider']}/{row['model']}",
                f"{row['requests']:,}",
                f"{row['tokens']:,}",
                row["last_seen"],
                f"{shown} and {more} more" if more and shown else shown or str(more),
            )
        )
    yield from columns(table, right={1, 2}, indent="")
    waiting = [row for row in rows if row["priced_now"]]
    if waiting:
        yield f"{len(waiting)} of them have a price now: farebox prices rerate books it."
    if len(waiting) < len(rows):
        yield "Give the others a price under prices: in the config, then rerate."
