"""Responses that are made in the background: billed when somebody fetches their end.

The call is answered before there is anything to bill. What it will take to bill it is a
`Pending`, in the store under the response's id; the first answer that passes through here
and says that the response has ended settles the call, on the terms of its start.
"""

import re
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from gateway.clock import Clock
from gateway.customers.credentials import Credential
from gateway.errors import LedgerUnavailable
from gateway.event import Kind, Source, Status, UsageEvent, decode
from gateway.ledger.ledger import Hold, Ledger
from gateway.openai.answer import Reading
from gateway.proxy.billing import Billing, tokens_of
from gateway.proxy.tab import Tab
from gateway.proxy.verdicts import Verdicts
from gateway.rating import Rating
from pricing.usage import Usage

FOLLOWED_MS: Final = 24 * 3_600_000
"""A call lives no longer than a day."""

_ID: Final = re.compile(r"[A-Za-z0-9_.:-]{1,200}")


class Pending(Struct, frozen=True, kw_only=True):
    """A call whose response is being made.

    Attributes:
        details: Of the event that will end it, as far as they are known; JSON.
        sent_bytes: What was sent: the estimate, where its end says nothing of its usage.
    """

    request_id: str
    app: str
    key: str | None
    customer: str
    number: int
    window_ids: str
    upstream: str
    model: str
    started_ms: int
    service_tier: str | None
    scope: str | None
    trusts_reported: bool
    markup_ppm: int
    hold_pico: int
    bounded: bool
    sent_bytes: int
    details: str

    def is_of(self, credential: Credential) -> bool:
        """Whether it was made by this app, and, where that says more, for this customer or key."""
        if credential.app.id != self.app or (credential.key and credential.key_id != self.key):
            return False
        named = credential.customer
        return named is None or credential.app.customer_prefix + named == self.customer


def is_response_id(text: str) -> bool:
    return _ID.fullmatch(text) is not None


class Background:
    def __init__(self, ledger: Ledger, rating: Rating, clock: Clock, verdicts: Verdicts) -> None:
        self._verdicts = verdicts
        self._ledger = ledger
        self._rating = rating
        self._clock = clock

    async def entrust(self, tab: Tab, hold: Hold) -> bool:
        """Leave a call that is not over yet to the store; False: it must be ended here."""
        name = tab.reading.upstream_id or ""
        if not hold.is_held or not is_response_id(name):
            return False
        record = msgspec.json.encode(_pending(tab, hold))
        try:
            await self._ledger.entrusted.entrust(hold, name, record, tab.started_ms + FOLLOWED_MS)
        except LedgerUnavailable:
            return False
        return True

    async def find(self, response_id: str) -> Pending | None:
        """The call that a response was made by, if it was made in the background.

        Raises:
            LedgerUnavailable: nobody knows.
        """
        record = await self._ledger.entrusted.find(response_id)
        return msgspec.json.decode(record, type=Pending) if record is not None else None

    async def settle(self, pending: Pending, reading: Reading) -> None:
        """End the call, if its response has ended; once, however often it says so."""
        if reading.ended:
            event = self._closing(pending, reading)
            self._verdicts.tell(event)
            await self._ledger.entrusted.finish(
                pending.customer, pending.number, pending.window_ids, event
            )

    def _closing(self, pending: Pending, reading: Reading) -> UsageEvent:
        opened = decode(
            {
                b"k": Kind.SETTLE.encode(),
                b"id": pending.request_id.encode(),
                b"n": str(pending.number).encode(),
                b"a": b"0",
                b"c": b"0",
                b"e": pending.details.encode(),
            }
        )
        now_ms = self._clock.now_ms()
        known = replace(
            opened,
            latency_ms=max(now_ms - pending.started_ms, 0),
            finish_reason=reading.finish_reason,
            usage_cut=",".join(reading.usage_cut) or None,
            served_model=reading.model,
            service_tier=reading.service_tier or pending.service_tier,
            reported_cost_pico=reading.reported_cost_pico,
            status=Status.ERROR if reading.failed else Status.OK,
            status_code=200,
        )
        if reading.failed and reading.usage is None:
            return replace(known, kind=Kind.RELEASE)
        source = Source.ESTIMATED if reading.usage is None else Source.REPORTED
        usage = reading.usage or Usage(input_tokens=tokens_of(pending.sent_bytes))
        billing = self._billing(pending, opened.provider)
        billed = billing.bill(usage, source, reading, now_ms)
        unparsed = reading.unparsed.decode(errors="replace") if reading.unparsed else None
        return replace(
            known,
            book_version=billing.rating.book.version,
            raw_usage=unparsed if source is Source.ESTIMATED else None,
            usage=usage,
            source=source,
            charge_pico=billed.charge_pico,
            cost_pico=billed.cost_pico,
            price_id=billed.price_id,
            unpriced=billed.unpriced,
            error_code=f"unpriced_{billed.problem}" if billed.problem else None,
            scope=billing.scope_of(reading, billing.served(reading)),
        )

    def _billing(self, pending: Pending, provider: str) -> Billing:
        rating = self._rating.pinned()
        return Billing(
            model=pending.model,
            started_ms=pending.started_ms,
            rated=rating.rate(provider, pending.model, pending.started_ms, sent=True),
            rating=rating,
            scope=pending.scope,
            trusts_reported=pending.trusts_reported,
            service_tier=pending.service_tier,
            markup_ppm=pending.markup_ppm,
            hold_pico=pending.hold_pico,
            bounded=pending.bounded,
        )


def _pending(tab: Tab, hold: Hold) -> Pending:
    billing = tab.billing(hold)
    settings = tab.upstream.settings
    return Pending(
        request_id=tab.request_id,
        app=tab.app.id,
        key=tab.credential.key_id,
        customer=hold.profile.identifier,
        number=hold.profile.number,
        window_ids=hold.window_ids,
        upstream=settings.name,
        model=tab.upstream_model,
        started_ms=tab.started_ms,
        service_tier=billing.service_tier,
        scope=billing.scope,
        trusts_reported=billing.trusts_reported,
        markup_ppm=billing.markup_ppm,
        hold_pico=billing.hold_pico,
        bounded=billing.bounded,
        sent_bytes=tab.sent_bytes,
        details=tab.entrusted(hold).decode(),
    )
