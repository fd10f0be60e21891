"""The demo's past: written as the same events, through the same scripts, as live calls.

Its budgets were hard, too: a call that its customer's month had no room for was refused.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Final

from gateway.clock import SystemClock
from gateway.config import Config
from gateway.customers import fields
from gateway.demo.cast import CastMember, cast_members
from gateway.demo.history import PastCall, history
from gateway.errors import Conflict
from gateway.event import Kind, Source, Status, UsageEvent
from gateway.ledger.ledger import Spent
from gateway.ledger.requests import new_request_id
from gateway.parts import Parts, build_parts
from gateway.rating import bill
from pricing.money import PICO_PER_USD
from pricing.usage import Usage

BATCH_CALLS_MAX: Final = 500
PROVIDER: Final = "demo"
NEAR_PERCENT: Final = 94
"""Of the month's budget, what one of the cast has used already."""

PICO_PER_CENT: Final = PICO_PER_USD // 100


async def write_history(
    config: Config,
    *,
    store_url: str,
    days: int,
    customers: int,
    seed: int,
    progress: Callable[[float], None],
) -> None:
    """Create the cast and book `days` of their calls; `progress` is told the share done."""
    parts = build_parts(config, store_url=store_url, clock=SystemClock())
    async with parts.open():
        members = cast_members(customers, seed)
        await _create(parts, members)
        purses = Purses(members)
        now_ms = parts.clock.now_ms()
        begin_ms = now_ms - days * 86_400_000
        for calls in _batched(history(days=days, customers=customers, seed=seed, now_ms=now_ms)):
            await asyncio.gather(*(_book(parts, purses, call) for call in calls))
            progress((calls[-1].at_ms - begin_ms) / (now_ms - begin_ms))
        while await parts.flusher.step():
            pass
        while await parts.indexer.step():
            pass
        await _tighten(parts, members)
        progress(1.0)


class Purses:
    """What customers have spent of their months, as the calls come in their order."""

    def __init__(self, members: Iterable[CastMember]) -> None:
        self._budgets_pico = {
            member.identifier: fields.budget(member.period_budget)
            for member in members
            if member.period_budget is not None
        }
        self._spent_pico: Counter[tuple[str, str]] = Counter()

    def pay(self, customer: str, event: UsageEvent) -> bool:
        """Whether the month had room for it; then it is spent."""
        month = customer, datetime.fromtimestamp(event.at_ms / 1_000, UTC).strftime("%Y-%m")
        budget_pico = self._budgets_pico.get(customer)
        if budget_pico is not None and self._spent_pico[month] + event.charge_pico > budget_pico:
            return False
        self._spent_pico[month] += event.charge_pico
        return True


async def _create(parts: Parts, members: Iterable[CastMember]) -> None:
    for member in members:
        change: dict[str, fields.Canonical] = {"name": member.name, "email": member.email}
        if member.period_budget is not None:
            change["period_budget"] = fields.budget(member.period_budget)
        if member.blocked:
            change["blocked"] = True
        try:
            await parts.directory.create(member.identifier, change)
        except Conflict:  # the demo goes on in a folder that was kept
            await parts.directory.change(member.identifier, change)


async def _tighten(parts: Parts, members: Iterable[CastMember]) -> None:
    """Bring those near their budget whose story that is, whatever day of the month it is."""
    for member in members:
        if member.story == "near_budget":
            profile = await parts.directory.known(member.identifier)
            spent = (await parts.ledger.balance(profile)).by_kind.get("month", Spent())
            cents = -(-spent.charge_pico * 100 // NEAR_PERCENT // PICO_PER_CENT)
            budget = max(cents, 1) * PICO_PER_CENT
            await parts.directory.change(member.identifier, {"period_budget": budget})


async def _book(parts: Parts, purses: Purses, call: PastCall) -> None:
    event = _event(parts, call, 0)
    if not purses.pay(call.customer, event):
        await parts.ledger.refuse(call.customer, _refused(event))
        return
    await parts.ledger.record(
        call.customer,
        lambda markup_ppm: event if markup_ppm == 0 else _event(parts, call, markup_ppm),
        idempotency_key=None,
        fingerprint="demo",
    )


def _event(parts: Parts, call: PastCall, markup_ppm: int) -> UsageEvent:
    usage = Usage(
        input_tokens=call.input_tokens - call.cached_tokens,
        cache_read_tokens=call.cached_tokens,
        output_tokens=call.output_tokens - call.reasoning_tokens,
        reasoning_tokens=call.reasoning_tokens,
    )
    if call.status == "error":
        usage = Usage()
    rated = parts.rating.rate(PROVIDER, call.model, call.at_ms)
    billed = bill(rated, usage, markup_ppm=markup_ppm, completed_ms=call.at_ms + call.latency_ms)
    return UsageEvent(
        request_id=new_request_id(call.at_ms),
        kind=Kind.EVENT,
        at_ms=call.at_ms,
        charge_pico=billed.charge_pico,
        cost_pico=billed.cost_pico,
        app=call.app,
        unpriced=billed.unpriced,
        markup_ppm=markup_ppm,
        endpoint="embeddings" if call.model == "demo-embedding" else "chat/completions",
        model=call.model,
        served_model=call.model,
        upstream=PROVIDER,
        provider=PROVIDER,
        price_id=billed.price_id,
        book_version=parts.rating.book.version,
        usage=usage,
        source=Source.REPORTED,
        status=Status(call.status),
        status_code=call.status_code,
        stream=call.stream,
        latency_ms=call.latency_ms,
        first_token_ms=call.first_token_ms,
        finish_reason="stop" if call.status == "ok" else None,
    )


def _refused(event: UsageEvent) -> UsageEvent:
    """The row of the call, had it been refused for want of a budget."""
    return UsageEvent(
        request_id=event.request_id,
        kind=Kind.REFUSE,
        at_ms=event.at_ms,
        app=event.app,
        endpoint=event.endpoint,
        model=event.model,
        stream=event.stream,
        status=Status.REJECTED,
        status_code=402,
        error_code="budget_exceeded",
    )


def _batched(calls: Iterator[PastCall]) -> Iterator[list[PastCall]]:
    while batch := list(islice(calls, BATCH_CALLS_MAX)):
        yield batch
