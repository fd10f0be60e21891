"""A gateway whose archive is a PostgreSQL: the same answers; served while it is away."""

import pytest

from tests.support import postgres
from tests.support.gateways import a_customer, gateway, wait_until


@pytest.fixture(scope="module")
def url():
    if not postgres.installed():
        pytest.skip(postgres.ABSENT)
    with postgres.cluster() as running:
        yield running


def test_calls_are_logged_and_summed_up(url) -> None:
    """From the call to its log, its chart and its export."""
    with gateway(archive={"url": url}) as door:
        customer = a_customer()
        door.chat(customer)
        [row] = door.logs(customer)

        assert customer == door.log(row["unique_id"])["customer"]["customer_identifier"]
        for zone in ("UTC", "Asia/Kathmandu"):
            assert 1 == door.summary(customer_identifier=customer, timezone=zone)["requests"]
        assert row["unique_id"] in door.api.get("/api/export/usage").text
        assert {"status": "ready"} == door.api.get("/readyz").json()

        narrowed = "/api/request-logs/list/"
        for status, expected in (("200", 1), ("200.5", 0), ("-2147483647", 0), ("2147483647", 0)):
            found = door.api.get(narrowed, params={"status_code": status})
            assert (200, expected) == (found.status_code, found.json()["count"]), status
        assert 422 == door.api.get(narrowed, params={"status_code": "2147483648"}).status_code
        for path in ("request-logs/list/?app", "analytics/summary?model", "export/usage?model"):
            assert 422 == door.api.get(f"/api/{path}=%00").status_code, path
        assert 404 == door.api.get("/api/request-logs/%00").status_code


def test_calls_are_served_while_it_is_away() -> None:
    """And say what is missing: logs 503, `/readyz` degraded; the customer's money is exact."""
    absent = "postgresql://nobody@/none?host=/nowhere"
    with gateway(archive={"url": absent}) as door:
        customer = a_customer()

        assert 200 == door.chat(customer).status_code
        wait_until(lambda: len(door.events(customer)) == 1, "it is in the stream")
        assert door.events(customer)[0].charge_pico > 0
        assert 503 == door.api.get("/api/request-logs/list/").status_code
        made = door.api.post("/api/users/", json={"customer_identifier": a_customer()})
        assert (201, None) == (made.status_code, made.json()["top_models"])
        detail = door.user(customer)
        assert (None, None) == (detail["top_models"], detail["total_cache_hits"])
        assert "archive" in detail["warnings"][0]
        assert float(detail["spent_usd"]) > 0
        assert 200 == door.api.get("/api/users/list/").status_code
        ready = door.api.get("/readyz")
        assert (200, ["archive: OperationalError"]) == (
            ready.status_code,
            ready.json()["degraded"],
        )
