"""Signing in, by a key or by a link that works once, and out."""

from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gateway.api.endpoint import Endpoint
from gateway.dashboard.rendering import Renderer
from gateway.dashboard.sessions import (
    COOKIE,
    SESSION_SECONDS,
    Credentials,
    Role,
    Sessions,
)
from gateway.dashboard.visits import Visit, Visits, check_origin, read_form

_NO_STORE: Final = {"cache-control": "no-store"}


class Login:
    def __init__(
        self, visits: Visits, sessions: Sessions, credentials: Credentials, renderer: Renderer
    ) -> None:
        self._visits = visits
        self._sessions = sessions
        self._credentials = credentials
        self._renderer = renderer

    def routes(self) -> list[Endpoint]:
        on_error = self._renderer.error
        return [
            Endpoint("/login", {"GET": self.page, "POST": self.enter}, on_error=on_error),
            Endpoint(
                "/logout",
                {"POST": self._visits.changed(self.leave, viewers=True)},
                on_error=on_error,
            ),
        ]

    async def page(self, request: Request) -> Response:
        self._visits.check_host(request)
        token = request.query_params.get("token")
        if token and request.method == "GET" and "sec-purpose" not in request.headers:
            if await self._sessions.spend(token):
                return self._entered(request, Role.ADMIN, "/")
            if self._sessions.opened(request.cookies.get(COOKIE)):
                return RedirectResponse("/", 303, _NO_STORE)
            return self._form(request, "This link has been used, or is too old. Use the key.", 403)
        return self._form(request)

    async def enter(self, request: Request) -> Response:
        self._visits.check_host(request)
        check_origin(request)
        form = await read_form(request)
        role = self._credentials.role_of(form.get("key", "").strip())
        if role is None:
            return self._form(request, "This is not a key of this gateway.", 403)
        return self._entered(request, role, request.query_params.get("next", "/"))

    async def leave(self, _: Visit) -> Response:
        response = RedirectResponse("/login", 303, _NO_STORE)
        response.delete_cookie(COOKIE)
        return response

    def _form(self, request: Request, problem: str | None = None, status: int = 200) -> Response:
        action = "/login" + (f"?{request.url.query}" if "next" in request.query_params else "")
        return self._renderer.answer("login.html", {"problem": problem, "action": action}, status)

    def _entered(self, request: Request, role: Role, target: str) -> Response:
        response = RedirectResponse(own_path(target), 303, _NO_STORE)
        response.set_cookie(
            COOKIE,
            self._sessions.sealed(role),
            max_age=SESSION_SECONDS,
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="lax",
        )
        return response


def own_path(target: str) -> str:
    """A path of this dashboard: never a way to another site."""
    parts = urlsplit(target)
    odd = parts.scheme or parts.netloc or not target.startswith("/") or target[1:2] in ("/", "\\")
    return "/" if odd or not target.isprintable() else target
