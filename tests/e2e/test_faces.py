"""The same call by every way in: prefixes, slashes, carriers of the customer, other tokens."""

import base64
import json
from urllib.parse import quote

import httpx
import pytest

from gateway.event import Kind
from tests.support.gateways import (
    OTHER_TOKEN,
    TOKEN,
    a_customer,
    by_hand,
    chat_body,
    kinds,
    total_usd,
)

PATHS = [
    prefix + path + slash
    for prefix in ("/v1/", "/api/")
    for path in ("chat/completions", "embeddings")
    for slash in ("", "/")
]


@pytest.mark.parametrize("path", PATHS)
def test_both_prefixes_with_and_without_a_slash(door, path):
    """Never a redirect: a redirected POST arrives as a GET."""
    customer = a_customer()
    body = chat_body(customer)
    if "embeddings" in path:
        body = {"model": "demo-embedding", "input": "Hi", "customer_identifier": customer}

    answer = door.post(path, json=body, follow_redirects=False)

    assert 200 == answer.status_code
    assert 1 == len(door.settled(customer))


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/", "/api/models", "/api/models/"])
def test_models_by_both_prefixes(door, path):
    for end in ("", "demo-small"):
        where = path.rstrip("/") + "/" + end if end else path
        answer = httpx.get(
            door.url + where, headers={"authorization": f"Bearer {TOKEN}"}, trust_env=False
        )
        assert 200 == answer.status_code
    assert 404 == door.api.get("/v1/models/nope", headers=bearer(TOKEN)).status_code


def bearer(token):
    return {"authorization": f"Bearer {token}"}


@pytest.mark.parametrize("header", ["authorization", "api-key", "x-api-key"])
def test_the_token_in_any_header_that_sdks_use(door, header):
    customer = a_customer()
    value = f"Bearer {TOKEN}" if header == "authorization" else TOKEN

    answer = httpx.post(
        f"{door.url}/v1/chat/completions",
        json=chat_body(customer),
        headers={header: value},
        trust_env=False,
    )

    assert 200 == answer.status_code
    assert TOKEN not in str(door.seen[-1].headers)


def in_json(customer):
    return json.dumps({"customer_params": {"customer_identifier": customer}})


CARRIERS = {
    "customer_params": lambda c: ({"customer_params": {"customer_identifier": c}}, {}),
    "customer_identifier": lambda c: ({"customer_identifier": c}, {}),
    "user": lambda c: ({"user": c}, {}),
    "safety_identifier": lambda c: ({"safety_identifier": c}, {}),
    "header": lambda c: ({}, {"x-farebox-customer": quote(c, safe="")}),
    "keywords": lambda c: ({}, {"X-Data-Keywordsai-Params": in_json(c)}),
    "respan": lambda c: (
        {},
        {"X-Data-Respan-Params": base64.b64encode(in_json(c).encode()).decode()},
    ),
}


ASKS = {  # route, and what is asked there
    "chat": ("/v1/chat/completions", chat_body()),
    "stream": ("/v1/chat/completions", chat_body(stream=True)),
    "embeddings": ("/v1/embeddings", {"model": "demo-embedding", "input": "Hi"}),
}
REFUSED = ASKS | {
    "completions": ("/v1/completions", {"model": "demo-small", "prompt": "Hi"}),
    "responses": ("/v1/responses", {"model": "demo-small", "input": "Hi"}),
    "images": ("/v1/images/generations", {"model": "demo-small", "prompt": "Hi"}),
    "speech": ("/v1/audio/speech", {"model": "demo-small", "input": "Hi", "voice": "alloy"}),
}


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("ask", ASKS)
def test_r19_every_carrier_names_the_same_customer(door, carrier, ask):
    """Checked, metered and recorded as one; what is ours never reaches the upstream."""
    customer = a_customer("Zoë/ü ")
    fields, headers = CARRIERS[carrier](customer)
    path, body = ASKS[ask]
    door.api.post("/api/users/", json={"customer_identifier": customer, "period_budget": 1})

    passed = door.post(path, json=body | fields, headers=headers)
    seen = door.seen[-1]
    door.api.patch(f"/api/users/{quote(customer, safe='')}/", json={"period_budget": 0})
    refused = door.post(path, json=body | fields, headers=headers)

    assert (200, 402) == (passed.status_code, refused.status_code)
    assert quote(customer, safe="") == passed.headers["x-farebox-customer"]
    assert [Kind.SETTLE, Kind.REFUSE] == kinds(door.settled(customer, 2))
    kept = carrier in ("user", "safety_identifier")
    assert kept == (carrier in json.loads(seen.body))
    assert not [name for name in seen.headers if name.startswith(("x-farebox", "x-data"))]


