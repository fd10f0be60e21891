"""Instruments: what a process tells the metrics of its ledger, its log and its store.

Each is something that an operator acts on; docs/operations.md says how.
"""

from collections.abc import Sequence
from functools import partial

from gateway.ledger.ledger import Ledger
from gateway.ledger.wal.log import Log
from gateway.reload import Reload
from gateway.store.client import Store
from gateway.telemetry import DEAD_LETTERS, LOG_FAILURES, REPLAYED, SHORT_WAITS, Telemetry


def instruments(
    ledger: Ledger, wal: Log | None, stores: Sequence[Store], reload: Reload
) -> Telemetry:
    """Read when they are told; `stores` are this process' connections to the one store."""
    telemetry = Telemetry()
    _of_ledger(telemetry, ledger)
    _of_stores(telemetry, stores)
    telemetry.gauge(
        "prices_refused",
        "Workers in which the newest prices are not in force; /readyz says why.",
        lambda: len(reload.troubles()),
    )
    if wal is not None:
        _of_log(telemetry, wal)
    return telemetry


def _of_ledger(telemetry: Telemetry, ledger: Ledger) -> None:
    endings, replayed = ledger.endings, ledger.continuity.replayed
    telemetry.gauge(
        "endings_waiting",
        "Calls that ended, and the ledger's store has not taken it yet.",
        lambda: endings.waiting,
    )
    telemetry.gauge(
        "endings_oldest_seconds",
        "How long the one of them has waited that has waited longest.",
        lambda: endings.oldest_seconds,
        is_worst=True,
    )
    telemetry.gauge(
        "calls_unheld",
        "Calls that were let through while the store was away, since the workers started.",
        lambda: ledger.unheld.passed,
    )
    telemetry.follow(DEAD_LETTERS, lambda: ledger.dead_letters.count)
    for outcome in REPLAYED.labels:
        telemetry.follow(REPLAYED, partial(replayed.__getitem__, outcome), outcome)


def _of_stores(telemetry: Telemetry, stores: Sequence[Store]) -> None:
    telemetry.gauge(
        "store_links_down",
        "Connections of workers to servers of the store that do not answer.",
        lambda: sum(store.links_down for store in stores),
    )
    telemetry.follow(SHORT_WAITS, lambda: sum(store.short_waits for store in stores))


def _of_log(telemetry: Telemetry, wal: Log) -> None:
    telemetry.gauge("wal_bytes", "Of the workers' logs on disk.", lambda: wal.size_bytes)
    telemetry.gauge(
        "wal_failing",
        "Workers whose log the disk does not take: what they owe dies with them.",
        lambda: int(wal.failing),
    )
    telemetry.follow(LOG_FAILURES, lambda: wal.errors)
