"""All routes of the dashboard, for `gateway.app` to mount."""

from collections.abc import Callable, Mapping
from zoneinfo import ZoneInfo

from gateway.api.endpoint import Endpoint, Handler
from gateway.api.services import Services
from gateway.dashboard.assets import Assets
from gateway.dashboard.example import Example
from gateway.dashboard.login import Login
from gateway.dashboard.overview import Overview
from gateway.dashboard.pipeline import Pipeline
from gateway.dashboard.rendering import Renderer
from gateway.dashboard.reports import Reports
from gateway.dashboard.roster import Roster
from gateway.dashboard.sessions import Credentials, Sessions
from gateway.dashboard.settings import choose_theme
from gateway.dashboard.user import UserCard, UserPages
from gateway.dashboard.users import Users
from gateway.dashboard.visits import Page, Visits


def routes(services: Services, credentials: Credentials) -> list[Endpoint]:
    assets = Assets()
    zone = services.zone
    zone_name = zone.key if isinstance(zone, ZoneInfo) else str(zone)
    renderer = Renderer(assets, services.about, zone_name)
    sessions = Sessions(credentials, services.store)
    visits = Visits(services, sessions)
    reports, roster = Reports(services), Roster(services)
    example, pipeline = Example(services.about, services.rating.book), Pipeline(services)
    card = UserCard(services, reports, example)
    overview = Overview(reports, roster, pipeline, renderer, example)
    users = Users(services, reports, roster, card, renderer)
    user = UserPages(services, card, roster, renderer)
    seen, changed = visits.seen, visits.changed

    def at(pattern: str, get: Page | None = None, post: Page | None = None) -> Endpoint:
        handlers: dict[str, Handler] = {}
        if get is not None:
            handlers["GET"] = seen(get)
        if post is not None:
            handlers["POST"] = changed(post)
        return Endpoint(pattern, handlers, on_error=renderer.error)

    return [
        *assets.routes(),
        *Login(visits, sessions, credentials, renderer).routes(),
        Endpoint("/theme", {"POST": changed(choose_theme, viewers=True)}, on_error=renderer.error),
        at("/", overview.page),
        at("/users", users.page, user.create),
        at("/new-user", user.new),
        at("/users/{id}", user.page, user.change),
        at("/users/{id}/edit", user.form),
        at("/users/{id}/block", None, user.block),
    ]
