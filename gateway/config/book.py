"""The price book that a config makes: the shipped one, its prices over it, its names before it.

A name under `models:` is one of two things. If an upstream lists it, word for word, under its
own `models`, it is a *deployment* there: sent as it is, and priced as its target. Else it is
an *alias*: its target is what is routed and sent.
"""

from collections.abc import Collection, Mapping

from gateway.config.model import Config
from pricing.book import PriceBook
from pricing.names import OwnNames, Target, canonical_provider


def price_book(config: Config) -> PriceBook:
    """What calls are priced by."""
    book = PriceBook.load().overlaid(config.prices)
    return book.named(own_names(config, book))


def own_names(config: Config, book: PriceBook) -> OwnNames:
    """The names under `models:`, each with the model whose price it has."""
    upstreams = {upstream.name: upstream.provider for upstream in config.upstreams}
    providers = {*book.providers(), *map(canonical_provider, upstreams.values())}
    targets = {
        name: _target(target, upstreams, providers) for name, target in config.models.items()
    }
    return OwnNames(
        aliases={name: targets[name] for name in aliases(config)},
        deployments={
            (canonical_provider(upstream.provider), name): targets[name]
            for upstream in config.upstreams
            for name in upstream.models
            if name in targets
        },
    )


def aliases(config: Config) -> Mapping[str, str]:
    """Of `models:` those that no upstream lists, with their targets as they stand."""
    listed = {name for upstream in config.upstreams for name in upstream.models}
    return {name: target for name, target in config.models.items() if name not in listed}


def _target(target: str, upstreams: Mapping[str, str], providers: Collection[str]) -> Target:
    """``azure/gpt-4o`` names its provider, or an upstream of it; ``gpt-4o`` none."""
    before, slash, rest = target.partition("/")
    provider = canonical_provider(upstreams.get(before, before))
    return Target(provider, rest) if slash and provider in providers else Target(None, target)
