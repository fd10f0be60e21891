"""Alerts from a real call to a real receiver: once each, signed, and again until taken."""

import base64
import json
from contextlib import contextmanager

import pytest
from standardwebhooks import Webhook
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.support.gateways import a_customer, chat_body, gateway, wait_until
from tests.support.servers import serve

SECRET = "whsec_" + base64.b64encode(b"webhook-secret-canary-123").decode()


class Receiver:
    """Takes deliveries, and refuses as many before as it is told to."""

    def __init__(self):
        self.taken = []
        self.refusals = 0
        self.attempts = []
        self.app = Starlette(routes=[Route("/hook", self.hook, methods=["POST"])])

    async def hook(self, request: Request) -> Response:
        body = await request.body()
        payload = Webhook(SECRET).verify(body, dict(request.headers))
        self.attempts.append(request.headers["webhook-id"])
        if self.refusals:
            self.refusals -= 1
            return Response("not now", 503)
        self.taken.append(payload)
        return Response(status_code=204)

    def of(self, name):
        return [
            p
            for p in self.taken
            if name in (p["data"].get("customer_identifier"), p["data"].get("group_identifier"))
        ]

    def wait(self, name, count):
        wait_until(lambda: len(self.of(name)) >= count, f"{count} alerts about {name}", 20)
        return self.of(name)


@contextmanager
def hooked(receiver, **changes):
    with serve(receiver.app) as url:
        webhook = {"url": f"{url}/hook", "secret": SECRET, "allow_private": True}
        with gateway(webhooks=[webhook | changes.pop("webhook", {})], **changes) as door:
            yield door


@pytest.fixture(scope="module")
def receiver():
    return Receiver()


@pytest.fixture(scope="module")
def door(receiver):
    groups = {"sales": {"total_budget": "0.0002"}}
    with hooked(receiver, groups=groups) as running:
        yield running


def spend(door, customer, usd, **more):
    """Reported usage of so much: input tokens at 0.15 USD per million."""
    body = {"appId": "my-app", "eventType": "text_gen", "consumerId": customer, "outputTokens": 0}
    answer = door.post("/v1/events", json={**body, "inputTokens": round(usd / 0.15e-6), **more})
    assert 202 == answer.status_code, answer.text


def test_each_threshold_is_told_once_and_then_the_refusal(door, receiver):
    customer = a_customer("a/b ✓")
    door.api.post("/api/users/", json={"customer_identifier": customer, "period_budget": "0.03"})
    spend(door, customer, 0.016)
    (half,) = receiver.wait(customer, 1)
    assert ("budget.threshold", 50, "0.03", "0.016") == (
        half["type"],
        half["data"]["threshold_percent"],
        half["data"]["limit_usd"],
        half["data"]["spent_usd"][:5],
    )
    spend(door, customer, 0.001)
    spend(door, customer, 0.014)
    receiver.wait(customer, 3)
    for _ in range(2):
        assert 402 == door.post(json=chat_body(customer)).status_code
    told = receiver.wait(customer, 4)
    wait_until(lambda: not pending(door), "nothing waits")
    assert [50, 80, 100, None] == [p["data"].get("threshold_percent") for p in told]
    assert "budget.exceeded" == told[-1]["type"]
    assert told == receiver.of(customer)


def pending(door):
    return door.api.get("/api/webhooks/deliveries/", params={"state": "pending"}).json()["count"]


def test_a_groups_budget_is_told_of_as_well(door, receiver):
    customer = a_customer()
    member = {"customer_identifier": customer, "group_identifier": "sales"}
    door.api.post("/api/users/", json=member)
    spend(door, customer, 0.00025)
    told = receiver.wait("sales", 3)
    assert {50, 80, 100} == {p["data"]["threshold_percent"] for p in told}


def test_a_model_without_a_price_is_told_of_once(door, receiver):
    for _ in range(3):
        spend(door, a_customer(), 0.001, model="demo-unheard-of", provider="demo")

    def about():
        return [p for p in receiver.taken if p["type"] == "model.unpriced"]

    wait_until(lambda: bool(about()), "it is told")
    wait_until(lambda: not pending(door), "nothing waits")
    assert [{"provider": "demo", "model": "demo-unheard-of"}] == [p["data"] for p in about()]


def test_what_is_not_taken_is_sent_again_under_the_same_id(door, receiver):
    wait_until(lambda: not pending(door), "nothing waits")
    receiver.refusals = 1
    seen = len(receiver.attempts)
    assert {"queued": 1} == door.api.post("/api/webhooks/test").json()
    wait_until(lambda: len(receiver.attempts) >= seen + 1, "it was tried")

    def row():
        return door.api.get("/api/webhooks/deliveries/").json()["results"][0]

    wait_until(lambda: row()["attempts"] == 1, "it is written down")
    assert ("pending", 503, "answered 503") == (
        row()["state"],
        row()["status_code"],
        row()["problem"],
    )
    assert 202 == door.api.post(f"/api/webhooks/deliveries/{row()['id']}/retry").status_code
    wait_until(lambda: row()["state"] == "taken", "it was taken")
    assert receiver.attempts[-1] == receiver.attempts[-2] == row()["id"]
    assert "test" == row()["payload"]["type"]
    assert 404 == door.api.post(f"/api/webhooks/deliveries/{row()['id']}/retry").status_code


def test_where_alerts_go_is_shown_and_the_secret_is_not(door):
    shown = door.api.get("/api/webhooks/")
    (row,) = shown.json()["results"]
    assert row["url"].endswith("/hook")
    assert "budget.reset" in row["events"]
    everything = shown.text + door.api.get("/api/webhooks/deliveries/").text
    assert SECRET not in everything
    assert "canary" not in everything


def test_an_address_inside_is_refused_unless_it_is_allowed():
    receiver = Receiver()
    with hooked(receiver, webhook={"allow_private": False}) as door:
        door.api.post("/api/webhooks/test")

        def row():
            return door.api.get("/api/webhooks/deliveries/").json()["results"][0]

        wait_until(lambda: row()["attempts"] == 1, "it was tried")
        assert "private network" in row()["problem"]
        assert [] == receiver.attempts


def test_only_what_was_asked_for_is_sent():
    receiver = Receiver()
    with hooked(receiver, webhook={"events": ["model.unpriced"]}) as door:
        customer = a_customer()
        limits = {"customer_identifier": customer, "total_budget": "0.01"}
        door.api.post("/api/users/", json=limits)
        spend(door, customer, 0.02)
        spend(door, customer, 0.001, model="demo-unheard-of", provider="demo")
        wait_until(lambda: bool(receiver.taken), "it is told")
        wait_until(lambda: not pending(door), "nothing waits")
        assert ["model.unpriced"] == [p["type"] for p in receiver.taken]


def test_without_webhooks_nothing_is_watched(door):
    with gateway() as plain:
        assert {"results": []} == plain.api.get("/api/webhooks/").json()
        assert 409 == plain.api.post("/api/webhooks/test").status_code
        assert json.loads(plain.api.get("/api/webhooks/deliveries/").text)["count"] == 0
