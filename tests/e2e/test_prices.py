"""Prices end to end: cost and charge apart on every face, reload under load, late corrections."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from gateway.cli import main
from gateway.demo.upstream import AT_ONCE, build_upstream
from gateway.event import UsageEvent
from tests.support.gateways import a_customer, by_hand, gateway, kinds, price_of, wait_until
from tests.support.processes import farebox
from tests.support.servers import serve

GROUP = "team"
PICO = Decimal(10) ** -12
HELLO = [{"role": "user", "content": "Hello"}]


@pytest.fixture
def upstream() -> Iterator[tuple[Any, str]]:
    app = build_upstream(pace=AT_ONCE)
    with serve(app, http="httptools") as url:
        yield app, url


def ask(door: Any, customer: str, **params: Any) -> Any:
    """A call through openai-python; its answer."""
    with door.openai() as client:
        return client.chat.completions.create(
            model="demo-small",
            messages=HELLO,
            extra_body={"customer_params": {"customer_identifier": customer, **params}},
        )


def of(event: UsageEvent) -> tuple[Decimal, Decimal]:
    """Cost and charge, USD."""
    return event.cost_pico * PICO, event.charge_pico * PICO


@pytest.mark.parametrize("count", ["charge", "cost"])
def test_cost_and_charge_are_kept_apart_on_every_face(count) -> None:
    """With a markup of 150 %: event, log, user, analytics; whatever limits are about."""
    with gateway(budgets={"count": count}) as door:
        customer = a_customer()
        answer = ask(door, customer, markup_percentage=150, period_budget=1)
        cost = price_of(answer.usage)
        charge = cost * Decimal("2.5")
        (event,) = door.settled(customer)
        assert (cost, charge) == of(event)

        (row,) = door.logs(customer)
        assert (float(cost), float(charge)) == (row["cost"], row["charge"])
        log = door.log(event.request_id)
        assert (cost, charge, charge - cost) == tuple(
            Decimal(text)
            for text in (log["cost_usd"], log["charge_usd"], log["arithmetic"]["markup_usd"])
        )
        assert 150 == log["markup_percentage"]

        wait_until(lambda: door.user(customer)["number_of_requests"] == 1, "it is counted")
        user = door.user(customer)
        assert charge == Decimal(user["spent_usd"])
        assert float(charge) == user["total_cost"] == user["total_period_usage"]
        taken = cost if count == "cost" else charge
        assert 1 - taken == Decimal(user["remaining_usd"])

        summary = door.summary(customer_identifier=customer)
        assert (float(cost), float(charge)) == (summary["total_cost"], summary["total_charge"])


@pytest.mark.parametrize(("count", "passed"), [("charge", 1), ("cost", 2)])
@pytest.mark.parametrize("limited", ["customer", "group"])
def test_a_limit_is_about_cost_or_charge(count, passed, limited) -> None:
    """Room for the hold and two costs, but not for the hold and a charge, ten times the cost.

    A hold is always a charge, so that room is what a first, unlimited call has shown.
    """
    probe = a_customer()
    with gateway(budgets={"policy": "reject"}) as door:
        cost = price_of(ask(door, probe, markup_percentage=900, total_budget=1_000).usage)
        hold = door.settled(probe)[0].hold_pico * PICO
    budget = hold + 2 * cost
    groups = {GROUP: {"total_budget": str(budget)}} if limited == "group" else {}
    with gateway(budgets={"policy": "reject", "count": count}, groups=groups) as door:
        customer = a_customer()
        params: dict[str, Any] = {"markup_percentage": 900}
        if limited == "group":
            params["group_identifier"] = GROUP
        else:
            params["total_budget"] = str(budget)

        for number in range(2):
            answer = door.chat(customer, "Hello", customer_params=params)
            assert (number < passed) == (answer.status_code == 200), answer.text
            if answer.status_code != 200:
                break
            door.settled(customer, number + 1)
            if limited == "group":
                wait_until(lambda: held_by_group(door) == 0, "the group has counted it")


def held_by_group(door: Any) -> int:
    scope = f"group:{GROUP}"
    return int(door.store.hget(door.partition(scope).scope_account(scope), "held") or 1)


def test_r12_an_unpriced_call_is_null_on_every_face() -> None:
    """Never $0: null in log and header, counted as unpriced, refused for who has a limit."""
    with gateway(account={"provider": "lab"}) as door:
        customer = a_customer()

        answer = door.chat(customer)
        refused = door.chat(customer, customer_params={"period_budget": 5})

        assert 200 == answer.status_code
        assert "x-farebox-charge-usd" not in answer.headers
        assert (400, "model_not_priced") == (refused.status_code, refused.json()["error"]["code"])
        log = door.log(answer.headers["x-farebox-request-id"])
        assert [None] * 4 == [log[name] for name in ("cost", "charge", "cost_usd", "charge_usd")]
        assert ([], "No price was known for this model, so no cost was booked.") == (
            log["line_items"],
            log["arithmetic"]["explanation"],
        )
        wait_until(lambda: door.summary()["unpriced"] == 1, "it is counted")
        wait_until(
            lambda: "farebox_calls_unpriced_total 1.0" in door.api.get("/metrics").text,
            "the metrics have it",
        )


def overlay(factor: str) -> list[dict[str, Any]]:
    """The demo's small model at so many times its price."""
    rates = {"input": "0.15", "cache_read": "0.075", "output": "0.60"}
    base = {name: str(Decimal(rate) * Decimal(factor)) for name, rate in rates.items()}
    return [{"provider": "demo", "model": "demo-small", "base": base}]


