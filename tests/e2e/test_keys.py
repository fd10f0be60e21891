"""Customer tokens and temporary keys as their holders use them, through a real gateway."""

import asyncio
import json
import time
from decimal import Decimal
from typing import Any

import httpx
import openai
import pytest
from click.testing import CliRunner

from gateway.cli import main
from gateway.customers.tokens import SigningKey, mint
from pricing.money import pico_usd
from tests.support.gateways import (
    OTHER_TOKEN,
    TOKEN,
    a_customer,
    chat_body,
    gateway,
    settings,
    total_usd,
    wait_until,
)

SECRET = "token-secret-canary-0123456789abcdef"
KEY = SigningKey("k1", SECRET.encode())
PAGE = "https://app.example.com"


@pytest.fixture(scope="module")
def door():
    folder_apps = [
        {"id": "my-app", "token": TOKEN, "model": "demo-small"},
        {"id": "other", "token": OTHER_TOKEN, "model": "demo-small", "manage": True},
        {"id": "web", "token": "web-token-canary", "identity": "token", "cors_origins": [PAGE]},
    ]
    tokens = {"keys": [{"id": "k1", "secret": SECRET}], "revoked": ["gone"]}
    with gateway(apps=folder_apps, tokens=tokens) as running:
        yield running


def a_token(customer, **claims):
    said: dict[str, Any] = {"app": "web", "until_seconds": int(time.time()) + 600} | claims
    return mint(KEY, customer=customer, **said)


def a_key(door, **fields):
    answer = door.api.post("/api/temporary-keys/", json={"app": "my-app"} | fields)
    assert 201 == answer.status_code, answer.text
    return answer.json()


def ask(door, token, body=None, **headers):
    headers["authorization"] = f"Bearer {token}"
    return door.post(json=body or chat_body(), headers=headers)


class TestCustomerTokens:
    def test_its_call_is_its_customers_and_nobody_needs_to_say_so(self, door):
        customer = a_customer("a/b:c ✓")
        answer = ask(door, a_token(customer))
        assert 200 == answer.status_code
        (event,) = door.settled(customer)
        assert "web" == event.app
        assert event.charge_pico > 0

    def test_r61_another_customer_in_the_body_is_refused_and_nothing_counted(self, door):
        mine, theirs = a_customer(), a_customer()
        before = door.snapshot()
        calls = len(door.seen)
        for body in (
            chat_body(theirs),
            {**chat_body(), "customer_identifier": theirs},
            {**chat_body(mine), "customer_identifier": theirs},
        ):
            answer = ask(door, a_token(mine), body)
            assert (403, "customer_mismatch") == (
                answer.status_code,
                answer.json()["error"]["code"],
            )
        answer = ask(door, a_token(mine), **{"x-farebox-customer": theirs})
        assert 403 == answer.status_code
        assert before == door.snapshot()
        assert calls == len(door.seen)

    def test_naming_its_own_customer_is_well(self, door):
        customer = a_customer()
        assert 200 == ask(door, a_token(customer), chat_body(customer, user="whoever")).status_code
        assert 1 == len(door.settled(customer))

    def test_r61_it_cannot_move_its_own_limits(self, door):
        customer = a_customer()
        door.api.post("/api/users/", json={"customer_identifier": customer, "total_budget": 5})
        params = {"total_budget": 1_000, "group_identifier": "rich", "name": "Me"}
        answer = ask(door, a_token(customer), chat_body(customer, customer_params=params))
        assert 200 == answer.status_code
        assert "total_budget" in answer.headers["x-farebox-warnings"]
        user = door.user(customer)
        assert (5.0, None, "Me") == (
            user["total_budget"],
            user["group_identifier"],
            user["name"],
        )

    def test_it_may_use_only_its_models(self, door):
        customer = a_customer()
        answer = ask(door, a_token(customer, models=["demo-large"]))
        assert (403, "model_not_allowed") == (answer.status_code, answer.json()["error"]["code"])
        body = {**chat_body(), "model": "demo-large"}
        assert 200 == ask(door, a_token(customer, models=["demo-*"]), body).status_code

    def test_a_call_is_capped_to_what_the_token_allows(self, door):
        """The customer has no limit of its own; the token's binds all the same."""
        customer = a_customer()
        most = pico_usd("0.001")  # 1,666 tokens of output
        answer = ask(
            door, a_token(customer, call_pico_max=most), chat_body(max_completion_tokens=50_000)
        )
        assert 200 == answer.status_code
        cap = int(answer.headers["x-farebox-output-cap"])
        assert 1_024 <= cap <= 1_666
        assert cap == json.loads(door.seen[-1].body)["max_completion_tokens"]
        (event,) = door.settled(customer)
        assert event.hold_pico <= most

    def test_a_call_that_cannot_fit_its_token_is_refused_unsent(self, door):
        calls = len(door.seen)
        answer = ask(door, a_token(a_customer(), call_pico_max=pico_usd("0.0001")))
        error = answer.json()["error"]
        assert (402, "budget_exceeded", "token_max_usd", "0.0001") == (
            answer.status_code,
            error["code"],
            error["limit"],
            error["limit_usd"],
        )
        assert calls == len(door.seen)

    @pytest.mark.parametrize(
        ("claims", "code"),
        [
            ({"until_seconds": 1}, "token_expired"),
            ({"name": "gone"}, "token_revoked"),
            ({"app": "nobody"}, "invalid_api_key"),
        ],
    )
    def test_one_that_is_over_is_401(self, door, claims, code):
        answer = ask(door, a_token(a_customer(), **claims))
        assert (401, code) == (answer.status_code, answer.json()["error"]["code"])

    def test_the_plain_token_of_such_an_app_does_not_do(self, door):
        answer = ask(door, "web-token-canary", chat_body(a_customer()))
        assert (403, "customer_token_required") == (
            answer.status_code,
            answer.json()["error"]["code"],
        )

    def test_it_opens_neither_events_nor_management(self, door):
        token = a_token(a_customer())
        for path in ("/v1/events", "/api/users/"):
            answer = door.post(path, json={}, headers={"authorization": f"Bearer {token}"})
            assert 401 == answer.status_code

    def test_openai_python_needs_nothing_but_the_token(self, door):
        customer = a_customer()
        client = door.openai(api_key=a_token(customer))
        stream = client.chat.completions.create(
            model="demo-small", messages=[{"role": "user", "content": "Hi"}], stream=True
        )
        assert list(stream)
        assert 1 == len(door.settled(customer))


