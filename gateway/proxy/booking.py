"""Booking: what a call is charged that nothing bounded, by the usage that its answer states."""

import logging
from collections.abc import Mapping
from typing import Any

from gateway.clock import Clock
from gateway.errors import GatewayError, LedgerUnavailable
from gateway.event import Kind, Source, Status, UsageEvent
from gateway.ledger.ledger import Hold, Ledger
from gateway.openai.answer import Reading
from gateway.openai.errors import wire_form
from gateway.openai.foreign_usage import ForeignStream, foreign_answer
from gateway.proxy.billing import Billing
from gateway.proxy.client import Answer
from gateway.proxy.decoding import READ_BYTES_MAX, decoder
from gateway.proxy.relay import is_event_stream
from gateway.proxy.tab import CLIENT_CLOSED
from gateway.proxy.upstream import Upstream
from gateway.rating import Rating

log = logging.getLogger(__name__)


class Booking:
    """Reads along in the answer of one call, and ends it by one event."""

    def __init__(
        self,
        *,
        facts: Mapping[str, Any],
        hold: Hold,
        ledger: Ledger,
        rating: Rating,
        upstream: Upstream,
        clock: Clock,
    ) -> None:
        self.error: GatewayError | None = None
        self._facts = facts
        self._hold = hold
        self._ledger = ledger
        self._rating = rating
        self._upstream = upstream
        self._clock = clock
        self._started = clock.monotonic()
        self._answer: Answer | None = None
        self._decode = decoder(None)
        self._stream: ForeignStream | None = None
        self._kept = bytearray()
        self._whole = False
        self._left = False
        self._event: UsageEvent | None = None

    # What the relay calls.

    def begin(self, answer: Answer) -> None:
        self._answer = answer
        self._decode = decoder(answer.header("content-encoding"))
        if is_event_stream(answer):
            self._stream = ForeignStream()

    def read(self, chunk: bytes) -> bool:
        if self._stream is not None:
            self._stream.feed(self._decode(chunk))
            return self._stream.done
        if len(self._kept) <= READ_BYTES_MAX:
            self._kept += chunk
        return False

    async def end(self) -> None:
        """Write down what it was, before the client can have seen that it is over."""
        if not self._whole:
            self._whole = True
            await self._ledger.note(self._hold, self._closing())

    def client_left(self) -> None:
        self._left = not self._whole

    async def settle(self) -> None:
        event = self._closing()
        try:
            if event.kind is Kind.RELEASE:
                await self._ledger.release(self._hold, event)
            else:
                await self._ledger.settle(self._hold, event)
        except LedgerUnavailable:
            log.error("call_not_settled request_id=%s", event.request_id)  # noqa: TRY400
        except Exception:  # the client has its answer; its lease ends the hold
            log.exception("call_not_settled request_id=%s", event.request_id)

    def _closing(self) -> UsageEvent:
        if self._event is None:
            self._event = self._made(self._reading())
        return self._event

    def _reading(self) -> Reading:
        if self._stream is not None:
            return self._stream.reading()
        return foreign_answer(self._decode(bytes(self._kept)))

    def _made(self, reading: Reading) -> UsageEvent:
        facts = dict(self._facts) | {
            "model": reading.model or "",
            "markup_ppm": self._hold.terms.limits.markup_ppm,
            "group": self._hold.group,
            "book_version": self._rating.book.version,
            "stream": self._stream is not None,
            "status": self._status,
            "status_code": self._status_code,
            "error_code": self.error.code if self.error else None,
            "latency_ms": round(1000 * (self._clock.monotonic() - self._started)),
            "finish_reason": reading.finish_reason,
            "service_tier": reading.service_tier,
            "reported_cost_pico": reading.reported_cost_pico,
            "upstream_request_id": reading.upstream_id,
        }
        if reading.usage is None:
            return UsageEvent(kind=Kind.RELEASE, **facts)
        billing = self._billing(reading.model or "")
        billed = billing.bill(reading.usage, Source.REPORTED, reading, self._clock.now_ms())
        if billed.problem:
            facts["error_code"] = f"unpriced_{billed.problem}"
        return UsageEvent(
            kind=Kind.SETTLE,
            usage=reading.usage,
            source=Source.REPORTED,
            charge_pico=billed.charge_pico,
            cost_pico=billed.cost_pico,
            price_id=billed.price_id,
            unpriced=billed.unpriced,
            scope=billing.scope_of(reading, billing.rated),
            **facts,
        )

    def _billing(self, model: str) -> Billing:
        settings = self._upstream.settings
        at_ms: int = self._facts["at_ms"]
        return Billing(
            model=model,
            started_ms=at_ms,
            rated=self._rating.rate(settings.provider, model, at_ms, sent=True),
            rating=self._rating,
            scope=settings.scope,
            trusts_reported=settings.trust_reported_cost,
            service_tier=None,
            markup_ppm=self._hold.terms.limits.markup_ppm,
            hold_pico=0,
            bounded=False,
        )

    @property
    def _status(self) -> Status:
        if self._left:
            return Status.ABORTED
        failed = self.error or self._answer is None or self._answer.status >= 400
        return Status.ERROR if failed else Status.OK

    @property
    def _status_code(self) -> int:
        if self._answer is not None:
            return self._answer.status
        return wire_form(self.error)[0] if self.error else CLIENT_CLOSED
