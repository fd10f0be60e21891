"""Calls and reports at once: counters, archive and analytics are a fold of the stream."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from gateway.metering.fold import fold
from pricing.money import usd
from tests.support.gateways import a_customer, wait_until

CALLS = 12
BATCHES = 4


def events_of(customer: str, batch: int) -> list[dict[str, Any]]:
    """Ten, of which two stand twice, one is faulty, one is of last week."""
    events: list[dict[str, Any]] = [
        {
            "appId": "my-app",
            "eventType": "text_gen",
            "consumerId": customer,
            "inputTokens": 100 * batch + index,
            "outputTokens": index,
            "eventId": f"{customer}-{batch}-{index}",
        }
        for index in range(8)
    ]
    events[3]["timestamp"] = (datetime.now(UTC) - timedelta(days=7)).isoformat()
    return [*events, events[0], events[1] | {"outputTokens": -1}]


def test_a_mixed_load_adds_up_everywhere(door) -> None:
    """Each call and each event counts once, in the counters, the rows and the charts."""
    customers = [a_customer("mixed") for _ in range(3)]

    def call(index: int) -> None:
        customer = customers[index % 3]
        assert door.chat(customer, stream=index % 2 == 0).status_code == 200

    def report(index: int) -> None:
        batch = events_of(customers[index % 3], index)
        for _ in range(2):  # the second time everything is a duplicate, or faulty again
            answer = door.post("/v1/events", json=batch)
            assert 202 == answer.status_code

    with ThreadPoolExecutor(6) as pool:
        for done in [
            *(pool.submit(call, i) for i in range(CALLS)),
            *(pool.submit(report, i) for i in range(BATCHES)),
        ]:
            done.result()

    for place, customer in enumerate(customers):
        reports = len(range(place, BATCHES, 3))
        count = CALLS // 3 + 8 * reports
        events = door.settled(customer, count)
        [change] = fold(events, ZoneInfo("UTC")).values()
        totals = change.totals

        def counted(customer: str = customer) -> dict[str, Any]:
            return dict(door.summary(customer_identifier=customer))

        def everywhere(customer: str = customer, count: int = count) -> bool:
            return bool(counted(customer)["requests"] == count == len(door.logs(customer, count)))

        wait_until(everywhere, "counters and archive have everything")
        user = door.user(customer)
        from_rows = door.summary(customer_identifier=customer, timezone="Asia/Kathmandu")
        assert usd(totals.charge_pico) == user["spent_usd"]
        assert (totals.calls, totals.input_tokens, totals.output_tokens) == (
            user["total_requests"],
            user["total_prompt_tokens"],
            user["total_completion_tokens"],
        )
        assert counted() == from_rows  # the one from the counters, the other from the rows
        assert totals.input_tokens + totals.output_tokens == from_rows["total_tokens"]
        assert Decimal(usd(totals.charge_pico)) == sum(
            Decimal(door.log(row["unique_id"])["charge_usd"]) for row in door.logs(customer, count)
        )
        assert 2 == len(change.days)  # last week's are on their own day
