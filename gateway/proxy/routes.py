"""The data plane's routes: plain ASGI callables, one a path.

No framework on this path, and no middleware around it: what Starlette does for a request
costs more than all of ours.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.clock import Clock
from gateway.customers.authentication import Authentication
from gateway.customers.credentials import Credential
from gateway.customers.identity import refuse_repeated
from gateway.errors import GatewayBusy, GatewayError, InvalidCall, MethodNotAllowed, NotFound
from gateway.ledger.requests import new_request_id
from gateway.openai.call import parse_call
from gateway.openai.endpoints import Endpoint
from gateway.openai.errors import WireForm, internal_error, wire_form
from gateway.proxy.bodies import read_body
from gateway.proxy.cors import Cors, PageSend, is_preflight
from gateway.proxy.departure import ClientGone
from gateway.proxy.headers import RawHeaders, app_token, ours
from gateway.proxy.models import Models
from gateway.proxy.pipeline import Pipeline
from gateway.proxy.relay import Send, body, start
from gateway.proxy.request import Request

PREFIXES: Final = ("/v1/", "/api/")
_DOT_SEGMENTS: Final = frozenset({".", ".."})

log = logging.getLogger(__name__)

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Handler = Callable[[Scope, Receive, Send, "Arrival"], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class DataPlaneLimits:
    request_bytes: int
    body_seconds: float
    concurrent_calls: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A request that has just come in.

    Attributes:
        page: How to answer it, if a web page sent it.
    """

    request_id: str
    started: float
    started_ms: int
    headers: Mapping[bytes, bytes]
    raw_headers: RawHeaders
    page: PageSend | None = None


class DataPlane:
    """Everything that an OpenAI client calls.

    `handler_of` finds the ASGI callable for a path, or None where it is not ours.
    """

    def __init__(
        self,
        *,
        authentication: Authentication,
        cors: Cors,
        pipeline: Pipeline,
        models: Models,
        clock: Clock,
        limits: DataPlaneLimits,
        reject_status: int = 402,
    ) -> None:
        self._authentication = authentication
        self._cors = cors
        self._pipeline = pipeline
        self._models = models
        self._clock = clock
        self._limits = limits
        self._reject_status = reject_status
        self._running = 0
        self._handlers: dict[str, tuple[str, Handler]] = {}
        for prefix in PREFIXES:
            for endpoint in Endpoint:
                self._handlers[prefix + endpoint.value] = ("POST", self._calls(endpoint))
            self._handlers[prefix + "models"] = ("GET", self._list_models)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request whose path `owns`; never raises for what a caller can do."""
        started_ms = self._clock.now_ms()
        raw_headers: RawHeaders = list(scope["headers"])
        headers = dict(raw_headers)
        page = self._cors.send_for(headers, send)
        if page and is_preflight(scope["method"], headers):
            await self._cors.preflight(headers, send)
            return
        send = page or send
        arrival = Arrival(
            request_id=new_request_id(started_ms),
            started=self._clock.monotonic(),
            started_ms=started_ms,
            headers=headers,
            raw_headers=raw_headers,
            page=page,
        )
        try:
            handler = self._handler(scope)
            self._running += 1
            try:
                if self._running > self._limits.concurrent_calls:
                    raise GatewayBusy("Too many calls are in flight here; try again shortly.")
                await handler(scope, receive, send, arrival)
            finally:
                self._running -= 1
        except ClientGone:
            return
        except asyncio.CancelledError:  # the server stops, and its patience is over
            log.warning("call_cut_off request_id=%s", arrival.request_id)
        except GatewayError as exc:
            await self._send_error(send, exc, arrival.request_id)
        except Exception:
            log.exception("call_failed request_id=%s", arrival.request_id)
            await _send_form(send, internal_error(), arrival.request_id)

    def owns(self, path: str) -> bool:
        """Whether a path belongs to the data plane, known or not."""
        if path.startswith("/v1/") or path == "/v1":
            return path.rstrip("/") != "/v1/events"
        known = path.rstrip("/")
        return known in self._handlers or known.startswith("/api/models/")

    def _handler(self, scope: Scope) -> Handler:
        path, method = scope["path"].rstrip("/"), scope["method"]
        if not _DOT_SEGMENTS.isdisjoint(path.split("/")):
            raise InvalidCall("The path must not have dot segments.", code="invalid_path")
        found = self._handlers.get(path)
        if found is None and path.removeprefix("/v1/").removeprefix("/api/").startswith("models/"):
            found = ("GET", self._one_model)
        if found is None:
            raise NotFound(
                f"{method} {path[:200]} is not a route of this gateway.", code="route_not_enabled"
            )
        wanted, handler = found
        if method != wanted:
            raise MethodNotAllowed(method, [wanted])
        return handler

    def _calls(self, endpoint: Endpoint) -> Handler:
        async def call(_: Scope, receive: Receive, send: Send, arrival: Arrival) -> None:
            credential = await self._authenticated(arrival)
            if len(arrival.headers) < len(arrival.raw_headers):
                refuse_repeated(arrival.raw_headers)
            content = await read_body(
                receive,
                arrival.headers,
                bytes_max=self._limits.request_bytes,
                seconds_max=self._limits.body_seconds,
            )
            request = Request(
                request_id=arrival.request_id,
                credential=credential,
                headers=arrival.headers,
                raw_headers=arrival.raw_headers,
                started=arrival.started,
                started_ms=arrival.started_ms,
                receive=receive,
                send=send,
            )
            await self._pipeline.run(request, parse_call(endpoint, content))

        return call

    async def _list_models(self, _: Scope, __: Receive, send: Send, arrival: Arrival) -> None:
        app = (await self._authenticated(arrival)).app
        await _send_json(send, await self._models.listed(app), arrival.request_id)

    async def _one_model(self, scope: Scope, _: Receive, send: Send, arrival: Arrival) -> None:
        app = (await self._authenticated(arrival)).app
        name = scope["path"].split("/models/", 1)[1].rstrip("/")
        await _send_json(send, await self._models.one(app, name), arrival.request_id)

    async def _authenticated(self, arrival: Arrival) -> Credential:
        credential = await self._authentication.authenticate(app_token(arrival.headers))
        if arrival.page:
            arrival.page.app = credential.app
        return credential

    async def _send_error(self, send: Send, error: GatewayError, request_id: str) -> None:
        form = wire_form(error, reject_status=self._reject_status)
        await _send_form(send, form, request_id)


async def _send_form(send: Send, form: WireForm, request_id: str) -> None:
    status, headers, content = form
    await send(start(status, [*headers, *ours(request_id=request_id)]))
    await send(body(content, more=False))


async def _send_json(send: Send, content: bytes, request_id: str) -> None:
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(content)).encode()),
        *ours(request_id=request_id),
    ]
    await send(start(200, headers))
    await send(body(content, more=False))
