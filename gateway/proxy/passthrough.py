"""The rest of ``/v1``, for apps that may have it: forwarded to the app's first upstream.

All apps that share a provider account see each other's files, batches and threads there, so
it is off unless the configuration says otherwise. What may generate is refused to customers
with a limit, since nothing bounds it; others' calls are booked at the usage that their
answer states, and are free if it states none.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from gateway.clock import Clock
from gateway.customers.directory import Directory
from gateway.customers.identity import Caller, identify
from gateway.customers.profile import Profile, Terms
from gateway.errors import (
    GatewayError,
    MethodNotAllowed,
    NotFound,
    PermissionRefused,
)
from gateway.event import details_of
from gateway.ledger.bounds import Bound
from gateway.ledger.ledger import Ledger
from gateway.openai.carriers import NO_CUSTOMER_FIELDS, CustomerFields
from gateway.openai.content import Content, edited
from gateway.openai.foreign import METHODS, may_generate, ours_in
from gateway.proxy.bodies import BodyLimits, has_body, is_json, read_body
from gateway.proxy.booking import Booking
from gateway.proxy.departure import ClientGone, Departure
from gateway.proxy.elsewhere import Elsewhere
from gateway.proxy.headers import refuse_without_key
from gateway.proxy.passage import Passing, ask, relay
from gateway.proxy.request import Request
from gateway.proxy.routing import Upstreams
from gateway.proxy.uploads import Uploads, is_form
from gateway.proxy.upstream import Upstream
from gateway.rating import Rating

log = logging.getLogger(__name__)

ENDPOINT_CHARS_MAX: Final = 128

Going = Callable[[CustomerFields, bytes | Content], Awaitable[None]]


class Passthrough:
    """Carries what no other route takes.

    Args:
        binding: Limits are kept, not only counted.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        directory: Directory,
        rating: Rating,
        upstreams: Upstreams,
        uploads: Uploads,
        elsewhere: Elsewhere,
        clock: Clock,
        limits: BodyLimits,
        binding: bool,
    ) -> None:
        self._ledger = ledger
        self._directory = directory
        self._rating = rating
        self._upstreams = upstreams
        self._uploads = uploads
        self._elsewhere = elsewhere
        self._clock = clock
        self._limits = limits
        self._binding = binding
        self._ends: set[asyncio.Task[None]] = set()

    async def serve(self, request: Request, method: str, path: bytes, below: str) -> None:
        """Forward a request, and relay its answer.

        Args:
            path: Below ``/v1/``, as the caller wrote it.
            below: The same, percent-decoded.

        Raises:
            NotFound: this app, or this kind of token, may not.
            PermissionRefused: the customer is blocked, or has a limit and this may generate.
            GatewayError: as for any call.
        """
        upstream = self._upstream_for(request, method, below)

        async def go(fields: CustomerFields, content: bytes | Content) -> None:
            caller = identify(request.app, fields, request.headers, request.query_fields)
            passing = Passing(
                request_id=request.request_id,
                method=method,
                path=path,
                headers=request.raw_headers,
                receive=request.receive,
                send=request.send,
                query=request.query,
                azure=request.azure,
                content=content,
            )
            if may_generate(method, below):
                await self._booked(request, caller, passing, upstream, below)
            else:
                await self._directory.refuse_blocked(caller.customer)
                async with Departure(passing.receive, lambda: None):
                    await relay(passing, upstream, await ask(passing, upstream))

        await self._with_body(request, go)

    async def drain(self) -> None:
        """Wait until every call is in the ledger."""
        while self._ends:
            await asyncio.wait(self._ends)

    def _upstream_for(self, request: Request, method: str, below: str) -> Upstream:
        app = request.app
        if not app.passthrough or request.credential.is_bound:
            raise NotFound(
                f"{method} /v1/{below[:200]} is not a route of this gateway, or not for this "
                "token. An operator can open it to an app's own token: "
                "apps[].passthrough: true.",
                code="route_not_enabled",
            )
        if method not in METHODS:
            raise MethodNotAllowed(method, METHODS)
        open_to = self._upstreams.open_to(app)
        upstream = next((u for u in open_to if not u.needs_model(below)), None)
        if upstream is None:
            raise NotFound("This app has no upstream.", code="route_not_enabled")
        refuse_without_key(upstream.settings.passthrough, request.headers)
        return upstream

    async def _with_body(self, request: Request, go: Going) -> None:
        headers = request.headers
        if is_form(headers):
            async with self._uploads.form(request.receive, headers) as form:
                await go(form.customer_fields, form.forwarded(None))
        elif not has_body(headers):
            await go(NO_CUSTOMER_FIELDS, b"")
        elif is_json(headers):
            body = await read_body(request.receive, headers, self._limits)
            ours = await self._elsewhere.if_large(body, ours_in)
            await go(ours.fields, edited(body, list(ours.cuts)))
        else:
            async with self._uploads.body(request.receive, headers) as spool:
                await go(NO_CUSTOMER_FIELDS, spool.edited(()))

    async def _booked(
        self, request: Request, caller: Caller, passing: Passing, upstream: Upstream, below: str
    ) -> None:
        """Forward what may generate, and book what it says that it used."""
        facts = {
            "request_id": request.request_id,
            "at_ms": request.started_ms,
            "app": request.app.id,
            "endpoint": below[:ENDPOINT_CHARS_MAX],
            "upstream": upstream.settings.name,
            "provider": upstream.settings.provider,
            "metadata": caller.recorded or None,
        }

        def opening(profile: Profile) -> bytes:
            return details_of(facts | {"group": profile.group})

        hold = await self._ledger.hold(
            request.request_id,
            caller.customer,
            app=request.app.id,
            change=caller.change,
            bound=self._unbounded,
            opening=opening,
        )
        booking = Booking(
            facts=facts,
            hold=hold,
            ledger=self._ledger,
            rating=self._rating.pinned(),
            upstream=upstream,
            clock=self._clock,
        )
        try:
            async with Departure(passing.receive, booking.client_left):
                await relay(passing, upstream, await ask(passing, upstream), booking)
        except ClientGone:
            pass
        except GatewayError as exc:
            booking.error = exc
            raise
        finally:
            task = asyncio.create_task(booking.settle())
            self._ends.add(task)
            task.add_done_callback(self._ends.discard)

    def _unbounded(self, terms: Terms) -> Bound:
        if self._binding and terms.limited:
            raise PermissionRefused(
                "What this call can cost has no bound, so a budget cannot be kept: this route "
                "is not for customers with a limit.",
                code="route_not_boundable",
            )
        return Bound.all_of(0)
