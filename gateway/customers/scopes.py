"""Scopes: what many customers share a budget in. A group of customers, or an app.

A scope is named ``group:<identifier>`` or ``app:<id>``, in keys and wherever it is counted.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from gateway.customers.profile import Limits

_GROUP: Final = "group"
_APP: Final = "app"

NO_LIMITS: Final = Limits()


@dataclass(frozen=True, slots=True)
class Scope:
    """One group or app, and its limits; `limits` names no rate and no markup."""

    name: str
    limits: Limits = NO_LIMITS

    @property
    def kind(self) -> str:
        """``group`` or ``app``."""
        return self.name.partition(":")[0]

    @property
    def identifier(self) -> str:
        return self.name.partition(":")[2]


def group_name(identifier: str) -> str:
    return f"{_GROUP}:{identifier}"


def app_name(app: str) -> str:
    return f"{_APP}:{app}"


class Scopes:
    """The groups and apps that have limits.

    Args:
        groups: Identifier -> limits.
        apps: The app's id -> limits.
    """

    def __init__(
        self, groups: Mapping[str, Limits] | None = None, apps: Mapping[str, Limits] | None = None
    ) -> None:
        self._groups = dict(groups or {})
        self._apps = {app: Scope(app_name(app), limits) for app, limits in (apps or {}).items()}

    def count_for(self, group: str | None, app: str) -> bool:
        """Whether `counted` has any."""
        return bool(group) or app in self._apps

    def counted(self, group: str | None, app: str) -> Iterator[Scope]:
        """What a call of this group and app counts on: its group, and its app if it has a limit.

        In the order in which they are asked.
        """
        if group:
            yield Scope(group_name(group), self._groups.get(group, NO_LIMITS))
        if app in self._apps:
            yield self._apps[app]


NO_SCOPES: Final = Scopes()
