"""Watching the streams for what is worth an alert.

An event only says where to look. What is told depends on what the account says then: a
threshold counts when it is reached, however late somebody looks, and is noted once. So an
event that is read twice, or by two flushers, tells nothing twice.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import orjson
from sqlalchemy.exc import SQLAlchemyError

from gateway.alerts.alert import Alert, Subject, Topic, crossed, exceeded, reset, unpriced
from gateway.clock import Clock, rfc3339
from gateway.customers.directory import Directory
from gateway.customers.profile import ANONYMOUS, Profile
from gateway.customers.scopes import Scopes, group_name
from gateway.event import MONEY_KINDS, Kind, UsageEvent
from gateway.ledger.ledger import Ledger
from gateway.ledger.results import Balance
from gateway.metering.sinks import Tail, cursors_of, move
from gateway.store.archive.outbox import Noted, Outbox
from gateway.store.client import Store
from gateway.store.keys import Partition

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Who wants to be told, and of what."""

    url: str
    key: bytes = field(repr=False)
    topics: frozenset[Topic]
    private: bool = False


@dataclass(slots=True)
class _Seen:
    """What a batch's events point at."""

    customers: set[int] = field(default_factory=set)
    refused: set[int] = field(default_factory=set)
    groups: set[str] = field(default_factory=set)
    refused_groups: set[str] = field(default_factory=set)
    unpriced: dict[tuple[str, str], int] = field(default_factory=dict)

    def add(self, event: UsageEvent) -> None:
        if event.kind in MONEY_KINDS:
            self.customers.add(event.customer_number)
            if event.group:
                self.groups.add(event.group)
        elif event.kind is Kind.REFUSE and event.error_code == "budget_exceeded":
            # A group's refusal ends a hold; that of the customer's own limit had none.
            if event.hold_pico and event.group:
                self.refused_groups.add(event.group)
            else:
                self.refused.add(event.customer_number)
        if event.unpriced and event.is_usage:
            self.unpriced.setdefault((event.provider, event.model), event.at_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Customer(Subject):
    number: int


class Watch:
    """A sink of the flusher, and the second look at what lags behind the streams."""

    name = "alerts"
    is_ready = True

    def __init__(
        self,
        store: Store,
        *,
        outbox: Outbox,
        ledger: Ledger,
        directory: Directory,
        scopes: Scopes,
        clock: Clock,
        endpoints: Sequence[Endpoint],
    ) -> None:
        self._store = store
        self._outbox = outbox
        self._ledger = ledger
        self._directory = directory
        self._scopes = scopes
        self._clock = clock
        self.endpoints = endpoints
        self._groups: dict[str, bool] = {}

    async def cursors(self, partitions: Sequence[Partition]) -> Sequence[str | None]:
        return await cursors_of(self._store, self.name, partitions)

    async def take(self, tails: Sequence[Tail]) -> list[bool]:
        moved = []
        for tail in tails:
            seen = _Seen()
            for _, event in tail.events:
                seen.add(event)
            try:
                await self._note(await self._alerts(tail.partition, seen))
            except SQLAlchemyError:
                log.exception("alerts_not_noted partition=%d", tail.partition.index)
                moved.append(False)
                continue
            for group in seen.groups | seen.refused_groups:
                refused = group in seen.refused_groups
                self._groups[group] = self._groups.get(group, False) or refused
            moved.append(await move(self._store, self.name, tail, {}))
        return moved

    async def look_again(self) -> None:
        """At groups, whose accounts follow the streams, and at windows that have ended.

        Raises:
            LedgerUnavailable, SQLAlchemyError: what was seen is looked at again.
        """
        groups, self._groups = self._groups, {}
        try:
            for group, refused in groups.items():
                await self._note(await self._of_group(group, refused=refused))
        except BaseException:
            self._groups = groups | self._groups
            raise
        for over in await self._outbox.over(self._clock.now_ms()):
            await self._note([reset(over.subject, over.limit, over.until_ms, over.data)])
            await self._outbox.told_over(over)

    async def tell(self, alert: Alert) -> None:
        """Note an alert for those who want it, if it is new."""
        await self._note([alert])

    async def _alerts(self, partition: Partition, seen: _Seen) -> list[Alert]:
        alerts = [unpriced(*name, at_ms) for name, at_ms in seen.unpriced.items()]
        numbers = sorted((seen.customers | seen.refused) - {0})
        now_ms = self._clock.now_ms()
        for subject in await self._subjects(partition, numbers, now_ms):
            alerts += crossed(subject, now_ms)
            if subject.number in seen.refused:
                alerts += exceeded(subject, now_ms)
        return alerts

    async def _subjects(
        self, partition: Partition, numbers: Sequence[int], now_ms: int
    ) -> list[_Customer]:
        profiles = await self._store.commands([("HGETALL", partition.profile(n)) for n in numbers])
        accounts = await self._store.commands([("HGETALL", partition.account(n)) for n in numbers])
        found = []
        for number, profile_reply, account_reply in zip(numbers, profiles, accounts, strict=True):
            stored = dict(zip(profile_reply[::2], profile_reply[1::2], strict=True))
            identifier = stored.get(b"identifier", b"").decode()
            if not identifier or identifier == ANONYMOUS:
                continue
            profile = Profile.from_reply(identifier, number, profile_reply)
            terms = self._directory.terms(profile, now_ms)
            if not terms.limits.limited:
                continue
            fields = dict(zip(account_reply[::2], account_reply[1::2], strict=True))
            found.append(
                _Customer(
                    kind="customer",
                    identifier=identifier,
                    terms=terms,
                    balance=Balance.of(fields, terms.windows.ids),
                    count=self._ledger.rules.count,
                    told={"customer_identifier": identifier, "name": profile.text("name")},
                    number=number,
                )
            )
        return found

    async def _of_group(self, group: str, *, refused: bool) -> list[Alert]:
        scope = self._scopes.named(group_name(group))
        if not scope.limits.limited:
            return []
        now_ms = self._clock.now_ms()
        subject = Subject(
            kind="group",
            identifier=group,
            terms=scope.terms(self._directory.calendar, now_ms),
            balance=await self._ledger.scope_balance(scope.name),
            count=self._ledger.rules.count,
            told={"group_identifier": group},
        )
        more = exceeded(subject, now_ms) if refused else ()
        return [*crossed(subject, now_ms), *more]

    async def _note(self, alerts: Iterable[Alert]) -> None:
        await self._outbox.note([self._noted(alert) for alert in alerts])

    def _noted(self, alert: Alert) -> Noted:
        payload = {
            "type": alert.topic.value,
            "timestamp": rfc3339(alert.at_ms),
            "data": dict(alert.data),
        }
        return Noted(
            once=alert.once,
            topic=alert.topic.value,
            subject=alert.subject,
            limit=alert.limit,
            at_ms=alert.at_ms,
            until_ms=alert.until_ms,
            data=alert.data,
            body=orjson.dumps(payload),
            urls=[
                e.url
                for e in self.endpoints
                if alert.topic in e.topics or alert.topic is Topic.TEST
            ],
        )
