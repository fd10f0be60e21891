"""`farebox prices show`: a model's card, with the price of an instant on top."""

import json
from collections.abc import Iterator
from pathlib import Path

import click

from gateway.api.times import instant_or_noon
from gateway.catalog import Match, card_json, hours_text, matches, near
from gateway.cli.columns import columns
from gateway.cli.fatal import Misused
from gateway.cli.prices.books import in_force
from gateway.clock import SystemClock, rfc3339
from pricing.card import Mode, Price
from pricing.compare import bands_of
from pricing.money import usd, usd_per_million

FOUND, UNKNOWN = 0, 1


def show(
    model: str, *, at: str | None, provider: str | None, config_file: Path | None, as_json: bool
) -> int:
    """Print what `model` costs; returns the exit code.

    Raises:
        Misused: `at` is no instant.
        ConfigError: the config is wrong.
    """
    try:
        at_ms = SystemClock().now_ms() if at is None else instant_or_noon(at)
    except ValueError as exc:
        raise Misused(f"--at {exc}") from exc
    book = in_force(config_file)
    found = matches(book, model, provider)
    likest = [] if found else near(book, model, provider)
    if as_json:
        document = {
            "model": model,
            "at": rfc3339(at_ms),
            "book_version": book.version,
            "results": [
                {**card_json(match.card, at_ms), "steps": match.found.steps} for match in found
            ],
            "near": likest,
        }
        click.echo(json.dumps(document, indent=2))
    elif found:
        click.echo("\n\n".join("\n".join(_lines(match, at_ms)) for match in found))
    else:
        said = f" Near: {', '.join(likest)}." if likest else ""
        click.echo(
            f"No card answers to {model!r}.{said} Give one under prices: in the config.", err=True
        )
    return FOUND if found else UNKNOWN


def _lines(match: Match, at_ms: int) -> Iterator[str]:
    card = match.card
    yield click.style(f"{card.provider}/{card.model}", bold=True)
    limits = [
        f"{name} {count:,} tokens"
        for name, count in (("context", card.context_tokens), ("output", card.output_max_tokens))
        if count is not None
    ]
    thinks = ["thinks in hidden tokens"] if card.reasoning else []
    if limits or thinks:
        yield "  " + ", ".join([*limits, *thinks])
    aliases = [name for name in card.match if name != card.model]
    if aliases:
        yield f"  also called {', '.join(aliases)}"
    yield f"  found by: {'; '.join(match.found.steps)}"
    price = card.price_at(at_ms)
    if price is None:
        yield f"  has no price at {rfc3339(at_ms)}"
    else:
        yield ""
        yield f"  At {rfc3339(at_ms)}: {price.id}"
        yield from _of_price(price)
    others = [other for other in card.prices if other is not price]
    if others:
        yield ""
        yield "  Other prices"
        yield from columns([_span(other) for other in others], indent="    ")


def _of_price(price: Price) -> Iterator[str]:
    if price.free:
        yield "    free"
    for place, mode in price.modes():
        if not price.free:
            yield from _of_mode(place, mode)
    for window in price.schedule:
        yield f"    schedule, UTC: {hours_text(window)}"
    for multiplier in price.multipliers:
        yield f"    times {multiplier.num}/{multiplier.den} where served {multiplier.scope}"
    if price.scopes is not None:
        others = " and there" if price.multipliers else ""
        yield f"    where served {', '.join(price.scopes)}{others}; unpriced elsewhere"
    for unit, fee in price.fees.items():
        once = ", one a call" if fee.once else ""
        once += ", the same everywhere" if fee.everywhere else ""
        yield f"    {unit}: {usd(fee.rate_femto // 1_000)} USD for {fee.per:,}{once}"
    for source in price.sources:
        yield f"    source {source.url}, seen {source.seen}"


def _of_mode(place: str, mode: Mode) -> Iterator[str]:
    for over, rates in bands_of(mode):
        tier = f", over {over:,} input tokens" if over is not None else ""
        rows = [(component, usd_per_million(rate)) for component, rate in rates.published().items()]
        if rows:
            yield f"    {place}{tier}, USD per million tokens"
            yield from columns(rows, indent="      ")


def _span(price: Price) -> tuple[str, ...]:
    begins = rfc3339(price.from_ms) if price.from_ms else "the beginning"
    ends = rfc3339(price.to_ms) if price.to_ms is not None else "open"
    state = "" if price.confirmed else "announced, bills nobody"
    return price.id, f"{begins} to {ends}", state