@pytest.mark.parametrize("ask", ASKS)
def test_r19_whom_nobody_names_is_one_customer_on_every_route(door, ask):
    """Without a carrier the anonymous one pays, in the answer, the stream and the logs."""
    path, body = ASKS[ask]

    answer = door.post(path, json=body)

    request_id = answer.headers["x-farebox-request-id"]
    assert quote("~anonymous", safe="") == answer.headers["x-farebox-customer"]
    assert "~anonymous" == door.log(request_id)["customer_identifier"]
    [event] = [e for e in door.events("~anonymous") if e.request_id == request_id]
    assert Kind.SETTLE is event.kind


@pytest.mark.parametrize("carrier", CARRIERS)
def test_r19_a_report_counts_on_whom_calls_name(door, carrier):
    """It uses up the budget that calls meet, by every carrier and on every route."""
    customer = a_customer("Zoë/ü ")
    fields, headers = CARRIERS[carrier](customer)
    profile = {"customer_identifier": customer, "total_budget": "0.000001"}
    door.api.post("/api/users/", json=profile)

    reported = door.post("/v1/events", json=EVENT | {"consumerId": customer})
    refused = [
        door.post(path, json=body | fields, headers=headers) for path, body in REFUSED.values()
    ]

    assert 202 == reported.status_code
    assert [402] * len(REFUSED) == [answer.status_code for answer in refused]
    assert {customer} == {answer.json()["error"]["customer_identifier"] for answer in refused}
    assert [Kind.EVENT, *[Kind.REFUSE] * len(REFUSED)] == kinds(
        door.settled(customer, 1 + len(REFUSED))
    )


def test_carriers_that_disagree_are_refused(door):
    """Nobody is charged for a call that names two customers; `user` gives way."""
    one, other = a_customer(), a_customer()

    refused = door.chat(one, customer_identifier=other)
    passed = door.chat(one, user=other)

    assert (400, "customer_conflict") == (refused.status_code, refused.json()["error"]["code"])
    assert 200 == passed.status_code
    assert 1 == len(door.settled(one))
    assert 404 == door.api.get(f"/api/users/{other}/").status_code


EVENT = {
    "appId": "my-app",
    "eventType": "text_gen",
    "inputTokens": 1_000,
    "inputTokensCached": 600,
    "outputTokens": 50,
}


def test_a_reported_event_is_counted(door):
    """The seed's payload: 202, and in every number a moment later; twice is once."""
    customer = a_customer()
    event = EVENT | {"consumerId": customer, "eventId": a_customer("event")}

    first, again = (door.post("/v1/events", json=event) for _ in range(2))
    other = door.post("/v1/events", json=event | {"outputTokens": 51})

    cost = by_hand("demo-small", 1_000, 50, 600)
    assert (202, 202, 409) == (first.status_code, again.status_code, other.status_code)
    assert {"status": "accepted", "duplicate": False, "costUsd": str(cost)}.items() <= (
        first.json().items()
    )
    assert again.json()["duplicate"]
    assert cost == total_usd(door.settled(customer)) == door.spent(customer)
    [row] = door.logs(customer)
    assert ("event", 1_000, 600, 50) == tuple(
        row[name]
        for name in ("usage_source", "prompt_tokens", "cached_tokens", "completion_tokens")
    )


@pytest.mark.parametrize(
    ("change", "token", "status", "param"),
    [
        ({"inputTokens": True}, TOKEN, 400, "inputTokens"),
        ({"inputTokens": 1.5}, TOKEN, 400, "inputTokens"),
        ({"inputTokens": "1"}, TOKEN, 400, "inputTokens"),
        ({"inputTokens": -1}, TOKEN, 400, "inputTokens"),
        ({"inputTokensCached": 1_001}, TOKEN, 400, "inputTokensCached"),
        ({"tokens": 1}, TOKEN, 400, "tokens"),
        ({"eventType": "video"}, TOKEN, 400, "eventType"),
        ({}, "nobody's", 401, None),
        ({}, OTHER_TOKEN, 403, "appId"),
    ],
)
def test_a_faulty_event_changes_nothing(door, change, token, status, param):
    customer = a_customer()

    answer = door.post(
        "/v1/events", json=EVENT | {"consumerId": customer} | change, headers=bearer(token)
    )

    assert (status, param) == (answer.status_code, answer.json()["error"]["param"])
    assert 404 == door.api.get(f"/api/users/{customer}/").status_code


def test_r75_a_call_that_is_reported_too_counts_once(door):
    """The proxy's own id, given as eventId, is a duplicate whatever its tokens."""
    customer = a_customer()
    request_id = door.chat(customer).headers["x-farebox-request-id"]

    answer = door.post("/v1/events", json=EVENT | {"consumerId": customer, "eventId": request_id})

    assert answer.json()["duplicate"]
    assert 1 == len(door.settled(customer))
