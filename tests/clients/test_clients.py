"""Real clients, each calling a provider directly and through the gateway: no difference.

`programs` has one program a client. It does every scenario both ways, with nothing but the
base URL changed, and prints what the client made of the answers.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from typing import Any

import pytest

from gateway.event import Source, Status
from tests.clients.replies import called
from tests.clients.sameness import ENCODINGS, asked_for_usage, content, encodings, target, told
from tests.support.gateways import TOKEN, a_customer
from tests.support.rawupstream import Asked

HERE = Path(__file__).parent
PYTHON_2 = HERE.parents[1] / ".venv-openai-2" / "bin" / "python"
SECONDS_MAX = 120.0
UNCOUNTED = "uncounted"
"""The model of those calls whose answers have no usage block."""


@dataclass(frozen=True, slots=True)
class Client:
    """A client, and who runs its program.

    Attributes:
        runs: ``python``, ``python-2`` (an environment with openai 2.x) or ``node``.
        package: Without which it is not there.
    """

    program: str
    runs: str
    package: str

    def command(self) -> list[str]:
        """How to start it; skips where the client is not installed."""
        if self.runs == "python":
            if find_spec(self.package) is None:
                pytest.skip(f"{self.package} is not installed: pip install '.[clients]'")
            return [sys.executable, str(HERE / "programs" / self.program)]
        if self.runs == "python-2":
            if not PYTHON_2.exists():
                pytest.skip(f"there is no {PYTHON_2.parents[1].name}: see docs/compatibility.md")
            return [str(PYTHON_2), str(HERE / "programs" / self.program)]
        node, packages = which("node"), HERE / "node" / "node_modules"
        if node is None or not (packages / self.package).exists():
            pytest.skip("Node or its packages are not installed: npm ci in tests/clients/node")
        return [node, str(HERE / "node" / self.program)]


CLIENTS = {
    "openai-python 3": Client("with_openai.py", "python", "openai"),
    "AzureOpenAI": Client("with_azure.py", "python", "openai"),
    "openai-python 2": Client("with_openai.py", "python-2", "openai"),
    "langchain-openai": Client("with_langchain.py", "python", "langchain_openai"),
    "pydantic-ai": Client("with_pydantic_ai.py", "python", "pydantic_ai"),
    "anthropic": Client("with_anthropic.py", "python", "anthropic"),
    "litellm": Client("with_litellm.py", "python-2", "litellm"),
    "instructor": Client("with_instructor.py", "python-2", "instructor"),
    "openai-node": Client("with_openai.mjs", "node", "openai"),
    "AI SDK": Client("with_ai_sdk.mjs", "node", "@ai-sdk/openai-compatible"),
    "anthropic-node": Client("with_anthropic.mjs", "node", "@anthropic-ai/sdk"),
}
LIGHT = ("openai-python 3", "AzureOpenAI")
"""What comes with the tests anyway; the others are for the slow run, which installs them."""

each_client = pytest.mark.parametrize(
    "name",
    [name if name in LIGHT else pytest.param(name, marks=pytest.mark.slow) for name in CLIENTS],
)


@dataclass(frozen=True, slots=True)
class Run:
    """What came of a client's program.

    Attributes:
        outcomes: By scenario: of the direct call, and of that through the gateway.
        asked: What the provider was asked, directly and through the gateway.
    """

    customer: str
    outcomes: dict[str, list[dict[str, Any]]]
    asked: list[list[Asked]]


@pytest.fixture(scope="module")
def run_of(ways):
    """Runs each program once, however many tests look at it."""

    @cache
    def run(name):
        customer, before = a_customer("client"), len(ways.provider.asked)
        arguments = [ways.direct, ways.door.url, TOKEN, customer]
        ended = subprocess.run(
            [*CLIENTS[name].command(), *arguments],
            env=environment(),
            capture_output=True,
            text=True,
            timeout=SECONDS_MAX,
            check=False,
        )
        assert 0 == ended.returncode, ended.stderr
        outcomes = json.loads(ended.stdout)
        assert outcomes
        return Run(customer, outcomes, ways.asked(before))

    return run


def environment():
    """Ours, without proxies and keys that a client might pick up."""
    foreign = ("_proxy", "_api_key", "_base_url", "openai_", "anthropic_")
    return {
        name: value
        for name, value in os.environ.items()
        if not any(part in name.lower() for part in foreign)
    } | {"NO_PROXY": "*", "PYTHONWARNINGS": "ignore", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}


@each_client
def test_a_client_sees_no_difference(run_of, name):
    """Objects, bytes, headers, errors and their classes are equal, scenario by scenario."""
    run = run_of(name)

    differing = {
        scenario: {"direct": direct, "through": through}
        for scenario, (direct, through) in run.outcomes.items()
        if direct != through
    }
    assert {} == differing
    for scenario, (direct, _) in run.outcomes.items():
        assert scenario.startswith("error") == ("error" in direct), (scenario, direct)


@each_client
def test_a_provider_sees_no_difference(run_of, name):
    """As many requests, in the same order, equal but for our fields and the wish for usage."""
    direct, through = run_of(name).asked

    assert [target(each) for each in direct] == [target(each) for each in through]
    for one, other in zip(direct, through, strict=True):
        injected = asked_for_usage(other) and not asked_for_usage(one)
        assert content(one, injected=injected) == content(other, injected=injected)
        assert told(one) == told(other)
        assert encodings(other) <= encodings(one) & ENCODINGS | {b"identity"}


@each_client
def test_a_customer_is_named_once_a_call(run_of, ways, name):
    """One event for each call that named the customer; usage is what the provider reported."""
    run = run_of(name)
    naming = [called(each).route for each in run.asked[0] if names(each, run.customer)]

    events = ways.door.settled(run.customer, len(naming))

    assert Counter(naming) == Counter(event.endpoint for event in events)
    unreported = [
        event
        for event in events
        if event.status is Status.OK
        and event.source is not Source.REPORTED
        and not event.model.endswith(UNCOUNTED)
    ]
    assert [] == unreported


def names(asked, customer):
    """Whether a request does, in its body or in our header."""
    name = customer.encode()
    return name in asked.body or name == asked.header(b"x-farebox-customer")


@pytest.mark.slow
def test_r34_who_is_over_budget_is_told_once(ways):
    """One call each, though both may retry twice: a 402 is worth no second try."""
    client = Client("over_budget.mjs", "node", "openai")
    one, other = a_customer("broke"), a_customer("broke")
    arguments = [ways.door.url, TOKEN, one, other]

    ended = subprocess.run(
        [*client.command(), *arguments], env=environment(), capture_output=True, check=False
    )

    assert b"" == ended.stderr
    assert [
        ["Error", "APIError", 402, "budget_exceeded"],
        ["AI_APICallError", "APICallError", 402, "budget_exceeded"],
    ] == json.loads(ended.stdout)
    for customer in (one, other):
        assert ["rejected"] == [row["status"] for row in ways.door.logs(customer)]
