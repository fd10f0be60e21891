"""Whole processes that die at a named point, and the books they leave: docs/reliability.md."""

import os
import random
import shutil
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import httpx
import pytest

from gateway.demo.upstream import AT_ONCE, build_upstream
from gateway.event import Kind, Source, Status
from tests.support.gateways import TOKEN, a_customer, chat_body, total_usd, wait_until
from tests.support.processes import Running, farebox
from tests.support.proxies import slow_wire
from tests.support.servers import serve
from tests.support.stores import server

pytestmark = pytest.mark.slow


@pytest.fixture
def upstream():
    app = build_upstream(pace=AT_ONCE)
    with serve(app, http="httptools") as url:
        yield app, url


def call_until_dead(running: Running, customer: str, text: str = "Hi", **fields) -> bytes:
    """What came of the answer before the gateway died."""
    got = b""
    try:
        with httpx.stream(
            "POST",
            f"{running.gateway.url}/v1/chat/completions",
            json=chat_body(customer, text, **fields),
            headers={"authorization": f"Bearer {TOKEN}"},
            timeout=30,
            trust_env=False,
        ) as answer:
            for chunk in answer.iter_raw():
                got += chunk
    except httpx.HTTPError:
        pass
    running.died()
    return got


GATEWAY_POINTS = [  # where it dies; the upstream was called; how the call ends
    ("after_intent", False, (Kind.RELEASE, None)),
    ("after_hold", False, (Kind.RELEASE, None)),
    ("after_sent", False, (Kind.SETTLE, Source.ESTIMATED)),
    ("mid_stream", True, (Kind.SETTLE, Source.ESTIMATED)),
    ("before_final", True, (Kind.SETTLE, Source.ESTIMATED)),
    ("after_final", True, (Kind.SETTLE, Source.REPORTED)),
    ("after_settle", True, (Kind.SETTLE, Source.REPORTED)),
]


@pytest.mark.parametrize(("point", "called", "end"), GATEWAY_POINTS)
def test_r03_a_gateway_that_dies_leaves_exact_books(tmp_path, upstream, point, called, end):
    """Never free once it was sent, never twice, nothing held; and the next call is served."""
    app, _ = upstream
    customer = a_customer()
    streams = point == "mid_stream"
    with farebox(tmp_path, *upstream, crash_at=point) as running:
        running.gateway.api.post("/api/users/", json={"customer_identifier": customer})
        call_until_dead(running, customer, "!stall-stream 5" if streams else "Hi", stream=streams)
        assert called == bool(app.state.seen)
        with farebox(tmp_path, *upstream) as again:
            door = again.gateway
            (event,) = door.settled(customer)
            assert end == (event.kind, event.source)
            assert (event.kind is Kind.SETTLE) == (event.charge_pico > 0)
            if end[1] is Source.ESTIMATED:
                assert (Status.ERROR, "gateway_died") == (event.status, event.error_code)
                assert (point == "mid_stream") == bool(event.usage.output_tokens)
            assert total_usd([event]) == door.spent(customer)
            assert 200 == door.chat(customer).status_code
            events = door.settled(customer, 2)
            assert total_usd(events) == door.spent(customer)
            assert 2 == len(door.logs(customer, 2))
            assert 0 == again.stop()
        with farebox(tmp_path, *upstream) as third:
            assert 2 == len(third.gateway.settled(customer, 2)), "replayed once"


@pytest.mark.parametrize(
    ("point", "source"), [("before_final", Source.ESTIMATED), ("after_final", Source.REPORTED)]
)
def test_r03_who_has_seen_the_end_of_a_stream_is_charged_exactly(tmp_path, upstream, point, source):
    """The end is in the log before its client can see it."""
    customer = a_customer()
    with farebox(tmp_path, *upstream, crash_at=point) as running:
        got = call_until_dead(running, customer, "Hi", stream=True)
        assert b"[DONE]" not in got
        with farebox(tmp_path, *upstream) as again:
            (event,) = again.gateway.settled(customer)
            assert (Kind.SETTLE, source) == (event.kind, event.source)
            assert 0 == again.stop()


