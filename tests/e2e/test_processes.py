"""Whole processes, ended gently and not: nothing that was counted is lost."""

import asyncio
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from decimal import Decimal

import httpx
import openai
import pytest

from gateway.demo.upstream import AT_ONCE, build_upstream
from gateway.event import Kind, Source, Status
from tests.support.gateways import (
    ADMIN_KEY,
    TOKEN,
    a_customer,
    chat_body,
    total_usd,
    wait_until,
)
from tests.support.processes import farebox
from tests.support.servers import serve

pytestmark = pytest.mark.slow

STREAMS = 20


@pytest.fixture
def upstream():
    app = build_upstream(pace=AT_ONCE)
    with serve(app, http="httptools") as url:
        yield app, url


@contextmanager
def live_streams(door, customer, text):
    """Twenty streams that have begun; filled in as they end."""
    ended: list[bytes | Exception] = []
    begun = threading.Semaphore(0)

    def call():
        got = b""
        headers = {"authorization": f"Bearer {TOKEN}"}
        body = chat_body(customer, text, stream=True)
        try:
            with httpx.stream(
                "POST",
                f"{door.url}/v1/chat/completions",
                json=body,
                headers=headers,
                timeout=60,
                trust_env=False,
            ) as answer:
                for chunk in answer.iter_raw():
                    if not got:
                        begun.release()
                    got += chunk
            ended.append(got)
        except httpx.HTTPError as exc:
            ended.append(exc)

    with ThreadPoolExecutor(STREAMS) as pool:
        for _ in range(STREAMS):
            pool.submit(call)
        for _ in range(STREAMS):
            assert begun.acquire(timeout=20)
        yield ended


def test_r06_sigterm_lets_calls_finish(tmp_path, upstream):
    """Every stream comes to its [DONE], every call to its event; exit code 0."""
    customer = a_customer()
    with farebox(tmp_path, *upstream) as running:
        with live_streams(running.gateway, customer, "!stall-stream 2") as ended:
            code = running.stop()
        assert 0 == code
        assert all(got.endswith(b"data: [DONE]\n\n") for got in ended)
    assert "Task was destroyed" not in (tmp_path / "log").read_text()

    with farebox(tmp_path, *upstream) as again:
        events = again.gateway.settled(customer, STREAMS)
        assert {(Status.OK, Source.REPORTED)} == {(e.status, e.source) for e in events}
        assert total_usd(events) == again.gateway.spent(customer)
        assert STREAMS == len(again.gateway.logs(customer, STREAMS))
        assert 0 == again.stop()


@pytest.mark.parametrize("workers", [1, 2])
def test_r67_calls_are_taken_while_readiness_says_no(tmp_path, upstream, workers):
    """A load balancer needs a while to see that it is ending; told again, it is no hurry."""
    customer = a_customer()
    server = {"drain_delay_seconds": 2}
    with farebox(tmp_path, *upstream, workers=workers, server=server) as running:
        door = running.gateway
        for _ in range(2):
            running.process.terminate()
            wait_until(lambda: door.api.get("/readyz").status_code == 503, "it is draining")
        answer, ready = door.chat(customer), httpx.get(f"{door.url}/readyz", trust_env=False)
        code = running.stop()

    assert 200 == answer.status_code
    assert (503, ["draining"]) == (ready.status_code, ready.json()["reasons"])
    assert 0 == code


def test_r06_sigterm_settles_what_will_not_finish(tmp_path, upstream):
    """After `drain_seconds` the streams are cut, and settled for what was seen of them."""
    customer = a_customer()
    with farebox(
        tmp_path, *upstream, server={"drain_delay_seconds": 0, "drain_seconds": 1}
    ) as running:
        with live_streams(running.gateway, customer, "!stall-stream 60") as ended:
            started = time.monotonic()
            code = running.stop()
        assert 0 == code
        assert time.monotonic() - started < 10
        assert {httpx.RemoteProtocolError} == {type(got) for got in ended}
    log = (tmp_path / "log").read_text()
    assert "Task was destroyed" not in log
    assert "not_settled" not in log
    assert "Traceback" not in log, "a stop is no failure"
    assert STREAMS == log.count("call_cut_off")

    with farebox(tmp_path, *upstream) as again:
        events = again.gateway.settled(customer, STREAMS)
        assert {(Kind.SETTLE, Status.ERROR, Source.ESTIMATED, "gateway_stopped")} == {
            (e.kind, e.status, e.source, e.error_code) for e in events
        }
        assert total_usd(events) == again.gateway.spent(customer) > 0
        assert STREAMS == len(again.gateway.logs(customer, STREAMS))


