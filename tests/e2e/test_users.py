"""Users through a real gateway: erased while they call, estimated before they do."""

from decimal import Decimal

import pytest

from gateway.demo.script import Pace
from tests.support.gateways import (
    ADMIN_KEY,
    TOKEN,
    a_customer,
    chat_body,
    gateway,
    wait_until,
)

MANAGER = "manager-token-canary"


@pytest.fixture(scope="module")
def slow():
    apps = [
        {"id": "my-app", "token": TOKEN, "model": "demo-small", "period_budget": 1000},
        {"id": "boss", "token": MANAGER, "manage": True},
    ]
    pace = Pace(first_token_ms=50, token_ms=50)
    with gateway(pace=pace, apps=apps, groups={"team": {"period_budget": 50}}) as running:
        yield running


def mentions(door, text: str) -> list[bytes]:
    """Keys that name the text, or whose content does."""
    wanted, found, store = text.lower().encode(), [], door.store
    readers = {
        b"string": store.get,
        b"hash": store.hgetall,
        b"set": store.smembers,
        b"zset": lambda key: store.zrange(key, 0, -1),
        b"stream": store.xrange,
    }
    for key in store.scan_iter(count=10_000):
        content = readers[store.type(key)](key)
        if wanted in key.lower() or wanted in repr(content).lower().encode():
            found.append(key)
    return found


def test_r73_a_stream_that_ends_later_brings_nobody_back(slow) -> None:
    """Deleted in mid-stream: its client has the whole answer, it is charged, and names nobody."""
    customer = a_customer("erased")
    slow.api.post("/api/users/", json={"customer_identifier": customer, "name": f"n {customer}"})
    number = int(slow.user(customer)["id"])

    with slow.openai().chat.completions.create(
        model="demo-small",
        messages=[{"role": "user", "content": "Hello there"}],
        stream=True,
        extra_body={"customer_params": {"customer_identifier": customer}},
    ) as stream:
        chunks = iter(stream)
        next(chunks)
        assert mentions(slow, customer)
        assert 204 == slow.api.delete(f"/api/users/{customer}/").status_code
        assert [] == mentions(slow, customer)
        assert "stop" == [*chunks][-1].choices[0].finish_reason

    account = slow.partition(customer).account(number)
    wait_until(lambda: slow.store.hget(account, "held") == b"0", "the call has ended")
    assert int(slow.store.hget(account, "spent")) > 0
    counters = slow.partition(customer).counters(number)
    wait_until(lambda: slow.store.hget(counters, "calls") == b"1", "it is counted")
    wait_until(
        lambda: slow.store.zcard(slow.partition(customer).changed) == 1, "its row is looked at"
    )
    assert [] == mentions(slow, customer)
    assert 404 == slow.api.get(f"/api/users/{customer}/").status_code


def estimate(door, customer, key=ADMIN_KEY, app="my-app", temporary_key=None, **fields):
    """For the admin key the app must be named where there are several."""
    params = {"app": app, "temporary_key": temporary_key}
    answer = door.api.post(
        "/api/estimate",
        params={name: value for name, value in params.items() if value},
        json=chat_body(customer, **fields),
        headers={"authorization": f"Bearer {key}"},
    )
    assert 200 == answer.status_code, answer.text
    return answer.json()


def test_an_estimate_says_what_a_call_would_be_held_to(slow) -> None:
    """The same cap that the call then gets, the same hold, and nothing held or sent for it."""
    customer = a_customer()
    slow.api.post("/api/users/", json={"customer_identifier": customer, "period_budget": 0.002})
    sent = len(slow.seen)

    said = estimate(slow, customer)

    assert (sent, Decimal(0)) == (len(slow.seen), slow.held(customer))
    assert (True, "period_budget", "0.002") == (
        said["admitted"],
        said["binding_limit"],
        said["remaining_usd"],
    )
    answer = slow.chat(customer, "Hi")
    assert str(said["output_cap"]) == answer.headers["x-farebox-output-cap"]
    [row] = slow.logs(customer)
    assert said["worst_case_usd"] == slow.log(row["unique_id"])["hold_usd"]
    assert said["input_tokens_max"] >= answer.json()["usage"]["prompt_tokens"]