@pytest.mark.parametrize(
    "point", ["flusher_read", "roster_written", "flusher_counted", "flusher_archived"]
)
def test_r05_a_flusher_that_dies_counts_each_event_once(tmp_path, upstream, point):
    """Counters, archive and ledger agree, wherever in a batch it was killed."""
    customer = a_customer()
    with farebox(tmp_path, *upstream, crash_at=point) as running:
        call_until_dead(running, customer)
        with farebox(tmp_path, *upstream) as again:
            door = again.gateway
            door.settled(customer)
            for _ in range(4):
                assert 200 == door.chat(customer).status_code
            events = door.settled(customer, 5)
            wait_until(lambda: 5 == door.user(customer)["number_of_requests"], "all are counted")
            user = door.user(customer)
            assert total_usd(events) == door.spent(customer) == Decimal(str(user["total_cost"]))
            rows = door.logs(customer, 5)
            assert 5 == len(rows) == len({row["unique_id"] for row in rows})
            assert 0 == again.stop()


def test_r03_killed_again_and_again_under_traffic(tmp_path, upstream):
    """Every answer that was seen is booked at the price it told; nothing twice, nothing held."""
    customer = a_customer()
    charges: dict[str, Decimal] = {}
    rng = random.Random(7)

    def traffic(url: str, stop: threading.Event) -> None:
        headers = {"authorization": f"Bearer {TOKEN}"}
        with httpx.Client(base_url=url, headers=headers, trust_env=False) as client:
            while not stop.is_set():
                try:
                    answer = client.post("/v1/chat/completions", json=chat_body(customer))
                except httpx.HTTPError:
                    time.sleep(0.01)
                    continue
                if answer.status_code == 200:
                    charges[answer.headers["x-farebox-request-id"]] = Decimal(
                        answer.headers["x-farebox-charge-usd"]
                    )

    for round_ in range(4):
        with farebox(tmp_path, *upstream) as running, ThreadPoolExecutor(4) as pool:
            stop, before = threading.Event(), len(charges)
            for _ in range(4):
                pool.submit(traffic, running.gateway.url, stop)
            wait_until(lambda: len(charges) > before + 30, "calls are served", 20)  # noqa: B023
            time.sleep(rng.uniform(0.0, 0.3))
            if round_ == 2:
                os.kill(running.store_pid, signal.SIGKILL)
                time.sleep(rng.uniform(0.0, 0.5))
            running.kill()
            stop.set()
    with farebox(tmp_path, *upstream) as last:
        door = last.gateway
        wait_until(lambda: door.held(customer) == 0, "nothing is held", 20)
        events = door.events(customer)
        booked = {e.request_id: Decimal(e.charge_pico).scaleb(-12) for e in events}
        assert len(events) == len(booked)
        assert len(charges) > 120
        assert charges == {name: booked.get(name) for name in charges}
        assert total_usd(events) == door.spent(customer)
        assert 0 == last.stop()


def test_r27_an_older_copy_of_the_store_is_made_good(tmp_path, upstream):
    """The store's folder is restored from a copy: what came after it is told again."""
    customer = a_customer()
    with farebox(tmp_path, *upstream) as running:
        door = running.gateway
        charges = [Decimal(door.chat(customer).headers["x-farebox-charge-usd"]) for _ in range(5)]
        door.settled(customer, 5)
        time.sleep(1.2)  # appendfsync everysec
        folder = tmp_path / "data" / "store"
        shutil.copytree(folder, tmp_path / "copy", ignore=shutil.ignore_patterns("*.sock"))
        charges += [Decimal(door.chat(customer).headers["x-farebox-charge-usd"]) for _ in range(9)]
        door.settled(customer, 14)
        store_pid = running.store_pid
        running.kill()
        os.kill(store_pid, signal.SIGKILL)
        time.sleep(0.2)
        shutil.rmtree(folder)
        shutil.copytree(tmp_path / "copy", folder)
        with farebox(tmp_path, *upstream) as again:
            assert 14 == len(again.gateway.settled(customer, 14))
            assert sum(charges) == again.gateway.spent(customer)
            assert 0 == again.stop()


