"""What is wrong with an amount is counted once, and said once."""

import logging
from typing import Any

import pytest

from gateway.event import Kind, Source, Status, UsageEvent
from gateway.proxy import verdicts
from gateway.proxy.verdicts import Verdicts, why_estimated
from gateway.rating import REPORTED
from gateway.telemetry import Telemetry


def event(**facts) -> UsageEvent:
    told: dict[str, Any] = {
        "request_id": "fbx_1",
        "kind": Kind.SETTLE,
        "at_ms": 1,
        "model": "m",
        "upstream": "up",
        "cost_pico": 1_000,
        "price_id": "lab/m@2026",
        "source": Source.REPORTED,
    }
    return UsageEvent(**told | facts)


def counted(*events: UsageEvent) -> dict[tuple[str, str], int]:
    telemetry = Telemetry()
    found = Verdicts(telemetry)
    for one in events:
        found.tell(one)
    return telemetry.take()


def test_a_good_call_is_no_news() -> None:
    assert {} == counted(event(), event(reported_cost_pico=1_000), event(kind=Kind.RELEASE))


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"raw_usage": "7"}, "unparsed"),
        ({"raw_usage": ""}, "unparsed"),
        ({"raw_usage": "7", "status": Status.ABORTED}, "unparsed"),
        ({}, "missing"),
        ({"status": Status.ABORTED}, "cut"),
        ({"status": Status.ERROR}, "cut"),
    ],
)
def test_r07_an_estimate_is_counted_by_its_reason(facts, why) -> None:
    """An upstream that does not count, one that nobody understands, an answer that broke off."""
    estimated = event(source=Source.ESTIMATED, **facts)

    assert why == why_estimated(estimated)
    assert {("calls_estimated", why): 1} == counted(estimated)


def test_an_open_price_is_counted() -> None:
    """And not held against anything: there is nothing to hold."""
    assert {("calls_unpriced", ""): 1} == counted(event(unpriced=True, reported_cost_pico=7))


@pytest.mark.parametrize(
    ("facts", "drifts"),
    [
        ({"reported_cost_pico": 1_010}, False),
        ({"reported_cost_pico": 1_020}, True),
        ({"reported_cost_pico": 900}, True),
        ({"reported_cost_pico": 0}, True),
        ({"reported_cost_pico": None}, False),
        ({"reported_cost_pico": 900, "price_id": REPORTED}, False),
        ({"reported_cost_pico": 900, "kind": Kind.RELEASE}, False),
    ],
)
def test_a_cost_over_a_percent_beside_ours(facts, drifts) -> None:
    assert drifts == (("reported_cost_drifts", "") in counted(event(**facts)))


def test_an_estimate_is_not_held_against_a_figure() -> None:
    found = counted(event(source=Source.ESTIMATED, reported_cost_pico=900))

    assert [("calls_estimated", "missing")] == list(found)


def test_a_drift_is_said_once_a_model(caplog, monkeypatch) -> None:
    """Each is counted; the log has both figures, and is not flooded."""
    monkeypatch.setattr(verdicts, "SAID_MAX", 2)
    names = ["a", "a", "b", "b", "c"]
    with caplog.at_level(logging.WARNING):
        found = counted(*(event(model=name, reported_cost_pico=2_000) for name in names))

    assert {("reported_cost_drifts", ""): 5} == found
    first, second = (record.getMessage() for record in caplog.records)
    assert "model=a" in first
    assert "model=b" in second
    assert "cost_usd=0.000000001 reported_usd=0.000000002" in first


def test_r11_counts_that_contradict_each_other_are_counted_and_said_once(caplog) -> None:
    """Of each model; a drift of the same call is another matter."""
    odd = event(usage_cut="cache_read,reasoning", reported_cost_pico=2_000)

    with caplog.at_level(logging.WARNING):
        counts = counted(odd, odd, event())

    assert {("calls_usage_cut", ""): 2, ("reported_cost_drifts", ""): 2} == counts
    assert ["usage_cut", "reported_cost_drifts"] == [
        record.getMessage().split(" ")[0] for record in caplog.records
    ]
    assert "parts=cache_read,reasoning" in caplog.text
