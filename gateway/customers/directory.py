"""The directory of customers: identifier -> profile, cached, never trusted.

The cache saves a round trip, it decides nothing: every script that acts on a profile
checks its version, and sends a stale caller back here. A store that has lost its newest
writes may give a version again, to another profile; so what was cached before such a change
is only good to tell it what it lacks.
"""

import secrets
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from gateway.clock import Clock
from gateway.customers.fields import Canonical
from gateway.customers.profile import (
    LEFT_FIELDS,
    Count,
    Left,
    Limits,
    Profile,
    Terms,
    ToldLimits,
    Upsert,
    period_kind,
    terms,
    told,
    upsert,
)
from gateway.customers.windows import CUSTOM, Calendar
from gateway.errors import (
    Conflict,
    InvalidCall,
    LedgerUnavailable,
    NotFound,
    PermissionRefused,
)
from gateway.store.client import Store
from gateway.store.keys import TOMBSTONE_SECONDS, Partition

CACHED_MAX: Final = 50_000
TRIES_MAX: Final = 8
WRITTEN: Final = 1


class Directory:
    """Knows customers by their identifiers.

    Args:
        defaults: Where a customer has no limits of its own.
        count: What limits are about, ``charge`` or ``cost``.
    """

    def __init__(
        self,
        store: Store,
        *,
        defaults: Limits,
        calendar: Calendar,
        clock: Clock,
        count: Count = "charge",
    ) -> None:
        self.calendar = calendar
        self._count = count
        self._store = store
        self._defaults = defaults
        self._clock = clock
        self._cache: OrderedDict[str, Profile] = OrderedDict()
        self._before: OrderedDict[str, Profile] = OrderedDict()
        self._terms: dict[str, tuple[Profile, Terms]] = {}
        store.on_change(self._distrust)

    def partition_of(self, identifier: str) -> Partition:
        return self._store.keyspace.partition_of(identifier)

    def cached(self, identifier: str) -> Profile | None:
        return self._cache.get(identifier)

    def last_known(self, identifier: str) -> Profile | None:
        """As `cached`, or of before the store changed: for who cannot ask it."""
        return self._cache.get(identifier) or self._before.get(identifier)

    def remember(self, profile: Profile, since: int) -> None:
        """`since`: the store's `changes` when this was asked; of before the last it is none."""
        if since == self._store.changes:
            _put(self._cache, profile)

    def _distrust(self) -> None:
        for profile in self._cache.values():
            _put(self._before, profile)
        self._cache.clear()

    async def load(self, identifier: str) -> Profile:
        """Read from the store; a customer that is not there gets version 0 and a fresh number."""
        partition = self.partition_of(identifier)
        since = self._store.changes
        number, left = await self._store.commands(
            [
                ("GET", partition.number(identifier)),
                ("HMGET", partition.left(identifier), *LEFT_FIELDS),
            ]
        )
        profile = replace(new_profile(identifier), left=Left.from_reply(left))
        if number is not None:
            reply = await self._store.command("HGETALL", partition.profile(int(number)))
            profile = Profile.from_reply(identifier, int(number), reply)
        self.remember(profile, since)
        return profile

    async def refuse_blocked(self, identifier: str) -> None:
        """Refuse a customer who may not call at all, as far as that is known.

        Raises:
            PermissionRefused: it is blocked.
        """
        profile = self.cached(identifier)
        if profile is None or profile.blocked:
            try:
                profile = await self.load(identifier)
            except LedgerUnavailable:
                profile = self.last_known(identifier)
        if profile is not None and profile.blocked:
            raise PermissionRefused(f"Customer {identifier!r} is blocked.", code="customer_blocked")

    async def known(self, identifier: str) -> Profile:
        """Like `load`.

        Raises:
            NotFound: there is no such customer.
        """
        profile = await self.load(identifier)
        if profile.version == 0:
            raise NotFound(f"There is no customer {identifier!r}.", code="customer_not_found")
        return profile

    async def identifiers(self, numbers: Mapping[int, int]) -> dict[int, str]:
        """Customer number -> identifier; `numbers` maps each number to its partition's index."""
        partitions = self._store.keyspace.partitions
        replies = await self._store.commands(
            [("HGET", partitions[p].profile(n), "identifier") for n, p in numbers.items()]
        )
        return {
            n: reply.decode()
            for n, reply in zip(numbers, replies, strict=True)
            if reply is not None
        }

    def plan(self, profile: Profile, change: Mapping[str, Canonical]) -> Upsert:
        """What a call's `customer_params` would write.

        Raises:
            InvalidCall: the fields contradict each other or the stored ones.
        """
        if not change and profile.version:  # nearly every call
            return Upsert(profile, (), moves_anchor=False)
        return self._checked(upsert(profile, change, now_ms=self._clock.now_ms(), by_call=True))

    def terms(self, profile: Profile, now_ms: int) -> Terms:
        """The terms of a profile; of the same one in the same windows made once."""
        of, made = self._terms.get(profile.identifier, (None, None))
        if of is profile and made and made.windows.from_ms <= now_ms < made.windows.until_ms:
            return made
        made = terms(profile, self._defaults, self.calendar, now_ms, self._count)
        if len(self._terms) >= CACHED_MAX:
            self._terms.clear()
        self._terms[profile.identifier] = (profile, made)
        return made

    def told(self, profile: Profile) -> ToldLimits:
        limits = profile.limits(self._defaults, self._count)
        return told(limits, period_kind(limits, profile.anchor))

    async def create(self, identifier: str, change: Mapping[str, Canonical]) -> Profile:
        """Create a customer without a call.

        Raises:
            Conflict: the customer exists.
            InvalidCall: as `plan`.
        """
        for _ in range(TRIES_MAX):
            profile = await self.load(identifier)
            if profile.version:
                raise Conflict(f"Customer {identifier!r} exists.", code="customer_exists")
            created = await self._write(profile, self._planned(profile, change))
            if created is not None:
                return created
        raise _busy(identifier)

    async def change(self, identifier: str, change: Mapping[str, Canonical]) -> Profile:
        """Change and pin fields.

        Raises:
            NotFound: there is no such customer.
            InvalidCall: as `plan`.
        """
        for _ in range(TRIES_MAX):
            profile = await self.known(identifier)
            changed = await self._write(profile, self._planned(profile, change))
            if changed is not None:
                return changed
        raise _busy(identifier)

    async def delete(self, identifier: str) -> Profile:
        """Forget who a customer is; what it was.

        What still ends of its calls is counted on its number. What it has spent of a total
        budget, whoever comes back under that name has spent.

        Raises:
            NotFound: there is no such customer.
        """
        partition = self.partition_of(identifier)
        for _ in range(TRIES_MAX):
            profile = await self.known(identifier)
            outcome = await self._store.script(
                "delete",
                [
                    partition.number(identifier),
                    partition.profile(profile.number),
                    partition.account(profile.number),
                    partition.changed,
                    partition.left(identifier),
                    partition.gone,
                ],
                [profile.number, profile.version, TOMBSTONE_SECONDS * 1000],
            )
            self._forget(identifier)
            if outcome == WRITTEN:
                return profile
        raise _busy(identifier)

    def _forget(self, identifier: str) -> None:
        for known in (self._cache, self._before, self._terms):
            known.pop(identifier, None)

    async def number_of(
        self, identifier: str, change: Mapping[str, Canonical], *, started_ms: int
    ) -> int:
        """A customer's number, after what an earlier call has said of it was written.

        A change that contradicts what is stored is left out: its call has been served. A
        customer who was deleted since the call started is not brought back by it: the call
        counts on a number that nobody has.
        """
        for _ in range(TRIES_MAX):
            profile = await self.load(identifier)
            if profile.version == 0 and started_ms <= profile.left.at_ms:
                return profile.number
            try:
                planned = self.plan(profile, change)
            except InvalidCall:
                planned = self.plan(profile, {})
            if not planned.pairs or await self._put(profile, planned):
                return profile.number
        raise _busy(identifier)

    async def restore(self, identifier: str, number: int, stored: Mapping[str, str]) -> int | None:
        """Bring a customer back that the store has lost, as far as it is remembered.

        Args:
            stored: Its fields, where the cache has nothing newer.

        Returns:
            The number under which the store has the customer now; None: it was deleted.
        """
        partition = self.partition_of(identifier)
        for known in (self._before.get(identifier), self._cache.get(identifier)):
            if known is not None and known.number == number and known.version:
                stored = known.stored
        if not stored:
            now_ms = str(self._clock.now_ms())
            stored = {"identifier": identifier, "created_ms": now_ms, "updated_ms": now_ms}
        for _ in range(TRIES_MAX):
            gone, there, left = await self._store.commands(
                [
                    ("ZSCORE", partition.gone, number),
                    ("GET", partition.number(identifier)),
                    ("HMGET", partition.left(identifier), *LEFT_FIELDS),
                ]
            )
            if gone is not None:
                return None
            if there is not None:
                return int(there)
            lost = Profile(identifier, number, 0, {}, Left.from_reply(left))
            back = Upsert(Profile(identifier, number, 1, stored), tuple(_flat(stored)), False)
            if await self._put(lost, back):
                await self.load(identifier)
                return number
        raise _busy(identifier)

    def _planned(self, profile: Profile, change: Mapping[str, Canonical]) -> Upsert:
        """What management's change would write."""
        return self._checked(upsert(profile, change, now_ms=self._clock.now_ms(), by_call=False))

    async def _write(self, profile: Profile, planned: Upsert) -> Profile | None:
        """Write by compare-and-set; None when somebody else was first."""
        if planned.pairs:
            since = self._store.changes
            if not await self._put(profile, planned, by_call=False):
                return None
            self.remember(planned.profile, since)
        return planned.profile

    async def _put(self, profile: Profile, planned: Upsert, *, by_call: bool = True) -> bool:
        partition = self.partition_of(profile.identifier)
        afresh = planned.moves_anchor and not by_call
        before, after = self.told(profile), self.told(planned.profile)
        if afresh and after[0] == CUSTOM:  # nothing is spent in a window that begins now
            after = ("", "", after[2])
        windows = self.calendar.at(self._clock.now_ms(), planned.profile.anchor)
        outcome = await self._store.script(
            "profile",
            [
                partition.number(profile.identifier),
                partition.profile(profile.number),
                partition.account(profile.number),
                partition.changed,
                partition.left(profile.identifier),
            ],
            [
                *(profile.number, profile.told_version, int(afresh), windows.ids, self._count),
                *(*before, *after, *planned.pairs),
            ],
        )
        return bool(outcome == WRITTEN)

    def _checked(self, planned: Upsert) -> Upsert:
        if planned.pairs:
            profile = planned.profile
            if profile.text("period_end") and not profile.text("period_start"):
                raise InvalidCall(
                    "period_end needs a period_start.", param="period_end", code="invalid_value"
                )
            if profile.anchor and (problem := self.calendar.problem(profile.anchor)):
                raise InvalidCall(f"{problem}.", param="period_end", code="invalid_value")
        return planned


def _busy(identifier: str) -> LedgerUnavailable:
    return LedgerUnavailable(f"Customer {identifier!r} is being changed by others; try again.")


def new_profile(identifier: str) -> Profile:
    return Profile(identifier, secrets.randbits(62) + 1, 0, {})


def _put(cache: OrderedDict[str, Profile], profile: Profile) -> None:
    cache[profile.identifier] = profile
    cache.move_to_end(profile.identifier)
    if len(cache) > CACHED_MAX:
        cache.popitem(last=False)


def _flat(stored: Mapping[str, str]) -> list[str]:
    return [part for pair in stored.items() for part in pair]
