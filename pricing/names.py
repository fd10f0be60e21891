"""From a model's name to its card, by rules that are few, exact and recorded.

    1  aliases of the provider (``gemini`` is google)
    2  the operator's own names (`OwnNames`): what they stand for is looked up instead
    3  the exact name
    4  the provider's own prefix taken off: ``openai/gpt-4o``, ``models/gemini-2.5-pro``
    5  Bedrock: the tail of an ARN; the prefix of a region (``us.``, also without one: a
       regional scope) or of all (``global.``)
    6  other spellings of a date in the name: ``@20250514``, ``-20250514``, ``-2025-05-14``
    7  a date dropped, only where the card says that dates do not matter
    8  ``ft:<base>:<org>…``: the card of that fine-tune, never that of its base

A name that none of them leads from is unknown. No prefix or substring is matched and no
other provider is asked: a price that is almost right is a wrong bill.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from types import MappingProxyType
from typing import Final, NamedTuple, Protocol

from pricing.card import Card

PROVIDER_ALIASES: Final = MappingProxyType(
    {
        "aistudio": "google",
        "gemini": "google",
        "amazon-bedrock": "bedrock",
        "azure-openai": "azure",
    }
)
STATE_THEIR_COST: Final = frozenset({"openrouter"})
"""Providers without cards, whose answers say what they cost."""

OWN_PREFIXES: Final = MappingProxyType(
    {
        "google": ("models/",),
        "vertex": ("google/", "publishers/google/models/", "publishers/anthropic/models/"),
        "fireworks": ("fireworks_ai/",),
        "together": ("together_ai/",),
    }
)
"""Prefixes besides the provider's own name and its aliases."""

REGION_PREFIXES: Final = MappingProxyType(
    {
        "us": "regional",
        "us-gov": "us-gov",
        "eu": "regional",
        "apac": "regional",
        "jp": "regional",
        "au": "regional",
        "ca": "regional",
        "in": "regional",
        "global": "global",
    }
)
UNNAMED_SCOPES: Final = MappingProxyType({"bedrock": "regional"})
"""Where a call is served whose name does not say: at Bedrock in the region it is sent to."""

NAME_CHARS_MAX: Final = 512

_DATED = re.compile(
    r"(?P<base>.+)[-@](?P<year>20\d\d)(?P<dash>-?)(?P<month>\d\d)(?P=dash)(?P<day>\d\d)"
)


class Index(Protocol):
    """Cards by canonical provider and exact name."""

    def get(self, key: tuple[str, str], /) -> Card | None: ...


class Target(NamedTuple):
    """What a name of the operator's stands for.

    Attributes:
        provider: Whose model, by its canonical name; None: that of whoever is asked.
    """

    provider: str | None
    model: str

    def __str__(self) -> str:
        return f"{self.provider}/{self.model}" if self.provider else self.model


@dataclass(frozen=True, slots=True)
class OwnNames:
    """The names that an operator has given, each with its target; never followed twice.

    Attributes:
        aliases: What calls and reports may ask for. A provider never sees these.
        deployments: By canonical provider and name: what a provider itself calls a model,
            though it is another one by its price.
    """

    aliases: Mapping[str, Target] = field(default_factory=dict)
    deployments: Mapping[tuple[str, str], Target] = field(default_factory=dict)

    def target(self, provider: str, name: str, *, sent: bool) -> Target | None:
        """What `name` stands for at a provider, if it is one of these.

        Args:
            sent: It is what the provider was sent, or has answered: no alias.
        """
        deployed = self.deployments.get((provider, name))
        if deployed is not None or sent:
            return deployed
        alias = self.aliases.get(name)
        return alias if alias and alias.provider in (None, provider) else None


NO_NAMES: Final = OwnNames()


@dataclass(frozen=True, slots=True)
class Found:
    """The answer to a name.

    Attributes:
        card: None: unknown, which never means free.
        steps: What was done to find it, in order; the last says how it ended.
        scope: Where the name says the call is served (Bedrock's prefixes); None: it does not.
        provider: Where it was looked for at last, by its canonical name.
    """

    card: Card | None
    steps: tuple[str, ...]
    scope: str | None = None
    provider: str = ""


def canonical_provider(provider: str) -> str:
    return PROVIDER_ALIASES.get(provider, provider)


def resolve(
    index: Index, provider: str, model: str, own: OwnNames = NO_NAMES, *, sent: bool = False
) -> Found:
    """Find the card of `model` at `provider`, recording each step.

    Args:
        own: The operator's names.
        sent: `model` is what the provider was sent, or has answered: no alias.
    """
    steps: list[str] = []
    canonical = canonical_provider(provider)
    if canonical != provider:
        steps.append(f"alias provider {provider}={canonical}")
    target = own.target(canonical, model, sent=sent)
    if target is not None:
        steps.append(f"models {model}={target}")
        canonical, model = target.provider or canonical, target.model
    if len(model) > NAME_CHARS_MAX:
        return Found(None, (*steps, "unknown: the name is too long"), None, canonical)
    scope = UNNAMED_SCOPES.get(canonical)
    name = model
    for spelling, step, named_scope in _spellings(canonical, model):
        name, scope = spelling, named_scope or scope
        if step:
            steps.append(step)
        card = index.get((canonical, name))
        if card is not None:
            return Found(card, (*steps, f"exact {name}"), scope, canonical)
    card, dated_steps = _by_date(index, canonical, name)
    return Found(card, (*steps, *dated_steps), scope, canonical)


def _spellings(provider: str, model: str) -> Iterator[tuple[str, str, str | None]]:
    """Yield the name as it stands, then with one thing more taken off: name, step, scope."""
    name = model
    yield name, "", None
    for prefix in _own_prefixes(provider):
        if name.startswith(prefix):
            name = name.removeprefix(prefix)
            yield name, f"prefix {prefix} dropped", None
            break
    if provider == "bedrock":
        if name.startswith("arn:"):
            name = name.rpartition("/")[2]
            yield name, f"ARN tail {name}", None
        region, dot, rest = name.partition(".")
        if dot and region in REGION_PREFIXES:
            name = rest
            yield name, f"region prefix {region}. dropped", REGION_PREFIXES[region]
    if name.startswith("ft:"):
        name = ":".join(name.split(":")[:2])
        yield name, f"fine-tune {name}", None


def _own_prefixes(provider: str) -> tuple[str, ...]:
    aliases = (alias for alias, target in PROVIDER_ALIASES.items() if target == provider)
    names = tuple(f"{name}/" for name in (provider, *aliases))
    return names + OWN_PREFIXES.get(provider, ())


def _by_date(index: Index, provider: str, name: str) -> tuple[Card | None, tuple[str, ...]]:
    found = _DATED.fullmatch(name)
    if found is None or not _is_day(found["year"], found["month"], found["day"]):
        return None, ("unknown",)
    base, year, month, day = found.group("base", "year", "month", "day")
    compact, dashed = f"{year}{month}{day}", f"{year}-{month}-{day}"
    for spelling in (f"{base}-{compact}", f"{base}-{dashed}", f"{base}@{compact}"):
        card = index.get((provider, spelling))
        if card is not None:
            return card, (f"date form {spelling}",)
    card = index.get((provider, base))
    if card is not None and card.date_suffix:
        return card, (f"date suffix {dashed} dropped", f"exact {base}")
    return None, ("unknown",)


def _is_day(year: str, month: str, day: str) -> bool:
    try:
        date(int(year), int(month), int(day))
    except ValueError:
        return False
    return True
