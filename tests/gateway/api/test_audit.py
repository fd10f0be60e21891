"""GET /api/audit and GET /metrics."""

from functools import partial

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.api.tallies import Tallies
from gateway.audit.auditor import Auditor
from gateway.clock import SystemClock
from gateway.store.client import Store
from gateway.telemetry import LABELS_MAX, REFUSED, REPLAYED, Telemetry
from tests.gateway.api.conftest import admin, usage

pytestmark = pytest.mark.anyio


async def audited(api) -> None:
    auditor = Auditor(api.bench.store, api.bench.clock)
    for _ in range(64):
        await auditor.step()


async def scraped(client) -> dict[tuple[str, ...], float]:
    """(name, label values ...) -> value."""
    answer = await client.get("/metrics")
    assert 200 == answer.status_code
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


async def test_the_audit_needs_the_admin_key(api) -> None:
    assert 401 == (await api.client.get("/api/audit")).status_code


async def test_the_audit_says_what_was_found(api) -> None:
    """Exactly four fields, null before the first round, and the difference after it."""
    fresh = (await api.get("/api/audit")).json()
    await api.call("acme", charge_pico=5, cost_pico=5)
    await api.flush()
    await audited(api)
    sound = (await api.get("/api/audit/")).json()
    profile = await api.bench.directory.load("acme")
    partition = api.bench.directory.partition_of("acme")
    await api.bench.command("HINCRBY", partition.account(profile.number), "spent", 7)
    await audited(api)
    wrong = (await api.get("/api/audit")).json()

    assert {"ok": None, "checked_at": None, "partitions": 0, "differences": []} == fresh
    assert (True, 64, []) == (sound["ok"], sound["partitions"], sound["differences"])
    assert {"ok", "checked_at", "partitions", "differences"} == wrong.keys()
    assert wrong["ok"] is False
    (difference,) = wrong["differences"]
    assert {
        "kind": "spent",
        "partition": partition.index,
        "customer": {"number": str(profile.number), "identifier": "acme"},
        "subject": "spent",
        "unit": "usd",
        "expected": "0.000000000005",
        "found": "0.000000000012",
        "difference": "0.000000000007",
    } == difference


async def test_metrics_say_how_the_ledger_is(api) -> None:
    """Drift, what is held, what waits for the flusher; then, flushed, nothing waits."""
    await api.bench.hold("acme", 3 * 10**12)
    await api.call("acme", charge_pico=5, cost_pico=5)
    await audited(api)

    before = await scraped(api.client)
    await api.flush()
    after = await scraped(api.client)

    expected = {
        ("farebox_build_info", "embedded", "1.2.3"): 1,
        ("farebox_ledger_up",): 1,
        ("farebox_ledger_drift",): 0,
        ("farebox_ledger_drift_usd",): 0,
        ("farebox_ledger_held_usd",): 3,
        ("farebox_holds_open",): 1,
        ("farebox_stream_entries",): 1,
        ("farebox_flusher_events_behind", "flush"): 1,
        ("farebox_flusher_events_behind", "archive"): 1,
        ("farebox_workers",): 1,
    }
    assert expected == {name: before[name] for name in expected}
    assert 0 <= before["farebox_flusher_lag_seconds", "flush"] < 60
    assert 0 <= before["farebox_ledger_audit_age_seconds",] < 60
    assert 0 == after["farebox_flusher_events_behind", "flush"]
    assert 0 == after["farebox_flusher_lag_seconds", "archive"]
    assert "process_resident_memory_bytes" in {name for name, *_ in before}


async def test_r33_what_goes_beyond_is_seen_by_its_cause(api) -> None:
    """Of a customer, and of all: a call of 1.60 with 1.00 held, a report, a lowered limit."""
    name = "acme"
    await api.post("/api/users/", {"customer_identifier": name, "period_budget": 2})
    await api.call(name, charge_pico=16 * 10**11, cost_pico=10**12)
    reported = await api.report(usage(inputTokens=10**6, inputTokensCached=0, outputTokens=0))
    await api.patch(f"/api/users/{name}/", {"period_budget": "1.5"})
    await audited(api)

    assert 202 == reported.status_code
    causes = {"settle": "0.6", "event": "0.6", "limit": "0.5"}
    shown = (await api.get(f"/api/users/{name}/")).json()
    assert ("2.6", "-1.1") == (shown["spent_usd"], shown["remaining_usd"])
    assert causes == shown["overshoot_usd"]
    found = await scraped(api.client)
    for cause, amount in causes.items():
        assert float(amount) == found["farebox_ledger_overshoot_usd", "customer", cause]


async def test_drift_is_a_metric(api) -> None:
    """In differences, and in money."""
    await api.call("acme", charge_pico=5, cost_pico=5)
    await api.flush()
    number = (await api.bench.directory.load("acme")).number
    account = api.bench.directory.partition_of("acme").account(number)
    await api.bench.command("HINCRBY", account, "spent", 10**12)
    await api.bench.command("HINCRBY", account, "held", 10**12)
    await audited(api)

    found = await scraped(api.client)

    assert (2, 2) == (found["farebox_ledger_drift",], found["farebox_ledger_drift_usd",])