@pytest.mark.parametrize("policy", ["closed", "open"])
def test_r21_a_store_that_is_away_at_boot(tmp_path, upstream, policy):
    """Open: 200, a warning, and counted later. Closed: 503 for whom a limit binds, only."""
    free, poor = a_customer("free"), a_customer("poor")
    socket = tmp_path / "late.sock"
    with server() as url:
        real = url.removeprefix("unix://")
        changes = {
            "redis": {"url": f"unix://{socket}"},
            "budgets": {"when_ledger_down": policy},
        }
        with farebox(tmp_path, *upstream, ready=False, changes=changes) as running:
            door = running.gateway
            wait_until(lambda: door.api.get("/livez").status_code == 200, "it lives", 20)
            answer = door.chat(free)
            assert 200 == answer.status_code
            assert "counted later" in answer.headers["x-farebox-warnings"]
            refused = door.chat(poor, customer_params={"total_budget": 1})
            assert (200 if policy == "open" else 503) == refused.status_code
            if policy == "closed":
                assert "ledger_unavailable" == refused.json()["error"]["code"]
                assert "true" == refused.headers["x-should-retry"]
            ready = door.api.get("/readyz")
            assert (200 if policy == "open" else 503) == ready.status_code
            assert "wait to be counted" in ready.text
            socket.symlink_to(real)
            wait_until(lambda: door.api.get("/readyz").json() == {"status": "ready"}, "back", 5)
            (event,) = door.settled(free)
            assert event.unheld
            assert total_usd([event]) == door.spent(free) > 0
            assert (policy == "open") == bool(door.events(poor))
            assert 200 == door.chat(poor, customer_params={"total_budget": 1}).status_code
            assert 0 == running.stop()


def test_r06_sigterm_with_a_slow_store_loses_nothing(tmp_path, upstream):
    """Fifty live streams, 200 ms to the store: as many events as calls, and no task destroyed."""
    customer = a_customer()
    count = 50
    with server() as url, slow_wire(url, delay_seconds=0.2) as slow:
        changes = {"redis": {"url": slow}, "server": {"drain_delay_seconds": 0, "drain_seconds": 1}}
        with farebox(tmp_path, *upstream, changes=changes) as running:
            begun = threading.Semaphore(0)

            def stream() -> None:
                try:
                    with httpx.stream(
                        "POST",
                        f"{running.gateway.url}/v1/chat/completions",
                        json=chat_body(customer, "!stall-stream 30", stream=True),
                        headers={"authorization": f"Bearer {TOKEN}"},
                        timeout=60,
                        trust_env=False,
                    ) as answer:
                        for n, _ in enumerate(answer.iter_raw()):
                            if n == 0:
                                begun.release()
                except httpx.HTTPError:
                    pass

            with ThreadPoolExecutor(count) as pool:
                for _ in range(count):
                    pool.submit(stream)
                for _ in range(count):
                    assert begun.acquire(timeout=30)
                assert 0 == running.stop()
            log = (tmp_path / "log").read_text()
            assert "Task was destroyed" not in log
            assert "Traceback" not in log
            with farebox(tmp_path, *upstream, redis={"url": url}) as again:
                events = again.gateway.settled(customer, count)
                assert {(Kind.SETTLE, "gateway_stopped")} == {
                    (e.kind, e.error_code) for e in events
                }
                assert total_usd(events) == again.gateway.spent(customer) > 0
                assert 0 == again.stop()


def test_a_strict_gateway_serves_and_survives(tmp_path, upstream):
    """With the disk in the way of each call: the same answers, the same books."""
    customer = a_customer()
    with farebox(tmp_path, *upstream, durability="strict") as running:
        with ThreadPoolExecutor(8) as pool:
            codes = list(pool.map(lambda _: running.gateway.chat(customer).status_code, range(40)))
        assert {200} == set(codes)
        running.kill()
        with farebox(tmp_path, *upstream, durability="strict") as again:
            events = again.gateway.settled(customer, 40)
            assert total_usd(events) == again.gateway.spent(customer)
            assert 0 == again.stop()
