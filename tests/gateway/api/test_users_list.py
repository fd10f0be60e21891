"""The list of users: everybody once, in the order asked for, at a constant price."""

import pytest

from gateway.store.link import Link
from pricing.usage import Usage

pytestmark = pytest.mark.anyio

ROW = {
    "id",
    "customer_identifier",
    "name",
    "email",
    "first_seen",
    "last_active_timeframe",
    "active_days",
    "number_of_requests",
    "total_tokens",
    "total_cost",
    "average_latency",
    "average_ttft",
}


async def test_list_pages_through_everybody(api) -> None:
    """Every customer once, the latest first, with the neighbours' addresses."""
    names = [f"customer {i}" for i in range(7)]
    for name in names:
        await api.post("/api/users/", {"customer_identifier": name, "name": name.upper()})

    seen: list[str] = []
    path: str | None = "/api/users/list/?page_size=3"
    while path:
        page = (await api.get(path)).json()
        assert 7 == page["count"]
        assert all(set(row) == ROW for row in page["results"])
        seen += [row["customer_identifier"] for row in page["results"]]
        path = page["next"]

    assert sorted(names) == sorted(seen)
    oldest = (await api.get("/api/users/", sort_by="first_seen")).json()
    times = [row["first_seen"] for row in oldest["results"]]
    assert sorted(times) == times
    assert (None, None) == (oldest["previous"], oldest["next"])


async def test_calls_alone_make_a_row(api) -> None:
    """A customer that nobody created is listed once it has been flushed."""
    await api.call("walk-in", usage=Usage(input_tokens=3), charge_pico=5, cost_pico=5)
    await api.flush()

    (row,) = (await api.get("/api/users/list")).json()["results"]

    assert ("walk-in", 1, 3) == (
        row["customer_identifier"],
        row["number_of_requests"],
        row["total_tokens"],
    )


async def test_a_page_costs_the_same_however_long_it_is(api, monkeypatch) -> None:
    """Three round trips, for two rows and for twenty."""
    for i in range(20):
        await api.post("/api/users/", {"customer_identifier": f"c{i}"})
    trips = []
    deliver = Link._deliver

    async def counted(self, batch):
        trips.append(len(batch))
        await deliver(self, batch)

    monkeypatch.setattr(Link, "_deliver", counted)
    for size in (2, 20):
        trips.clear()
        await api.get("/api/users/list/", page_size=size)
        assert 3 == len(trips)


@pytest.mark.parametrize(
    "query",
    [
        {"page": "0"},
        {"page": "x"},
        {"page": "-1"},
        {"page": "9" * 30},
        {"page_size": "1001"},
        {"page_size": "٣"},
        {"sort_by": "email"},
        {"search": "a"},
        {"wat": "1"},
    ],
)
async def test_a_query_that_cannot_be_followed_is_refused(api, query) -> None:
    """A filter or an order that is ignored would show other rows than were asked for."""
    response = await api.get("/api/users/list/", **query)

    assert 422 == response.status_code
    assert list(query) == list(response.json()["errors"])
