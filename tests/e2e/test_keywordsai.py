"""The users endpoints as Keywords AI's guides call them: only host and key are ours.

Each snippet is written as one does there with ``requests``, whose calls httpx has too, or
with the ``fetch`` of Node.
"""

import json
import shutil
import subprocess
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from tests.support.gateways import ADMIN_KEY, a_customer, wait_until

HEADERS = {"Authorization": f"Bearer {ADMIN_KEY}", "Content-Type": "application/json"}
ROW = {
    "id",
    "customer_identifier",
    "name",
    "email",
    "first_seen",
    "last_active_timeframe",
    "active_days",
    "number_of_requests",
    "total_tokens",
    "total_cost",
    "average_latency",
    "average_ttft",
}
DETAIL = {
    *ROW,
    "period_budget",
    "budget_duration",
    "total_period_usage",
    "period_start",
    "period_end",
    "total_budget",
    "total_usage",
    "total_requests",
    "total_prompt_tokens",
    "total_completion_tokens",
    "total_cache_hits",
    "average_monthly_cost",
    "top_models",
    "last_active",
    "created_at",
    "updated_at",
    "metadata",
    "markup_percentage",
}


@pytest.fixture(scope="module")
def requests():
    """What the ``requests`` package can do, by a client that trusts no proxy settings."""
    with httpx.Client(trust_env=False, timeout=30) as client:
        yield client


def test_users_in_python(door, requests) -> None:
    """Create, list, list with filters, retrieve, update: one customer through all of them."""
    customer = a_customer("user")
    created = create(door, requests, customer)
    door.chat(customer)
    door.settled(customer)
    wait_until(lambda: retrieve(door, requests, customer)["top_models"] != {}, "it is archived")
    wait_until(lambda: retrieve(door, requests, customer)["total_requests"] == 1, "it is counted")

    assert DETAIL <= set(created)
    assert (customer, 100.0, "monthly") == (
        created["customer_identifier"],
        created["period_budget"],
        created["budget_duration"],
    )
    listed = {row["customer_identifier"]: row for row in list_users(door, requests)["results"]}
    assert set(listed[customer]) == ROW
    wait_until(lambda: customer in names(filtered(door, requests)), "the filter finds it")
    detail = retrieve(door, requests, customer)
    assert DETAIL <= set(detail)
    assert {"demo-small": 1} == detail["top_models"]
    updated = update(door, requests, customer)
    assert (200.0, {"plan": "pro"}) == (updated["period_budget"], updated["metadata"])
    older = update_by_the_older_path(door, requests, customer)
    assert ("John Doe", 30.0) == (older["name"], older["period_budget"])


def create(door, requests, customer) -> Any:
    url = f"{door.url}/api/users/create/"
    data = {
        "customer_identifier": customer,
        "name": "Hendrix",
        "email": "hendrix@example.com",
        "period_budget": 100.0,
        "budget_duration": "monthly",
        "organization_id": "97671655-8883-4fd3-94fe-8d57035ff4bd",
    }
    response = requests.post(url, headers=HEADERS, json=data)
    assert 201 == response.status_code, response.text
    return response.json()


def list_users(door, requests) -> Any:
    base_url = f"{door.url}/api/users/list/"
    params = {"page": 1, "page_size": 50, "sort_by": "-first_seen", "environment": "prod"}
    response = requests.get(f"{base_url}?{urlencode(params)}", headers=HEADERS)
    assert 200 == response.status_code, response.text
    return response.json()


def filtered(door, requests) -> Any:
    url = f"{door.url}/api/users/list/"
    payload = {
        "filters": {
            "email": {"operator": "contains", "value": ["example.com"]},
            "number_of_requests": {"operator": "gte", "value": [1]},
        }
    }
    response = requests.post(url, headers=HEADERS, json=payload)
    assert 200 == response.status_code, response.text
    return response.json()


def retrieve(door, requests, customer) -> Any:
    response = requests.get(f"{door.url}/api/users/{customer}/", headers=HEADERS)
    assert 200 == response.status_code, response.text
    return response.json()


def update(door, requests, customer) -> Any:
    payload = {"period_budget": 200.0, "metadata": {"plan": "pro"}}
    response = requests.patch(f"{door.url}/api/users/{customer}/", headers=HEADERS, json=payload)
    assert 200 == response.status_code, response.text
    return response.json()


def update_by_the_older_path(door, requests, customer) -> Any:
    data = {"name": "John Doe", "period_budget": 30}
    url = f"{door.url}/api/user/update/{customer}"
    response = requests.patch(url, headers=HEADERS, json=data)
    assert 200 == response.status_code, response.text
    return response.json()


def names(page) -> set[str]:
    return {row["customer_identifier"] for row in page["results"]}


NODE = """
const [url, key, customer] = process.argv.slice(1);
const headers = { Authorization: `Bearer ${key}`, "Content-Type": "application/json" };
const call = async (path, method = "GET", body) => {
  const options = { method, headers, body: body && JSON.stringify(body) };
  const response = await fetch(url + path, options);
  return { status: response.status, body: await response.json() };
};
const id = encodeURIComponent(customer);
const created = await call("/api/users/create/", "POST", {
  customer_identifier: customer, name: "Hendrix", period_budget: 100.0,
});
const updated = await call(`/api/users/${id}/`, "PATCH", { period_budget: 200.0 });
const one = await call(`/api/users/${id}/`);
const list = await call("/api/users/list/?page=1&page_size=50&sort_by=-first_seen");
const filters = { customer_identifier: { operator: "startswith", value: [customer] } };
const some = await call("/api/users/list/", "POST", { filters });
console.log(JSON.stringify({ created, updated, one, list, some }));
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node (Debian: nodejs)")
def test_users_in_node(door) -> None:
    """The same with fetch, for an identifier that needs encoding."""
    customer = a_customer("user/ü:🦊 ")
    program = ["node", "--input-type=module", "-e", NODE, door.url, ADMIN_KEY, customer]

    said = subprocess.run(program, capture_output=True, text=True, timeout=60, check=False)

    assert 0 == said.returncode, said.stderr
    answers = json.loads(said.stdout)
    assert [201, 200, 200, 200, 200] == [answer["status"] for answer in answers.values()]
    assert 200.0 == answers["one"]["body"]["period_budget"]
    assert customer in names(answers["list"]["body"])
    assert [customer] == [row["customer_identifier"] for row in answers["some"]["body"]["results"]]
