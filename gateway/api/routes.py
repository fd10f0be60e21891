"""All routes of this package, for `gateway.app` to mount."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from gateway.api.analytics import Analytics
from gateway.api.audit import Audit
from gateway.api.endpoint import REST, Endpoint
from gateway.api.estimate import Estimates
from gateway.api.events import Events
from gateway.api.export import Export
from gateway.api.groups import GroupRoutes
from gateway.api.guard import Guard
from gateway.api.health import Health
from gateway.api.logs import Logs
from gateway.api.metrics import Metrics
from gateway.api.prices import Prices
from gateway.api.reference import Reference
from gateway.api.services import Services
from gateway.api.temporary_keys import TemporaryKeyRoutes
from gateway.api.users import Users
from gateway.api.webhooks import Webhooks
from gateway.errors import NotFound

METHODS: Final = ("DELETE", "GET", "OPTIONS", "PATCH", "POST", "PUT")


def routes(services: Services) -> list[Endpoint]:
    """Every route, and last, for every other path, a 404."""
    return [*_managed(services), *for_applications(services)]


def for_applications(services: Services) -> list[Endpoint]:
    """What stands beside the data plane where management listens elsewhere."""
    return [
        *Events(services).routes(),
        *Health(services).routes(),
        Endpoint(f"/{REST}", dict.fromkeys(METHODS, _not_found)),
    ]


def _managed(services: Services) -> list[Endpoint]:
    guard = Guard(services)
    return [
        *Users(services).routes(guard.managed),
        *GroupRoutes(services).routes(guard.managed),
        *Estimates(services).routes(guard.managed),
        *Logs(services).routes(guard.managed),
        *Analytics(services).routes(guard.managed),
        *Export(services).routes(guard.managed),
        *Audit(services).routes(guard.managed),
        *Prices(services).routes(guard.managed),
        *TemporaryKeyRoutes(services).routes(guard.managed),
        *Webhooks(services).routes(guard.managed),
        *Metrics(services).routes(guard.local),
        *Reference().routes(guard.local),
    ]


async def _not_found(request: Request) -> Response:
    raise NotFound(f"There is no {request.url.path[:128]}.")
