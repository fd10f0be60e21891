"""From templates to answers: escaping always on, headers that allow nothing from elsewhere."""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import Response

from gateway.api.answers import STATUS
from gateway.api.services import About
from gateway.dashboard import formats
from gateway.dashboard.assets import Assets
from gateway.dashboard.spans import PRESETS
from gateway.dashboard.visits import Visit
from gateway.errors import GatewayError

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
HEADERS: Final = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
    "vary": "X-Farebox-Part, Cookie",
}
TITLES: Final = {
    400: "That did not work",
    403: "Not allowed",
    404: "Not found",
    405: "Not like this",
    409: "Something else was faster",
    422: "That did not work",
    503: "The store does not answer",
}


@cache
def _environment() -> Environment:
    """One for all: templates are compiled once."""
    assets = Assets()
    environment = Environment(
        loader=PackageLoader("gateway.dashboard"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters |= {name: getattr(formats, name) for name in _FILTERS}
    environment.filters["tojson_text"] = _json
    environment.globals |= {
        "asset": assets.path,
        "sprite": Markup(assets.text("icons.svg")),  # noqa: S704 - our own file
        "presets": PRESETS,
        "share": formats.share,
    }
    return environment


_FILTERS: Final = (
    *("money", "exact", "count", "compact", "percent", "duration", "machine"),
    *("ago", "when", "initials", "padded", "short_money"),
)


class Renderer:
    def __init__(self, about: About, zone_name: str) -> None:
        self._environment = _environment()
        self._known = {"about": about, "zone_name": zone_name}

    def page(
        self, name: str, visit: Visit, context: Mapping[str, Any], status: int = 200
    ) -> Response:
        """A template, with what every page knows."""
        return self.answer(
            name,
            {
                "visit": visit,
                "theme": visit.theme,
                "state": visit.state,
                "session": visit.session,
                "now_ms": visit.now_ms,
                "zone": visit.state.span.zone,
                **context,
            },
            status,
        )

    def answer(self, name: str, context: Mapping[str, Any], status: int = 200) -> Response:
        text = self._environment.get_template(name).render(self._known | dict(context))
        return Response(text, status, HEADERS, "text/html")

    def error(self, error: GatewayError) -> Response:
        """A page that says what went wrong; of our own mistakes it says no more than that."""
        status = next((STATUS[cls] for cls in type(error).__mro__ if cls in STATUS), 500)
        message = "This is a fault of the gateway; its log says more." if status == 500 else error
        title = TITLES.get(status, "Something went wrong")
        return self.answer(
            "error.html", {"title": title, "message": str(message), "status": status}, status
        )


def _json(value: Any) -> str:
    """JSON as a shell takes it between single quotes; escaped like any text."""
    return json.dumps(value, ensure_ascii=False).replace("'", "'\\''")
