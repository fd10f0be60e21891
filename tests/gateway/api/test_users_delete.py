"""Deleting users: nobody is named any more, nothing that was counted is lost or free."""

import pytest
from msgspec.structs import replace

from gateway.errors import BudgetExceeded
from gateway.metering.erasure import Erasure
from gateway.metering.trimmer import Trimmer
from gateway.store.archive.outbox import Noted
from pricing.money import pico_usd
from pricing.usage import Usage
from tests.gateway.api.conftest import admin

pytestmark = pytest.mark.anyio

SECRET = "erased-customer@privacy.example"


async def delete(api, path: str, **query):
    return await api.client.delete(path, params=query or None, headers=admin())


async def mentions(api, text: str = SECRET) -> list[bytes]:
    """Every key of the store that has the text, in its name or in what it holds."""
    found, wanted = [], text.lower().encode()
    for key in await api.bench.command("KEYS", "*"):
        kind = await api.bench.command("TYPE", key)
        read = {
            b"string": ("GET", key),
            b"hash": ("HGETALL", key),
            b"set": ("SMEMBERS", key),
            b"zset": ("ZRANGE", key, 0, -1),
            b"stream": ("XRANGE", key, "-", "+"),
        }[kind]
        if wanted in (key + repr(await api.bench.command(*read)).encode()).lower():
            found.append(key)
    return found


async def test_r73_a_deleted_customer_is_nowhere(api) -> None:
    """No key and no stream entry names it, nor once a call that was in flight has ended."""
    about = {"name": f"name {SECRET}", "email": SECRET, "metadata": {"is": SECRET}}
    await api.post("/api/users/", {"customer_identifier": SECRET, **about})
    await api.call(SECRET, usage=Usage(input_tokens=3), charge_pico=5, cost_pico=5)
    running = await api.bench.hold(SECRET, pico_usd("1"))
    await api.flush()
    assert len(await mentions(api)) > 5

    deleted = await delete(api, f"/api/users/{SECRET}/")

    assert (204, b"") == (deleted.status_code, deleted.content)
    assert [] == await mentions(api)
    await api.bench.settle(running, pico_usd("0.25"))
    await api.flush()
    assert [] == await mentions(api)
    assert 404 == (await api.get(f"/api/users/{SECRET}/")).status_code
    assert 404 == (await delete(api, f"/api/users/{SECRET}/")).status_code
    assert 0 == (await api.get("/api/users/list/")).json()["count"]
    assert [] == await api.differences()


async def test_events_keep_the_number(api) -> None:
    """What was spent stays in every sum; the logs have nobody to name."""
    await api.call("acme", usage=Usage(input_tokens=3), charge_pico=5, cost_pico=5, model="small")
    await api.flush()

    await delete(api, "/api/users/acme/")

    logs = (await api.get("/api/request-logs/list/")).json()
    assert [None] == [row["customer_identifier"] for row in logs["results"]]
    assert 1 == (await api.get("/api/analytics/summary")).json()["requests"]
    data = (await api.get("/api/analytics/top-users")).json()["data"]
    assert [(None, 1)] == [(user["customer_identifier"], user["requests"]) for user in data]


async def test_what_calls_said_goes_from_the_archive(api) -> None:
    """Metadata is removed, batch by batch, of what ends later too; others keep theirs."""
    for customer in ("acme", "other"):
        await api.call(customer, metadata={"thread_identifier": customer})
    late = await api.bench.hold("acme", 5)
    await api.flush()
    erasure = Erasure(api.bench.store, api.services.archive)
    assert 0 == await erasure.step()

    await delete(api, "/api/users/acme/")
    assert 1 == await erasure.step()
    assert 0 == await erasure.step()
    event = replace(api.bench.event(late, 3), metadata={"thread_identifier": "acme"})
    await api.bench.ledger.settle(late, event)
    await api.flush()
    assert 1 == await erasure.step()

    logs = (await api.get("/api/request-logs/list/")).json()["results"]
    said = sorted(str(row["metadata"]) for row in logs)
    assert ["None", "None", "{'thread_identifier': 'other'}"] == said


