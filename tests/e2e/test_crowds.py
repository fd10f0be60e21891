"""Many at once: every answer is its caller's own, and the events add up."""

import asyncio
import json
import random
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from gateway.demo.upstream import AT_ONCE, build_upstream
from gateway.event import Kind
from tests.support.gateways import (
    TOKEN,
    a_customer,
    an_upstream,
    chat_body,
    gateway,
    price_of,
    total_usd,
    wait_until,
)
from tests.support.rawhttp import request
from tests.support.rawupstream import deaf
from tests.support.servers import serve
from tests.support.sizes import sized

OPEN_FILES = Path("/proc/self/fd")


@pytest.mark.parametrize("count", [60, pytest.param(200, marks=pytest.mark.slow)])
def test_many_calls_at_once(door, count):
    """Streamed and not, over ten customers: no answer is another's, no charge is lost."""
    customers = [a_customer() for _ in range(10)]

    async def call(client, number):
        name = f"caller-{number:04d}"
        options = {"stream": True, "stream_options": {"include_usage": True}} if number % 2 else {}
        answer = await client.chat.completions.create(
            model="demo-small",
            messages=[{"role": "user", "content": name}],
            extra_body={"customer_identifier": customers[number % 10]},
            **options,
        )
        if not options:
            assert answer.choices[0].message.content.startswith(f"You said: {name}")
            return price_of(answer.usage)
        chunks = [chunk async for chunk in answer]
        text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
        assert text.startswith(f"You said: {name}")
        return price_of(chunks[-1].usage)

    async def crowd():
        client = door.async_openai(http_client=httpx.AsyncClient(trust_env=False, timeout=60))
        async with client:
            return await asyncio.gather(*(call(client, number) for number in range(count)))

    charges = asyncio.run(crowd())

    events = [event for c in customers for event in door.settled(c, count // 10)]
    assert sum(charges) == total_usd(events) == sum(door.spent(c) for c in customers)
    assert count == len({event.request_id for event in events})
    rows = [row for customer in customers for row in door.logs(customer, count // 10)]
    assert {event.request_id for event in events} == {row["unique_id"] for row in rows}


def test_r03_calls_cut_off_at_random_moments_leave_nothing_behind(door):
    """Each has one event, nothing stays held, and the next hundred find their connections."""
    customer, chance = a_customer(), random.Random(7)

    async def call(client, number):
        fault = ("!stall 0.05", "!stall-stream 0.05", "Hi")[number % 3]
        body = chat_body(customer, fault, stream=bool(number % 2))
        try:
            async with asyncio.timeout(chance.uniform(0.001, 0.15)):
                await client.post("/v1/chat/completions", json=body)
        except TimeoutError:
            pass

    async def crowd():
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(
            base_url=door.url,
            headers={"authorization": f"Bearer {TOKEN}"},
            trust_env=False,
            limits=limits,
        ) as client:
            for _ in range(3):
                await asyncio.gather(*(call(client, number) for number in range(60)))

    asyncio.run(crowd())

    door_open = [door.chat(customer, f"after {number}") for number in range(20)]
    assert {200} == {answer.status_code for answer in door_open}
    wait_until(lambda: door.held(customer) == 0, "nothing is held")
    events = door.events(customer)
    assert len(events) == len({event.request_id for event in events})
    assert {event.kind for event in events} <= {Kind.SETTLE, Kind.RELEASE}
    assert total_usd(events) == door.spent(customer)


LEAVING = sized(2_000, full=5_000)
PHASES: list[tuple[str, dict[str, Any]]] = [
    ("Hi", {"model": "deaf"}),
    ("!stall 20", {"stream": True}),
    ("!stall-stream 20", {"stream": True}),
    ("!stall 20", {}),
    ("!stall-stream 20", {}),
    ("Hi", {"stream": True}),
    ("Hi", {}),
]
"""Dialling, before the first byte, within a stream, waiting for a whole answer and within it; and
calls that are not kept waiting."""


@pytest.mark.slow
@pytest.mark.skipif(not OPEN_FILES.exists(), reason="needs /proc, to count what is open")
def test_r14_r15_thousands_who_leave_leak_nothing():
    """In every phase: one event each at most, no connection left behind on any side."""
    customer, chance = a_customer(), random.Random(11)
    upstream = build_upstream(pace=AT_ONCE)
    with serve(upstream, http="httptools") as url, deaf() as nobody:
        accounts = [
            an_upstream(url),
            an_upstream(nobody, name="deaf", models=["deaf"], timeouts={"connect": 60}),
        ]
        with gateway(upstreams=accounts) as door:
            parts = urlsplit(door.url)

            async def call(number):
                text, fields = PHASES[number % len(PHASES)]
                body = json.dumps(chat_body(customer, text, **fields)).encode()
                _, writer = await asyncio.open_connection(parts.hostname, parts.port)
                asking = request("/v1/chat/completions", body, authorization=f"Bearer {TOKEN}")
                writer.write(asking)
                await asyncio.sleep(chance.uniform(0, 0.15))
                writer.transport.abort()

            async def crowd():
                for start in range(0, LEAVING, 100):
                    await asyncio.gather(*(call(start + number) for number in range(100)))
                    answer = await asyncio.to_thread(door.chat, customer, f"after {start}")
                    assert 200 == answer.status_code

            door.chat(customer)
            before = open_files()

            asyncio.run(crowd())

            wait_until(lambda: door.held(customer) == 0, "nothing is held", seconds_max=30)
            events = door.events(customer)
            assert len(events) == len({event.request_id for event in events})
            assert {event.kind for event in events} <= {Kind.SETTLE, Kind.RELEASE}
            assert total_usd(events) == door.spent(customer)
            assert any(seen.disconnected_after_s is not None for seen in upstream.state.seen)
            assert any(e.model == "deaf" and e.kind is Kind.RELEASE for e in events)
            wait_until(lambda: open_files() < before + 150, "no more is open than a round may keep")
            for number in range(20):
                assert 200 == door.chat(customer, f"at last {number}").status_code


def open_files():
    return len(list(OPEN_FILES.iterdir()))