class TestPages:
    def preflight(self, door, origin):
        return httpx.options(
            door.url + "/v1/chat/completions",
            headers={
                "origin": origin,
                "access-control-request-method": "POST",
                "access-control-request-headers": "authorization, content-type",
            },
            trust_env=False,
        )

    def test_a_page_of_the_app_may_ask_and_read(self, door):
        answer = self.preflight(door, PAGE)
        assert 204 == answer.status_code
        assert PAGE == answer.headers["access-control-allow-origin"]
        assert "authorization" in answer.headers["access-control-allow-headers"]
        answer = ask(door, a_token(a_customer()), origin=PAGE)
        assert PAGE == answer.headers["access-control-allow-origin"]
        assert "x-farebox-charge-usd" in answer.headers["access-control-expose-headers"]

    def test_a_page_may_read_why_it_was_refused(self, door):
        answer = ask(door, "nobody", origin=PAGE)
        assert (401, PAGE) == (
            answer.status_code,
            answer.headers.get("access-control-allow-origin"),
        )

    def test_another_page_and_another_app_may_not(self, door):
        allow = "access-control-allow-origin"
        assert allow not in self.preflight(door, "https://evil.example").headers
        assert allow not in ask(door, a_token(a_customer()), origin="https://evil.example").headers
        assert allow not in ask(door, TOKEN, origin=PAGE).headers