def edited(folder: Path, **changes: Any) -> None:
    """The config with other top-level keys, put in its place at once."""
    file = folder / "farebox.yaml"
    draft = folder / "draft.yaml"
    draft.write_text(json.dumps(json.loads(file.read_text()) | changes))
    draft.rename(file)


def degraded(door: Any) -> list[str]:
    found: list[str] = door.api.get("/readyz").json().get("degraded", [])
    return found


@contextmanager
def calls(door: Any, customer: str) -> Iterator[None]:
    """Four callers, one call after the other, until the end of the block."""
    ended = threading.Event()

    def one_after_the_other() -> None:
        while not ended.is_set():
            assert 200 == door.chat(customer).status_code

    with ThreadPoolExecutor(4) as pool:
        callers = [pool.submit(one_after_the_other) for _ in range(4)]
        try:
            yield
        finally:
            ended.set()
        for caller in callers:
            caller.result()


def factors(events: list[UsageEvent]) -> list[Decimal]:
    """What each event was billed, in multiples of the list price."""
    return [
        event.cost_pico
        * PICO
        / by_hand(
            "demo-small",
            event.usage.input_total,
            event.usage.output_total,
            event.usage.cached_total,
        )
        for event in events
    ]


@pytest.mark.slow
def test_r45_prices_are_reloaded_under_load_without_a_torn_read(tmp_path, upstream) -> None:
    """Two workers, calls all along: each event has one book's version and that book's price.

    A broken file and an unconfirmed leap change nothing, and are said; confirmed, the leap
    comes into force.
    """
    app, url = upstream
    customer = a_customer()
    with farebox(tmp_path, app, url, workers=2, prices=overlay("1")) as running:
        door = running.gateway

        def last_factors(count: int = 40) -> set[Decimal]:
            return set(factors(door.events(customer)[-count:]))

        with calls(door, customer):
            edited(tmp_path, prices=overlay("3"))
            wait_until(lambda: last_factors() == {Decimal(3)}, "three times the price", 30)

            edited(tmp_path, prices=[{"provider": "demo"}])
            wait_until(lambda: "files cannot be used" in str(degraded(door)), "it is told", 30)
            edited(tmp_path, prices=overlay("60"))
            wait_until(lambda: "moves more than 10x" in str(degraded(door)), "it is refused", 30)
            assert {Decimal(3)} == last_factors()

            code = degraded(door)[0].rpartition(" ")[2]
            edited(tmp_path, prices_confirm=code)
            wait_until(lambda: last_factors() == {Decimal(60)}, "it is confirmed", 30)
            wait_until(lambda: degraded(door) == [], "nothing is refused any more", 30)

        events = door.events(customer)
        by_version: dict[str | None, set[Decimal]] = {}
        for event, factor in zip(events, factors(events), strict=True):
            by_version.setdefault(event.book_version, set()).add(factor)
        assert [{Decimal(1)}, {Decimal(3)}, {Decimal(60)}] == sorted(by_version.values(), key=max)


@pytest.mark.slow
def test_r45_calls_are_rated_again_where_nothing_runs(tmp_path, upstream) -> None:
    """The gateway is stopped: the command starts its store, and archives what it books."""
    app, url = upstream
    customer = a_customer()
    with farebox(tmp_path, app, url) as running:
        answers = [ask(running.gateway, customer) for _ in range(3)]
        running.gateway.settled(customer, 3)
        assert 0 == running.stop()
    due = sum(price_of(answer.usage) for answer in answers)
    edited(tmp_path, prices=overlay("3"))
    arguments = ["prices", "rerate", "--since", "2026-01-01", "--json"]

    ended = [
        CliRunner().invoke(main, [*arguments, "--config", str(tmp_path / "farebox.yaml")])
        for _ in range(2)
    ]

    assert [(0, ""), (0, "")] == [(each.exit_code, each.stderr) for each in ended]
    first, second = (json.loads(each.stdout) for each in ended)
    booked = Decimal(first["customers"][customer]["charge_usd"])
    assert (2 * due, 3) == (booked, first["booked"])
    assert ({}, {"right": 3}) == (second["customers"], second["left"])
    with farebox(tmp_path, app, url, prices=overlay("3")) as running:
        assert 3 * due == running.gateway.spent(customer)
        assert 6 == len(kinds(running.gateway.events(customer)))
