"""The data plane's routes: plain ASGI callables, one a path and method.

No framework on this path, and no middleware around it: what Starlette does for a request
costs more than all of ours.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from gateway.clock import Clock
from gateway.customers.authentication import Authentication
from gateway.customers.credentials import Credential
from gateway.customers.identity import refuse_repeated
from gateway.errors import (
    GatewayBusy,
    GatewayError,
    InvalidCall,
    MethodNotAllowed,
    NotFound,
    NotSupported,
)
from gateway.ledger.requests import new_request_id
from gateway.openai.call import Call, parse_call, parse_form, parse_shallow
from gateway.openai.content import Content
from gateway.openai.endpoints import Endpoint
from gateway.openai.errors import WireForm, internal_error, wire_form
from gateway.openai.flat_carriers import from_query
from gateway.openai.passed import passed_shallow
from gateway.proxy.background import is_response_id
from gateway.proxy.bodies import BodyLimits, read_body
from gateway.proxy.cors import Cors, PageSend, is_preflight
from gateway.proxy.departure import ClientGone
from gateway.proxy.elsewhere import LARGE_BYTES, Elsewhere
from gateway.proxy.headers import (
    RawHeaders,
    app_token,
    ours,
    query_without,
    refuse_without_key,
)
from gateway.proxy.models import Models
from gateway.proxy.passage import Passing, pass_on
from gateway.proxy.passthrough import Passthrough
from gateway.proxy.paths import (
    ANTHROPIC_PREFIX,
    AZURE_PREFIX,
    PREFIXES,
    azure,
    below,
    deployed,
    foreign,
    is_anthropics,
    surface,
)
from gateway.proxy.pipeline import Pipeline
from gateway.proxy.relay import Send, body, start
from gateway.proxy.request import Request
from gateway.proxy.responses import KeptResponses
from gateway.proxy.routing import Upstreams
from gateway.proxy.uploads import Uploads, is_form

PUBLIC_MODELS: Final = "/api/models/public"
"""Among the paths of models, and management's."""

COUNTING: Final = ("messages/count_tokens", "responses/input_tokens")
"""Bodies that are read by a model and make nothing: unmetered."""

KEPT: Final = {
    ("GET", ""),
    ("DELETE", ""),
    ("POST", "/cancel"),
    ("GET", "/input_items"),
}
"""What can be done to a response that the provider keeps: method, and what follows its id."""

_API_TREES: Final = ("/api/models/", "/api/responses/")
_REALTIME: Final = "realtime"
_DOT_SEGMENTS: Final = frozenset({".", ".."})

