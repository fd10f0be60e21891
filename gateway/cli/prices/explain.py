"""`farebox prices explain`: the arithmetic of one call, line by line, from the archive."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import click
from sqlalchemy.exc import SQLAlchemyError

from gateway.arithmetic import (
    Arithmetic,
    arithmetic,
    arithmetic_json,
    femto_usd,
    item_json,
    usage_json,
)
from gateway.cli.beside import has_archive
from gateway.cli.columns import columns
from gateway.cli.fatal import Fatal
from gateway.clock import rfc3339
from gateway.config import Config, price_book
from gateway.event import UsageEvent
from gateway.rating import Rating
from gateway.store.archive import Archive
from pricing.compare import factor_of
from pricing.cost import LineItem
from pricing.money import usd

FOUND, UNKNOWN = 0, 1
Found = tuple[UsageEvent, list[UsageEvent]]


def explain(config: Config, request_id: str, *, as_json: bool) -> int:
    """Print how the amounts of a call came about; returns the exit code.

    Raises:
        Fatal: there is no archive, or it cannot be read.
    """
    if not has_archive(config):
        raise Fatal(f"there is no archive in data_dir {config.data_dir}: nothing to look at")
    rating = Rating(price_book(config))
    try:
        found = asyncio.run(_find(config, request_id))
    except SQLAlchemyError as exc:
        # Not str(exc): SQLAlchemy puts rows into it.
        raise Fatal(f"the archive cannot be read: {getattr(exc, 'orig', exc)}") from exc
    if found is None:
        click.echo(
            f"The archive has no call {request_id!r}. It comes there about a second after its "
            "end; its id is in the answer's header x-farebox-request-id.",
            err=True,
        )
        return UNKNOWN
    event, later = found
    explained = arithmetic(event, rating)
    if as_json:
        click.echo(json.dumps(_report(explained, later), indent=2))
    else:
        click.echo("\n".join(_lines(explained, later)))
    return FOUND


async def _find(config: Config, request_id: str) -> Found | None:
    archive = Archive.at(config.data_dir, config.archive.address)
    try:
        row = await archive.one(request_id)
        if row is None:
            return None
        return row.event, [added.event for added in await archive.adjustments(request_id)]
    finally:
        await archive.close()


def _report(found: Arithmetic, later: list[UsageEvent]) -> dict[str, Any]:
    event = found.event
    return {
        "request_id": event.request_id,
        "kind": event.kind.value,
        "at": rfc3339(event.at_ms),
        "provider": event.provider,
        "model": event.model,
        "upstream_model": event.upstream_model,
        "served_model": event.served_model,
        "service_tier": event.service_tier,
        "usage_source": event.source.value if event.source else None,
        "usage": usage_json(event.usage),
        "usage_cut": event.usage_cut,
        "price_id": event.price_id,
        "book_version": event.book_version,
        "line_items": [item_json(item) for item in found.items],
        "arithmetic": arithmetic_json(found),
        "cost_usd": usd(event.cost_pico) if event.amounts_known else None,
        "charge_usd": usd(event.charge_pico) if event.amounts_known else None,
        "markup_ppm": event.markup_ppm,
        "hold_usd": usd(event.hold_pico),
        "adjustments": [
            {
                "request_id": added.request_id,
                "price_id": added.price_id,
                "book_version": added.book_version,
                "cost_usd": usd(added.cost_pico),
                "charge_usd": usd(added.charge_pico),
            }
            for added in later
        ],
    }


def _lines(found: Arithmetic, later: list[UsageEvent]) -> Iterator[str]:
    event = found.event
    sent = f", sent as {event.upstream_model}" if event.upstream_model else ""
    served = f", served {event.served_model}" if event.served_model else ""
    source = f", {event.source.value}" if event.source else ""
    yield f"{event.request_id}  {rfc3339(event.at_ms)}  {event.kind.value}{source}"
    yield f"{event.provider}/{event.model}{sent}{served}"
    if event.usage_cut:
        yield f"stated larger than the whole, and cut down to it: {event.usage_cut}"
    if event.price_id:
        yield f"price {event.price_id}, book {(event.book_version or '')[:12]}"
    yield from _conditions(found)
    rows = [_row(item) for item in found.items]
    if found.cost:
        rows += [
            ("sum", "", "", femto_usd(found.sum_femto)),
            ("rounding", "", "", femto_usd(found.rounding_femto)),
        ]
    else:
        yield f"  {found.why}"
    if event.amounts_known:
        markup = f"markup {event.markup_ppm / 10_000:g} %"
        rows += [
            ("cost", "", "", usd(event.cost_pico)),
            (markup, "", "", usd(event.charge_pico - event.cost_pico)),
            ("charge", "", "", usd(event.charge_pico)),
        ]
    for added in later:
        rows.append((f"adjusted by {added.price_id}", "", "", usd(added.charge_pico)))
    if later:
        total = event.charge_pico + sum(added.charge_pico for added in later)
        rows.append(("charge now", "", "", usd(total)))
    if rows:
        yield "USD"
        yield from columns(rows, right={1, 3})


def _conditions(found: Arithmetic) -> Iterator[str]:
    band, priced = found.band, found.cost
    if band is None or priced is None:
        return
    tier = f", tier over {band.over_tokens:,} input tokens" if band.over_tokens is not None else ""
    yield f"rates {band.mode}{tier}"
    factor = factor_of(priced.price, priced.scope)
    if factor != 1:
        yield f"times {factor} where served {priced.scope}, in the rates below"


def _row(item: LineItem) -> tuple[str, str, str, str]:
    per = f" / {item.per:,}" if item.per != 1 else ""
    borrowed = f" (rate of {item.fallback_from})" if item.fallback_from else ""
    rate = f"x {femto_usd(item.rate_femto)}{per}"
    return f"{item.component}{borrowed}", f"{item.quantity:,}", rate, femto_usd(item.amount_femto)
