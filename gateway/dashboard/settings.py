"""How a person wants to see it: light or dark, kept in a cookie."""

from starlette.responses import RedirectResponse, Response

from gateway.dashboard.login import own_path
from gateway.dashboard.visits import THEME_COOKIE, THEMES, Visit

SECONDS = 400 * 86_400


async def choose_theme(visit: Visit) -> Response:
    response = RedirectResponse(own_path(visit.form.get("back", "/")), 303)
    theme = visit.form.get("theme", "")
    if theme in THEMES:
        response.set_cookie(THEME_COOKIE, theme, max_age=SECONDS, samesite="lax")
    return response
