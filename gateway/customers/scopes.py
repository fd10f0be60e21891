"""Scopes: what calls of many customers share a budget in: a group, an app, a temporary key.

A scope is named ``group:<identifier>``, ``app:<id>`` or ``key:<id>``, in keys and wherever it
is counted.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from gateway.customers.profile import Limits, Terms, terms_of
from gateway.customers.windows import Anchor, Calendar

_GROUP: Final = "group"
_APP: Final = "app"
_KEY: Final = "key"

NO_LIMITS: Final = Limits()


@dataclass(frozen=True, slots=True)
class Scope:
    """One of them, and its limits; `limits` names no rate and no markup.

    Attributes:
        anchor: Its own period, if it has one: the period budget counts in that.
    """

    name: str
    limits: Limits = NO_LIMITS
    anchor: Anchor | None = None

    @property
    def kind(self) -> str:
        """``group``, ``app`` or ``key``."""
        return self.name.partition(":")[0]

    @property
    def identifier(self) -> str:
        return self.name.partition(":")[2]

    @property
    def anchor_text(self) -> str:
        """As the scripts take it; '' for none. They only ask whether it is another."""
        if self.anchor is None:
            return ""
        return f"{self.anchor.start}/{self.anchor.end or self.anchor.duration}"

    @property
    def unlimited(self) -> "Scope":
        """The same account, with room for anything."""
        return Scope(self.name, NO_LIMITS, self.anchor)

    def terms(self, calendar: Calendar, now_ms: int) -> Terms:
        return terms_of(self.limits, self.anchor, calendar, now_ms)


def group_name(identifier: str) -> str:
    return f"{_GROUP}:{identifier}"


def app_name(app: str) -> str:
    return f"{_APP}:{app}"


def key_name(key: str) -> str:
    return f"{_KEY}:{key}"


class Scopes:
    """The groups and apps that have limits, as the configuration and `Groups` say.

    Args:
        groups: Identifier -> limits.
        apps: The app's id -> limits.
        anchors: Name of a scope -> its own period.
    """

    def __init__(
        self,
        groups: Mapping[str, Limits] | None = None,
        apps: Mapping[str, Limits] | None = None,
        anchors: Mapping[str, Anchor] | None = None,
    ) -> None:
        limits = {group_name(group): of_group for group, of_group in (groups or {}).items()}
        limits |= {app_name(app): of_app for app, of_app in (apps or {}).items()}
        anchors = anchors or {}
        self._apps = frozenset(apps or {})
        self._configured = {n: Scope(n, of_scope, anchors.get(n)) for n, of_scope in limits.items()}
        self._scopes = self._configured

    @property
    def configured(self) -> Mapping[str, Scope]:
        """What the configuration says, by name."""
        return self._configured

    def adopt(self, scopes: Iterable[Scope]) -> None:
        """These hold from now on, before what the configuration says of others of their names."""
        self._scopes = {**self._configured, **{scope.name: scope for scope in scopes}}

    def named(self, name: str) -> Scope:
        """One that is not configured has no limits."""
        return self._scopes.get(name) or Scope(name)

    def count_for(self, group: str | None, app: str, key: Scope | None) -> bool:
        """Whether `counted` has any."""
        return bool(group) or key is not None or app in self._apps

    def counted(self, group: str | None, app: str, key: Scope | None) -> Iterator[Scope]:
        """What a call counts on: its group, its app if that has a limit, its temporary key.

        In the order in which they are asked. What limits a key has, who made it said, not the
        configuration; so the call brings them along.
        """
        if group:
            yield self.named(group_name(group))
        if of_app := self._scopes.get(app_name(app)):
            yield of_app
        if key:
            yield key


NO_SCOPES: Final = Scopes()
