"""The start page: what is running, and how to call it. One page, one stylesheet, no script."""

from collections.abc import Callable
from fnmatch import fnmatchcase
from html import escape
from importlib import resources
from string import Template
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from gateway.api.endpoint import Endpoint, Handler
from gateway.api.services import About, Services
from pricing.book import PriceBook

WELL_KNOWN_MODEL: Final = "gpt-4o-mini"

_POLICY: Final = (
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
PAGE_HEADERS: Final = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}


class Start:
    def __init__(self, services: Services) -> None:
        self._about = services.about
        self._model = example_model(services.about, services.rating.book)
        pages = resources.files("gateway.api") / "pages"
        self._page = Template((pages / "start.html").read_text("utf-8"))
        self._style = (pages / "start.css").read_bytes()

    def routes(self, guarded: Callable[[Handler], Handler]) -> list[Endpoint]:
        return [
            Endpoint("/", {"GET": guarded(self.page)}),
            Endpoint("/start.css", {"GET": guarded(self.style)}),
        ]

    async def page(self, request: Request) -> Response:
        text = self._page.substitute(
            version=escape(self._about.version),
            store=escape(self._about.store),
            policy=escape(self._about.policy),
            upstreams=_upstreams(self._about),
            origin=escape(str(request.base_url).rstrip("/")),
            model=escape(self._model),
        )
        return Response(text, media_type="text/html", headers=PAGE_HEADERS)

    async def style(self, _: Request) -> Response:
        return Response(self._style, media_type="text/css", headers=PAGE_HEADERS)


def _upstreams(about: About) -> str:
    rows = (
        f'<tr><th scope="row">{escape(served.name)}</th>'
        f"<td>{' '.join(f'<code>{escape(glob)}</code>' for glob in served.models)}</td></tr>"
        for served in about.upstreams
    )
    return "\n".join(rows)


def example_model(about: About, book: PriceBook) -> str:
    """A model that a chat call here can name: the well-known one where it is served."""
    globs = [glob for served in about.upstreams for glob in served.models]
    priced = (card.model for card in book.cards() if card.output_max_tokens != 0)
    for model in (WELL_KNOWN_MODEL, *priced):
        if any(fnmatchcase(model, glob) for glob in globs):
            return model
    return next((glob for glob in globs if not set(glob) & set("*?[")), WELL_KNOWN_MODEL)
