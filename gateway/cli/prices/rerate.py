"""`farebox prices rerate`: calls priced again by the book of today, differences booked."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any, Final
from zoneinfo import ZoneInfo

import click

from gateway.api.times import moment
from gateway.cli.beside import Progress, has_archive, walked
from gateway.cli.columns import columns
from gateway.cli.fatal import Fatal, Misused
from gateway.config import Config
from gateway.metering.backlog import backlog
from gateway.parts import Parts
from gateway.rerate import Change, Report, Rerating
from gateway.store.embedded import is_running
from pricing.money import usd

DONE, AGAIN = 0, 1
CAUGHT_UP_SECONDS_MAX: Final = 15.0
POLL_SECONDS: Final = 0.25


def rerate(config: Config, *, since: str, until: str | None, dry: bool, as_json: bool) -> int:
    """Correct the calls of a span, and print what changed; returns the exit code.

    Raises:
        Fatal, StoreError: it could not be done; what was booked stays booked.
    """
    if not has_archive(config):
        raise Fatal(f"there is no archive in data_dir {config.data_dir}: nothing to rate again")
    zone = ZoneInfo(config.reports.timezone)
    since_ms, until_ms = _moment("--since", since, zone), _moment("--until", until, zone)
    if since_ms is None or (until_ms is not None and until_ms <= since_ms):
        raise Misused("--until must be later than --since; it is the first call not meant")
    ours = config.redis.url is None and not is_running(config.data_dir)

    async def run(parts: Parts, progress: Progress) -> Report:
        if not ours:
            return await rated_again(parts, progress)
        await parts.background_store.connect()
        try:
            return await rated_again(parts, progress)
        finally:
            await parts.background_store.close()

    async def rated_again(parts: Parts, progress: Progress) -> Report:
        await _archived(parts, ours=ours)
        end_ms = min(until_ms or parts.clock.now_ms(), parts.clock.now_ms())
        rerating = Rerating(
            parts.archive, parts.store.keyspace, parts.directory, parts.ledger, parts.rating
        )
        report = await rerating.run(
            since_ms, end_ms, dry=True, progress=lambda x: progress(x if dry else x / 2)
        )
        if not dry and report.total.calls:
            if not as_json:
                click.echo("\n".join(_sums(report)))
            report = await rerating.run(
                since_ms, end_ms, dry=False, progress=lambda x: progress((1 + x) / 2)
            )
            await _archived(parts, ours=ours)
        return report

    report = walked(config, "Rating again", run, archive=True)
    if as_json:
        click.echo(json.dumps(_json(report, dry=dry), indent=2))
    else:
        click.echo("\n".join(_lines(report, dry=dry)))
    return AGAIN if report.crossed else DONE


def _moment(option: str, text: str | None, zone: ZoneInfo) -> int | None:
    try:
        return None if text is None else moment(text, zone)
    except ValueError as exc:
        raise Misused(f"{option} {exc}") from exc


async def _archived(parts: Parts, *, ours: bool) -> None:
    """Until the archive has what the streams had when this began.

    Args:
        ours: Nobody else works on this store, so the flushing is ours to do; else the archive
            of whoever flushes may be another one, into which it is not ours to write.
    """
    if ours:
        while await parts.flusher.step():
            pass
        return
    begun = parts.clock.monotonic()
    while (waited := parts.clock.monotonic() - begun) < CAUGHT_UP_SECONDS_MAX:
        if (await backlog(parts.store)).lag_ms["archive"] <= waited * 1_000:
            return
        await asyncio.sleep(POLL_SECONDS)
    raise Fatal(
        "the archive is behind, and nobody is filling it: start farebox serve or farebox flush, "
        "then try again"
    )


def _json(report: Report, *, dry: bool) -> dict[str, Any]:
    return {
        "dry_run": dry,
        "looked_at": report.looked_at,
        "total": _change(report.total),
        "customers": {name: _change(change) for name, change in _greatest_first(report)},
        "left": {reason.name.lower(): count for reason, count in report.left.items()},
        "booked": report.booked,
        "repeated": report.repeated,
        "crossed": report.crossed,
    }


def _change(change: Change) -> dict[str, Any]:
    return {
        "calls": change.calls,
        "unpriced_calls": change.unpriced_calls,
        "cost_usd": usd(change.cost_pico),
        "charge_usd": usd(change.charge_pico),
    }


def _sums(report: Report) -> Iterator[str]:
    rows = [("customer", "calls", "without a price", "cost, USD", "charge, USD")]
    rows += [_row(name, change) for name, change in _greatest_first(report)]
    rows.append(_row("all", report.total))
    yield from columns(rows, right={1, 2, 3, 4}, indent="")


def _lines(report: Report, *, dry: bool) -> Iterator[str]:
    if dry and report.total.calls:
        yield from _sums(report)
    yield f"Looked at {report.looked_at:,} calls."
    for reason, count in report.left.most_common():
        yield f"  {count:,} stay as they are: {reason.value}"
    if dry:
        yield f"{report.total.calls:,} would be adjusted. Nothing was booked."
        return
    yield f"{report.booked:,} were adjusted."
    if report.repeated:
        yield f"{report.repeated:,} had been adjusted just before."
    if report.crossed:
        yield f"{report.crossed:,} are being adjusted by another run: run it again."


def _row(name: str, change: Change) -> tuple[str, str, str, str, str]:
    return (
        name,
        f"{change.calls:,}",
        f"{change.unpriced_calls:,}",
        usd(change.cost_pico),
        usd(change.charge_pico),
    )


def _greatest_first(report: Report) -> list[tuple[str, Change]]:
    return sorted(report.by_customer.items(), key=lambda pair: (-abs(pair[1].charge_pico), pair[0]))
