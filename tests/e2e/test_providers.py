"""docs/providers.md: each of its examples is loaded as it stands, and called."""

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from gateway.app import build_app
from gateway.cli.server import SETTINGS
from gateway.config import load
from tests.support.gateways import ADMIN_KEY, TOKEN
from tests.support.rawhttp import exchange, request
from tests.support.rawupstream import answer
from tests.support.servers import serve
from tests.support.stores import server

PAGE = (Path(__file__).parents[2] / "docs" / "providers.md").read_text()
EXAMPLES = re.findall(r"```yaml\n(.+?)```", PAGE, re.DOTALL)

KEYS = {
    "OPENAI_API_KEY": "key-openai",
    "OPENAI_EU_API_KEY": "key-eu",
    "AZURE_OPENAI_API_KEY": "key-azure",
    "ANTHROPIC_API_KEY": "key-anthropic",
    "OPENROUTER_API_KEY": "key-openrouter",
}
CHAT, MESSAGES = "/v1/chat/completions", "/v1/messages"
COUNTED = {"prompt_tokens": 1_000, "completion_tokens": 100, "cost": 0.0042}
NATIVE = {"input_tokens": 1_000, "output_tokens": 100}


class Case(NamedTuple):
    """A call, and how it has to arrive."""

    example: str
    model: str
    line: str
    headers: dict[str, str | None]
    path: str = CHAT
    arrives_as: str = ""
    own_key: str | None = None


def bearer(key):
    return {"authorization": f"Bearer {key}", "x-api-key": None, "api-key": None}


CASES = [
    Case("openai", "gpt-4o-mini", "POST /v1/chat/completions", bearer("key-openai")),
    Case(
        "azure",
        "my-gpt-4o",
        "POST /openai/v1/chat/completions",
        {"api-key": "key-azure", "authorization": None},
    ),
    Case(
        "azure-dated",
        "my-gpt-4o",
        "POST /openai/deployments/my-gpt-4o/chat/completions?api-version=2024-10-21",
        {"api-key": "key-azure", "authorization": None},
    ),
    Case(
        "anthropic",
        "claude-sonnet-4-5",
        "POST /v1/messages",
        {
            "x-api-key": "key-anthropic",
            "anthropic-version": "2023-06-01",
            "authorization": None,
        },
        MESSAGES,
    ),
    Case(
        "anthropic",
        "anthropic/claude-sonnet-4-5",
        "POST /v1/chat/completions",
        bearer("key-anthropic"),
        arrives_as="claude-sonnet-4-5",
    ),
    Case(
        "openrouter",
        "openrouter/openai/gpt-4o",
        "POST /api/v1/chat/completions",
        bearer("key-openrouter"),
        arrives_as="openai/gpt-4o",
    ),
    Case(
        "local",
        "llama3",
        "POST /v1/chat/completions",
        {"authorization": None, "x-api-key": None},
    ),
    Case("openai-eu", "gpt-4o", "POST /v1/chat/completions", bearer("key-openai")),
    Case(
        "openai-eu",
        "openai-eu/gpt-4o",
        "POST /v1/chat/completions",
        bearer("key-eu"),
        arrives_as="gpt-4o",
    ),
    Case(
        "openai-eu",
        "own-key/gpt-4o",
        "POST /v1/chat/completions",
        bearer("callers-own"),
        arrives_as="gpt-4o",
        own_key="callers-own",
    ),
]


@pytest.fixture(scope="module")
def store_url():
    with server() as url:
        yield url


def config_of(example, provider, folder):
    """The example, in a file, with the stand-in's address in place of the provider's."""
    text, *_ = [text for text in EXAMPLES if re.search(rf"name: {example}$", text, re.MULTILINE)]
    for url in set(re.findall(r"https?://[^/\s]+", text)):
        text = text.replace(url, provider.url)
    file = folder / "farebox.yaml"
    file.write_text(f"version: 1\ndata_dir: data\napps: [{{id: app, token: {TOKEN}}}]\n{text}")
    return load(file, env=KEYS)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.example} {case.model}")
def test_an_example_calls_its_provider(provider, tmp_path, store_url, case):
    """Its path, key, query and model; and the call is priced."""
    config = config_of(case.example, provider, tmp_path)
    app = build_app(config, store_url=store_url, admin_key=ADMIN_KEY)
    usage: Any = NATIVE if case.path == MESSAGES else COUNTED
    provider.answers(answer(json.dumps({"choices": [], "usage": usage}).encode()))
    body = {"model": case.model, "max_tokens": 10, "messages": [], "customer_identifier": "acme"}
    told = {"authorization": f"Bearer {case.own_key or TOKEN}"}
    if case.own_key:
        told["x_farebox_app_token"] = TOKEN

    with serve(app, **SETTINGS) as address:
        got = exchange(address, request(case.path, json.dumps(body).encode(), **told))

    assert 200 == got.status, got.body
    asked = provider.asked[-1]
    assert f"{case.line} HTTP/1.1" == asked.line.decode()
    for name, value in case.headers.items():
        assert (value and value.encode()) == asked.header(name.encode()), name
    assert (case.arrives_as or case.model) == json.loads(asked.body)["model"]
    assert float(got.header("x-farebox-charge-usd") or 0) > 0
    if case.example == "openrouter":
        assert b"0.0042" == got.header("x-farebox-charge-usd")


def test_every_example_is_called():
    names = set(re.findall(r"- name: (\S+)", PAGE))
    assert names - {case.example for case in CASES} <= {"own-key"}
    assert len(EXAMPLES) == len({case.example for case in CASES})
