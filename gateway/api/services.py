"""What the management routes are built from, wired together by `gateway.app`."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import tzinfo

from gateway.alerts.watch import Watch
from gateway.api.tallies import Tallies
from gateway.api.user_service import UserService
from gateway.clock import Clock
from gateway.customers.apps import Apps
from gateway.customers.credentials import Credential
from gateway.customers.directory import Directory
from gateway.customers.groups import Groups
from gateway.customers.temporary_keys import TemporaryKeys
from gateway.ledger.ledger import Ledger
from gateway.ledger.prospects import Estimate
from gateway.metering.counters import Counters
from gateway.rating import Rating
from gateway.reports import Reports
from gateway.store.archive import Archive, Outbox
from gateway.store.client import Store


@dataclass(frozen=True, slots=True)
class Served:
    """An upstream, for the start page: its name and the globs of its models."""

    name: str
    models: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What is running, for the start page. No secrets: `store` is a word, never a URL.

    Attributes:
        store: ``embedded``, or the scheme of the URL (``redis``, ``rediss``, ``unix``).
        policy: What happens at a limit: ``fit``, ``reject`` or ``soft``.
    """

    version: str
    store: str
    upstreams: tuple[Served, ...]
    policy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything the routes of this package use.

    Attributes:
        zone: The reporting zone, in which a date without a time is read.
        estimate: Of a chat call, given its body, its credential and its headers.
        provider_of: Whose prices a reported event has that names a model but no provider.
        admin_key_sha256: Hex digest; the key itself is never kept.
        hosts: Names under which the gateway may be addressed, besides loopback and IPs.
        draining: Whether the process has been told to stop.
        tallies: What this worker and the others tell the metrics.
        price_troubles: Why the newest prices are not in force, in words.
    """

    store: Store
    directory: Directory
    ledger: Ledger
    counters: Counters
    archive: Archive
    reports: Reports
    outbox: Outbox
    watch: Watch
    users: UserService
    groups: Groups
    estimate: Callable[[bytes, Credential, Mapping[bytes, bytes]], Awaitable[Estimate]]
    rating: Rating
    apps: Apps
    keys: TemporaryKeys
    clock: Clock
    zone: tzinfo
    provider_of: Callable[[str], str]
    admin_key_sha256: str
    hosts: frozenset[str]
    request_bytes_max: int
    draining: Callable[[], bool]
    about: About
    tallies: Tallies
    price_troubles: Callable[[], list[str]] = list
