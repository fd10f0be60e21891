"""What a request must pass before a management handler sees it."""

from starlette.requests import Request
from starlette.responses import Response

from gateway.api.auth import require_manager
from gateway.api.endpoint import Handler
from gateway.api.hosts import check_host
from gateway.api.services import Services


class Guard:
    """Wraps handlers. The key is checked before any of the body is read."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._hosts = frozenset(name.lower() for name in services.hosts)

    def managed(self, handler: Handler) -> Handler:
        """Only under a known host, and only for who may manage."""

        async def checked(request: Request) -> Response:
            check_host(request.headers.get("host", ""), self._hosts)
            require_manager(request.headers, self._services.apps, self._services.admin_key_sha256)
            return await handler(request)

        return checked

    def local(self, handler: Handler) -> Handler:
        """Only under a known host."""

        async def checked(request: Request) -> Response:
            check_host(request.headers.get("host", ""), self._hosts)
            return await handler(request)

        return checked
