"""The parts that every process of ours stands on, made from the configuration.

Making them opens nothing; `Parts.open` does, and closes in the reverse order.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from decimal import Decimal
from zoneinfo import ZoneInfo

from sqlalchemy.exc import SQLAlchemyError

from gateway.alerts.alert import Topic
from gateway.alerts.delivery import Deliveries
from gateway.alerts.signing import secret_bytes
from gateway.alerts.watch import Endpoint, Watch
from gateway.audit.auditor import Auditor
from gateway.clock import Clock
from gateway.config import Config, UnpricedRates, price_book
from gateway.customers import fields
from gateway.customers.directory import Directory
from gateway.customers.groups import Groups
from gateway.customers.profile import Limits
from gateway.customers.scopes import Scopes, app_name, group_name
from gateway.customers.windows import Calendar, Duration
from gateway.errors import LedgerUnavailable
from gateway.ledger.ledger import Ledger
from gateway.ledger.wal.log import Log
from gateway.metering.erasure import Erasure
from gateway.metering.flusher import Flusher
from gateway.metering.payload_retention import PayloadRetention
from gateway.metering.retention import Retention
from gateway.metering.roster.indexer import Indexer
from gateway.metering.scope_sink import ScopeSink
from gateway.metering.summing_up import SummingUp
from gateway.metering.trimmer import Trimmer
from gateway.rating import Fallback, Rating, Unpriced
from gateway.store.archive import Archive
from gateway.store.client import Store

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """One process' store, archive, and what is built on them.

    Attributes:
        background_store: A connection of its own, so that no call waits behind a batch.
        deliveries: Of webhooks; None: there are none.
        wal: The ledger's log; None in a process that serves no calls.
    """

    clock: Clock
    zone: ZoneInfo
    store: Store
    background_store: Store
    archive: Archive
    directory: Directory
    groups: Groups
    ledger: Ledger
    wal: Log | None
    rating: Rating
    flusher: Flusher
    indexer: Indexer
    trimmer: Trimmer
    retention: Retention
    payload_retention: PayloadRetention
    erasure: Erasure
    summing_up: SummingUp
    auditor: Auditor
    watch: Watch
    deliveries: Deliveries | None

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        await _prepared(self.archive)
        await self.ledger.open()
        await asyncio.gather(self.store.connect(), self.background_store.connect())
        try:
            with suppress(LedgerUnavailable):  # asked again when it is back
                await self.groups.refresh()
            yield
        finally:
            await self.ledger.close()
            await asyncio.gather(self.store.close(), self.background_store.close())
            await self.archive.close()


async def _prepared(archive: Archive) -> None:
    """Calls are served without it: what it is to get waits in the streams until it is there."""
    try:
        await archive.prepare()
    except SQLAlchemyError as exc:
        if not archive.is_shared:
            raise
        # Not str(exc): SQLAlchemy puts statements into it.
        cause = getattr(exc, "orig", exc)
        log.warning("archive_away archive=%s error=%s", archive.name, type(cause).__name__)


def build_parts(config: Config, *, store_url: str, clock: Clock, writes_log: bool = False) -> Parts:
    """Make the parts.

    Args:
        writes_log: The process serves calls, and must not lose what they cost.

    Raises:
        ValueError: a price of the configuration is wrong; names the entry and the field. The
            archive's driver is not installed.
    """
    scopes = _scopes(config)
    store, background_store = (Store(store_url, durable=config.strict) for _ in range(2))
    zone = ZoneInfo(config.reports.timezone)
    archive = Archive.at(config.data_dir, config.archive.address, zone=zone.key)
    directory = Directory(
        store,
        defaults=_defaults(config),
        calendar=_calendar(config),
        clock=clock,
        count=config.budgets.count,
    )
    wal = _wal(config) if writes_log else None
    ledger = Ledger(
        store,
        directory,
        clock,
        binding=config.budgets.policy != "soft",
        registered_only=config.customers.registered_only,
        scopes=scopes,
        new_customers_per_day={
            app.id: app.new_customers_per_day
            for app in config.apps
            if app.new_customers_per_day is not None
        },
        reject_status=config.budgets.reject_status,
        count=config.budgets.count,
        orphans=config.budgets.orphans,
        wal=wal,
        when_down=config.budgets.when_ledger_down,
    )
    endpoints = _endpoints(config)
    scope_sink = ScopeSink(background_store, _calendar(config), clock, scopes, config.budgets.count)
    watch = Watch(
        background_store,
        outbox=archive.outbox,
        ledger=ledger,
        directory=directory,
        scopes=scopes,
        clock=clock,
        endpoints=endpoints,
    )
    more = (scope_sink, watch) if endpoints else (scope_sink,)
    flusher = Flusher(background_store, archive, zone=zone, clock=clock, more=more)
    return Parts(
        clock=clock,
        zone=zone,
        store=store,
        background_store=background_store,
        archive=archive,
        directory=directory,
        groups=Groups(store, scopes),
        ledger=ledger,
        wal=wal,
        rating=Rating(price_book(config), unpriced=_unpriced(config)),
        flusher=flusher,
        indexer=Indexer(background_store),
        trimmer=Trimmer(background_store, flusher.sinks, hot_hours=config.events.hot_hours),
        payload_retention=PayloadRetention(
            archive.payloads, clock, days=config.events.payload_days
        ),
        retention=Retention(
            background_store, archive, zone=zone, days=config.events.retention_days
        ),
        erasure=Erasure(background_store, archive),
        summing_up=SummingUp(archive),
        auditor=Auditor(background_store, clock),
        watch=watch,
        deliveries=Deliveries(archive.outbox, watch, endpoints, clock) if endpoints else None,
    )


def _endpoints(config: Config) -> list[Endpoint]:
    return [
        Endpoint(
            webhook.url,
            secret_bytes(webhook.secret.get_secret_value()),
            frozenset(map(Topic, webhook.events)),
            private=webhook.allow_private,
        )
        for webhook in config.webhooks
    ]


def _wal(config: Config) -> Log:
    return Log(config.data_dir / "wal", strict=config.strict)


def _calendar(config: Config) -> Calendar:
    return Calendar(ZoneInfo(config.budgets.timezone))


def _scopes(config: Config) -> Scopes:
    own_periods = {group_name(name): group.anchor for name, group in config.groups.items()}
    own_periods |= {app_name(app.id): app.anchor for app in config.apps}
    return Scopes(
        groups={
            identifier: Limits(
                period_budget_pico=_pico(group.period_budget),
                total_budget_pico=_pico(group.total_budget),
                budget_duration=Duration(group.budget_duration),
            )
            for identifier, group in config.groups.items()
        },
        apps={
            app.id: Limits(
                period_budget_pico=_pico(app.period_budget),
                budget_duration=Duration(app.budget_duration),
            )
            for app in config.apps
            if app.period_budget is not None
        },
        anchors={name: anchor for name, anchor in own_periods.items() if anchor},
    )


def _defaults(config: Config) -> Limits:
    default = config.customers.default
    return Limits(
        period_budget_pico=_pico(default.period_budget),
        total_budget_pico=_pico(default.total_budget),
        budget_duration=Duration(default.budget_duration),
        rate_limit=default.rate_limit,
        markup_ppm=fields.markup(default.markup_percentage),
    )


def _pico(amount: Decimal | None) -> int | None:
    return None if amount is None else fields.budget(amount)


def _unpriced(config: Config) -> Unpriced | Fallback:
    policy = config.unpriced
    if isinstance(policy, UnpricedRates):
        return Fallback(
            input_usd=str(policy.input),
            output_usd=str(policy.output),
            output_max_tokens=policy.max_output,
        )
    return Unpriced(policy)