async def test_r33_what_lies_beyond_is_a_metric(api) -> None:
    """By cause, and by whose account it is: a call of 1.60 on a hold of 1.00 is 0.60 beyond."""
    usd = 10**12
    await api.post("/api/users/", {"customer_identifier": "acme", "total_budget": 1})
    await api.call("acme", charge_pico=16 * usd // 10, cost_pico=usd)
    refused = {"customer_identifier": "beta", "total_budget": 0}
    await api.post("/api/users/", refused)
    await api.report(usage(consumerId="beta", inputTokens=10**6, inputTokensCached=0))
    for n, scope in enumerate(("group:a", "group:b", "app:bot")):
        account = api.bench.store.keyspace.partition_of(scope).scope_account(scope)
        beyond = ("over.settle", 10**n * usd, "over.event", 2 * 10**n * usd)
        await api.bench.command("HSET", account, *beyond)
    await audited(api)

    found = await scraped(api.client)

    metric = "farebox_ledger_overshoot_usd"
    assert {
        ("customer", "settle"): 0.6,
        ("customer", "event"): 1.0004,
        ("customer", "limit"): 0,
        ("group", "settle"): 11,
        ("group", "event"): 22,
        ("app", "settle"): 100,
        ("app", "event"): 200,
    } == {
        labels: value
        for (name, *rest), value in found.items()
        if name == metric and (labels := tuple(rest))
    }


async def test_r60_no_series_for_a_customer_or_a_model(api) -> None:
    """Their number is constant, and no name of theirs stands anywhere in it."""
    await api.call("canary-0", model="canary-model")
    few = await scraped(api.client)
    for i in range(1, 20):
        await api.call(f"canary-{i}", model=f"canary-model-{i}")
    await audited(api)

    text = (await api.client.get("/metrics")).text
    many = await scraped(api.client)

    assert "canary" not in text
    audit = {"farebox_ledger_overshoot_usd", "farebox_stream_alien_entries"}
    grown = {name for name, *_ in many.keys() - few.keys()}
    assert {name for name in grown if not name.startswith("farebox_ledger_")} <= audit


async def test_metrics_without_a_store_say_so(api) -> None:
    """The page is there, and short: what this worker knows by itself."""
    away = Store("unix:///nowhere.sock")
    telemetry = Telemetry()
    telemetry.gauge("endings_waiting", "Of this worker.", lambda: 3)
    tallies = Tallies(away, telemetry, api.bench.clock)
    async with api.serving(store=away, tallies=tallies) as client:
        found = await scraped(client)

    assert (0, 3) == (found["farebox_ledger_up",], found["farebox_endings_waiting",])
    assert ("farebox_ledger_drift",) not in found


async def test_metrics_of_a_full_store_are_all_there(api) -> None:
    """That is when somebody looks: what waits, what was refused, and that nobody is let in."""
    telemetry = Telemetry()
    tallies = Tallies(api.bench.store, telemetry, api.bench.clock)
    await api.call("acme", charge_pico=5, cost_pico=5)
    async with api.serving(tallies=tallies) as client:
        before = await scraped(client)
        telemetry.count(REFUSED, "ledger_unavailable")
        await api.bench.command("CONFIG", "SET", "maxmemory", "1")
        try:
            full = await scraped(client)
        finally:
            await api.bench.command("CONFIG", "SET", "maxmemory", "0")

    up, admits = ("farebox_ledger_up",), ("farebox_ledger_admits",)
    assert (1, 1) == (before[up], before[admits])
    assert (1, 0) == (full[up], full[admits])
    assert 1 == full["farebox_calls_refused_total", "ledger_unavailable"]
    assert 1 == full["farebox_flusher_events_behind", "flush"]
    assert before.keys() < full.keys()


async def test_metrics_are_served_under_our_names_only(api) -> None:
    refused = await api.client.get("/metrics", headers={"host": "evil.example"})
    assert 400 == refused.status_code
    assert 200 == (await api.client.get("/metrics", headers=admin())).status_code


async def test_all_workers_count_together(api) -> None:
    """Counters and gauges of two workers are added up, of ages the larger one is told.

    One that left has no gauge. What can be alarmed on is there from the start, as 0.
    """
    workers = []
    for size in (3, 4):
        telemetry = Telemetry()
        telemetry.gauge("wal_bytes", "Of the logs.", partial(float, size))
        telemetry.gauge("oldest_seconds", "The age.", partial(float, size), is_worst=True)
        telemetry.follow(REPLAYED, lambda: 5, "estimated")
        telemetry.count(REFUSED, "budget_exceeded")
        workers.append(Tallies(api.bench.store, telemetry, SystemClock()))
    for worker in workers:
        await worker.tell()
        await worker.tell()

    async with api.serving(tallies=workers[0]) as client:
        both = await scraped(client)
        await workers[1].leave()
        one = await scraped(client)

    assert 2 == both["farebox_calls_refused_total", "budget_exceeded"]
    assert (7, 2) == (both["farebox_wal_bytes",], both["farebox_workers",])
    assert (4, 3) == (both["farebox_oldest_seconds",], one["farebox_oldest_seconds",])
    assert 10 == one["farebox_calls_replayed_total", "estimated"]
    assert 0 == one["farebox_calls_replayed_total", "settled"] == one["farebox_dead_letters_total",]
    assert (3, 1) == (one["farebox_wal_bytes",], one["farebox_workers",])
    assert 2 == one["farebox_calls_refused_total", "budget_exceeded"]


def test_labels_have_an_end() -> None:
    """Whatever were to be counted, the page stays short."""
    telemetry = Telemetry()
    for i in range(LABELS_MAX + 50):
        telemetry.count(REFUSED, f"code-{i}")

    counts = telemetry.take()

    assert LABELS_MAX + 1 == len(counts)
    assert 50 == counts[REFUSED.name, "other"]
    assert {} == telemetry.take()