class TestTemporaryKeys:
    def test_it_calls_for_its_app_until_it_is_revoked(self, door):
        made = a_key(door, name="trial")
        customer = a_customer()
        assert 200 == ask(door, made["api_key"], chat_body(customer)).status_code
        (event,) = door.settled(customer)
        assert ("my-app", made["id"]) == (event.app, event.key)
        shown = door.api.get(f"/api/temporary-keys/{made['id']}/").json()
        assert (1, "trial", False) == (shown["key_usage"], shown["name"], shown["revoked"])
        assert "api_key" not in shown
        door.api.patch(f"/api/temporary-keys/{made['id']}/", json={"revoked": True})
        answer = ask(door, made["api_key"], chat_body(customer))
        assert (401, "key_revoked") == (answer.status_code, answer.json()["error"]["code"])

    def test_its_spending_limit_is_hard_over_many_customers_at_once(self, door):
        """A key with money for k calls, 40 calls of as many customers: k are sent."""
        customers = [a_customer() for _ in range(40)]
        one = Decimal("0.0006") + Decimal("0.15") / 1_000_000 * 60
        made = a_key(door, spending_limit=str(one * 5))
        calls = len(door.seen)

        async def burst():
            async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
                return await asyncio.gather(
                    *(
                        client.post(
                            door.url + "/v1/chat/completions",
                            headers={"authorization": f"Bearer {made['api_key']}"},
                            json=chat_body(c, max_completion_tokens=1_000),
                        )
                        for c in customers
                    )
                )

        answers = asyncio.run(burst())
        served = [a for a in answers if a.status_code == 200]
        assert 1 <= len(served) < 40
        assert len(served) == len(door.seen) - calls
        refused = [a.json()["error"] for a in answers if a.status_code != 200]
        assert {"key_total_budget"} == {error["limit"] for error in refused}
        assert {made["id"]} == {error["key"] for error in refused}
        path = f"/api/temporary-keys/{made['id']}/"
        spent = sum(
            total_usd(door.settled(c))
            for c, a in zip(customers, answers, strict=True)
            if a.status_code == 200
        )
        wait_until(lambda: Decimal(door.api.get(path).json()["spent_usd"]) == spent, "it is told")
        assert spent <= one * 5
        assert len(served) == door.api.get(path).json()["key_usage"]

    def test_a_refused_call_is_no_use_of_it(self, door):
        made = a_key(door, max_usage=1)
        broke = a_customer()
        door.api.post("/api/users/", json={"customer_identifier": broke, "total_budget": 0})
        assert 402 == ask(door, made["api_key"], chat_body(broke)).status_code
        path = f"/api/temporary-keys/{made['id']}/"
        wait_until(lambda: door.api.get(path).json()["key_usage"] == 0, "it was given back")
        assert 200 == ask(door, made["api_key"], chat_body(a_customer())).status_code
        answer = ask(door, made["api_key"], chat_body(a_customer()))
        assert (403, "key_used_up") == (answer.status_code, answer.json()["error"]["code"])

    def test_openai_python_waits_for_a_rate_limit(self, door):
        made = a_key(door, rate_limit=1)
        client = door.openai(api_key=made["api_key"], max_retries=0)
        params = {"model": "demo-small", "messages": [{"role": "user", "content": "Hi"}]}
        client.chat.completions.create(**params)
        with pytest.raises(openai.RateLimitError) as refused:
            client.chat.completions.create(**params)
        assert 1 <= int(refused.value.response.headers["retry-after"]) <= 60

    def test_one_for_a_customer_binds_it(self, door):
        mine = a_customer()
        made = a_key(door, customer_identifier=mine)
        assert 200 == ask(door, made["api_key"]).status_code
        assert 1 == len(door.settled(mine))
        assert 403 == ask(door, made["api_key"], chat_body(a_customer())).status_code

    def test_it_is_listed_changed_and_forgotten(self, door):
        made = a_key(door, expiry_date="2999-01-01T00:00:00Z", models=["demo-*"])
        rows = door.api.get("/api/temporary-keys/").json()
        assert made["id"] == rows["results"][0]["id"]
        assert rows["count"] >= 1
        assert all("api_key" not in row for row in rows["results"])
        path = f"/api/temporary-keys/{made['id']}/"
        changed = door.api.patch(path, json={"expiry_date": None, "max_usage": 3}).json()
        assert (None, 3, ["demo-*"]) == (
            changed["expiry_date"],
            changed["max_usage"],
            changed["models"],
        )
        assert 204 == door.api.delete(path).status_code
        assert 404 == door.api.get(path).status_code
        assert 401 == ask(door, made["api_key"]).status_code

    @pytest.mark.parametrize(
        ("fields", "at_fault"),
        [
            ({"expiry_date": "tomorrow"}, "expiry_date"),
            ({"max_usage": -2}, "max_usage"),
            ({"max_usage": True}, "max_usage"),
            ({"rate_limit": 0}, "rate_limit"),
            ({"spending_limit": "much"}, "spending_limit"),
            ({"models": []}, "models"),
            ({"customer_identifier": "~x"}, "customer_identifier"),
            ({"app": "nobody"}, "app"),
            ({"spendinglimit": 1}, "spendinglimit"),
        ],
    )
    def test_a_faulty_field_is_named(self, door, fields, at_fault):
        answer = door.api.post("/api/temporary-keys/", json={"app": "my-app"} | fields)
        assert 422 == answer.status_code
        assert [at_fault] == list(answer.json()["errors"])

    def test_without_an_app_the_one_that_asks_is_meant(self, door):
        bearer = {"authorization": f"Bearer {OTHER_TOKEN}"}
        made = door.post("/api/temporary-keys/", json={}, headers=bearer).json()
        assert "other" == made["app"]
        assert 422 == door.api.post("/api/temporary-keys/", json={}).status_code
        assert 403 == door.post("/api/temporary-keys/", json={}).status_code


