"""A budget that many customers share, through HTTP and over whole processes."""

import asyncio
from decimal import Decimal
from typing import Any

import openai
import pytest
import redis

from gateway.demo.upstream import AT_ONCE, build_upstream
from gateway.event import Kind
from gateway.store.keys import Keyspace
from tests.support.gateways import (
    OTHER_TOKEN,
    TOKEN,
    a_customer,
    chat_body,
    gateway,
    kinds,
    wait_until,
)
from tests.support.processes import farebox
from tests.support.servers import serve

CALLS = 50
GROUP = "crowd"


@pytest.fixture
def upstream():
    app = build_upstream(pace=AT_ONCE)
    with serve(app, http="httptools") as url:
        yield app, url


def account(store: redis.Redis, scope: str) -> tuple[int, int]:
    """Spent and held, pico-USD."""
    where = Keyspace().partition_of(scope).scope_account(scope)
    spent, held = store.hmget(where, "spent", "held")
    return int(spent or 0), int(held or 0)


def test_a_refusal_names_the_group_or_the_app():
    """In the error's fields and words; the row of the call names both."""
    apps = [
        {"id": "small", "token": TOKEN, "model": "demo-small", "period_budget": "0.000001"},
        {"id": "other", "token": OTHER_TOKEN, "model": "demo-small"},
    ]
    groups = {GROUP: {"total_budget": 0}}
    with gateway(groups=groups, apps=apps, budgets={"policy": "reject"}) as door:
        customer, alone = a_customer(), a_customer()

        refused = door.chat(customer, group_identifier=GROUP).json()["error"]
        assert ("budget_exceeded", "group_total_budget") == (refused["code"], refused["limit"])
        assert (customer, GROUP) == (refused["customer_identifier"], refused["group_identifier"])
        assert refused["message"].startswith(f'Group "{GROUP}" has used 0.00 of its 0.00 USD total')

        refused = door.chat(alone).json()["error"]
        assert ("app_period_budget", "small") == (refused["limit"], refused["app"])
        assert refused["message"].startswith('App "small" has used 0.00 of its 0.000001 USD')

        (event,) = door.settled(customer)
        assert (Kind.REFUSE, GROUP, "small") == (event.kind, event.group, event.app)
        assert not door.seen
        other = {"authorization": f"Bearer {OTHER_TOKEN}"}
        assert 200 == door.post(json=chat_body(alone), headers=other).status_code


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_r20_a_group_limit_holds_over_customers_and_workers(tmp_path, upstream, workers):
    """50 customers at once, room for the holds of 4: exactly 4 reach the upstream."""
    app, _ = upstream
    for folder in ("probe", "group"):
        (tmp_path / folder).mkdir()
    with farebox(tmp_path / "probe", *upstream) as running:
        probe = a_customer()
        running.gateway.chat(probe, "!stall 1", customer_params={"total_budget": 1})
        hold = Decimal(running.gateway.settled(probe)[0].hold_pico).scaleb(-12)
    before = len(app.state.seen)
    changes: Any = {
        "groups": {GROUP: {"period_budget": str(hold * 9 / 2)}},
        "budgets": {"policy": "reject"},
    }
    with farebox(tmp_path / "group", *upstream, workers=workers, **changes) as running:
        door = running.gateway
        customers = [a_customer() for _ in range(CALLS)]

        async def call(client, customer):
            params = {"customer_identifier": customer, "group_identifier": GROUP}
            return await client.chat.completions.create(
                model="demo-small",
                messages=[{"role": "user", "content": "!stall 1"}],
                extra_body={"customer_params": params},
            )

        async def crowd():
            async with door.async_openai(max_retries=0) as client:
                calls = (call(client, customer) for customer in customers)
                return await asyncio.gather(*calls, return_exceptions=True)

        outcomes = asyncio.run(crowd())

        refused = [o for o in outcomes if isinstance(o, openai.RateLimitError)]
        assert (4, 46) == (len(app.state.seen) - before, len(refused))
        assert {GROUP} == {error.response.json()["error"]["group_identifier"] for error in refused}
        events = [event for customer in customers for event in door.settled(customer)]
        assert 4 == kinds(events).count(Kind.SETTLE)
        assert 46 == kinds(events).count(Kind.REFUSE)
        assert CALLS == len(events)
        spent = sum(event.charge_pico for event in events)
        wait_until(
            lambda: account(door.store, f"group:{GROUP}") == (spent, 0), "the group is charged"
        )
        assert 0 == running.stop()
