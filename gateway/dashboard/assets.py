"""Scripts, styles and icons, at addresses that name their content, so that they may be kept."""

from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from importlib import resources
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from gateway.api.endpoint import Endpoint
from gateway.errors import NotFound

TYPES: Final = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
}
_KEEP: Final = {
    "cache-control": "public, max-age=31536000, immutable",
    "x-content-type-options": "nosniff",
    "cross-origin-resource-policy": "same-origin",
}


class Assets:
    """Everything in ``static/``."""

    def __init__(self) -> None:
        self._files = dict(_files())
        self._paths = {
            name: f"/assets/{sha256(content).hexdigest()[:12]}/{name}"
            for name, content in self._files.items()
        }

    def path(self, name: str) -> str:
        return self._paths[name]

    def text(self, name: str) -> str:
        return self._files[name].decode()

    def routes(self) -> list[Endpoint]:
        return [Endpoint("/assets/{hash}/{name}", {"GET": self.file})]

    async def file(self, request: Request) -> Response:
        name = request.path_params["name"]
        if self._paths.get(name) != f"/assets/{request.path_params['hash']}/{name}":
            raise NotFound("There is no such file.")
        kind = TYPES["." + name.rpartition(".")[2]]
        return Response(self._files[name], media_type=kind, headers=_KEEP)


@cache
def _files() -> tuple[tuple[str, bytes], ...]:
    return tuple(_read())


def _read() -> Iterator[tuple[str, bytes]]:
    for file in (resources.files("gateway.dashboard") / "static").iterdir():
        if "." + file.name.rpartition(".")[2] in TYPES:
            yield file.name, file.read_bytes()
