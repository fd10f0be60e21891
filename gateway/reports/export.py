"""Usage as files: every call, reported usage and correction of a span, a line each.

    csv     the columns of `COLUMNS`, amounts in exact dollars
    jsonl   the same as objects, with the metadata
    focus   CSV in the columns of FOCUS 1.2 (FinOps), for tools that compare clouds

A batch is in memory at a time, however long the span. Corrections are lines of their own,
negative where money went back: the sum of a file is the sum of the span.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

import orjson

from gateway.clock import rfc3339
from gateway.event import Kind, UsageEvent
from gateway.reports.csv_text import Cell, csv_text
from gateway.store.archive import Archive, ArchivedEvent, LogFilter
from pricing.money import PICO_PER_USD, usd

Names = Mapping[int, str]
Named = Callable[[dict[int, int]], Awaitable[Names]]
"""From customer numbers, each with its partition, to the identifiers of those that exist."""


class Format(StrEnum):
    CSV = "csv"
    JSONL = "jsonl"
    FOCUS = "focus"


async def export(
    archive: Archive, wanted: LogFilter, form: Format, named: Named
) -> AsyncIterator[tuple[str, int]]:
    """Parts of the file, each with the time of its last line (Unix ms; 0: of the head)."""
    columns = FOCUS_COLUMNS if form is Format.FOCUS else COLUMNS
    if form is not Format.JSONL:
        yield csv_text([list(columns)]), 0
    async for batch in archive.usage(wanted):
        names = await named({row.event.customer_number: row.partition for row in batch})
        lines = [_line(row, names, form) for row in batch]
        if form is Format.JSONL:
            text = "".join(orjson.dumps(line).decode() + "\n" for line in lines)
        else:
            text = csv_text([list(line.values()) for line in lines])
        yield text, batch[-1].event.at_ms


COLUMNS: Final = (
    "timestamp",
    "unique_id",
    "kind",
    "adjusts",
    "customer_identifier",
    "customer_number",
    "group_identifier",
    "app",
    "provider_id",
    "model",
    "served_model",
    "endpoint",
    "status",
    "prompt_tokens",
    "cached_tokens",
    "completion_tokens",
    "reasoning_tokens",
    "cost_usd",
    "charge_usd",
    "usage_source",
    "price_id",
    "book_version",
)

FOCUS_COLUMNS: Final = (
    "BilledCost",
    "BillingAccountId",
    "BillingAccountName",
    "BillingCurrency",
    "BillingPeriodStart",
    "BillingPeriodEnd",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargeFrequency",
    "ChargePeriodStart",
    "ChargePeriodEnd",
    "ConsumedQuantity",
    "ConsumedUnit",
    "ContractedCost",
    "EffectiveCost",
    "InvoiceIssuerName",
    "ListCost",
    "PricingQuantity",
    "PricingUnit",
    "ProviderName",
    "PublisherName",
    "ResourceId",
    "ResourceName",
    "ResourceType",
    "ServiceCategory",
    "ServiceName",
    "ServiceSubcategory",
    "SkuId",
    "SkuPriceId",
    "SubAccountId",
    "SubAccountName",
    "Tags",
    "x_App",
    "x_ChargeUsd",
    "x_InputTokens",
    "x_CachedTokens",
    "x_OutputTokens",
    "x_UsageSource",
    "x_Unpriced",
)


def _line(row: ArchivedEvent, names: Names, form: Format) -> dict[str, Any]:
    name = names.get(row.event.customer_number)
    if form is Format.FOCUS:
        return _focus(row.event, name)
    line = _plain(row.event, name)
    if form is Format.JSONL:
        return {**line, "metadata": row.event.metadata}
    for column in ("cost_usd", "charge_usd"):
        line[column] = None if line[column] is None else Decimal(line[column])
    return line


def _plain(event: UsageEvent, name: str | None) -> dict[str, Any]:
    usage = event.usage
    known = event.amounts_known
    values = (
        rfc3339(event.at_ms),
        event.request_id,
        event.kind.value,
        event.adjusts,
        name,
        str(event.customer_number),  # more digits than a spreadsheet keeps
        event.group,
        event.app or None,
        event.provider or None,
        event.model or None,
        event.served_model,
        event.endpoint or None,
        event.status.value,
        usage.input_total,
        usage.cached_total,
        usage.output_total,
        usage.reasoning_tokens,
        usd(event.cost_pico) if known else None,
        usd(event.charge_pico) if known else None,
        event.source.value if event.source else None,
        event.price_id,
        event.book_version,
    )
    return dict(zip(COLUMNS, values, strict=True))


def _focus(event: UsageEvent, name: str | None) -> dict[str, Cell]:
    """What the provider bills, by FOCUS; what our customer pays is `x_ChargeUsd`."""
    cost = Decimal(event.cost_pico) / PICO_PER_USD
    month = datetime.fromtimestamp(event.at_ms // 1000, UTC).replace(
        day=1, hour=0, minute=0, second=0
    )
    next_month = month.replace(year=month.year + month.month // 12, month=month.month % 12 + 1)
    quantity = event.usage.input_total + event.usage.output_total
    began = rfc3339(event.at_ms)
    ended = rfc3339(event.at_ms + (event.latency_ms or 0))
    correction = event.kind is Kind.ADJUST
    customer = name or str(event.customer_number)
    values: tuple[Cell, ...] = (
        cost,
        event.upstream or event.provider,
        event.upstream or event.provider,
        "USD",
        _utc(month),
        _utc(next_month),
        "Usage",
        "Correction" if correction else None,
        f"{event.endpoint or 'usage'} {event.model}".strip(),
        "Usage-Based",
        began,
        ended,
        None if correction else quantity,
        None if correction else "Tokens",
        cost,
        cost,
        event.provider,
        cost,
        quantity,
        "Tokens",
        event.provider,
        event.provider,
        event.request_id,
        event.model,
        "LLM call",
        "AI and Machine Learning",
        event.model or "LLM",
        "Generative AI",
        event.served_model or event.model,
        event.price_id,
        customer,
        customer,
        orjson.dumps(event.metadata or {}).decode(),
        event.app,
        Decimal(event.charge_pico) / PICO_PER_USD,
        event.usage.input_total,
        event.usage.cached_total,
        event.usage.output_total,
        event.source.value if event.source else None,
        not event.amounts_known,
    )
    return dict(zip(FOCUS_COLUMNS, values, strict=True))


def _utc(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")