async def test_r73_an_alert_that_was_noted_late_goes_too(api) -> None:
    """Somebody read the stream before the deletion, and noted it after; others keep theirs."""
    erasure = Erasure(api.bench.store, api.services.archive)
    outbox = api.services.archive.outbox
    for customer in ("acme", "other"):
        await api.call(customer)
    late = [noted(customer) for customer in ("acme", "other")]
    await outbox.note(late)
    await delete(api, "/api/users/acme/")
    assert ["other"] == await outbox.customers()
    for _ in range(2):
        await outbox.note(late)
        assert 2 == await erasure.step()
        assert ["other"] == await outbox.customers()


def noted(customer: str) -> Noted:
    return Noted(
        once=f"customer:{customer}",
        topic="budget.threshold",
        subject=f"customer:{customer}",
        limit="total_budget",
        at_ms=1_000,
        until_ms=0,
        data={"customer_identifier": customer},
        body=b"{}",
        urls=["https://hooks.example.com"],
    )


async def test_deleting_renews_no_total_budget(api) -> None:
    """Who comes back under the name has spent what was spent, and what was still held."""
    await api.post("/api/users/", {"customer_identifier": "acme", "total_budget": 10})
    await api.bench.settle(await api.bench.hold("acme", pico_usd("4")), pico_usd("3"))
    await api.bench.hold("acme", pico_usd("2"))
    for _ in range(2):
        await delete(api, "/api/users/acme/")
        await api.post("/api/users/", {"customer_identifier": "acme", "total_budget": 10})

    detail = (await api.get("/api/users/acme/")).json()

    assert ("0", "5", "5") == (
        detail["spent_usd"],
        detail["carried_over_usd"],
        detail["remaining_usd"],
    )
    with pytest.raises(BudgetExceeded) as refused:
        await api.bench.hold("acme", pico_usd("5.01"))
    assert ("10", "5") == (refused.value.details["limit_usd"], refused.value.details["spent_usd"])
    await api.bench.settle(await api.bench.hold("acme", pico_usd("5")), pico_usd("5"))
    with pytest.raises(BudgetExceeded):
        await api.bench.hold("acme", 1)
    assert [] == await api.differences()


async def test_a_call_makes_it_anew_with_what_was_spent(api) -> None:
    """Its first call after that is held to the budget already, by a gateway that knew it before."""
    await api.bench.settle(await api.bench.hold("acme", 10, total_budget=100), 90)
    before = api.bench.directory.cached("acme")
    await delete(api, "/api/users/acme/")
    api.bench.directory.remember(before, api.bench.store.changes)  # as another gateway has it

    with pytest.raises(BudgetExceeded):
        await api.bench.hold("acme", 11, total_budget=100)
    hold = await api.bench.hold("acme", 10, total_budget=100)

    assert before.number != hold.profile.number
    assert 90 == hold.terms.limits.carried_pico


async def test_a_customer_called_list_is_deleted_by_the_query(api) -> None:
    await api.post("/api/users/", {"customer_identifier": "list"})

    assert 204 == (await delete(api, "/api/users/", customer_identifier="list")).status_code

    assert 0 == (await api.get("/api/users/list/")).json()["count"]


async def test_the_anonymous_stay(api) -> None:
    await api.call("~anonymous", charge_pico=7, cost_pico=7)

    assert 422 == (await delete(api, "/api/users/~anonymous/")).status_code


async def test_trimming_keeps_what_it_was_credited(api) -> None:
    """Books add up when the events that explain them are gone from the stream."""
    await api.post("/api/users/", {"customer_identifier": "acme", "total_budget": 1})
    await api.post("/api/users/acme/credits/", {"amount_usd": "2.5"})
    await api.call("acme", charge_pico=5, cost_pico=5)
    await api.flush()
    trimmer = Trimmer(api.bench.store, api.flusher.sinks, hot_hours=-1)

    assert 2 == await trimmer.step()

    await api.post("/api/users/acme/credits/", {"amount_usd": -1})
    await api.flush()
    assert [] == await api.differences()
    assert "1.5" == (await api.get("/api/users/acme/")).json()["credits_usd"]
