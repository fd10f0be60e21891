"""Azure's surfaces: the deployment in the path, the version in the query, any provider behind."""

import json

import pytest

from tests.support.forms import MEDIA, customer_fields, field, file, form
from tests.support.gateways import TOKEN, a_customer, an_upstream, gateway
from tests.support.rawhttp import exchange, request
from tests.support.rawupstream import answer, raw_upstream

COUNTED = b'{"choices":[],"model":"big","usage":{"prompt_tokens":3,"completion_tokens":2}}'
DATED, PREVIEW = "api-version=2024-10-21", "api-version=preview"
HI = b'"messages":[{"role":"user","content":"Hi"}]'


@pytest.fixture(scope="module")
def provider():
    with raw_upstream() as upstream:
        upstream.answers(answer(COUNTED))
        yield upstream


@pytest.fixture(scope="module")
def door(provider):
    at = provider.url
    accounts = [
        an_upstream(at, name="plain", models=["plain", "openai/plain"]),
        an_upstream(
            at,
            name="dated",
            provider="azure",
            base_url=f"{at}/openai/deployments/{{model}}",
            auth="api-key",
            models=["dated"],
        ),
        an_upstream(at, name="v1", provider="azure", base_url=f"{at}/openai/v1", models=["v1"]),
    ]
    app = {"id": "my-app", "token": TOKEN, "passthrough": True}
    with gateway(upstreams=accounts, models={"alias": "plain"}, apps=[app]) as running:
        yield running


def send(door, path, body, **headers):
    head = {"api_key": TOKEN} | headers
    return exchange(door.url, request(path, body, **head))


def target(provider):
    return provider.asked[-1].line.split(b" ")[1].decode()


CHATS = "chat/completions"
TARGETS = {
    f"/openai/deployments/plain/{CHATS}?{DATED}": f"/v1/{CHATS}",
    f"/openai/deployments/plain/{CHATS}/?a=%20&{DATED}&b=1": f"/v1/{CHATS}?a=%20&b=1",
    f"/openai/deployments/openai/plain/{CHATS}?{DATED}": f"/v1/{CHATS}",
    f"/openai/deployments/openai%2Fplain/{CHATS}?{DATED}": f"/v1/{CHATS}",
    f"/openai/deployments/dated/{CHATS}?{DATED}": f"/openai/deployments/dated/{CHATS}?{DATED}",
    f"/openai/deployments/v1/{CHATS}?{DATED}": f"/openai/v1/{CHATS}",
    f"/openai/v1/{CHATS}?{PREVIEW}": f"/openai/v1/{CHATS}?{PREVIEW}",
    f"/openai/{CHATS}?{DATED}": f"/openai/v1/{CHATS}",
    f"/v1/{CHATS}?{DATED}": f"/openai/v1/{CHATS}?{DATED}",
    f"/openai/deployments/plain/embeddings?{DATED}": "/v1/embeddings",
    "/openai/deployments/dated/embeddings?x=1": "/openai/deployments/dated/embeddings?x=1",
}


@pytest.mark.parametrize("path", TARGETS)
def test_r76_a_path_of_azures_arrives_where_its_model_is_served(door, provider, path):
    """A version goes where it belongs to; what else is in a query goes everywhere."""
    customer = a_customer()
    body = json.dumps({"model": "v1", "messages": [], "input": "Hi"}).encode()

    got = send(door, path, body, x_farebox_customer=customer)

    assert (200, COUNTED) == (got.status, got.body)
    assert TARGETS[path] == target(provider)
    [event] = door.settled(customer)
    assert 5 == event.usage.total
    assert event.endpoint in path


BODIES = {
    b"{" + HI + b"}": b"{" + HI + b',"model":"plain"}',
    b'{"model":"gpt-4o",' + HI + b"}": b'{"model":"plain",' + HI + b"}",
    b'{"model":null, ' + HI + b"}": b'{"model":"plain", ' + HI + b"}",
    b'{"model":"plain" ,' + HI + b"}": b'{"model":"plain" ,' + HI + b"}",
    b"{" + HI + b',"customer_identifier":"c"}': b"{" + HI + b',"model":"plain"}',
    b'{"customer_identifier":"c"}': b'{"model":"plain"}',
    b" { } ": b' {"model":"plain" } ',
}


