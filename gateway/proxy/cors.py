"""CORS: calls from web pages, for apps that name the pages' origins.

A browser asks before (a preflight, which carries no token, so the origin of any app passes)
and looks at the answer of the call itself, where only the origins of its own app are named.
What is refused is not told apart from what never was: there is simply no header.
"""

from collections.abc import Collection, Mapping
from typing import Any, Final

from gateway.customers.apps import App, Apps
from gateway.proxy.relay import Send, body, start

MAX_AGE_SECONDS: Final = 600
ANY: Final = "*"

_ALLOWED: Final = b"access-control-allow-origin"
_PREFIX: Final = b"access-control-"
_VARY: Final = (b"vary", b"origin")
_EXPOSED: Final = (
    b"access-control-expose-headers",
    (
        b"retry-after, x-request-id, x-should-retry, x-farebox-request-id, x-farebox-customer, "
        b"x-farebox-charge-usd, x-farebox-budget-remaining-usd, x-farebox-budget-resets-at, "
        b"x-farebox-output-cap, x-farebox-warnings, x-farebox-overhead-ms"
    ),
)


class PageSend:
    """`send` for a call from a web page: the answer's head says whether the page may read it.

    Attributes:
        app: Whose call it is, once that is known; before, any app's pages may read why not.
    """

    def __init__(self, send: Send, origin: bytes, origins: Collection[str]) -> None:
        self._send = send
        self._origin = origin
        self._origins = origins
        self.app: App | None = None

    async def __call__(self, message: Any) -> None:
        origins = self._origins if self.app is None else self.app.cors_origins
        if message["type"] == "http.response.start" and _among(self._origin, origins):
            kept = [h for h in message["headers"] if not h[0].startswith(_PREFIX)]
            own = [(_ALLOWED, self._origin), _EXPOSED, _VARY]
            message = {**message, "headers": [*kept, *own]}
        await self._send(message)


class Cors:
    """Of all apps together."""

    def __init__(self, apps: Apps) -> None:
        self._origins = frozenset(origin for app in apps.all for origin in app.cors_origins)

    def send_for(self, headers: Mapping[bytes, bytes], send: Send) -> PageSend | None:
        """How to answer a web page; None: it is none, or no app has any."""
        origin = headers.get(b"origin")
        return PageSend(send, origin, self._origins) if origin and self._origins else None

    async def preflight(self, headers: Mapping[bytes, bytes], send: Send) -> None:
        """Answer a browser that asks whether its page may call."""
        origin = headers.get(b"origin", b"")
        asked = headers.get(b"access-control-request-headers", b"*")
        answer = [_VARY]
        if _among(origin, self._origins):
            answer += [
                (_ALLOWED, origin),
                (b"access-control-allow-methods", b"GET, POST, DELETE, OPTIONS"),
                (b"access-control-allow-headers", asked),
                (b"access-control-max-age", str(MAX_AGE_SECONDS).encode()),
            ]
        await send(start(204, answer))
        await send(body(b"", more=False))


def is_preflight(method: str, headers: Mapping[bytes, bytes]) -> bool:
    return method == "OPTIONS" and b"access-control-request-method" in headers


def _among(origin: bytes, origins: Collection[str]) -> bool:
    named = origin.decode("latin-1").lower()
    return bool(named) and (named in origins or ANY in origins)