log = logging.getLogger(__name__)

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Handler = Callable[[Scope, Receive, Send, "Arrival"], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class DataPlaneLimits:
    body: BodyLimits
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
    headers: Mapping[bytes, bytes] = field(repr=False)
    raw_headers: RawHeaders = field(repr=False)
    page: PageSend | None = None

    def request(
        self, credential: Credential, scope: Scope, receive: Receive, send: Send
    ) -> Request:
        """The request, now that it is known whose it is.

        Raises:
            InvalidCall: its query says something that cannot be meant.
        """
        asked = from_query(scope["query_string"])
        return Request(
            request_id=self.request_id,
            credential=credential,
            headers=self.headers,
            raw_headers=self.raw_headers,
            started=self.started,
            started_ms=self.started_ms,
            receive=receive,
            send=send,
            query=query_without(app_token(self.headers), asked.rest),
            query_fields=asked.fields,
            azure=azure(scope["path"]),
        )

    def passing(
        self, scope: Scope, receive: Receive, send: Send, path: str, content: bytes | Content
    ) -> Passing:
        """The request as it goes on, unmetered."""
        return Passing(
            request_id=self.request_id,
            method=scope["method"],
            path=path,
            headers=self.raw_headers,
            receive=receive,
            send=send,
            query=query_without(app_token(self.headers), scope["query_string"]),
            azure=azure(scope["path"]),
            content=content,
        )


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
        upstreams: Upstreams,
        kept: KeptResponses,
        passthrough: Passthrough,
        uploads: Uploads,
        elsewhere: Elsewhere,
        clock: Clock,
        limits: DataPlaneLimits,
        reject_status: int = 402,
    ) -> None:
        self._authentication = authentication
        self._cors = cors
        self._pipeline = pipeline
        self._models = models
        self._upstreams = upstreams
        self._kept = kept
        self._passthrough = passthrough
        self._uploads = uploads
        self._elsewhere = elsewhere
        self._clock = clock
        self._limits = limits
        self._reject_status = reject_status
        self._running = 0
        self._handlers: dict[str, tuple[str, Handler]] = {}
        for endpoint in Endpoint:
            self._serve(endpoint.value, "POST", self._calls(endpoint))
        for counting in COUNTING:
            self._serve(counting, "POST", self._passes(counting))
        for prefix in PREFIXES:
            self._handlers[prefix + "models"] = ("GET", self._list_models)

    def _serve(self, path: str, method: str, handler: Handler) -> None:
        prefixes = (*PREFIXES, ANTHROPIC_PREFIX) if is_anthropics(path) else PREFIXES
        for prefix in prefixes:
            self._handlers[prefix + path] = (method, handler)

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
            form = wire_form(exc, reject_status=self._reject_status, surface=surface(scope["path"]))
            await _send_form(send, form, arrival.request_id)
        except Exception:
            log.exception("call_failed request_id=%s", arrival.request_id)
            await _send_form(send, internal_error(surface(scope["path"])), arrival.request_id)

    def owns(self, path: str) -> bool:
        """Whether a path belongs to the data plane, known or not."""
        if path.startswith(("/v1/", ANTHROPIC_PREFIX, AZURE_PREFIX)) or path == "/v1":
            return path.rstrip("/") != "/v1/events"
        known = path.rstrip("/")
        return known in self._handlers or (known.startswith(_API_TREES) and known != PUBLIC_MODELS)

    def _handler(self, scope: Scope) -> Handler:
        path, method = scope["path"].rstrip("/"), scope["method"]
        if not _DOT_SEGMENTS.isdisjoint(path.replace("\\", "/").split("/")):
            raise InvalidCall("The path must not have dot segments.", code="invalid_path")
        asked = below(path)
        if asked.startswith(_REALTIME) or _is_websocket(scope):
            raise NotSupported("Realtime is not supported by this gateway.")
        found = self._handlers.get(path)
        if found is None:
            if asked.startswith("responses/"):
                return self._kept_response(asked, path, method)
            found = self._naming(path, asked)
        if found is None:
            return self._foreign(scope)
        wanted, handler = found
        if method != wanted:
            raise MethodNotAllowed(method, [wanted])
        return handler

    def _naming(self, path: str, asked: str) -> tuple[str, Handler] | None:
        """The handler of a path with a model in it, and its method."""
        if asked.startswith("models/"):
            return "GET", self._one_model
        if (route := deployed(path)) is not None:
            return "POST", self._calls(route.endpoint, deployment=route.name)
        return None

    def _calls(self, endpoint: Endpoint, *, deployment: str | None = None) -> Handler:
        async def serve(scope: Scope, receive: Receive, send: Send, arrival: Arrival) -> None:
            credential = await self._authenticated(arrival)
            if len(arrival.headers) < len(arrival.raw_headers):
                refuse_repeated(arrival.raw_headers)
            request = arrival.request(credential, scope, receive, send)
            if endpoint.traits.form and is_form(arrival.headers):
                async with self._uploads.form(receive, arrival.headers) as form:
                    await self._pipeline.run(request, parse_form(endpoint, form, deployment))
            else:
                content = await self._content(receive, arrival)
                call = await self._parsed(endpoint, content, deployment)
                await self._pipeline.run(request, call)

        return serve

    def _passes(self, path: str) -> Handler:
        """A body that is forwarded to the upstream of its model, and not metered."""

        async def call(scope: Scope, receive: Receive, send: Send, arrival: Arrival) -> None:
            credential = await self._authenticated(arrival)
            credential.check_app()
            content = await self._content(receive, arrival)
            read = replace(await self._elsewhere.if_large(content, passed_shallow), body=content)
            credential.check_model(read.model)
            upstream, model = self._upstreams.serving(read.model, credential.app)
            refuse_without_key(upstream.settings.passthrough, arrival.headers)
            passing = arrival.passing(scope, receive, send, path, read.forwarded(model))
            await pass_on(replace(passing, model=model), upstream)

        return call

    def _kept_response(self, asked: str, path: str, method: str) -> Handler:
        response_id, slash, rest = asked.removeprefix("responses/").partition("/")
        allowed = [m for m, end in KEPT if end == slash + rest]
        if not allowed or not is_response_id(response_id):
            raise _no_route(method, path)
        if method not in allowed:
            raise MethodNotAllowed(method, allowed)

        async def call(scope: Scope, receive: Receive, send: Send, arrival: Arrival) -> None:
            credential = await self._authenticated(arrival)
            credential.check_app()
            content = await self._content(receive, arrival) if method == "POST" else b""
            passing = arrival.passing(scope, receive, send, asked, content)
            await self._kept.pass_on(passing, credential, response_id)

        return call

    def _foreign(self, scope: Scope) -> Handler:
        """What no route of ours takes: below ``/v1/`` for apps that may have it."""
        path, method, raw = scope["path"], scope["method"], foreign(scope["raw_path"])
        if raw is None:
            raise _no_route(method, path)

        async def call(scope: Scope, receive: Receive, send: Send, arrival: Arrival) -> None:
            credential = await self._authenticated(arrival)
            if len(arrival.headers) < len(arrival.raw_headers):
                refuse_repeated(arrival.raw_headers)
            request = arrival.request(credential, scope, receive, send)
            await self._passthrough.serve(request, method, raw, below(path))

        return call

    async def _parsed(self, endpoint: Endpoint, content: bytes, deployment: str | None) -> Call:
        if len(content) <= LARGE_BYTES:  # as good as always
            return parse_call(endpoint, content, deployment)
        call = await self._elsewhere.run(parse_shallow, endpoint, content, deployment)
        return replace(call, body=content)

    async def _content(self, receive: Receive, arrival: Arrival) -> bytes:
        return await read_body(receive, arrival.headers, self._limits.body)

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


def _no_route(method: str, path: str) -> NotFound:
    return NotFound(
        f"{method} {path[:200]} is not a route of this gateway.", code="route_not_enabled"
    )


def _is_websocket(scope: Scope) -> bool:
    return any(n == b"upgrade" and v.lower() == b"websocket" for n, v in scope["headers"])


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
