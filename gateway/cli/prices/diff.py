"""`farebox prices diff`: two price books side by side, and what of it needs confirming."""

import json
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import click

from gateway.arithmetic import femto_usd
from gateway.cli.columns import columns
from gateway.cli.prices.books import named
from gateway.clock import SystemClock
from pricing.book import PriceBook
from pricing.compare import Difference, Kind, Leap, Move, code_of, differences, leaps
from pricing.money import usd_per_million

ADOPTED, CONFIRM = 0, 1


def diff(before: str, after: str, *, as_json: bool) -> int:
    """Print what differs; returns the exit code.

    Raises:
        Fatal, ConfigError: one of them is no book.
    """
    old, new = named(before), named(after)
    found = list(differences(old, new))
    unconfirmed = list(leaps(old, new, SystemClock().now_ms()))
    if as_json:
        click.echo(json.dumps(_report(old, new, found, unconfirmed), indent=2))
    else:
        click.echo("\n".join(_lines(new, found, unconfirmed)))
    return CONFIRM if unconfirmed else ADOPTED


def _report(
    old: PriceBook, new: PriceBook, found: list[Difference], unconfirmed: list[Leap]
) -> dict[str, Any]:
    return {
        "before": old.version,
        "after": new.version,
        "differences": [
            {
                "kind": difference.kind.value,
                "card": difference.card,
                "price_id": difference.price_id,
                "rates": [_move_json(move) for move in difference.moves],
            }
            for difference in found
        ],
        "to_confirm": [str(leap) for leap in unconfirmed],
    }


def _lines(new: PriceBook, found: list[Difference], unconfirmed: list[Leap]) -> Iterator[str]:
    for difference in found:
        yield f"{difference.kind.value}: {difference.price_id or difference.card}"
        if difference.moves and difference.kind is not Kind.NEW_CARD:
            rows = [
                (m.name, _shown(m.name, m.before), "->", _shown(m.name, m.after), _ratio(m))
                for m in difference.moves
            ]
            yield from columns(rows, right={1, 3})
    yield f"{len(found)} differences."
    if unconfirmed:
        yield "A running gateway adopts these only when they are confirmed:"
        yield from (f"  {leap}" for leap in unconfirmed)
        if new.version.startswith(PriceBook.load().version):
            yield f"To confirm, set in the config: prices_confirm: {code_of(new.version)}"


def _move_json(move: Move) -> dict[str, Any]:
    ratio = move.ratio
    return {
        "name": move.name,
        "before": None if move.before is None else _shown(move.name, move.before),
        "after": None if move.after is None else _shown(move.name, move.after),
        "ratio": None if ratio is None else round(float(ratio), 6),
    }


def _shown(name: str, rate: Fraction | None) -> str:
    """USD per million tokens; per piece for a fee; a factor as it is."""
    if rate is None:
        return "none"
    if name.startswith("multipliers."):
        return str(rate)
    if name.startswith("fees."):
        return femto_usd(round(rate))
    return usd_per_million(int(rate))


def _ratio(move: Move) -> str:
    return "" if move.ratio is None else f"x{float(move.ratio):.4g}"
