"""Where everything is wired together; what each part is, it says itself.

`build_app` makes one ASGI application: the data plane as plain callables, the rest through
Starlette. Importing this does nothing, calling it opens nothing; the lifespan opens, and
closes in the reverse order, after the last call is settled.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from starlette.applications import Starlette

from gateway import config as configuration
from gateway import crash
from gateway.api.routes import for_applications, routes
from gateway.api.services import About, Served, Services
from gateway.api.tallies import Tallies
from gateway.api.user_service import UserService
from gateway.background import Background as BackgroundJobs
from gateway.background import Job
from gateway.clock import Clock, SystemClock
from gateway.config import Config
from gateway.customers.apps import App, Apps, Identity, ParamsPolicy
from gateway.customers.authentication import Authentication
from gateway.customers.temporary_keys import TemporaryKeys
from gateway.customers.tokens import SigningKey, Tokens
from gateway.dashboard import site
from gateway.dashboard.sessions import Credentials
from gateway.instruments import instruments
from gateway.metering.counters import Counters
from gateway.metering.roster.indexer import Indexer
from gateway.metering.roster.roster import Roster
from gateway.parts import Parts, build_parts
from gateway.proxy.background import Background
from gateway.proxy.bodies import BodyLimits
from gateway.proxy.bounding import Budgeting
from gateway.proxy.cors import Cors
from gateway.proxy.elsewhere import Elsewhere
from gateway.proxy.estimate import Estimator
from gateway.proxy.models import Models
from gateway.proxy.passthrough import Passthrough
from gateway.proxy.payload_writer import PayloadWriter
from gateway.proxy.pipeline import Pipeline
from gateway.proxy.responses import KeptResponses
from gateway.proxy.routes import DataPlane, DataPlaneLimits
from gateway.proxy.routing import Upstreams
from gateway.proxy.uploads import Uploads
from gateway.proxy.upstream import Timeouts, Upstream, UpstreamSettings
from gateway.proxy.verdicts import Verdicts
from gateway.reload import Reload, Wanted
from gateway.reports import Reports
from gateway.version import installed_version
from pricing.book import BOOK_PATH, PriceBook

Scope = MutableMapping[str, Any]
Channel = Callable[..., Awaitable[Any]]


class Gateway:
    """The ASGI application: calls go straight to the data plane.

    Args:
        rest: Management, metrics and dashboard, and what `beside` has.
        beside: What else is served where calls are, if the rest is served only on
            `admin_port`.

    Attributes:
        drain: Says from now on, in ``/readyz``, that it is ending; calls are served as ever.
    """

    def __init__(
        self,
        data_plane: DataPlane,
        rest: Starlette,
        drain: Callable[[], None],
        *,
        beside: Starlette | None = None,
        admin_port: int | None = None,
    ) -> None:
        self._data_plane = data_plane
        self._rest = rest
        self._beside = beside
        self._admin_port = admin_port
        self.drain = drain

    async def __call__(self, scope: Scope, receive: Channel, send: Channel) -> None:
        is_http, is_apart = scope["type"] == "http", self._admin_port is not None
        is_admin = is_http and is_apart and scope["server"][1] == self._admin_port
        if is_http and not is_admin and self._data_plane.owns(scope["path"]):
            await self._data_plane(scope, receive, send)
        elif is_http and is_apart and not is_admin and self._beside is not None:
            await self._beside(scope, receive, send)
        else:
            await self._rest(scope, receive, send)


def build_app(
    config: Config, *, store_url: str, admin_key: str, clock: Clock | None = None
) -> Gateway:
    """Assemble the gateway."""
    crash.arm(os.environ)
    parts = build_parts(config, store_url=store_url, clock=clock or SystemClock(), writes_log=True)
    apps = Apps(_app(app) for app in config.apps)
    keys = TemporaryKeys(parts.store, apps, parts.clock)
    tokens = Tokens(_signing_keys(config), config.tokens.revoked, apps, parts.clock)
    upstreams = Upstreams(
        [Upstream(_upstream(upstream)) for upstream in config.upstreams],
        aliases=configuration.aliases(config),
    )
    reload = Reload(parts.rating, partial(_wanted, config), _price_files(config), parts.clock)
    stores = (parts.store, parts.background_store)
    telemetry = instruments(parts.ledger, parts.wal, stores, reload)
    tallies = Tallies(parts.background_store, telemetry, parts.clock, config.budgets.count)
    background = Background(parts.ledger, parts.rating, parts.clock, Verdicts(telemetry))
    budgeting = Budgeting(
        binding=config.budgets.policy != "soft",
        fit=config.budgets.policy == "fit",
        output_tokens_min=config.budgets.min_output_tokens,
    )
    payloads = _payloads(config, parts)
    pipeline = Pipeline(
        payloads=payloads,
        background=background,
        telemetry=telemetry,
        ledger=parts.ledger,
        rating=parts.rating,
        upstreams=upstreams,
        clock=parts.clock,
        keys=keys,
        on_disconnect=config.on_disconnect,
        keep_alive_seconds=config.server.stream_keep_alive_seconds,
        budgeting=budgeting,
        reject_status=config.budgets.reject_status,
    )
    body_limits = BodyLimits(
        request_bytes=config.limits.request_bytes,
        decoded_bytes=config.limits.decoded_bytes,
        seconds=config.limits.body_seconds,
    )
    uploads = Uploads(
        folder=config.data_dir / "uploads",
        bytes_max=config.limits.upload_bytes,
        limits=body_limits,
    )
    elsewhere = Elsewhere()
    passthrough = Passthrough(
        ledger=parts.ledger,
        directory=parts.directory,
        rating=parts.rating,
        upstreams=upstreams,
        uploads=uploads,
        elsewhere=elsewhere,
        clock=parts.clock,
        limits=body_limits,
        binding=config.budgets.policy != "soft",
    )
    data_plane = DataPlane(
        authentication=Authentication(apps, tokens, keys),
        cors=Cors(apps),
        pipeline=pipeline,
        models=Models(upstreams, parts.clock),
        upstreams=upstreams,
        kept=KeptResponses(upstreams, background),
        passthrough=passthrough,
        uploads=uploads,
        elsewhere=elsewhere,
        clock=parts.clock,
        limits=DataPlaneLimits(
            body=body_limits,
            concurrent_calls=config.limits.concurrent_calls,
        ),
        reject_status=config.budgets.reject_status,
    )
    draining = asyncio.Event()
    counters = Counters(parts.store, parts.zone)
    services = Services(
        store=parts.store,
        directory=parts.directory,
        ledger=parts.ledger,
        counters=counters,
        users=users_of(parts),
        groups=parts.groups,
        estimate=Estimator(
            ledger=parts.ledger,
            rating=parts.rating,
            upstreams=upstreams,
            clock=parts.clock,
            budgeting=budgeting,
        ).estimate,
        archive=parts.archive,
        reports=Reports(parts.store, parts.archive, parts.clock),
        rating=parts.rating,
        apps=apps,
        keys=keys,
        outbox=parts.archive.outbox,
        watch=parts.watch,
        clock=parts.clock,
        zone=parts.zone,
        provider_of=upstreams.provider_of,
        admin_key_sha256=sha256(admin_key.encode()).hexdigest(),
        hosts=frozenset(config.server.hosts),
        request_bytes_max=config.limits.request_bytes,
        draining=draining.is_set,
        about=_about(config, store_url),
        tallies=tallies,
        price_troubles=reload.troubles,
    )

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(parts.open())
            stack.push_async_callback(upstreams.aclose)
            stack.callback(elsewhere.close)
            stack.push_async_callback(tallies.leave)
            if payloads is not None:
                stack.push_async_callback(payloads.close)
            stack.push_async_callback(
                _cancelled, _tasks(parts, pipeline, tallies, reload, payloads)
            )
            stack.push_async_callback(passthrough.drain)
            stack.push_async_callback(pipeline.drain)
            stack.callback(draining.set)
            yield

    viewer_key = config.viewer_key.get_secret_value() if config.viewer_key else None
    apart = config.server.admin_address
    pages = site.routes(
        services,
        Credentials.of(admin_key, viewer_key),
        api_port=config.server.port if apart else None,
    )
    return Gateway(
        data_plane,
        Starlette(routes=[*pages, *routes(services)], lifespan=lifespan),
        draining.set,
        beside=Starlette(routes=for_applications(services)) if apart else None,
        admin_port=apart[1] if apart else None,
    )


def users_of(parts: Parts) -> UserService:
    return UserService(
        directory=parts.directory,
        ledger=parts.ledger,
        counters=Counters(parts.store, parts.zone),
        archive=parts.archive,
        roster=Roster(parts.store),
        indexer=Indexer(parts.store),
        clock=parts.clock,
        zone=parts.zone,
    )


def create() -> Gateway:
    """The application of another ASGI server: ``uvicorn --factory gateway.app:create``."""
    resolved = configuration.resolved_from_environment()
    return build_app(resolved.config, store_url=resolved.store_url, admin_key=resolved.admin_key)


async def run_flusher(config: Config, *, store_url: str) -> None:
    """Flush and sweep, without serving, until cancelled."""
    crash.arm(os.environ)
    parts = build_parts(config, store_url=store_url, clock=SystemClock())
    async with parts.open(), asyncio.TaskGroup() as tasks:
        tasks.create_task(parts.groups.run())
        await _background(parts).run()


def _background(parts: Parts) -> BackgroundJobs:
    jobs: list[Job] = [
        parts.indexer,
        parts.trimmer,
        parts.retention,
        parts.payload_retention,
        parts.erasure,
        parts.summing_up,
        parts.auditor,
    ]
    if parts.deliveries:
        jobs.append(parts.deliveries)
    return BackgroundJobs(parts.background_store, parts.flusher, jobs)


def _payloads(config: Config, parts: Parts) -> PayloadWriter | None:
    if not config.events.store_payloads:
        return None
    return PayloadWriter(parts.archive.payloads, bytes_max=config.events.payload_bytes)


def _wanted(config: Config) -> Wanted:
    """The prices as the files have them now; all else stays until the next start."""
    newest = configuration.load(config.file, env=os.environ) if config.file else config
    book = PriceBook.load().overlaid(newest.prices)
    return Wanted(book.named(configuration.own_names(config, book)), newest.prices_confirm)


def _price_files(config: Config) -> list[Path]:
    return [BOOK_PATH, *([config.file] if config.file else [])]


def _tasks(
    parts: Parts,
    pipeline: Pipeline,
    tallies: Tallies,
    reload: Reload,
    payloads: PayloadWriter | None,
) -> list[asyncio.Task[None]]:
    more = [asyncio.create_task(payloads.run(), name="payloads")] if payloads else []
    return [
        *more,
        asyncio.create_task(_background(parts).run(), name="background"),
        asyncio.create_task(parts.ledger.run(), name="ledger"),
        asyncio.create_task(pipeline.progress.run(), name="progress"),
        asyncio.create_task(tallies.run(), name="tallies"),
        asyncio.create_task(parts.groups.run(), name="groups"),
        asyncio.create_task(reload.run(), name="reload"),
    ]


async def _cancelled(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _app(app: configuration.App) -> App:
    return App(
        id=app.id,
        token_sha256=app.token_digest,
        model=app.model,
        upstreams=app.upstreams,
        models=app.models,
        identity=Identity(app.identity),
        customer_params=ParamsPolicy(app.customer_params),
        customer_prefix=app.customer_prefix,
        user_is_customer=app.user_is_customer,
        cors_origins=app.cors_origins,
        passthrough=app.passthrough,
        manage=app.manage,
    )


def _signing_keys(config: Config) -> list[SigningKey]:
    keys = config.tokens.keys
    return [SigningKey(key.id, key.secret.get_secret_value().encode()) for key in keys]


def _upstream(upstream: configuration.Upstream) -> UpstreamSettings:
    timeouts = upstream.timeouts
    return UpstreamSettings(
        name=upstream.name,
        provider=upstream.provider,
        base_url=upstream.base_url,
        api_key=upstream.own_key,
        passthrough=upstream.passthrough,
        auth=upstream.auth,
        headers={name: value.get_secret_value() for name, value in upstream.headers.items()},
        query={name: value.get_secret_value() for name, value in upstream.query.items()},
        models=upstream.models,
        include_usage=upstream.include_usage == "auto",
        trust_reported_cost=upstream.trusts_reported_cost,
        scope=upstream.scope,
        timeouts=Timeouts(
            connect=timeouts.connect,
            first_byte=timeouts.first_byte,
            between_bytes=timeouts.between_bytes,
            total=timeouts.total,
        ),
    )


def _about(config: Config, store_url: str) -> About:
    return About(
        version=installed_version(),
        store="embedded" if config.redis.url is None else urlsplit(store_url).scheme,
        upstreams=tuple(Served(u.name, u.models) for u in config.upstreams),
        policy=config.budgets.policy,
    )
