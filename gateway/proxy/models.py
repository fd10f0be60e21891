"""GET models: what an app may ask for.

An upstream whose configuration names its models one by one is listed from there; one that
is configured by globs is asked, and its answer narrowed to them. Answers are kept a minute.
Aliases are models of their own.
"""

import asyncio
import logging
from collections.abc import Iterable
from typing import Any, Final

import orjson

from gateway.clock import Clock
from gateway.customers.apps import App
from gateway.errors import GatewayError, NotFound, UpstreamBroken, UpstreamTimeout
from gateway.proxy.relay import Chunks
from gateway.proxy.routing import Upstreams
from gateway.proxy.upstream import Upstream

KEPT_SECONDS: Final = 60.0
LIST_BYTES_MAX: Final = 8_388_608
LIST_SECONDS_MAX: Final = 30.0

log = logging.getLogger(__name__)

Model = dict[str, Any]


class Models:
    def __init__(self, upstreams: Upstreams, clock: Clock) -> None:
        self._upstreams = upstreams
        self._clock = clock
        self._kept: dict[str, tuple[float, list[Model]]] = {}

    async def listed(self, app: App) -> bytes:
        """The list, as OpenAI answers it.

        Raises:
            UpstreamError: no upstream could be asked.
        """
        return orjson.dumps({"object": "list", "data": list((await self._all(app)).values())})

    async def one(self, app: App, name: str) -> bytes:
        """One model of the list.

        Raises:
            NotFound: it is not in it.
        """
        model = (await self._all(app)).get(name)
        if model is None:
            raise NotFound(
                f"The model {name[:200]!r} does not exist or you do not have access to it.",
                code="model_not_found",
                param="model",
            )
        return orjson.dumps(model)

    async def _all(self, app: App) -> dict[str, Model]:
        """Models by id; of two upstreams that have one, the first serves it."""
        upstreams = list(self._upstreams.open_to(app))
        lists = await asyncio.gather(*map(self._of, upstreams), return_exceptions=True)
        found: dict[str, Model] = {}
        problems = []
        for upstream, models in zip(upstreams, lists, strict=True):
            if isinstance(models, GatewayError):
                log.warning("models_not_listed upstream=%s", upstream.settings.name)
                problems.append(models)
            elif isinstance(models, BaseException):
                raise models
            else:
                for model in models:
                    if app.may_use(model["id"]):
                        found.setdefault(model["id"], model)
        for name, upstream in self._upstreams.aliases(app):
            found.setdefault(name, _named(name, upstream))
        if problems and not found:
            raise problems[0]
        return found

    async def _of(self, upstream: Upstream) -> list[Model]:
        settings = upstream.settings
        named = [name for name in settings.models if not _is_glob(name)]
        if len(named) == len(settings.models) or upstream.has_model_in_path:
            return [_named(name, upstream) for name in named]
        until, models = self._kept.get(settings.name, (0.0, []))
        if self._clock.monotonic() >= until:
            models = [m for m in await _fetch(upstream) if upstream.serves(m["id"])]
            self._kept[settings.name] = (self._clock.monotonic() + KEPT_SECONDS, models)
        return models


def _named(name: str, upstream: Upstream) -> Model:
    return {"id": name, "object": "model", "created": 0, "owned_by": upstream.settings.provider}


async def _fetch(upstream: Upstream) -> Iterable[Model]:
    try:
        async with asyncio.timeout(LIST_SECONDS_MAX):
            return await _read_list(upstream)
    except TimeoutError as exc:
        raise UpstreamTimeout("The provider did not list its models in time.") from exc


async def _read_list(upstream: Upstream) -> Iterable[Model]:
    query = b"limit=1000" if upstream.settings.provider == "anthropic" else b""  # else 20
    answer = await upstream.get("models", [(b"accept-encoding", b"identity")], query=query)
    chunks = Chunks(answer, upstream.settings.timeouts.between_bytes)
    try:
        content = bytearray()
        while (chunk := await chunks.next()) is not None:
            content += chunk
            if len(content) > LIST_BYTES_MAX:
                raise UpstreamBroken("The provider's list of models is too long.")
        if answer.status != 200:
            raise UpstreamBroken("The provider did not list its models.")
        data = orjson.loads(content)["data"]
        return [m for m in data if isinstance(m, dict) and isinstance(m.get("id"), str)]
    except (ValueError, KeyError, TypeError) as exc:
        raise UpstreamBroken("The provider's list of models cannot be read.") from exc
    finally:
        chunks.close()


def _is_glob(name: str) -> bool:
    return any(c in name for c in "*?[")
