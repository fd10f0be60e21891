"""Which upstream serves a model: the first, in the configuration's order, that may."""

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase

from gateway.customers.apps import App
from gateway.errors import NotFound
from gateway.proxy.upstream import Upstream
from pricing.names import canonical_provider

Route = tuple[Upstream, str]
"""The upstream for a model, and what the model is called there."""


class Upstreams:
    """All of them, in the configuration's order.

    Args:
        aliases: The operator's names for models, each with what it stands for.
    """

    def __init__(
        self, upstreams: Sequence[Upstream], *, aliases: Mapping[str, str] | None = None
    ) -> None:
        self.all = tuple(upstreams)
        self._aliases = aliases or {}

    def serving(self, model: str, app: App) -> Route:
        """The upstream for a model, and what the model is called there.

        An alias goes where its target does; an app that may use it need not be allowed the
        target. ``openai/gpt-4o`` asks the upstream named ``openai`` for ``gpt-4o``, before
        any other.

        Raises:
            NotFound: none serves it, or this app may not use it.
        """
        target = self._aliases.get(model)
        if target is None:
            route = self._route(model, app)
        else:
            route = self._target(target, app) if app.may_use(model) else None
        if route is None:
            raise NotFound(
                f"The model {model[:200]!r} does not exist or you do not have access to it.",
                code="model_not_found",
                param="model",
            )
        return route

    def aliases(self, app: App) -> Iterator[tuple[str, Upstream]]:
        """The aliases that an app may use, and where each goes."""
        for name, target in self._aliases.items():
            route = self._target(target, app) if app.may_use(name) else None
            if route is not None:
                yield name, route[0]

    def _route(self, model: str, app: App) -> Route | None:
        prefix, slash, rest = model.partition("/")
        if slash and (app.may_use(model) or app.may_use(rest)):
            for upstream in self.open_to(app):
                if upstream.settings.name == prefix and upstream.serves(rest):
                    return upstream, rest
        return self._serving(model, app) if app.may_use(model) else None

    def _target(self, target: str, app: App) -> Route | None:
        """As the model of a call; its prefix may also be a provider that an upstream has."""
        prefix, slash, rest = target.partition("/")
        able = [u for u in self.open_to(app) if slash and u.serves(rest)]
        named = [u for u in able if u.settings.name == prefix]
        whose = canonical_provider(prefix)
        named += [u for u in able if canonical_provider(u.settings.provider) == whose]
        return (named[0], rest) if named else self._serving(target, app)

    def _serving(self, model: str, app: App) -> Route | None:
        return next(((u, model) for u in self.open_to(app) if u.serves(model)), None)

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
