"""The metrics as Prometheus reads them: names, help, and the numbers behind them. No I/O.

No label holds a customer, a model or anything else that a caller can make up.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.api.tallies import Told
from gateway.audit.check import Sum
from gateway.audit.records import Record
from gateway.metering.backlog import WAITING_MAX, Backlog
from gateway.store.memory import Memory
from gateway.telemetry import COUNTERS, Gauge
from pricing.money import PICO_PER_USD

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
PREFIX: Final = "farebox_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a scrape shows.

    What the store tells is None while it is away: then `gauges` say what this worker knows.

    Attributes:
        admits: The store lets new calls in: its memory is not full.
    """

    version: str
    store: str
    partitions: int
    now_ms: int
    gauges: Iterable[Gauge]
    backlog: Backlog | None = None
    audit: Mapping[int, Record] | None = None
    told: Told | None = None
    admits: bool = False
    memory: Memory | None = None


class _Once(Collector):
    """Hands out what was gathered for this scrape."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = list(metrics)

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def exposition(facts: Facts) -> bytes:
    """The page. ``process_*`` are of the worker that answers; all else is of all workers."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Once(_metrics(facts)))
    ProcessCollector(registry=registry)
    return generate_latest(registry)


def _metrics(facts: Facts) -> Iterator[Metric]:
    build = GaugeMetricFamily(
        f"{PREFIX}build_info", "Always 1; what runs.", labels=["version", "store"]
    )
    build.add_metric([facts.version, facts.store], 1)
    yield build
    yield _gauge("ledger_up", "1 while the ledger's store answers.", facts.told is not None)
    yield _gauge(
        "ledger_admits",
        "1 while the store takes new calls; 0 while it is full, read-only or away.",
        facts.admits,
    )
    if facts.audit is not None:
        yield from _audited(facts.audit, facts)
    if facts.backlog is not None:
        yield from _waiting(facts.backlog)
    if facts.memory is not None:
        yield from _room(facts.memory)
    if facts.told is not None:
        yield from _told(facts.told, facts.gauges)
    else:
        for gauge in facts.gauges:
            yield _gauge(gauge.name, gauge.help, gauge.read())


def _audited(audit: Mapping[int, Record], facts: Facts) -> Iterator[Metric]:
    """As the auditor saw it last: up to a round of five minutes ago."""
    records = audit.values()
    whole = len(audit) >= facts.partitions
    oldest_ms = min((record.checked_ms for record in records), default=0)
    yield _gauge(
        "ledger_drift",
        "Differences between the books and the events that explain them, by the auditor. "
        "0, or something is wrong: see GET /api/audit.",
        sum(record.found for record in records),
    )
    yield _gauge(
        "ledger_drift_usd",
        "The money in those differences, each taken as positive.",
        _usd(sum(record.drift_pico for record in records)),
    )
    if whole:
        yield _gauge(
            "ledger_audit_age_seconds",
            "How long ago the partition was checked whose check is longest ago.",
            max(facts.now_ms - oldest_ms, 0) / 1000,
        )
    sums = [record.sum for record in records]
    yield _gauge(
        "ledger_held_usd", "Held for calls in flight.", _usd(sum(s.held_pico for s in sums))
    )
    yield _overshoot(sums)
    yield _gauge(
        "stream_alien_entries",
        "Live stream entries that are no events; the flusher passes them over.",
        sum(s.alien for s in sums),
    )


def _overshoot(sums: Iterable[Sum]) -> Metric:
    family = GaugeMetricFamily(
        f"{PREFIX}ledger_overshoot_usd",
        "Charged beyond what was held (settle), or beyond a limit by reports (event); left "
        "beyond one that was lowered (limit): on customers; and of the same money, what lay "
        "beyond on their groups and on apps.",
        labels=["account", "cause"],
    )
    total = {
        ("customer", "settle"): sum(s.over_settle_pico for s in sums),
        ("customer", "event"): sum(s.over_event_pico for s in sums),
        ("customer", "limit"): sum(s.over_limit_pico for s in sums),
        ("group", "settle"): sum(s.group_over_settle_pico for s in sums),
        ("group", "event"): sum(s.group_over_event_pico for s in sums),
        ("app", "settle"): sum(s.app_over_settle_pico for s in sums),
        ("app", "event"): sum(s.app_over_event_pico for s in sums),
    }
    for labels, amount_pico in total.items():
        family.add_metric(labels, _usd(amount_pico))
    return family


def _waiting(backlog: Backlog) -> Iterator[Metric]:
    yield _gauge("holds_open", "Calls that are held for.", backlog.holds)
    yield _gauge("stream_entries", "Live events: not trimmed yet.", backlog.entries)
    behind = GaugeMetricFamily(
        f"{PREFIX}flusher_events_behind",
        f"Events that wait for the flusher, at most {WAITING_MAX:,} counted in a partition.",
        labels=["sink"],
    )
    lag = GaugeMetricFamily(
        f"{PREFIX}flusher_lag_seconds",
        "How long the oldest of them has waited.",
        labels=["sink"],
    )
    for sink, count in backlog.waiting.items():
        behind.add_metric([sink], count)
        lag.add_metric([sink], backlog.lag_ms[sink] / 1000)
    yield behind
    yield lag


def _room(memory: Memory) -> Iterator[Metric]:
    yield _gauge("store_memory_bytes", "What the store's servers use together.", memory.used_bytes)
    if memory.share is not None:
        yield _gauge(
            "store_memory_share",
            "Of its maxmemory, what the fullest server uses. From 1 on new holds are refused; "
            "calls end, events are counted and trimmed all the same.",
            memory.share,
        )


def _told(told: Told, gauges: Iterable[Gauge]) -> Iterator[Metric]:
    yield _gauge("workers", "Processes that serve calls.", told.workers)
    for spec in COUNTERS:
        labels = [spec.label] if spec.label else []
        family = CounterMetricFamily(PREFIX + spec.name, spec.help, labels=labels)
        counted = dict.fromkeys(spec.labels, 0)
        counted |= {label: n for (name, label), n in told.counters.items() if name == spec.name}
        if not labels:
            counted = {"": sum(counted.values())}
        for label, count in sorted(counted.items()):
            family.add_metric([label] if labels else [], count)
        yield family
    for gauge in gauges:
        yield _gauge(gauge.name, gauge.help, told.gauges.get(gauge.name, 0.0))


def _gauge(name: str, help_: str, value: float) -> Metric:
    return GaugeMetricFamily(PREFIX + name, help_, value=float(value))


def _usd(amount_pico: int) -> float:
    """For a graph: the books themselves know no floats."""
    return amount_pico / PICO_PER_USD
