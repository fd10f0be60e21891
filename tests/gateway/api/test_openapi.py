"""The API's description against the API: routes, parameters, fields, answers."""

import re

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from gateway.api.openapi import document
from gateway.api.openapi.operations import ALSO, OPERATIONS, Key
from gateway.api.routes import routes
from tests.gateway.api.conftest import admin, usage

pytestmark = pytest.mark.anyio

NOT_DESCRIBED = {"/docs", "/docs.css", "/openapi.json", "/{rest}"}
SERVED_ELSEWHERE = ("/v1/",)
"""By the data plane, which is no part of these routes."""


def checked(name: str, value: object) -> None:
    """Hold a value against a schema of the document."""
    described = Resource.from_contents(document(), default_specification=DRAFT202012)
    registry = Registry().with_resource("urn:farebox", described)
    schema = {"$ref": f"urn:farebox#/components/schemas/{name}"}
    Draft202012Validator(schema, registry=registry).validate(value)


def anonymous(path: str) -> str:
    return re.sub(r"\{\w+\}", "{}", path)


async def test_every_route_is_described_and_nothing_else(api) -> None:
    """By path and method, whatever its parameters are called."""
    served = {
        (anonymous(endpoint.pattern), method)
        for endpoint in routes(api.services)
        for method in endpoint._handlers
        if method != "HEAD" and endpoint.pattern not in NOT_DESCRIBED | set(ALSO)
    }
    described = {
        (anonymous(o.path), o.method)
        for o in OPERATIONS
        if not o.path.startswith(SERVED_ELSEWHERE) or o.path == "/v1/events"
    }
    assert served == described
    assert {endpoint.pattern for endpoint in routes(api.services)} >= set(ALSO)


async def test_the_document_is_valid_and_its_references_lead_somewhere() -> None:
    found = document()
    for schema in found["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    text = repr(found)
    for name in re.findall(r"#/components/schemas/(\w+)", text):
        assert name in found["components"]["schemas"], name
    names = [o["operationId"] for path in found["paths"].values() for o in path.values()]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    "operation",
    [o for o in OPERATIONS if o.key is Key.ADMIN and o.method == "GET"],
    ids=lambda o: o.path,
)
async def test_the_parameters_described_are_those_that_are_taken(api, operation) -> None:
    """The path itself says which it knows, when it is asked for another one."""
    await api.bench.directory.create("acme", {})
    path = re.sub(r"\{customer_identifier\}", "acme", operation.path)
    path = re.sub(r"\{\w+\}", "gpt-4o", path)
    answer = await api.client.get(path, params={"zz": "1"}, headers=admin())
    if answer.status_code != 422:
        assert () == operation.query
        return
    (message,) = answer.json()["errors"]["zz"]
    known = message.partition("This path knows ")[2].rstrip(".").removeprefix("none")
    assert set(filter(None, known.split(", "))) - {"customer_identifier"} == set(
        operation.query
    ) - {"customer_identifier"}


@pytest.mark.parametrize(
    ("method", "path", "schema"),
    [
        ("POST", "/api/users/create/", "UserCreate"),
        ("PATCH", "/api/users/acme/", "UserChange"),
        ("POST", "/api/temporary-keys/", "TemporaryKeyCreate"),
        ("PUT", "/api/groups/sales/", "GroupChange"),
    ],
)
async def test_the_fields_described_are_those_that_are_taken(api, method, path, schema) -> None:
    """The same, of bodies."""
    await api.bench.directory.create("acme", {})
    answer = await api.client.request(method, path, json={"zz": 1}, headers=admin())
    (message,) = answer.json()["errors"]["zz"]
    known = set(re.findall(r"\w+", message.partition("nown are ")[2]))
    described = set(document()["components"]["schemas"][schema]["properties"])
    assert known == described - {"customer_identifier"} | ({"customer_identifier"} & known)


async def test_answers_are_as_described(api) -> None:
    """Of every operation that can be asked here, with something to show."""
    client = api.client

    async def answered(schema: str, method: str, path: str, status: int = 200, **more):
        answer = await client.request(method, path, headers=more.pop("headers", admin()), **more)
        assert status == answer.status_code, answer.text
        checked(schema, answer.json())
        return answer.json()

    user = {"customer_identifier": "acme", "period_budget": 5, "group_identifier": "sales"}
    await answered("User", "POST", "/api/users/create/", 201, json=user)
    token = {"Authorization": "Bearer " + "app-token"}
    for body in (usage(), [usage(), {}]):
        answer = await client.post("/v1/events", json=body, headers=_app(api) | token)
        assert 202 == answer.status_code, answer.text
        checked("EventAnswer", answer.json())
    await api.flush()
    await answered("User", "GET", "/api/users/acme/")
    await answered("UserPage", "GET", "/api/users/list/")
    await answered("UserPage", "POST", "/api/users/list/", json={"filters": {}})
    credit = {"amount_usd": "1", "reason": "hello", "idempotency_key": "k"}
    await answered("CreditReceipt", "POST", "/api/users/acme/credits/", 201, json=credit)
    await answered("Group", "PUT", "/api/groups/sales/", json={"period_budget": 3})
    await answered("GroupPage", "GET", "/api/groups/")
    logs = await answered("LogPage", "GET", "/api/request-logs/list/")
    await answered("Log", "GET", f"/api/request-logs/{logs['results'][0]['unique_id']}")
    await answered("LogSummary", "GET", "/api/request-logs/summary/")
    for schema, path in (
        ("UsageSummary", "summary"),
        ("TopUsers", "top-users"),
        ("ActiveUsers", "daily-active-users"),
        ("CostByUser", "cost-by-user"),
        ("Series", "series"),
    ):
        await answered(schema, "GET", f"/api/analytics/{path}")
    made = await answered("TemporaryKey", "POST", "/api/temporary-keys/", 201, json=_key(api))
    await answered("TemporaryKey", "GET", f"/api/temporary-keys/{made['id']}/")
    await answered("TemporaryKeyPage", "GET", "/api/temporary-keys/")
    await answered("Webhooks", "GET", "/api/webhooks/")
    await answered("DeliveryPage", "GET", "/api/webhooks/deliveries/")
    await answered("Audit", "GET", "/api/audit")
    await answered("PricePage", "GET", "/api/prices?page_size=1")
    await answered("Health", "GET", "/livez")
    await answered("ManagementError", "GET", "/api/users/nobody/", 404)
    await answered("ManagementError", "GET", "/api/users/list/?page=x", 422)
    refused = await client.post("/v1/events", json=usage())
    checked("OpenAIError", refused.json())


def _app(api) -> dict[str, str]:
    from tests.gateway.api.conftest import TOKEN

    return {"Authorization": f"Bearer {TOKEN}"}


def _key(api) -> dict[str, object]:
    return {"app": api.services.apps.all[0].id, "max_usage": 3}


async def test_the_reference_page_has_every_operation_and_nothing_from_outside(api) -> None:
    page = await api.client.get("/docs")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    for operation in OPERATIONS:
        assert f"<code>{operation.path}</code>" in page.text
    assert not re.search(r'(src|href)="(?!/|#)', page.text)
    assert "<script" not in page.text
    assert " style=" not in page.text
    assert 200 == (await api.client.get("/docs.css")).status_code
    assert document() == (await api.client.get("/openapi.json")).json()
