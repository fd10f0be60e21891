"""The tab of one call: what it has run up so far, and the one event that ends it.

Filled in as the call goes on, read once at its end. Whatever happened, `closing` knows
whether the call is settled or released, and for how much.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final

from msgspec import structs

from gateway.clock import Clock
from gateway.customers.apps import App
from gateway.customers.credentials import Credential
from gateway.customers.identity import Caller
from gateway.customers.profile import Profile, Terms
from gateway.errors import BudgetExceeded, GatewayError, InvalidCall
from gateway.event import Kind, Source, Status, UsageEvent, details_of
from gateway.ledger.bounds import AMOUNT_PICO_MAX, Bound
from gateway.ledger.ledger import Hold
from gateway.ledger.wal.records import SoFar
from gateway.openai.answer import Reading
from gateway.openai.body import Edit
from gateway.openai.call import Call
from gateway.openai.errors import wire_form
from gateway.proxy.billing import Billing, counted_so_far, tokens_of
from gateway.proxy.bounding import Budgeting, Extent, cap_field, extent_of, no_price, priced
from gateway.proxy.client import Sent
from gateway.proxy.upstream import Upstream
from gateway.rating import Rated, Rating
from pricing.card import Price
from pricing.money import usd
from pricing.usage import Usage

CLIENT_CLOSED: Final = 499
"""The status of a call whose client left before the answer, as nginx logs it."""

NO_READING: Final = Reading()


def _nothing() -> int:
    return 0


def _within(bound: Bound, most_pico: int) -> Bound:
    """What of a call its token allows.

    Raises:
        BudgetExceeded: not even the least that would serve it.
    """
    if bound.least_pico > most_pico:
        raise BudgetExceeded(
            f"This call could cost {usd(bound.least_pico)} USD; its token allows at most "
            f"{usd(most_pico)} USD a call. Ask for less output, or another model.",
            details={
                "limit": "token_max_usd",
                "limit_usd": usd(most_pico),
                "needed_usd": usd(bound.least_pico),
            },
        )
    return replace(bound, wanted_pico=min(bound.wanted_pico, most_pico))


@dataclass(slots=True, kw_only=True)
class Tab:
    """One call's facts.

    Attributes:
        credential: What the call was authenticated by.
        upstream_model: What the upstream calls the model.
        rating: As it was when the call began; a reload changes nothing for it.
        sent: Whether a byte of the call may have left for the upstream.
        sent_bytes: The size of the body that was forwarded.
        answer_status: Of the upstream's head; None until it came.
        forwarded, answered, first_token: When, on the monotonic clock, the call was passed
            to the upstream, its head came, its first bytes came.
        seen_so_far: The generated text seen by now, in bytes, while a stream is relayed.
        seen_bytes: Generated text seen, in bytes; the estimate when no usage came.
        uncounted_bytes: Of these, what came after usage was last stated.
        extent: How large the call can become; None: it is free, or nobody knows its price.
        output_cap_tokens: Of each choice, where we set it; `cap_edits` writes it.
        answering: The client has been sent a head: an error can no longer be told.
        whole: The answer has come to its end.
        left: The client went away before the answer was whole.
        error: What ended the call, if something did.
        ended: The event that ends it, once made.
        left_to_store: It goes on by itself, and somebody will bring its end.
    """

    request_id: str
    started_ms: int
    started: float
    call: Call
    credential: Credential
    caller: Caller
    upstream: Upstream
    upstream_model: str
    rated: Rated
    rating: Rating
    sent: Sent = field(default_factory=Sent)
    sent_bytes: int = 0
    answer_status: int | None = None
    upstream_request_id: str | None = None
    forwarded: float | None = None
    answered: float | None = None
    first_token: float | None = None
    reading: Reading = field(default=NO_READING)
    seen_so_far: Callable[[], int] = _nothing
    seen_bytes: int = 0
    uncounted_bytes: int = 0
    extent: Extent | None = None
    output_cap_tokens: int | None = None
    cap_edits: tuple[Edit, ...] = ()
    answering: bool = False
    whole: bool = False
    left: bool = False
    stream_error: bool = False
    error: GatewayError | None = None
    ended: UsageEvent | None = None
    left_to_store: bool = False

    @property
    def app(self) -> App:
        return self.credential.app

    @property
    def wants_breakdown(self) -> bool:
        """Whether its own answer is to tell what it has cost."""
        return self.call.customer_fields.request_breakdown is True

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the caller asked for that this route cannot do."""
        if self.wants_breakdown and self.call.stream and not self.call.traits.ends_done:
            return ("request_breakdown: not in a stream of this route",)
        return ()

    @property
    def price(self) -> Price | None:
        """What the model costs where it is to be served; None: nobody knows."""
        return self.rated.price_in(self.upstream.settings.scope)

    def client_left(self) -> None:
        """Note that the client went away: before the answer was whole, or merely before its end."""
        self.left = not self.whole

    def bound(self, terms: Terms, budgeting: Budgeting) -> Bound:
        """What to hold for the call, by these terms.

        Raises:
            InvalidCall: the model has no price and must have one; or something has no bound.
        """
        price, card = self.price, self.rated.card
        most = self.credential.call_pico_max
        limited = (budgeting.binding and terms.limited) or most is not None
        self.extent = None
        if price is None:
            rejected = self.rating.rejects_unpriced
            if limited or (rejected and not self.upstream.settings.trust_reported_cost):
                raise no_price(self.call, self.rated, self.upstream.settings.scope)
            return Bound.all_of(0)
        if price.free:
            return Bound.all_of(0)
        assert card is not None, "a price belongs to a card"
        self.extent = extent_of(self.call, card, price, limited=limited, budgeting=budgeting)
        bound = self.extent.bound(price, terms.limits.markup_ppm)
        if limited and bound.least_pico == AMOUNT_PICO_MAX:
            field = cap_field(self.call, card) or "max_tokens"
            raise InvalidCall(
                f"This call could cost more than any budget has. Lower {field}.",
                code="call_not_boundable",
                param=field,
            )
        return bound if most is None else _within(bound, most)

    def admitted(self, hold: Hold) -> None:
        """Cap the output, if less was granted than the call asked for."""
        card = self.rated.card
        field = cap_field(self.call, card) if card else None
        tokens = self.cap_within(hold.amount_pico, hold.terms.limits.markup_ppm)
        if tokens is None or card is None or field is None:
            return
        self.output_cap_tokens = tokens
        self.cap_edits = self.call.output_caps.lowered(
            self.call.members, tokens, field=field, provider=card.provider
        )

    def cap_within(self, granted_pico: int, markup_ppm: int) -> int | None:
        """The output cap that keeps the call within so much; None: it needs or takes none."""
        price, card, extent = self.rated.price, self.rated.card, self.extent
        if not (extent and price and card and cap_field(self.call, card)):
            return None
        return extent.cap_within(granted_pico, price, markup_ppm)

    def opening(self, profile: Profile) -> bytes:
        """Details of the event to post should this process never come to the call's end."""
        return details_of(self._facts() | {"group": profile.group})

    def closing(self, hold: Hold, clock: Clock) -> UsageEvent:
        """The event that ends the call: a release, or a settle with what it cost."""
        facts = self._facts() | self._outcome(hold, clock)
        if self._free:
            return UsageEvent(kind=Kind.RELEASE, **facts)
        billing = self.billing(hold)
        usage, source = self._usage()
        billed = billing.bill(usage, source, self.reading, clock.now_ms())
        if self.is_pending and billing.bounded:
            billed = billing.whole_hold(billed)  # nobody will follow it to its end
        if billed.problem:
            facts["error_code"] = f"unpriced_{billed.problem}"
        if source is Source.ESTIMATED and self.reading.unparsed:
            facts["raw_usage"] = self.reading.unparsed.decode(errors="replace")
        facts["scope"] = billing.scope_of(self.reading, billing.served(self.reading))
        return UsageEvent(
            kind=Kind.SETTLE,
            usage=usage,
            source=source,
            cost_pico=billed.cost_pico,
            charge_pico=billed.charge_pico,
            price_id=billed.price_id,
            unpriced=billed.unpriced,
            **facts,
        )

    def entrusted(self, hold: Hold) -> bytes:
        """Details of the event that ends the call, should its end come later by itself."""
        return details_of(
            self._facts()
            | {
                "hold_pico": hold.amount_pico,
                "output_cap_tokens": self.output_cap_tokens,
                "markup_ppm": hold.terms.limits.markup_ppm,
                "group": hold.group,
                "upstream_request_id": self.upstream_request_id,
            }
        )

    @property
    def is_pending(self) -> bool:
        """Whether its answer is still being made, whoever is listening."""
        made = self.call.background and 200 <= (self.answer_status or 0) < 300
        return made and not self.reading.ended

    def so_far(self, hold: Hold, clock: Clock) -> SoFar:
        """What the call would cost if the gateway died now."""
        usage = self._estimate(self.seen_so_far())
        billed = self.billing(hold).bill(usage, Source.ESTIMATED, self.reading, clock.now_ms())
        return SoFar(
            request_id=self.request_id,
            charge_pico=billed.charge_pico,
            cost_pico=billed.cost_pico,
            hold_pico=hold.amount_pico,
            markup_ppm=hold.terms.limits.markup_ppm,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            price_id=billed.price_id,
            unpriced=billed.unpriced,
        )

    def billing(self, hold: Hold) -> Billing:
        """The terms on which the call is billed."""
        settings = self.upstream.settings
        return Billing(
            model=self.upstream_model,
            started_ms=self.started_ms,
            rated=self.rated,
            rating=self.rating,
            scope=settings.scope,
            trusts_reported=settings.trust_reported_cost,
            service_tier=self.call.service_tier,
            markup_ppm=hold.terms.limits.markup_ppm,
            hold_pico=hold.amount_pico,
            bounded=self._bounded,
        )

    def _facts(self) -> dict[str, Any]:
        """What is known of the call before it is sent."""
        settings = self.upstream.settings
        return {
            "request_id": self.request_id,
            "at_ms": self.started_ms,
            "app": self.app.id,
            "key": self.credential.key_id,
            "endpoint": self.call.endpoint.value,
            "model": self.call.model,
            "upstream_model": None
            if self.upstream_model == self.call.model
            else self.upstream_model,
            "upstream": settings.name,
            "provider": settings.provider,
            "book_version": self.rating.book.version,
            "scope": self.reading.scope or settings.scope or self.rated.scope,
            "stream": self.call.stream,
            "metadata": self.caller.recorded or None,
        }

    def _outcome(self, hold: Hold, clock: Clock) -> dict[str, Any]:
        """What is known of it at its end."""
        return {
            "hold_pico": hold.amount_pico,
            "output_cap_tokens": self.output_cap_tokens,
            "markup_ppm": hold.terms.limits.markup_ppm,
            "group": hold.group,
            "status": self.status,
            "status_code": self.status_code,
            "error_code": self.error.code if self.error else None,
            "latency_ms": round(1000 * (clock.monotonic() - self.started)),
            "first_token_ms": (
                round(1000 * (self.first_token - self.started)) if self.first_token else None
            ),
            "finish_reason": self.reading.finish_reason,
            "usage_cut": ",".join(self.reading.usage_cut) or None,
            "served_model": self.reading.model,
            "service_tier": self.reading.service_tier or self.call.service_tier,
            "reported_cost_pico": self.reading.reported_cost_pico,
            "upstream_request_id": self.upstream_request_id or self.reading.upstream_id,
        }

    @property
    def overhead_ms(self) -> float | None:
        """The time that the call spent here before its answer's head, not at the provider."""
        if self.forwarded is None or self.answered is None:
            return None
        return 1000 * (self.forwarded - self.started)

    @property
    def status(self) -> Status:
        if self.left:
            return Status.ABORTED
        if self.error or self.stream_error or (self.answer_status or 0) >= 400:
            return Status.ERROR
        return Status.OK

    @property
    def status_code(self) -> int:
        """What the client was told, or would have been."""
        if self.error is not None and not self.answering:
            return wire_form(self.error)[0]
        if self.answer_status is not None:
            return self.answer_status
        return CLIENT_CLOSED

    @property
    def _bounded(self) -> bool:
        """Whether the hold is the most that the call can cost; not so only without a limit."""
        if self.extent is None:
            return self.price is not None
        return self.extent.bounded

    @property
    def _free(self) -> bool:
        """Nothing was sent, or the upstream refused without usage. All else may be billed."""
        if not self.sent.maybe:
            return True
        refused = (self.answer_status or 0) >= 300 or (self.stream_error and not self.seen_bytes)
        used = self.reading.usage
        return refused and (used is None or not (used.total or used.fees))

    def _usage(self) -> tuple[Usage, Source]:
        """What the provider counted; else, or where it had more to count, what was seen."""
        used = self.reading.usage
        if used is not None and self.reading.usage_final:
            return used, Source.REPORTED
        if used is None and self._counted:
            return self._estimate(self.seen_bytes), Source.REPORTED
        if used is None or not used.input_total:
            return self._estimate(self.seen_bytes), Source.ESTIMATED
        return counted_so_far(used, self.uncounted_bytes), Source.ESTIMATED

    @property
    def _counted(self) -> bool:
        """Whether the call itself says what it is billed by: characters, images."""
        price = self.rated.price
        if not self.call.output.counted or price is None or self.status is not Status.OK:
            return False
        return bool(priced(self.call.output.pieces, price))

    def _estimate(self, seen_bytes: int) -> Usage:
        """What a call uses that does not say: its pieces, where its model is billed by them."""
        output, price = self.call.output, self.rated.price
        if output.tokens is None and not output.pieces:  # as good as always
            return Usage(
                input_tokens=tokens_of(self.sent_bytes), output_tokens=tokens_of(seen_bytes)
            )
        pieces = output.pieces if output.likely_pieces is None else output.likely_pieces
        if self.reading.heard_seconds is not None:
            pieces = (("second", self.reading.heard_seconds),)
        fees = priced(pieces, price) if price is not None else ()
        if fees:
            return Usage(fees=fees)
        likely = output.likely or Usage()
        said = 0 if likely.output_total else tokens_of(seen_bytes)
        return structs.replace(
            likely,
            input_tokens=tokens_of(max(self.sent_bytes - self.call.attached_bytes, 0)),
            output_tokens=said if output.tokens is None else min(said, output.tokens),
        )