def test_r03_a_killed_gateway_leaves_exact_balances(tmp_path, upstream):
    """What ran is settled from its log at the next start: known, not free, and held no more."""
    customer = a_customer()
    with farebox(tmp_path, *upstream) as running:
        first = running.gateway.chat(customer)
        paid = Decimal(first.headers["x-farebox-charge-usd"])
        running.gateway.settled(customer)
        with live_streams(running.gateway, customer, "!stall-stream 60") as ended:
            held = running.gateway.held(customer)
            time.sleep(2.2)  # they are noted once a second
            running.kill()
        assert STREAMS == len(ended)
        with farebox(tmp_path, *upstream) as again:
            door = again.gateway
            events = door.settled(customer, STREAMS + 1)
            died = [event for event in events if event.error_code == "gateway_died"]
            assert STREAMS == len(died)
            assert {(Kind.SETTLE, Status.ERROR, Source.ESTIMATED)} == {
                (e.kind, e.status, e.source) for e in died
            }
            assert all(e.usage.input_tokens and e.usage.output_tokens for e in died)
            assert 0 < total_usd(died) < held
            assert paid + total_usd(died) == door.spent(customer)
            assert 200 == door.chat(customer).status_code
            assert 0 == again.stop()


def test_a_killed_store_comes_back(tmp_path, upstream):
    """Calls are refused while it is away, worth a retry, and go on by themselves."""
    customer = a_customer()
    with farebox(tmp_path, *upstream) as running:
        door = running.gateway
        for _ in range(5):
            assert 200 == door.chat(customer).status_code
        spent = total_usd(door.settled(customer, 5))
        time.sleep(1.5)  # appendfsync everysec
        with live_streams(door, customer, "!stall-stream 1") as ended:
            os.kill(running.store_pid, signal.SIGKILL)
            outcomes: list[int] = []
            deadline = time.monotonic() + 15
            while not outcomes or outcomes[-1] != 200:
                assert time.monotonic() < deadline
                outcomes.append(door.chat(customer).status_code)
        assert set(outcomes) <= {200, 503}
        assert all(isinstance(got, bytes) for got in ended), ended
        events = door.settled(customer, 5 + STREAMS + 1)
        assert total_usd(events) == door.spent(customer) > spent
        assert 0 == running.stop()


@pytest.mark.parametrize("workers", [1, 4])
def test_r20_a_limit_holds_over_all_workers(tmp_path, upstream, workers):
    """50 calls at once, room for the holds of 4: exactly 4 reach the upstream."""
    app, _ = upstream
    all_or_nothing = {"budgets": {"policy": "reject"}}
    with farebox(tmp_path, *upstream, workers=workers, changes=all_or_nothing) as running:
        door, customer, probe = running.gateway, a_customer(), a_customer()
        door.chat(probe, "!stall 1", customer_params={"total_budget": 1})
        hold = Decimal(door.settled(probe)[0].hold_pico).scaleb(-12)
        before = len(app.state.seen)
        params = {"customer_identifier": customer, "total_budget": str(hold * 9 / 2)}

        async def call(client):
            return await client.chat.completions.create(
                model="demo-small",
                messages=[{"role": "user", "content": "!stall 1"}],
                extra_body={"customer_params": params},
            )

        async def crowd():
            async with door.async_openai(max_retries=0) as client:
                return await asyncio.gather(
                    *(call(client) for _ in range(50)), return_exceptions=True
                )

        outcomes = asyncio.run(crowd())

        refused = [outcome for outcome in outcomes if isinstance(outcome, openai.RateLimitError)]
        assert (4, 46) == (len(app.state.seen) - before, len(refused))
        spent = total_usd(door.settled(customer, 50))
        assert workers == len(asyncio.run(told_by_each(running, customer, workers, spent)))
        assert 0 == running.stop()


async def told_by_each(running, customer, workers, spent):
    """Ask until every worker has said what the customer has spent; their process ids."""
    headers = {"authorization": f"Bearer {ADMIN_KEY}"}
    asked: set[int] = set()

    async def ask_one():
        door = running.gateway
        async with httpx.AsyncClient(
            base_url=door.url, headers=headers, trust_env=False, timeout=30
        ) as api:
            answer = await api.get(f"/api/users/{customer}/")
            user, stream = answer.json(), answer.extensions["network_stream"]
            assert (spent, Decimal(0)) == (Decimal(user["spent_usd"]), Decimal(user["held_usd"]))
            asked.update(running.workers_at(stream.get_extra_info("client_addr")[1]))

    for _ in range(20):
        if len(asked) < workers:
            await asyncio.gather(*(ask_one() for _ in range(20)))
    return asked
