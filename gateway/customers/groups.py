"""Groups whose limits management sets, while gateways run.

    {fb}groups  hash  ''            how often any of them was changed
                      <identifier>  a group's limits, JSON

Every process asks once a second whether anything has changed, and then reads all of them. So
a change is in force at once where it was made, and within about a second everywhere. What is
set here stands before what the configuration says of a group of the same name.
"""

import asyncio
from contextlib import suppress
from typing import Any, Final

import orjson
from msgspec import Struct

from gateway.customers.profile import Limits
from gateway.customers.scopes import Scope, Scopes, group_name
from gateway.customers.windows import Anchor, Duration
from gateway.errors import InvalidCall, LedgerUnavailable
from gateway.store.client import Store
from gateway.store.keys import GROUPS

GROUPS_MAX: Final = 10_000
ASK_SECONDS: Final = 1.0
FULL: Final = 0
_CHANGES: Final = ""


class Group(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is set of a group; amounts in pico-USD, None: none."""

    period_budget: int | None = None
    total_budget: int | None = None
    budget_duration: Duration = Duration.MONTHLY
    period_start: str | None = None
    period_end: str | None = None

    @property
    def limits(self) -> Limits:
        return Limits(
            period_budget_pico=self.period_budget,
            total_budget_pico=self.total_budget,
            budget_duration=self.budget_duration,
        )

    @property
    def anchor(self) -> Anchor | None:
        if self.period_start is None:
            return None
        return Anchor(self.period_start, self.period_end, self.budget_duration)

    def scope(self, identifier: str) -> Scope:
        return Scope(group_name(identifier), self.limits, self.anchor)


class Groups:
    """Keeps `scopes` as the store has them.

    Attributes:
        set: Those that management has set, by identifier, as they were last read.
    """

    def __init__(self, store: Store, scopes: Scopes) -> None:
        self._store = store
        self.scopes = scopes
        self._seen: bytes | None = None
        self.set: dict[str, Group] = {}
        store.on_change(self._distrust)

    def _distrust(self) -> None:
        """Another server may have counted its changes to the same number."""
        self._seen = None

    async def run(self) -> None:
        """Follow the store for ever; never raises. Cancel it to stop."""
        while True:
            with suppress(LedgerUnavailable):
                await self.refresh()
            await asyncio.sleep(ASK_SECONDS)

    async def refresh(self) -> None:
        """Read them, if any has changed.

        Raises:
            LedgerUnavailable: the store is away; what was known stays in force.
        """
        changes = await self._store.command("HGET", GROUPS, _CHANGES) or b"0"
        if changes == self._seen:
            return
        reply = await self._store.command("HGETALL", GROUPS)
        found = {n.decode(): text for n, text in zip(reply[::2], reply[1::2], strict=True)}
        self._seen = found.pop(_CHANGES, b"0")
        self.set = {identifier: _read(text) for identifier, text in found.items()}
        self.scopes.adopt([group.scope(i) for i, group in self.set.items()])

    async def put(self, identifier: str, group: Group) -> None:
        """Set a group's limits, in place of all that was set of it.

        Raises:
            InvalidCall: there are as many groups as there may be.
            LedgerUnavailable: it may have been set.
        """
        if not await self._change(identifier, _written(group)):
            raise InvalidCall(
                f"There are {GROUPS_MAX:,} groups with limits of their own, which is the most.",
                param="group_identifier",
            )

    async def remove(self, identifier: str) -> None:
        """Forget what was set of a group; what the configuration says of it is in force again.

        Raises:
            LedgerUnavailable: it may have been forgotten.
        """
        await self._change(identifier, b"")

    async def _change(self, identifier: str, text: bytes) -> bool:
        outcome = await self._store.script("group", [GROUPS], [identifier, text, GROUPS_MAX])
        await self.refresh()
        return bool(outcome != FULL)


def _written(group: Group) -> bytes:
    # Amounts as text: another version may write what passes 64 bits.
    told: dict[str, Any] = {
        name: str(value)
        for name in Group.__struct_fields__
        if (value := getattr(group, name)) is not None
    }
    return orjson.dumps(told)


def _read(text: bytes) -> Group:
    told = orjson.loads(text)
    return Group(
        period_budget=_whole(told.get("period_budget")),
        total_budget=_whole(told.get("total_budget")),
        budget_duration=Duration(told.get("budget_duration", Duration.MONTHLY)),
        period_start=told.get("period_start"),
        period_end=told.get("period_end"),
    )


def _whole(text: str | None) -> int | None:
    return None if text is None else int(text)
