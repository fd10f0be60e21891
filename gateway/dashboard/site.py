"""All routes of the dashboard, for `gateway.app` to mount."""

from typing import Final
from zoneinfo import ZoneInfo

from starlette.responses import Response

from gateway.api.endpoint import Endpoint, Handler
from gateway.api.services import Services
from gateway.dashboard.assets import Assets
from gateway.dashboard.board import Board
from gateway.dashboard.budgets_page import BudgetsPage
from gateway.dashboard.bulk import Bulk
from gateway.dashboard.example import Example
from gateway.dashboard.health_page import HealthPage
from gateway.dashboard.kept import StillAdding, patience
from gateway.dashboard.keys_page import KeysPage
from gateway.dashboard.live import Live
from gateway.dashboard.login import Login
from gateway.dashboard.logs import Logs
from gateway.dashboard.overview import Overview
from gateway.dashboard.pipeline import Pipeline
from gateway.dashboard.prices_page import PricesPage
from gateway.dashboard.rendering import Renderer
from gateway.dashboard.reports import Reports
from gateway.dashboard.sessions import Credentials, Sessions
from gateway.dashboard.settings import choose_theme
from gateway.dashboard.user import UserPages
from gateway.dashboard.user_card import UserCard
from gateway.dashboard.users import Users
from gateway.dashboard.visits import Page, Visit, Visits

PATIENCE_SECONDS: Final = 0.8
"""Before a page that has nothing yet to show says that it is being added up."""


def routes(
    services: Services, credentials: Credentials, *, api_port: int | None = None
) -> list[Endpoint]:
    """Every page.

    Args:
        api_port: Where calls go, if not where this is served.
    """
    assets = Assets()
    zone = services.zone
    zone_name = zone.key if isinstance(zone, ZoneInfo) else str(zone)
    renderer = Renderer(services.about, zone_name)
    sessions = Sessions(credentials, services.store)
    visits = Visits(services, sessions)
    reports = Reports(services)
    board = Board(services, reports.customers)
    example = Example(services.about, services.rating.book, api_port)
    pipeline = Pipeline(services)
    card = UserCard(services, reports, example)
    overview = Overview(
        reports=reports,
        archive=services.archive,
        board=board,
        pipeline=pipeline,
        renderer=renderer,
        example=example,
    )
    users = Users(services, reports, board, card, renderer)
    bulk = Bulk(services, board, users.with_draft)
    user = UserPages(services, card, board, renderer)
    logs = Logs(services, reports, reports.people, renderer)
    budgets = BudgetsPage(reports, board, renderer)
    prices = PricesPage(services, reports, renderer)
    health = HealthPage(services, pipeline, renderer)
    keys = KeysPage(services, renderer)
    live = Live(services)
    seen, changed = visits.seen, visits.changed

    def patiently(page: Page) -> Page:
        """A page that says so when its figures take long, rather than to let people wait."""

        async def shown(visit: Visit) -> Response:
            token = patience.set(PATIENCE_SECONDS)
            try:
                return await page(visit)
            except StillAdding:
                return renderer.page("adding.html", visit, {"pending": True})
            finally:
                patience.reset(token)

        return shown

    def at(pattern: str, get: Page | None = None, post: Page | None = None) -> Endpoint:
        handlers: dict[str, Handler] = {}
        if get is not None:
            handlers["GET"] = seen(patiently(get))
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
        at("/budgets-of-users", None, bulk.budgets),
        at("/users/{id}", user.page, user.change),
        at("/users/{id}/edit", user.form),
        at("/users/{id}/block", None, user.block),
        at("/users/{id}/credit", None, user.credit),
        at("/users/{id}/delete", None, user.erase),
        at("/suggest", users.suggest),
        at("/logs", logs.page),
        at("/logs/{id}", logs.one),
        at("/budgets", budgets.page),
        at("/prices", prices.page),
        at("/keys", keys.page, keys.create),
        at("/keys/{id}", None, keys.revoke),
        at("/health", health.page),
        at("/live", live.stream),
        *(
            Endpoint(f"/{name}.{kind}", {"GET": seen(twin(kind))}, on_error=renderer.error)
            for kind in ("csv", "json")
            for name, twin in (
                ("overview", overview.twin),
                ("users", users.twin),
                ("logs", logs.twin),
                ("budgets", budgets.twin),
                ("prices", prices.twin),
                ("keys", keys.twin),
            )
        ),
    ]