@pytest.mark.parametrize("body", BODIES)
def test_who_wants_the_model_in_the_body_gets_it_there(door, provider, body):
    send(door, f"/openai/deployments/alias/{CHATS}?{DATED}", body)

    assert BODIES[body] == provider.asked[-1].body


def test_who_wants_it_in_the_path_gets_the_callers_bytes(door, provider):
    for body in (b"{" + HI + b"}", b'{"model":"gpt-4o",' + HI + b"}"):
        send(door, f"/openai/deployments/dated/{CHATS}?{DATED}", body)

        assert body == provider.asked[-1].body


def test_a_large_body_is_named_as_a_small_one(door, provider):
    body = b'{"model":"gpt-4o","messages":[{"role":"user","content":"' + b"x" * 400_000 + b'"}]}'

    send(door, f"/openai/deployments/alias/{CHATS}?{DATED}", body)

    assert body.replace(b"gpt-4o", b"plain") == provider.asked[-1].body


@pytest.mark.parametrize("parts", [[], [field("model", "whisper")]])
def test_a_form_for_a_deployment(door, provider, parts):
    customer = a_customer()
    path = f"/openai/deployments/alias/audio/transcriptions?{DATED}"

    got = send(door, path, form(customer_fields(customer), *parts, file()), content_type=MEDIA)

    assert 200 == got.status
    assert form(field("model", "plain"), file()) == provider.asked[-1].body
    assert 1 == len(door.settled(customer))


def test_what_is_no_route_of_a_deployment(door, provider):
    """Unknown routes and deployments are not passed on; realtime is not there."""
    before = len(provider.asked)
    cases = {
        f"/openai/deployments/plain/extensions/{CHATS}": (404, "model_not_found"),
        "/openai/deployments/plain/assistants": (404, "route_not_enabled"),
        "/openai/deployments/plain": (404, "route_not_enabled"),
        "/openai/deployments": (404, "route_not_enabled"),
        "/openai/%64eployments/plain/files": (404, "route_not_enabled"),
        f"/openai/deployments/unheard-of/{CHATS}": (404, "model_not_found"),
        f"/openai/deployments/../{CHATS}": (400, "invalid_path"),
        f"/openai/deployments/%00/{CHATS}": (400, "invalid_value"),
        "/openai/realtime": (501, "not_supported"),
        "/openai/v1/realtime": (501, "not_supported"),
    }

    seen = {path: send(door, path, b"{}") for path in cases}

    assert cases == {path: (got.status, got.json()["error"]["code"]) for path, got in seen.items()}
    assert before == len(provider.asked)
    got = exchange(
        door.url, request(f"/openai/deployments/plain/{CHATS}", method="GET", api_key=TOKEN)
    )
    assert (405, b"POST") == (got.status, got.header("allow"))


def test_what_is_passed_on_below_azures_prefix(door, provider):
    """To the first upstream, by its own paths."""
    for path, arrives in {
        f"/openai/files/f%2F1?{DATED}&x=1": "/v1/files/f%2F1?x=1",
        f"/openai/v1/files?{PREVIEW}": "/v1/files",
    }.items():
        got = exchange(door.url, request(path, method="GET", authorization=f"Bearer {TOKEN}"))

        assert (200, arrives) == (got.status, target(provider))


def test_the_older_surface_has_routes_beside_its_deployments(provider):
    at = f"{provider.url}/openai/deployments/{{model}}"
    account = an_upstream("", provider="azure", base_url=at, query={"api-version": "2025-01-01"})
    app = {"id": "my-app", "token": TOKEN, "passthrough": True}
    with gateway(upstreams=[account | {"models": ["*"]}], apps=[app]) as dated:
        send(dated, "/v1/responses", b'{"model":"m","input":"Hi"}')
        assert "/openai/responses?api-version=2025-01-01" == target(provider)
        send(dated, f"/openai/responses?{DATED}", b'{"model":"m","input":"Hi"}')
        assert "/openai/responses?api-version=2025-01-01" == target(provider)
        exchange(dated.url, request("/v1/responses/resp_1", method="GET", api_key=TOKEN))
        assert "/openai/responses/resp_1?api-version=2025-01-01" == target(provider)
        exchange(dated.url, request("/v1/files", method="GET", api_key=TOKEN))
        assert "/openai/files?api-version=2025-01-01" == target(provider)
