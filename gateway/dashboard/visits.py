"""What a request must pass before a page sees it, and what the page is then given.

A visit has a session, or is sent to the login. One that changes something must come from
a page of ours: by what the browser says of its origin, and by the token in the form.
"""

import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gateway.api.endpoint import Handler
from gateway.api.hosts import check_host
from gateway.api.services import Services
from gateway.dashboard.sessions import COOKIE, Session, Sessions
from gateway.dashboard.state import State, read_state
from gateway.errors import InvalidCall, PermissionRefused, RequestTooLarge

FORM_BYTES_MAX: Final = 65_536
FIELDS_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class Visit:
    """A request of somebody who has signed in.

    Attributes:
        now_ms: One instant for all of the page.
        form: What was posted.
    """

    request: Request
    session: Session
    state: State
    now_ms: int
    form: dict[str, str]

    @property
    def theme(self) -> str:
        """``light`` or ``dark`` where one was chosen; else as the system has it."""
        chosen = self.request.cookies.get(THEME_COOKIE, "")
        return chosen if chosen in THEMES else ""

    @property
    def wants_panel(self) -> bool:
        """A script asks, and puts no more than the panel into the page that is there."""
        return self.request.headers.get("x-farebox-part") == "panel"


THEME_COOKIE: Final = "farebox_theme"
THEMES: Final = ("light", "dark")

Page = Callable[[Visit], Awaitable[Response]]


class Visits:
    def __init__(self, services: Services, sessions: Sessions) -> None:
        self._services = services
        self._sessions = sessions
        self._hosts = frozenset(name.lower() for name in services.hosts)

    def seen(self, page: Page) -> Handler:
        """For everybody who has signed in."""

        async def visited(request: Request) -> Response:
            self.check_host(request)
            session = self._sessions.opened(request.cookies.get(COOKIE))
            if session is None:
                return _to_login(request)
            return await page(self._visit(request, session, {}))

        return visited

    def changed(self, page: Page, *, viewers: bool = False) -> Handler:
        """For who may change something, from a form of ours.

        Args:
            viewers: It changes nothing but how they see it.
        """

        async def visited(request: Request) -> Response:
            self.check_host(request)
            check_origin(request)
            session = self._sessions.opened(request.cookies.get(COOKIE))
            if session is None:
                return _to_login(request)
            form = await read_form(request)
            if not hmac.compare_digest(form.pop("csrf", "").encode(), session.csrf.encode()):
                raise PermissionRefused("This form is too old. Go back, reload, try again.")
            if not (session.may_change or viewers):
                raise PermissionRefused("Viewers look, and change nothing. Ask an admin.")
            return await page(self._visit(request, session, form))

        return visited

    def check_host(self, request: Request) -> None:
        check_host(request.headers.get("host", ""), self._hosts)

    def _visit(self, request: Request, session: Session, form: dict[str, str]) -> Visit:
        now_ms = self._services.clock.now_ms()
        state = read_state(request, now_ms=now_ms, zone=self._services.zone)
        return Visit(request, session, state, now_ms, form)


def check_origin(request: Request) -> None:
    """Let pass what a page of this origin sends; browsers say where a request comes from.

    Raises:
        PermissionRefused: another site sent it.
    """
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    here = request.headers.get("host", "").lower()
    if site not in (None, "same-origin") or (
        origin is not None and urlsplit(origin).netloc.lower() != here
    ):
        raise PermissionRefused("Another site sent this form. Open the dashboard and do it there.")


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a posted form, as a browser sends them without files.

    Raises:
        RequestTooLarge, InvalidCall: it is no such form.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > FORM_BYTES_MAX:
            raise RequestTooLarge("This form is too large.")
    try:
        pairs = parse_qsl(
            body.decode(), keep_blank_values=True, errors="strict", max_num_fields=FIELDS_MAX
        )
    except ValueError as exc:
        raise InvalidCall("This is not a form.") from exc
    return dict(pairs)


def _to_login(request: Request) -> Response:
    """Back to where it was going, afterwards; a script is told to load the whole page."""
    back = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    target = "/login" + ("" if back == "/" else "?" + urlencode({"next": back}))
    if request.headers.get("hx-request") == "true":
        return Response(status_code=204, headers={"hx-redirect": target})
    return RedirectResponse(target, 303, {"cache-control": "no-store"})
