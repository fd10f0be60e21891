"""The demo upstream: a deterministic OpenAI-compatible provider that costs nothing.

`farebox demo` runs it, and the tests put it on a socket behind a real gateway. Any bearer
token will do. `gateway.demo.answers` says how tokens are counted, `gateway.demo.faults` how
to make it misbehave. What it was sent is in ``app.state.seen``: `Seen` records, newest last.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from hashlib import blake2b
from typing import Any, Final

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.clock import Clock, SystemClock
from gateway.demo import answers, faults, requests, wire
from gateway.demo.chats import Chats
from gateway.demo.completions import Completions
from gateway.demo.faults import Faults
from gateway.demo.messages import Messages
from gateway.demo.playback import SEEN_MAX, Playback, Seen, Step, remember
from gateway.demo.requests import find_model
from gateway.demo.responses import Responses
from gateway.demo.script import AT_ONCE, REALISTIC, Answer, Pace, body_steps
from gateway.demo.surface import Surface
from gateway.demo.wire import Envelope, Refusal

__all__ = ["AT_ONCE", "REALISTIC", "Pace", "build_upstream"]

BODY_BYTES_MAX: Final = 64 * 1024 * 1024
DIMENSIONS: Final = 8
RATE_LIMIT_CALLS: Final = 10_000

CHATS: Final = Chats()

Answering = Callable[[Request, Seen], Awaitable[Response]]


def build_upstream(
    *, pace: Pace | None = REALISTIC, seed: int = 0, clock: Clock | None = None
) -> Starlette:
    """Assemble the upstream; the answers depend on the requests and `seed` only.

    Args:
        pace: How slowly it answers; None is at once.
        seed: Another seed, other answers.
        clock: For ``created`` and for the times in ``app.state.seen``.
    """
    upstream = _Upstream(pace or AT_ONCE, seed, clock or SystemClock())
    app = Starlette(
        routes=[
            *(
                Route(
                    f"/v1/{path}", upstream.route(upstream.text(surface), surface), methods=["POST"]
                )
                for path, surface in upstream.surfaces.items()
            ),
            Route("/v1/responses/{name}", upstream.route(upstream.kept), methods=["GET", "DELETE"]),
            Route("/v1/embeddings", upstream.route(upstream.embed), methods=["POST"]),
            Route("/v1/models", upstream.route(upstream.models), methods=["GET"]),
            Route("/v1/models/{name:path}", upstream.route(upstream.model), methods=["GET"]),
        ],
        exception_handlers={HTTPException: _no_route},
    )
    app.router.redirect_slashes = False
    app.state.seen = upstream.seen
    return app


class _Upstream:
    def __init__(self, pace: Pace, seed: int, clock: Clock) -> None:
        self.seen: deque[Seen] = deque(maxlen=SEEN_MAX)
        self._pace = pace
        self._seed = seed
        self._clock = clock
        self._calls = 0
        self._responses = Responses()
        self.surfaces: dict[str, Surface] = {
            "chat/completions": CHATS,
            "completions": Completions(),
            "responses": self._responses,
            "messages": Messages(),
        }

    def route(
        self, answering: Answering, surface: Surface = CHATS
    ) -> Callable[[Request], Awaitable[Response]]:
        """Put what every route does around `answering`: record, authenticate, refuse."""

        async def endpoint(request: Request) -> Response:
            seen = await self._record(request)
            self._calls += 1
            try:
                _authenticate(request)
                return await answering(request, seen)
            except Refusal as refusal:
                return self._json(surface.refusal(refusal.body), seen, status=refusal.status)

        return endpoint

    def text(self, surface: Surface) -> Answering:
        """Answer by a route that writes text."""

        async def answering(request: Request, seen: Seen) -> Response:
            body = requests.parse(seen.body)
            _, chats = surface.read(body)
            wrong = _faults(request, answers.last_user_text(chats[-1]))
            if "stream_options" in body and not wrong.stream_options:
                raise Refusal(
                    400,
                    "Unknown parameter: 'stream_options'.",
                    param="stream_options",
                    code="unknown_parameter",
                )
            if wrong.status is not None:
                return self._failure(wrong, seen, surface)
            answer = self._answer(surface, body, wrong, seen)
            if body.get("stream"):
                return self._stream(surface.steps(answer, body), seen, wait_s=wrong.stall_s)
            return self._whole(surface, answer, body, seen)

        return answering

    def _answer(self, surface: Surface, body: dict[str, Any], wrong: Faults, seen: Seen) -> Answer:
        model, chats = surface.read(body)
        choices = [choice for chat in chats for choice in answers.choices(chat, model, self._seed)]
        return Answer(
            envelope=Envelope(
                id=surface.id(self._unique(29)),
                created_s=self._clock.now_ms() // 1_000,
                model=model,
                service_tier=_served_tier(body.get("service_tier")),
            ),
            choices=choices,
            usage=wire.chat_usage(
                sum(map(answers.prompt_tokens, chats)),
                sum(map(answers.cached_tokens, chats)),
                choices,
            ),
            faults=wrong,
            pace=self._pace,
            rng=answers.random_from("pace", self._seed, seen.body),
        )

    def _whole(
        self, surface: Surface, answer: Answer, body: dict[str, Any], seen: Seen
    ) -> Response:
        wrong = answer.faults
        if surface is self._responses and body.get("background"):
            return self._json(self._responses.queued(answer, body), seen, wrong=wrong)
        payload = surface.whole(answer)
        if surface is self._responses:
            self._responses.keep(payload, body)
        wait_s = wrong.stall_s + answer.think_s() + answer.type_s()
        return self._json(payload, seen, wrong=wrong, wait_s=wait_s)

    async def kept(self, request: Request, seen: Seen) -> Response:
        """GET, DELETE /v1/responses/{name}."""
        name = request.path_params["name"]
        act = self._responses.forget if request.method == "DELETE" else self._responses.kept
        return self._json(act(name), seen)

    async def embed(self, request: Request, seen: Seen) -> Response:
        """POST /v1/embeddings."""
        body = requests.parse(seen.body)
        model, inputs = requests.check_embeddings(body)
        first = inputs[0]
        wrong = _faults(request, first if isinstance(first, str) else "")
        if wrong.status is not None:
            return self._failure(wrong, seen)
        dimensions = body.get("dimensions") or DIMENSIONS
        payload = wire.embeddings(
            model,
            [answers.embedding(one, dimensions, self._seed) for one in inputs],
            sum(answers.text_tokens(one) if isinstance(one, str) else len(one) for one in inputs),
            as_base64=body.get("encoding_format") == "base64",
        )
        if not wrong.usage:
            del payload["usage"]
        rng = answers.random_from("pace", self._seed, seen.body)
        wait_s = wrong.stall_s + self._pace.first_s(model.slowness, rng)
        return self._json(payload, seen, wrong=wrong, wait_s=wait_s)

    async def models(self, _: Request, seen: Seen) -> Response:
        """GET /v1/models."""
        return self._json(wire.model_list(), seen)

    async def model(self, request: Request, seen: Seen) -> Response:
        """GET /v1/models/{name}."""
        return self._json(wire.model_card(find_model(request.path_params["name"])), seen)

    async def _record(self, request: Request) -> Seen:
        seen = Seen(
            method=request.method,
            path=request.url.path,
            query=request.url.query,
            headers=request.headers,
            body=await _body(request),
            arrived_s=self._clock.monotonic(),
        )
        remember(self.seen, seen)
        return seen

    def _stream(self, steps: Iterable[Step], seen: Seen, *, wait_s: float) -> Response:
        return Playback(
            steps,
            seen=seen,
            clock=self._clock,
            headers=self._headers("text/event-stream; charset=utf-8"),
            wait_s=wait_s,
        )

    def _failure(self, wrong: Faults, seen: Seen, surface: Surface = CHATS) -> Response:
        status = wrong.status or 500
        code = "rate_limit_exceeded" if status == 429 else None
        payload = wire.error(status, f"Failed with {status}, as asked.", code=code)
        return self._json(
            surface.refusal(payload), seen, status=status, wrong=wrong, wait_s=wrong.stall_s
        )

    def _json(
        self,
        payload: dict[str, Any],
        seen: Seen,
        *,
        status: int = 200,
        wrong: Faults = faults.NONE,
        wait_s: float = 0.0,
    ) -> Response:
        content = orjson.dumps(payload)
        headers = self._headers("application/json") | {"content-length": str(len(content))}
        if status == 429 or status >= 500:
            headers["retry-after"] = "1"
        return Playback(
            body_steps(content, wrong),
            seen=seen,
            clock=self._clock,
            headers=headers,
            status_code=status,
            wait_s=wait_s,
        )

    def _headers(self, content_type: str) -> dict[str, str]:
        return {
            "content-type": content_type,
            "x-request-id": f"req_{self._unique(32)}",
            "openai-version": "2020-10-01",
            "x-ratelimit-limit-requests": str(RATE_LIMIT_CALLS),
            "x-ratelimit-remaining-requests": str(RATE_LIMIT_CALLS - 1),
            "x-ratelimit-reset-requests": "6ms",
        }

    def _unique(self, length: int) -> str:
        """Differs from call to call, but not from run to run."""
        return blake2b(f"{self._seed}:{self._calls}".encode(), digest_size=16).hexdigest()[:length]


async def _body(request: Request) -> bytes:
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > BODY_BYTES_MAX:
                raise HTTPException(413)
    except ClientDisconnect:
        raise HTTPException(400) from None
    return bytes(body)


def _authenticate(request: Request) -> None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    is_given = scheme.lower() == "bearer" and bool(token.strip())
    if not is_given and not request.headers.get("x-api-key"):
        raise Refusal(
            401,
            "You didn't provide an API key. Send it as 'Authorization: Bearer YOUR_KEY'.",
            code="invalid_api_key",
        )


def _faults(request: Request, message: str) -> Faults:
    try:
        return faults.wanted(request.headers.get("x-demo-fault"), message)
    except faults.UnknownFault as exc:
        raise Refusal(400, str(exc), param="x-demo-fault") from exc


def _served_tier(asked: object) -> str:
    return asked if isinstance(asked, str) and asked in ("flex", "priority") else "default"


async def _no_route(request: Request, exc: Exception) -> Response:
    status = exc.status_code if isinstance(exc, HTTPException) else 500
    message = f"Invalid URL ({request.method} {request.url.path})"
    return JSONResponse(wire.error(status, message), status_code=status)
