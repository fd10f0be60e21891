"""The metrics and the audit of a whole gateway."""

import httpx

from tests.support.gateways import a_customer, gateway, wait_until


def test_a_gateway_tells_what_it_does():
    """Calls that were let through, refused and open in price; nobody's name; no key asked."""
    with gateway() as door:
        door.chat("canary-customer")
        door.chat(a_customer(), customer_params={"period_budget": 0})
        door.settled("canary-customer")

        page = httpx.get(f"{door.url}/metrics", trust_env=False).text

        assert "farebox_calls_admitted_total 1.0" in page
        assert 'farebox_calls_refused_total{code="budget_exceeded"} 1.0' in page
        assert "farebox_endings_waiting 0.0" in page
        assert "farebox_calls_unheld 0.0" in page
        assert "farebox_ledger_up 1.0" in page
        assert "farebox_store_links_down 0.0" in page
        assert "farebox_wal_failing 0.0" in page
        assert "farebox_dead_letters_total 0.0" in page
        [size] = [line for line in page.splitlines() if line.startswith("farebox_wal_bytes ")]
        assert float(size.split()[1]) > 0
        assert "canary" not in page


def test_the_auditor_runs_in_a_gateway():
    """It has begun within seconds of the start, and finds nothing wrong."""
    with gateway() as door:
        wait_until(lambda: door.api.get("/api/audit").json()["partitions"] > 0, "it begins", 20)

        found = door.api.get("/api/audit").json()

    assert (None, []) == (found["ok"], found["differences"])
