"""The life of one call: identify, price, hold, forward, relay, settle.

The order is the promise. Nothing is sent before it is held; whatever was held is ended by
exactly one event, in a task that no cancelled request can take along.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, Final

from gateway import crash
from gateway.clock import Clock
from gateway.customers.identity import Caller, identify
from gateway.customers.temporary_keys import TemporaryKeys
from gateway.errors import (
    CallerError,
    GatewayError,
    LedgerUnavailable,
    UpstreamTimeout,
)
from gateway.event import Kind, UsageEvent
from gateway.ledger.ledger import Hold, Ledger
from gateway.openai.call import Call
from gateway.proxy.background import Background
from gateway.proxy.bounding import Budgeting
from gateway.proxy.breakdown import breakdown
from gateway.proxy.client import Answer, Sent
from gateway.proxy.departure import ClientGone, Departure, grace_seconds
from gateway.proxy.headers import RawHeaders, refuse_without_key, to_upstream
from gateway.proxy.payload_writer import PayloadWriter
from gateway.proxy.progress import Progress
from gateway.proxy.refusal_row import refusal_row
from gateway.proxy.relay import Chunks, StreamRelay, WholeRelay, body, is_event_stream
from gateway.proxy.request import Request
from gateway.proxy.routing import Upstreams
from gateway.proxy.standing import own_headers, standing
from gateway.proxy.tab import Tab
from gateway.proxy.verdicts import Verdicts
from gateway.rating import Rating
from gateway.telemetry import ADMITTED, REFUSED, Telemetry

log = logging.getLogger(__name__)

CALL_SECONDS_MAX: Final = 86_400.0
"""No call lives longer: after two days nobody can tell any more whether it has ended, and a
store that has lost its hold would not book it."""

DRAIN_SECONDS_MAX: Final = 10.0
"""How long a stop waits for calls that have been cancelled to be settled."""


class Pipeline:
    """Carries calls through.

    Args:
        background: Takes the calls whose answers are made later.
        budgeting: How budgets are kept; the ledger's `binding` is to agree.
        on_disconnect: ``auto``, ``cancel`` or ``drain``: what happens when a client leaves.
        keep_alive_seconds: As for `StreamRelay`.
        reject_status: The status of a refusal for an exhausted budget.
        payloads: Takes down what calls say; None: nothing is.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        rating: Rating,
        upstreams: Upstreams,
        background: Background,
        clock: Clock,
        keys: TemporaryKeys,
        budgeting: Budgeting,
        on_disconnect: str = "auto",
        keep_alive_seconds: float | None = None,
        reject_status: int = 402,
        telemetry: Telemetry | None = None,
        payloads: PayloadWriter | None = None,
    ) -> None:
        self._telemetry = telemetry or Telemetry()
        self._verdicts = Verdicts(self._telemetry)
        self._ledger = ledger
        self._rating = rating
        self._upstreams = upstreams
        self._clock = clock
        self._keys = keys
        self._on_disconnect = on_disconnect
        self._keep_alive_seconds = keep_alive_seconds
        self._budgeting = budgeting
        self._reject_status = reject_status
        self._background = background
        self._payloads = payloads
        self.progress = Progress(ledger, clock)
        self._calls: set[asyncio.Task[Any]] = set()
        self._conclusions: set[asyncio.Task[None]] = set()

    async def run(self, request: Request, call: Call) -> None:
        """Answer the call.

        Raises:
            CallerError: it was not admitted; nothing was held or sent, no byte answered.
            GatewayError: it failed before a byte was answered; it has been accounted for.
        """
        credential = request.credential
        credential.check_app()
        caller = identify(
            request.app,
            call.customer_fields,
            request.headers,
            request.query_fields,
            bound=credential.customer,
        )
        try:
            credential.check_model(call.model)
            tab = self._open(request, call, caller)
            hold = await self._hold(tab)
        except LedgerUnavailable as exc:
            self._telemetry.count(REFUSED, exc.code)
            raise
        except CallerError as exc:
            self._telemetry.count(REFUSED, exc.code)
            self._conclude(self._refuse(request, call, caller, exc))
            raise
        self._telemetry.count(ADMITTED)
        request = self._heard(request, caller)
        task = asyncio.current_task()
        assert task is not None
        self._calls.add(task)
        try:
            await self._serve(request, tab, hold)
        except ClientGone:
            pass
        except asyncio.CancelledError:
            tab.error = GatewayError("The gateway was stopped.", code="gateway_stopped")
            raise
        except GatewayError as exc:
            tab.error = exc
            if not tab.answering:
                raise
            # The head is out. Ending here, without the last chunk, closes the connection:
            # the client sees a broken answer, as we did.
            log.warning("answer_broken request_id=%s code=%s", tab.request_id, exc.code)
        except Exception:
            tab.error = GatewayError("Something went wrong in the gateway.")
            if not tab.answering:
                raise
            log.exception("relay_failed request_id=%s", tab.request_id)
        finally:
            self._calls.discard(task)
            self._kept(request, hold)
            ending = self._conclude(self._end(tab, hold))
            if tab.answering:  # who waits for an error does not wait for the store as well
                await asyncio.shield(ending)

    def _heard(self, request: Request, caller: Caller) -> Request:
        if self._payloads is None or caller.disables_log:
            return request
        return self._payloads.listening(request)

    def _kept(self, request: Request, hold: Hold) -> None:
        if self._payloads is not None:
            self._payloads.keep(request, hold.profile.number)

    async def drain(self) -> None:
        """Wait until every call is in the ledger, those that are being cancelled included."""
        deadline = self._clock.monotonic() + DRAIN_SECONDS_MAX
        while (open_ := self._calls | self._conclusions) and self._clock.monotonic() < deadline:
            await asyncio.wait(open_, timeout=1.0)

    def _open(self, request: Request, call: Call, caller: Caller) -> Tab:
        upstream, model = self._upstreams.serving(call.model, request.app)
        refuse_without_key(upstream.settings.passthrough, request.headers)
        rating = self._rating.pinned()
        rated = rating.rate(upstream.settings.provider, model, request.started_ms, sent=True)
        return Tab(
            request_id=request.request_id,
            started_ms=request.started_ms,
            started=request.started,
            call=call,
            credential=request.credential,
            caller=caller,
            upstream=upstream,
            upstream_model=model,
            rated=rated,
            rating=rating,
        )

    async def _hold(self, tab: Tab) -> Hold:
        key, digest = tab.credential.key, tab.credential.key_digest
        if key is None:
            return await self._held(tab)
        await self._keys.use(key, digest)
        try:
            return await self._held(tab)
        except BaseException:
            self._conclude(self._keys.give_back(key, digest))
            raise

    async def _held(self, tab: Tab) -> Hold:
        return await self._ledger.hold(
            tab.request_id,
            tab.caller.customer,
            app=tab.app.id,
            key=tab.credential.key,
            change=tab.caller.change,
            bound=lambda terms: tab.bound(terms, self._budgeting),
            opening=tab.opening,
        )

    async def _serve(self, request: Request, tab: Tab, hold: Hold) -> None:
        """Forward, and relay the answer; the client is watched all along."""
        tab.admitted(hold)
        # What is made in the background goes on without us, and is found by the id it answers.
        only_end_tells = tab.call.background or tab.rated.reasons
        grace = grace_seconds(self._on_disconnect, only_end_tells=only_end_tells)
        departure = Departure(request.receive, tab.client_left, grace_seconds=grace)
        total = tab.upstream.settings.timeouts.total or CALL_SECONDS_MAX
        try:
            async with departure, asyncio.timeout(min(total, CALL_SECONDS_MAX)):
                try:
                    finish = await self._exchange(request, tab, hold, injected=_injects(tab))
                except _RefusesToCount:
                    tab.upstream.refused_to_count(tab.upstream_model)
                    finish = await self._exchange(request, tab, hold, injected=False)
        except TimeoutError as exc:
            raise UpstreamTimeout("The call took longer than it may.") from exc
        await finish()

    async def _exchange(
        self, request: Request, tab: Tab, hold: Hold, *, injected: bool
    ) -> Callable[[], Awaitable[None]]:
        answer = await self._forward(request, tab, hold, injected=injected)
        chunks = Chunks(answer, tab.upstream.settings.timeouts.between_bytes)
        try:
            return await self._relay(request, tab, hold, answer, chunks, injected=injected)
        finally:
            chunks.close()

    async def _forward(self, request: Request, tab: Tab, hold: Hold, *, injected: bool) -> Answer:
        settings = tab.upstream.settings
        by_path = tab.call.is_deployed and tab.upstream.has_model_in_path
        content = tab.call.forwarded(
            include_usage=injected,
            model=None if by_path else tab.upstream_model,  # no body names it there either
            cap=tab.cap_edits,
        )
        headers = to_upstream(
            request.raw_headers,
            identity=injected or tab.wants_breakdown,
            passthrough=settings.passthrough,
        )
        tab.answer_status = None
        tab.sent = Sent()
        tab.sent_bytes = len(content)
        if request.recording is not None and isinstance(content, bytes):
            request.recording.request = content
        await self._ledger.sent(tab.so_far(hold, self._clock))
        tab.forwarded = self._clock.monotonic()
        answer = await tab.upstream.send(
            tab.call.endpoint.value,
            headers,
            content,
            tab.sent,
            model=tab.upstream_model,
            query=tab.upstream.query_of(request.query, request.azure),
        )
        tab.answered = self._clock.monotonic()
        tab.answer_status = answer.status
        tab.upstream_request_id = answer.header("x-request-id")
        return answer

    async def _relay(
        self,
        request: Request,
        tab: Tab,
        hold: Hold,
        answer: Answer,
        chunks: Chunks,
        *,
        injected: bool,
    ) -> Callable[[], Awaitable[None]]:
        """Pass the answer on; returns what is left to send once the client is not watched."""
        send = request.send

        async def before_end() -> None:
            if not await self._left_to_store(tab, hold):
                await self._note(tab, hold)

        told = partial(self._breakdown, tab, hold) if tab.wants_breakdown else None
        if is_event_stream(answer):
            relay = StreamRelay(
                tab,
                answer,
                self._clock,
                injected=injected,
                before_end=before_end,
                breakdown=told if tab.call.traits.ends_done else None,
                keep_alive_seconds=self._keep_alive_seconds,
            )
            tab.answering = True
            await send(relay.head(self._own_headers(tab, hold, None)))
            self.progress.begin(tab, hold)
            try:
                await relay.forward(chunks, send)
            finally:
                self.progress.end(tab)
            return lambda: send(body(b"", more=False))
        whole = WholeRelay(tab, answer, self._clock, before_end=before_end, breakdown=told)
        complete = await whole.gather(chunks)
        if injected and whole.refuses_to_count:
            raise _RefusesToCount
        if not complete:
            tab.answering = True
            await send(whole.head(self._own_headers(tab, hold, None)))
            await whole.forward(chunks, send)
            return lambda: send(body(b"", more=False))
        tab.whole = True

        async def finish() -> None:
            left = await self._left_to_store(tab, hold)
            event = None if left else await self._note(tab, hold)
            tab.answering = True
            await send(whole.head(self._own_headers(tab, hold, event)))
            await send(body(whole.told(whole.content), more=False))

        return finish

    async def _left_to_store(self, tab: Tab, hold: Hold) -> bool:
        """Whether the call goes on in the background, and somebody will bring its end."""
        if tab.is_pending and tab.ended is None and not tab.left_to_store:
            tab.left_to_store = await self._background.entrust(tab, hold)
        return tab.left_to_store

    async def _note(self, tab: Tab, hold: Hold) -> UsageEvent:
        """Write down how the call ends, before its client can have seen that it has."""
        event = self._closing(tab, hold)
        crash.at("before_final")
        await self._ledger.note(hold, event)
        return event

    def _closing(self, tab: Tab, hold: Hold) -> UsageEvent:
        """The one event that ends the call, made once."""
        if tab.ended is None:
            tab.ended = tab.closing(hold, self._clock)
            self._verdicts.tell(tab.ended)
        return tab.ended

    async def _end(self, tab: Tab, hold: Hold) -> None:
        if await self._left_to_store(tab, hold):
            return
        event = self._closing(tab, hold)
        try:
            if event.kind is Kind.RELEASE:
                await self._ledger.release(hold, event)
            else:
                await self._ledger.settle(hold, event)
        except LedgerUnavailable:
            log.error("call_not_settled request_id=%s", tab.request_id)  # noqa: TRY400
        except Exception:  # the client has its answer; its lease ends the hold
            log.exception("call_not_settled request_id=%s", tab.request_id)

    async def _refuse(
        self, request: Request, call: Call, caller: Caller, error: CallerError
    ) -> None:
        """Post the row of a call that was not admitted, unless the ledger has."""
        if error.recorded:
            return
        event = refusal_row(request, call, caller, error, reject_status=self._reject_status)
        try:
            await self._ledger.refuse(caller.customer, event)
        except LedgerUnavailable:
            log.warning("refusal_not_recorded request_id=%s", request.request_id)

    def _conclude(self, ending: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(ending)
        self._conclusions.add(task)
        task.add_done_callback(self._conclusions.discard)
        return task

    def _own_headers(self, tab: Tab, hold: Hold, event: UsageEvent | None) -> RawHeaders:
        return own_headers(tab, hold, event, self._ledger.rules.count)

    def _breakdown(self, tab: Tab, hold: Hold) -> dict[str, Any] | None:
        if tab.ended is None:  # it has not ended: it was left to the store
            return None
        return breakdown(tab.ended, *standing(hold, tab.ended, self._ledger.rules.count))


class _RefusesToCount(Exception):
    """The upstream answered an error to our wish for usage; nothing of it was relayed."""


def _injects(tab: Tab) -> bool:
    call = tab.call
    if not call.stream or call.asked_for_usage or not call.traits.asks_usage:
        return False
    return tab.upstream.counts_streams(tab.upstream_model)
