"""Which upstream serves a model: the first, in the configuration's order, that may."""

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from gateway.customers.apps import App
from gateway.errors import NotFound
from gateway.proxy.upstream import Upstream


class Upstreams:
    def __init__(self, upstreams: Sequence[Upstream]) -> None:
        self.all = tuple(upstreams)

    def serving(self, model: str, app: App) -> tuple[Upstream, str]:
        """The upstream for a model, and what the model is called there.

        ``openai/gpt-4o`` asks the upstream named ``openai`` for ``gpt-4o``, before any other.

        Raises:
            NotFound: none serves it, or this app may not use it.
        """
        prefix, slash, rest = model.partition("/")
        if slash and (app.may_use(model) or app.may_use(rest)):
            for upstream in self.open_to(app):
                if upstream.settings.name == prefix and upstream.serves(rest):
                    return upstream, rest
        if app.may_use(model):
            for upstream in self.open_to(app):
                if upstream.serves(model):
                    return upstream, model
        raise NotFound(
            f"The model {model[:200]!r} does not exist or you do not have access to it.",
            code="model_not_found",
            param="model",
        )

    def open_to(self, app: App) -> Iterator[Upstream]:
        for upstream in self.all:
            if any(fnmatchcase(upstream.settings.name, glob) for glob in app.upstreams):
                yield upstream

    def provider_of(self, model: str) -> str:
        """Whose prices a model has that no call names an upstream for; "" when unknown."""
        return next((u.settings.provider for u in self.all if u.serves(model)), "")

    async def aclose(self) -> None:
        for upstream in self.all:
            await upstream.aclose()