def test_the_command_mints_what_the_gateway_takes(door, tmp_path):
    config = settings(
        tmp_path,
        "http://127.0.0.1:1",
        tokens={"keys": [{"id": "k1", "secret": SECRET}]},
        apps=[{"id": "web", "token": "x"}, {"id": "other", "token": "y"}],
    )
    file = tmp_path / "farebox.yaml"
    file.write_text(json.dumps({**config, "data_dir": str(tmp_path)}))

    def run(*args):
        return CliRunner().invoke(main, ["token", "mint", "--config", str(file), *args])

    customer = a_customer()
    token = run("--customer", customer, "--app", "web", "--expires", "15m").output.strip()
    assert 200 == ask(door, token).status_code
    assert 1 == len(door.settled(customer))
    for args, says in [
        (("--customer", "c"), "--app must name one of: web, other"),
        (("--customer", "~c", "--app", "web"), "~"),
        (("--customer", "c", "--app", "web", "--expires", "soon"), "15m, 8h or 30d"),
        (("--customer", "c", "--app", "web", "--max-usd", "-1"), "negative"),
        (("--customer", "c", "--app", "web", "--key", "k9"), "no key 'k9'"),
    ]:
        refused = run(*args)
        assert 2 == refused.exit_code
        assert says in refused.stderr
        assert SECRET not in refused.stderr


def in_background(door, token, **fields):
    """The id of a response that is being made for who has this token."""
    body = {"model": "demo-small", "input": "Hi", "background": True, **fields}
    answer = door.post("/v1/responses", json=body, headers={"authorization": f"Bearer {token}"})
    assert 200 == answer.status_code, answer.text
    return answer.json()["id"]


def fetch(door, token, response_id):
    headers = {"authorization": f"Bearer {token}"}
    url = f"{door.url}/v1/responses/{response_id}"
    return httpx.get(url, headers=headers, trust_env=False).status_code


def test_kept_responses_are_for_whom_they_were_made(door):
    """A token of one customer, or a temporary key, gets its own, and only what is known as that."""
    mine, theirs = a_token(a_customer()), a_token(a_customer())
    made = in_background(door, mine)
    assert [404, 404, 200] == [fetch(door, token, made) for token in (theirs, TOKEN, mine)]

    key, other = a_key(door)["api_key"], a_key(door)["api_key"]
    made = in_background(door, key, customer_identifier=a_customer())
    assert [404, 200, 200] == [fetch(door, token, made) for token in (other, key, TOKEN)]

    body = {"model": "demo-small", "input": "Hi"}
    made = door.post("/v1/responses", json=body).json()["id"]
    assert [404, 404, 200] == [fetch(door, token, made) for token in (mine, key, TOKEN)]


def test_what_passes_unmetered_needs_the_same_token(door):
    """The app that takes customer tokens only, and the models that a token may use."""
    body = {"model": "demo-small", "messages": []}
    token = a_token(a_customer(), models=("demo-large",))
    for shown, code in (("web-token-canary", "permission_error"), (token, "permission_error")):
        answer = door.post(
            "/v1/messages/count_tokens", json=body, headers={"authorization": f"Bearer {shown}"}
        )
        assert (403, code) == (answer.status_code, answer.json()["error"]["type"])
    assert 403 == fetch(door, "web-token-canary", "resp_1")
