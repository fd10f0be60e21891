"""Endpoint: one path, matched on the raw bytes of the request line.

Identifiers in paths may contain ``/``, ``:`` and any Unicode. The server has decoded
``scope["path"]`` already, and there ``%2F`` cannot be told from a slash; so a path is
split first and its segments decoded after. With and without a trailing slash is the same
path: nothing is ever redirected, since a redirected POST arrives as a GET.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Final
from urllib.parse import unquote_to_bytes

from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from gateway.api.answers import MalformedRequest, refusal
from gateway.errors import GatewayBusy, GatewayError, MethodNotAllowed

Handler = Callable[[Request], Awaitable[Response]]
"""Segments named ``{so}`` in the pattern are in ``request.path_params``."""

REST: Final = "{rest}"
"""As a pattern's last segment: anything, or nothing, from here on."""

ARCHIVE_AWAY: Final = "The archive cannot be read now. Calls are served and counted; try again."

log = logging.getLogger(__name__)


class Endpoint(BaseRoute):
    """The handlers of one path, by method; GET answers HEAD too.

    Args:
        pattern: ``/api/users/{id}``: literal segments, and names in braces for any other.
        on_error: How the errors of this path look.
    """

    def __init__(
        self,
        pattern: str,
        handlers: Mapping[str, Handler],
        *,
        on_error: Callable[[GatewayError], Response] = refusal,
    ) -> None:
        self.pattern = pattern
        self._segments = _split(pattern.encode())
        self._handlers = dict(handlers)
        if "GET" in handlers:
            self._handlers["HEAD"] = handlers["GET"]
        self._on_error = on_error

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["type"] != "http":
            return Match.NONE, {}
        found = self._match(raw_path(scope))
        if found is None:
            return Match.NONE, {}
        return Match.FULL, {"endpoint": self, "raw_path_params": found}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            response = await self._respond(request)
        except ClientDisconnect:
            return
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        try:
            handler = self._handlers.get(request.method)
            if handler is None:
                raise MethodNotAllowed(request.method, self._handlers)
            raw: Mapping[str, bytes] = request.scope["raw_path_params"]
            request.scope["path_params"] = {name: _decoded(text) for name, text in raw.items()}
            return await handler(request)
        except GatewayError as exc:
            return self._on_error(exc)
        except ClientDisconnect:
            raise
        except SQLAlchemyError as exc:
            # Not str(exc): SQLAlchemy puts statements and rows into it.
            log.warning("archive_failed path=%s error=%s", self.pattern, type(exc).__name__)
            return self._on_error(GatewayBusy(ARCHIVE_AWAY, code="archive_unavailable"))
        except Exception:
            log.exception("unexpected_error path=%s", self.pattern)
            return self._on_error(GatewayError("internal error"))

    def _match(self, path: bytes) -> dict[str, bytes] | None:
        segments = _split(path)
        pattern = self._segments
        if pattern and pattern[-1] == REST.encode():
            pattern = pattern[:-1]
            segments = segments[: len(pattern)]
        if len(segments) != len(pattern):
            return None
        found = {}
        for expected, segment in zip(pattern, segments, strict=True):
            if expected.startswith(b"{"):
                if not segment:
                    return None
                found[expected[1:-1].decode()] = segment
            elif expected != segment:
                return None
        return found


def raw_path(scope: Scope) -> bytes:
    """The path as it was sent, percent-encoded, without the query."""
    raw: bytes | None = scope.get("raw_path")
    return raw.partition(b"?")[0] if raw else scope["path"].encode()


def _split(path: bytes) -> list[bytes]:
    """Segments after the leading slash; a trailing slash makes none."""
    segments = path.split(b"/")[1:]
    return segments[:-1] if segments and not segments[-1] else segments


def _decoded(segment: bytes) -> str:
    try:
        return unquote_to_bytes(segment).decode()
    except UnicodeDecodeError as exc:
        raise MalformedRequest("The path is not percent-encoded UTF-8.") from exc
