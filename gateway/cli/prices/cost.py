"""`farebox prices cost`: raw usage blocks in, one line of JSON for each out.

What is wrong with a line is said in its own answer, by a code and the field, so that line n
of the output is about line n of the input, whatever it was.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Final, cast

import click
import orjson

from gateway.api.times import instant_or_noon
from gateway.arithmetic import femto_usd, item_json, usage_json
from gateway.catalog import near
from gateway.cli.fatal import Fatal
from gateway.cli.prices.books import in_force
from gateway.clock import SystemClock
from gateway.openai.answer import scope_of, service_tier_of
from gateway.openai.counts import UsageUnreadable
from gateway.openai.reported_cost import reported_cost_pico
from gateway.openai.usage import usage_from
from gateway.rating import REPORTED
from pricing.book import PriceBook
from pricing.card import FEE_UNITS
from pricing.cost import Cost, UnpricedComponent
from pricing.cost import cost as price
from pricing.money import FEMTO_PER_PICO, usd
from pricing.names import STATE_THEIR_COST
from pricing.scopes import GLOBAL
from pricing.usage import Usage

Json = dict[str, Any]

LINE_BYTES_MAX: Final = 16 * 1024 * 1024
FIELDS: Final = frozenset(
    {
        "provider",
        "model",
        "at",
        "usage",
        "service_tier",
        "endpoint",
        "deployment_scope",
        "tool_calls",
    }
)


class NotPriced(Exception):
    """Why a line has no cost.

    Attributes:
        code: ``unknown_model``, ``no_price``, ``unpriced_component``, ``invalid_usage``,
            ``invalid_field``, ``invalid_json``.
        details: Further fields of the answer's error.
    """

    def __init__(self, code: str, message: str, **details: object) -> None:
        super().__init__(message)
        self.code = code
        self.details = details


def cost(file: IO[bytes], *, config_file: Path | None) -> None:
    """Print the cost of each block in `file`.

    Raises:
        Fatal: it cannot be read.
        ConfigError: the config is wrong.
    """
    book = in_force(config_file)
    try:
        for answer in _answers(file, book):
            click.echo(orjson.dumps(answer))
    except OSError as exc:
        raise Fatal(f"the input cannot be read: {exc.strerror}") from exc


def priced(block: object, book: PriceBook) -> Json:
    """The answer to one block: its cost, or the error with its code."""
    try:
        return _answer(block, book)
    except NotPriced as exc:
        return {"error": {"code": exc.code, "message": str(exc), **exc.details}}


def _told(found: Cost) -> Json:
    lines = found.items
    sum_femto = sum(item.amount_femto for item in lines)
    return {
        "cost_usd": usd(found.cost_pico),
        "price_id": found.price_id,
        "line_items": [item_json(item) for item in lines],
        "rounding_usd": femto_usd(found.cost_pico * FEMTO_PER_PICO - sum_femto),
        "usage": usage_json(found.usage),
    }


def _told_by_provider(cost_pico: int, usage: Usage) -> Json:
    return {
        "cost_usd": usd(cost_pico),
        "price_id": REPORTED,
        "line_items": [],
        "rounding_usd": "0",
        "usage": usage_json(usage),
    }


def _answers(file: IO[bytes], book: PriceBook) -> Iterator[Json]:
    """By line, where the first is JSON of its own; else the whole is one block, or a list."""
    first = file.readline(LINE_BYTES_MAX)
    while first and not first.strip():
        first = file.readline(LINE_BYTES_MAX)
    if not first:
        return
    try:
        block = orjson.loads(first)
    except orjson.JSONDecodeError:
        content = first + file.read()
        try:
            block = orjson.loads(content)
        except orjson.JSONDecodeError:  # lines, the first of which is broken
            yield from (_of_line(line, book) for line in content.splitlines() if line.strip())
            return
        yield from (priced(each, book) for each in (block if isinstance(block, list) else [block]))
        return
    yield from (priced(each, book) for each in (block if isinstance(block, list) else [block]))
    for line in file:
        if line.strip():
            yield _of_line(line, book)


def _of_line(line: bytes, book: PriceBook) -> Json:
    try:
        return priced(orjson.loads(line), book)
    except orjson.JSONDecodeError as exc:
        message = f"This line is no JSON: {exc.msg}."
        return {"error": {"code": "invalid_json", "message": message}}


def _answer(block: object, book: PriceBook) -> Json:
    if not isinstance(block, Mapping):
        raise _invalid("", 'must be an object: {"provider", "model", "at", "usage"}')
    unknown = sorted(set(block) - FIELDS)
    if unknown:
        raise _invalid(unknown[0], f"is not known here; there are {', '.join(sorted(FIELDS))}")
    provider, model = _text(block, "provider"), _text(block, "model")
    if provider is None or model is None:
        raise _invalid("model" if provider else "provider", "is missing")
    try:
        at = _text(block, "at")
        at_ms = SystemClock().now_ms() if at is None else instant_or_noon(at)
    except ValueError as exc:
        raise _invalid("at", str(exc)) from exc
    found = book.find(provider, model)
    if found.card is None:
        if provider in STATE_THEIR_COST:
            usage = _usage(block)
            stated = reported_cost_pico(cast("dict[str, Any]", block["usage"]))
            if stated is not None:
                return _told_by_provider(stated, usage)
        raise NotPriced(
            "unknown_model",
            f"No card of {provider!r} answers to {model!r}.",
            steps=list(found.steps),
            near=near(book, model),
        )
    in_force_then = found.card.price_at(at_ms)
    if in_force_then is None:
        raise NotPriced("no_price", f"{model!r} had no price at that time.")
    usage = _usage(block)
    said: Any = block["usage"]
    try:
        return _told(
            price(
                usage,
                in_force_then,
                service_tier=service_tier_of(said, _text(block, "service_tier")),
                scope=_text(block, "deployment_scope") or scope_of(said) or found.scope or GLOBAL,
                completed_ms=at_ms,
            )
        )
    except UnpricedComponent as exc:
        raise NotPriced(
            "unpriced_component", f"{exc}.", component=exc.component, price_id=in_force_then.id
        ) from exc


def _usage(block: Mapping[str, object]) -> Usage:
    endpoint = _text(block, "endpoint") or ""
    fees = _tool_calls(block.get("tool_calls"))
    try:
        return usage_from(block.get("usage"), fees, draws="images/" in endpoint)
    except UsageUnreadable as exc:
        raise NotPriced("invalid_usage", f"usage: {exc}.", field="usage") from exc


def _tool_calls(value: object) -> dict[str, int]:
    """``{"web_search": 2}``: pieces by the unit they are billed in."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise _invalid("tool_calls", 'must be numbers by unit, such as {"web_search": 2}')
    for unit, count in value.items():
        if unit.partition(":")[0] not in FEE_UNITS:
            units = ", ".join(FEE_UNITS)
            raise _invalid(f"tool_calls.{unit}", f"is no unit; there are {units}")
        if type(count) is not int or count < 0:
            raise _invalid(f"tool_calls.{unit}", "must be a whole number from 0")
    return dict(value)


def _text(block: Mapping[str, object], name: str) -> str | None:
    value = block.get(name)
    if value is not None and (not isinstance(value, str) or not value):
        raise _invalid(name, "must be a text")
    return value


def _invalid(field: str, message: str) -> NotPriced:
    return NotPriced("invalid_field", f"{field} {message}.".lstrip(), field=field or None)