def test_an_estimate_knows_rate_limits(slow) -> None:
    """What would refuse the next call, now; asking is no call."""
    customer = a_customer()
    slow.api.post("/api/users/", json={"customer_identifier": customer, "rate_limit": 1})
    assert [True, True] == [estimate(slow, customer)["admitted"] for _ in range(2)]
    slow.chat(customer)

    said = estimate(slow, customer)

    refused = slow.chat(customer)
    assert (False, "rate_limit_exceeded") == (said["admitted"], said["code"])
    assert (429, said["code"]) == (refused.status_code, refused.json()["error"]["code"])


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        ({"max_usage": 1}, "key_used_up"),
        ({"rate_limit": 1}, "rate_limit_exceeded"),
        ({"spending_limit": 0.0000001}, "budget_exceeded"),
        ({"models": ["other-*"]}, "model_not_allowed"),
        ({"customer_identifier": "another"}, "customer_mismatch"),
    ],
)
def test_an_estimate_knows_temporary_keys(slow, limits, code) -> None:
    """By the id of the key, whose limits the call would be held to; in the call's own words."""
    made = slow.api.post("/api/temporary-keys/", json={"app": "my-app", **limits})
    assert 201 == made.status_code, made.text
    key, customer = made.json(), a_customer()
    as_key = {"headers": {"authorization": f"Bearer {key['api_key']}"}}
    if code in {"key_used_up", "rate_limit_exceeded"}:
        assert estimate(slow, customer, temporary_key=key["id"])["admitted"]
        assert 200 == slow.post(json=chat_body(customer), **as_key).status_code

    said = estimate(slow, customer, temporary_key=key["id"])

    refused = slow.post(json=chat_body(customer), **as_key)
    assert (False, code) == (said["admitted"], said["code"])
    assert code == refused.json()["error"]["code"]


def test_an_estimate_of_what_would_be_refused(slow) -> None:
    """By a budget, a block, a model that is not there; others say which limit is tightest."""
    poor, blocked = a_customer(), a_customer()
    slow.api.post("/api/users/", json={"customer_identifier": poor, "total_budget": 0})
    slow.api.post("/api/users/", json={"customer_identifier": blocked, "blocked": True})

    found = {
        "poor": estimate(slow, poor),
        "blocked": estimate(slow, blocked),
        "model": estimate(slow, a_customer(), model="nothing"),
        "team": estimate(slow, a_customer(), group_identifier="team"),
        "boss": estimate(slow, a_customer(), key=MANAGER, app=None),
    }

    assert ("budget_exceeded", "total_budget", "0") == (
        found["poor"]["code"],
        found["poor"]["binding_limit"],
        found["poor"]["remaining_usd"],
    )
    assert ("customer_blocked", "model_not_found") == (
        found["blocked"]["code"],
        found["model"]["code"],
    )
    assert [False, False, False, True, True] == [said["admitted"] for said in found.values()]
    assert ("group_period_budget", "50") == (
        found["team"]["binding_limit"],
        found["team"]["remaining_usd"],
    )
    assert (None, None) == (found["boss"]["binding_limit"], found["boss"]["remaining_usd"])


@pytest.mark.parametrize(
    ("content", "params", "status", "field"),
    [
        (b"{", {"app": "my-app"}, 422, None),
        (b'{"messages": []}', {"app": "my-app"}, 422, "model"),
        (b'{"model": "demo-small", "messages": []}', {}, 422, "app"),
        (b'{"model": "demo-small", "messages": []}', {"app": "no"}, 422, "app"),
        (b"{}", {"wat": "1"}, 422, "wat"),
    ],
)
def test_an_estimate_of_nothing(slow, content, params, status, field) -> None:
    headers = {"content-type": "application/json"}

    answer = slow.api.post("/api/estimate", params=params, content=content, headers=headers)

    assert status == answer.status_code
    if field:
        assert [field] == list(answer.json()["errors"])
