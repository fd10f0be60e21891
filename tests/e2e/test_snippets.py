"""What AffordAI's and Keywords AI's documentation shows, with only host and key replaced."""

import http.client
import json
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx

from tests.support.gateways import ADMIN_KEY, TOKEN, a_customer


def raw_http(door, text: str) -> tuple[int, dict[str, Any]]:
    """A request as a page prints it: head, blank line, body."""
    head, _, body = text.strip().partition("\n\n")
    first, *lines = head.splitlines()
    method, path, _ = first.split(" ")
    headers = dict(line.split(": ", 1) for line in lines if not line.startswith("Host"))
    address = urlsplit(door.url)
    connection = http.client.HTTPConnection(address.hostname, address.port)
    connection.request(method, path, body.encode(), headers)
    response = connection.getresponse()
    answered = response.status, json.loads(response.read())
    connection.close()
    return answered


AFFORDAI_EVENT = """
POST /v1/events HTTP/1.1
Host: api.affordai.io
Authorization: Bearer <your-application-token>
Content-Type: application/json

{
  "appId": "your-application-id",
  "eventType": "text_gen",
  "consumerId": "user@example.com",
  "inputTokens": 500,
  "inputTokensCached": 100,
  "outputTokens": 300
}
"""


def test_affordais_event(door) -> None:
    """Getting started, step 3; token and application id are ours."""
    customer = a_customer("user@example.com")
    text = (
        AFFORDAI_EVENT.replace("<your-application-token>", TOKEN)
        .replace("your-application-id", "my-app")
        .replace("user@example.com", customer)
    )

    status, answer = raw_http(door, text)

    assert (202, "accepted", False) == (status, answer["status"], answer["duplicate"])
    [event] = door.settled(customer)
    assert (400, 100, 300) == (
        event.usage.input_tokens,
        event.usage.cache_read_tokens,
        event.usage.output_tokens,
    )


def test_affordais_anonymous_event(door) -> None:
    """`consumerId` may be null, and the cached tokens left out."""
    text = AFFORDAI_EVENT.replace("<your-application-token>", TOKEN)
    text = text.replace("your-application-id", "my-app").replace('"user@example.com"', "null")
    text = text.replace('  "inputTokensCached": 100,\n', "")

    assert 202 == raw_http(door, text)[0]


def test_keywords_ais_log_list(door) -> None:
    """The endpoint page of the list: parameters in the query, filters in the body."""
    customer = a_customer()
    door.chat(customer)
    door.chat(customer)
    [_, newest] = door.logs(customer, 2)
    params = {
        "page": 1,
        "sort_by": "-id",
        "is_test": "false",
        "all_envs": "false",
        "fetch_filters": "false",
        "page_size": 1,
    }
    url = f"{door.url}/api/request-logs/list/?{urlencode(params)}"
    headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
    data = {"filters": {"customer_identifier": {"operator": "", "value": [customer]}}}

    found = httpx.post(url, headers=headers, json=data, trust_env=False).json()

    [row] = found["results"]
    assert newest["unique_id"] == row["unique_id"]
    assert "page=2" in found["next"]
    assert found["previous"] is None
    known = "prompt_tokens completion_tokens cost latency model provider_id timestamp failed"
    assert set(known.split()) <= set(row)


def test_keywords_ais_filter_by_cost(door) -> None:
    """The older page: another address, the same body; nothing costs more than a cent here."""
    url = f"{door.url}/api/request-logs/"
    headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
    data = {"filters": {"cost": {"operator": "gt", "value": [0.01]}}}

    response = httpx.post(url, headers=headers, json=data, trust_env=False)

    assert (200, 0) == (response.status_code, response.json()["count"])


def test_keywords_ais_log_detail_and_summary(door) -> None:
    """One log by its id, and the sums of a filter."""
    customer = a_customer()
    door.chat(customer)
    [row] = door.logs(customer)
    headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
    data = {"filters": {"customer_identifier": {"operator": "", "value": [customer]}}}

    one = httpx.get(
        f"{door.url}/api/request-logs/{row['unique_id']}/", headers=headers, trust_env=False
    ).json()
    url = f"{door.url}/api/request-logs/summary/"
    totals = httpx.post(url, headers=headers, json=data, trust_env=False).json()

    assert customer == one["customer"]["customer_identifier"]
    assert {
        "total_cost": one["charge"],
        "total_tokens": one["prompt_tokens"] + one["completion_tokens"],
        "number_of_requests": 1,
    } == totals


def test_a_call_that_was_proxied_and_reported_counts_once(door) -> None:
    """R75: the id that the gateway's answer carries names the call to the events API."""
    customer = a_customer()
    request_id = door.chat(customer).headers["x-farebox-request-id"]
    [event] = door.settled(customer)

    response = door.post(
        "/v1/events",
        json={
            "appId": "my-app",
            "eventType": "text_gen",
            "consumerId": customer,
            "inputTokens": 1_000_000,
            "outputTokens": 5,
            "eventId": request_id,
        },
    )

    assert (202, True) == (response.status_code, response.json()["duplicate"])
    assert [event] == door.settled(customer)
