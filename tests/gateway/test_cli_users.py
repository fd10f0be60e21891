"""`farebox users` as a user runs it, beside a gateway."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli import main
from tests.support.gateways import a_customer, gateway, settings, wait_until


@pytest.fixture(scope="module")
def door():
    with gateway() as serving:
        yield serving


@pytest.fixture
def run(door, tmp_path: Path):
    """A command on the gateway's own store, by URL, from another folder."""
    file = tmp_path / "farebox.yaml"
    content = settings(tmp_path / "data", "http://127.0.0.1:1", redis={"url": door.store_url})
    file.write_text(json.dumps(content, default=str))

    def run(command: str, *args: str):
        return CliRunner().invoke(main, ["users", command, "--config", str(file), *args])

    return run


def test_set_show_and_list(door, run) -> None:
    """What is set here, calls are held to; and it is shown as the API shows it."""
    customer = a_customer("Cli")
    missing = run("set", customer, "period_budget=0")
    made = run("set", customer, "--create", "period_budget=0", "name=Ada L.", "email=a@x.example")

    assert (1, 0) == (missing.exit_code, made.exit_code)
    assert "There is no customer" in missing.stderr
    assert 402 == door.chat(customer).status_code
    assert 0 == run("set", customer, "period_budget=null", "rate_limit=5").exit_code
    assert 200 == door.chat(customer).status_code
    door.settled(customer, count=2)
    wait_until(lambda: door.user(customer)["number_of_requests"] == 1, "it is counted")
    shown = run("show", customer)
    as_json = json.loads(run("show", customer, "--json").stdout)
    assert "Ada L." in shown.stdout
    of_api = door.user(customer)
    assert of_api.keys() == as_json.keys()
    for name in ("rate_limit", "pinned", "spent_usd", "number_of_requests", "email"):
        assert of_api[name] == as_json[name]
    listed = run("list", "--search", customer.lower())
    [row] = json.loads(run("list", "--search", customer, "--json").stdout)["results"]
    assert "1 of 1 customers." in listed.stdout
    assert customer in listed.stdout
    assert (customer, "Ada L.") == (row["customer_identifier"], row["name"])


def test_list_sorts_and_ends(door, run) -> None:
    """In any order of the API's list, so many at most."""
    names = sorted(a_customer("sorted") for _ in range(3))
    for name in names:
        door.api.post("/api/users/", json={"customer_identifier": name})

    page = json.loads(
        run(
            *("list", "--search", "sorted", "--sort-by", "-customer_identifier"),
            *("--limit", "2", "--json"),
        ).stdout
    )

    assert names[:0:-1] == [row["customer_identifier"] for row in page["results"]]
    assert 3 == page["count"]


@pytest.mark.parametrize(
    ("args", "said", "code"),
    [
        (("set", "CUSTOMER", "period_budget=-1"), "must not be negative", 1),
        (("set", "CUSTOMER", "perod_budget=1"), "did you mean period_budget?", 1),
        (("set", "CUSTOMER", "period_budget"), "write it as field=value", 1),
        (("show", "nobody"), "There is no customer", 1),
        (("show", "~x"), "There is no customer", 1),
        (("list", "--sort-by", "metadata"), "must be one of", 2),
        (("list", "--limit", "0"), "not in the range", 2),
    ],
)
def test_what_cannot_be_is_said(door, run, args, said, code) -> None:
    customer = a_customer()
    door.api.post("/api/users/", json={"customer_identifier": customer})

    done = run(*(customer if arg == "CUSTOMER" else arg for arg in args))

    assert code == done.exit_code, done.output
    assert said in done.stderr
