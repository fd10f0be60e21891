"""Estimates: what a call could cost at most, and whether it would be admitted.

It takes the call's own way up to the hold, and asks there what a hold would say.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.clock import Clock
from gateway.customers.credentials import Credential
from gateway.customers.identity import identify
from gateway.errors import CallerError, PermissionRefused
from gateway.ledger.ledger import Ledger
from gateway.ledger.prospects import Estimate, Prospect
from gateway.openai.call import parse_call
from gateway.openai.endpoints import Endpoint
from gateway.proxy.bounding import Budgeting
from gateway.proxy.routing import Upstreams
from gateway.proxy.tab import Tab
from gateway.rating import Rating


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimator:
    ledger: Ledger
    rating: Rating
    upstreams: Upstreams
    clock: Clock
    budgeting: Budgeting

    async def estimate(
        self, content: bytes, credential: Credential, headers: Mapping[bytes, bytes]
    ) -> Estimate:
        """Of a chat call with this credential; its customer is named as in any call.

        Raises:
            InvalidCall: the body is none that could be sent.
            LedgerUnavailable: the store is away.
        """
        call = parse_call(Endpoint.CHAT, content)
        app = credential.app
        try:
            caller = identify(app, call.customer_fields, headers, bound=credential.customer)
        except PermissionRefused as exc:  # what else is wrong with it makes it no call
            return Estimate(admitted=False, refused=(exc.code or "", str(exc)))
        started_ms = self.clock.now_ms()
        try:
            credential.check_model(call.model)
            upstream, model = self.upstreams.serving(call.model, app)
            rating = self.rating.pinned()
            tab = Tab(
                request_id="",
                started_ms=started_ms,
                started=self.clock.monotonic(),
                call=call,
                credential=credential,
                caller=caller,
                upstream=upstream,
                upstream_model=model,
                rated=rating.rate(upstream.settings.provider, model, started_ms, sent=True),
                rating=rating,
            )
            prospect = await self.ledger.prospects.foresee(
                caller.customer,
                app=app.id,
                key=credential.key,
                change=caller.change,
                bound=lambda terms: tab.bound(terms, self.budgeting),
            )
        except CallerError as exc:
            return Estimate(admitted=False, refused=(exc.code, str(exc)))
        return _estimate(tab, prospect)


def _estimate(tab: Tab, prospect: Prospect) -> Estimate:
    granted, extent, price = prospect.granted_pico, tab.extent, tab.price
    tightest = next(iter(prospect.rooms), None)
    is_known = price is not None and (price.free or (extent is not None and extent.bounded))
    worst_pico = prospect.asked.wanted_pico if granted is None else granted
    markup_ppm = prospect.terms.limits.markup_ppm
    return Estimate(
        admitted=granted is not None,
        worst_case_pico=worst_pico if is_known else None,
        input_tokens_max=extent.input_tokens if extent and is_known else None,
        output_cap_tokens=None if granted is None else tab.cap_within(granted, markup_ppm),
        binding_limit=tightest.limit if tightest else None,
        remaining_pico=tightest.left_pico if tightest else None,
        refused=_why(prospect),
    )


def _why(prospect: Prospect) -> tuple[str, str] | None:
    if prospect.refused:
        return prospect.refused
    if prospect.granted_pico is None:
        return "budget_exceeded", "What remains of the limit has no room for this call."
    return None
