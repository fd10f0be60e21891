"""The list of users: everybody once, in the order asked for, at a constant price."""

import random
from datetime import datetime
from itertools import product
from urllib.parse import parse_qs, urlsplit

import pytest

from gateway.metering.roster import roster
from gateway.store.link import Link
from pricing.money import pico_usd
from pricing.usage import Usage
from tests.gateway.api.conftest import admin
from tests.support.sizes import sized

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
TIMES = ("first_seen", "last_active_timeframe")
TEXTS = ("customer_identifier", "email")
ORDERS = (
    *TEXTS,
    "first_seen",
    "last_active_timeframe",
    "number_of_requests",
    "total_cost",
    "total_tokens",
    "active_days",
    "average_latency",
    "average_ttft",
)


@pytest.fixture
async def crowd(api):
    """Thirty customers, some of whom share every number there is; as rows of the list."""
    chance = random.Random(1)
    for i in range(30):
        name = f"{chance.choice(['User', 'user', 'Ünal', '😀'])} {i:02}/x"
        about = {"name": f"Name {i % 4}", "email": f"e{i % 5}@x.example"} if i % 3 else {}
        await api.post("/api/users/", {"customer_identifier": name, **about})
        for _ in range(chance.randrange(4)):
            facts = {} if i % 2 else {"latency_ms": 100 * (i % 6), "first_token_ms": i % 3}
            await api.call(
                name,
                usage=Usage(input_tokens=i % 7, output_tokens=i % 2),
                charge_pico=pico_usd("0.5") * (i % 8),
                cost_pico=1,
                **facts,
            )
    await api.flush()
    rows = (await api.get("/api/users/list/", page_size=1000)).json()["results"]
    assert 30 == len(rows)
    return rows


async def everybody(api, **query):
    """All rows, page after page, by the links."""
    seen, answer = [], await api.get("/api/users/list/", **query)
    while True:
        assert 200 == answer.status_code, answer.text
        page = answer.json()
        seen += page["results"]
        if page["next"] is None:
            return seen
        answer = await api.get(page["next"])


async def filtered(api, filters, **query):
    answer = await api.client.post(
        "/api/users/list/", params=query, json={"filters": filters}, headers=admin()
    )
    assert 200 == answer.status_code, answer.text
    return answer.json()


def ids(rows):
    return {row["customer_identifier"] for row in rows}


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


async def test_what_a_call_says_of_its_customer_is_listed(api) -> None:
    """A name that a call brings along replaces the one before, in the search too."""
    await api.bench.hold("acme", 1, name="Before")
    await api.flush()
    await api.bench.hold("acme", 1, name="After")
    await api.flush()

    (row,) = (await api.get("/api/users/list/", search="after")).json()["results"]

    assert ("acme", "After") == (row["customer_identifier"], row["name"])
    assert 0 == (await api.get("/api/users/list/", search="before")).json()["count"]


async def test_sorts_by_every_column(api, crowd) -> None:
    """Both ways, page by page: everybody once, none before its turn."""

    def place(column, row):
        value = row[column]
        if column in TEXTS:
            return (value or "").casefold()
        if column in TIMES and value:
            return (True, datetime.fromisoformat(value).timestamp())
        return (value is not None, value or 0)

    for column, sign in product(ORDERS, ("", "-")):
        expected = sorted((place(column, row) for row in crowd), reverse=bool(sign))
        listed = await everybody(api, sort_by=sign + column, page_size=7)
        assert expected == [place(column, row) for row in listed]
        assert ids(crowd) == ids(listed)
        assert len(crowd) == len(listed)


async def test_goes_on_from_a_place(api, crowd, monkeypatch) -> None:
    """Where numbers of pages end, `after` goes on; it loses nobody when others come and go."""
    monkeypatch.setattr("gateway.api.user_list.OFFSET_MAX", 4)
    for sort_by in ("-total_cost", "total_cost", "email", "-email"):
        await goes_on(api, sort_by)


async def goes_on(api, sort_by) -> None:
    expected = await everybody(api, sort_by=sort_by, page_size=100)
    first = (await api.get("/api/users/list/", sort_by=sort_by, page_size=4)).json()
    second = (await api.get(first["next"])).json()
    assert "page=2" in first["next"]
    assert "after" in parse_qs(urlsplit(second["next"]).query)

    await api.post(
        "/api/users/", {"customer_identifier": f"new {sort_by}", "email": "e2@x.example"}
    )
    rest, path = [], second["next"]
    while path:
        page = (await api.get(path)).json()
        assert page["previous"] is None
        rest += page["results"]
        path = page["next"]

    told = [*first["results"], *second["results"], *rest]
    assert expected == [row for row in told if row["customer_identifier"] != f"new {sort_by}"]


async def test_search_finds_beginnings(api, crowd) -> None:
    """Of identifier, name and email, without case; each customer once."""
    await api.post("/api/users/", {"customer_identifier": "Ärger", "name": "ärGER", "email": None})

    for text in ("user 0", "USER", "name 2", "e3@", "😀", "ünal 1", "är", "nobody", "x"):
        page = (await api.get("/api/users/list/", search=text, page_size=1000)).json()
        expected = {
            row["customer_identifier"]
            for row in await everybody(api, page_size=1000)
            if any(
                (row[name] or "").casefold().startswith(text.casefold())
                for name in ("customer_identifier", "name", "email")
            )
        }
        assert expected == ids(page["results"]), text
        assert (len(expected), len(expected)) == (page["count"], len(page["results"]))
        assert "count_exact" not in page


FILTERS = [
    ("customer_identifier", "", ["user 02/x"], lambda v: v == "user 02/x"),
    ("customer_identifier", "iexact", ["USER 02/x"], lambda v: v.lower() == "user 02/x"),
    ("customer_identifier", "startswith", ["user"], lambda v: v.startswith("user")),
    ("customer_identifier", "endswith", ["1/x"], lambda v: v.endswith("1/x")),
    ("customer_identifier", "contains", ["r 1"], lambda v: "r 1" in v),
    ("customer_identifier", "icontains", ["R 1"], lambda v: "r 1" in v.lower()),
    ("customer_identifier", "not", ["user 02/x"], lambda v: v != "user 02/x"),
    ("name", "in", ["Name 1", "Name 2"], lambda v: v in {"Name 1", "Name 2"}),
    ("name", "gt", ["Name 1"], lambda v: v is not None and v > "Name 1"),
    ("email", "isnull", [True], lambda v: v is None),
    ("email", "isnull", False, lambda v: v is not None),
    ("email", "", "e1@x.example", lambda v: v == "e1@x.example"),
    ("number_of_requests", "gt", [1], lambda v: v > 1),
    ("number_of_requests", "gte", ["1"], lambda v: v >= 1),
    ("number_of_requests", "lt", [1.5], lambda v: v < 1.5),
    ("number_of_requests", "in", [0, 3], lambda v: v in {0, 3}),
    ("number_of_requests", "not", [0, 1], lambda v: v not in {0, 1}),
    ("number_of_requests", "isnull", [True], lambda v: False),
    ("total_cost", "lte", [3.5], lambda v: v <= 3.5),
    ("total_cost", "gt", ["3.5"], lambda v: v > 3.5),
    ("total_cost", "", [0], lambda v: v == 0),
    ("total_tokens", "gte", [5], lambda v: v >= 5),
    ("active_days", "", [1], lambda v: v == 1),
]


@pytest.mark.parametrize("few", [True, False], ids=["gathered", "walked"])
async def test_filters(api, crowd, monkeypatch, few) -> None:
    """Every operator, answered by an order or by looking at everybody: the same customers."""
    if not few:
        monkeypatch.setattr(roster, "GATHERED_MAX", -1)
    for field, operator, values, meets in FILTERS:
        expected = {row["customer_identifier"] for row in crowd if meets(row[field])}
        asked = {field: {"operator": operator, "value": values}}
        for sort_by in ("-total_cost", field, "email"):
            page = await filtered(api, asked, sort_by=sort_by, page_size=1000)
            assert expected == ids(page["results"]), asked
            assert len(expected) == page["count"] == len(page["results"])
            assert "count_exact" not in page


async def test_filters_and_search_meet(api, crowd) -> None:
    """All of them must hold; filters may stand in the query, where they mean equality."""
    some = await filtered(
        api,
        {
            "total_tokens": {"operator": "gt", "value": [2]},
            "name": {"operator": "", "value": ["Name 1"]},
        },
        search="us",
        page_size=1000,
    )
    named = (await api.get("/api/users/list/", name="Name 1", page_size=1000)).json()

    assert ids(named["results"]) == ids(r for r in crowd if r["name"] == "Name 1")
    assert ids(some["results"]) == ids(
        row
        for row in crowd
        if row["total_tokens"] > 2
        and row["name"] == "Name 1"
        and row["customer_identifier"].lower().startswith("us")
    )


async def test_a_long_walk_ends_and_goes_on(api, crowd, monkeypatch) -> None:
    """What no order answers looks at so many customers; `next` goes on behind them."""
    monkeypatch.setattr(roster, "SCANNED_MAX", 8)
    monkeypatch.setattr(roster, "SCANNED_AT_ONCE", 4)
    asked = {"customer_identifier": {"operator": "contains", "value": ["1"]}}
    seen, pages, page = [], 0, await filtered(api, asked, page_size=2)
    while True:
        pages += 1
        seen += page["results"]
        if page["next"] is None:
            break
        assert page["count_exact"] is False
        query = {k: v[0] for k, v in parse_qs(urlsplit(page["next"]).query).items()}
        page = await filtered(api, asked, **query)
        assert pages < 40

    expected = [row for row in crowd if "1" in row["customer_identifier"]]
    assert expected == seen


async def test_r65_a_page_of_very_many_users_is_one_round_trip_and_small(api, monkeypatch) -> None:
    """In every order, at the start and far behind: what is read and answered does not grow."""
    count = sized(3_000, full=100_000)
    await list_many(api, count)
    trips = trips_of(api, monkeypatch)
    for sort_by in ORDERS:
        for page in (1, 200 if count > 10_000 else count // 50):
            trips.clear()
            response = await api.get("/api/users/list/", sort_by=sort_by, page=str(page))
            assert [1] == trips, (sort_by, page)
            assert (count, 50) == (response.json()["count"], len(response.json()["results"]))
            assert len(response.content) < 100_000
    following = (await api.get("/api/users/list/", page_size="1000")).json()["next"]
    trips.clear()
    assert 200 == (await api.client.get(following, headers=admin())).status_code
    assert [1] == trips


async def list_many(api, count: int) -> None:
    """Rows of the roster, as the indexer writes them, of customers with a full profile."""
    partition = api.bench.store.keyspace.partitions[0]
    for start in range(0, count, 500):
        numbers = range(start + 1, min(start + 500, count) + 1)
        commands = []
        for n in numbers:
            fields = {
                "identifier": f"customer-{n:06d}",
                "version": "1",
                "name": f"Customer {n} " + "n" * 40,
                "email": f"c{n}@{'x' * 40}.example",
                "created_ms": str(1_700_000_000_000 + n),
            }
            flat = [part for pair in fields.items() for part in pair]
            commands.append(("HSET", partition.profile(n), *flat))
            commands.append(("ZADD", partition.changed, 1, n))
        await api.bench.store.commands(commands)
        await api.services.users.indexer.refresh(*((partition, n) for n in numbers))


def trips_of(api, monkeypatch) -> list[int]:
    """How many commands each round trip has from now on.

    Of this store alone: gateways of other tests may live in threads of this process.
    """
    trips: list[int] = []
    deliver = Link._deliver
    own = api.bench.store._way.links

    async def counted(self, batch):
        if self in own:
            trips.append(len(batch))
        await deliver(self, batch)

    monkeypatch.setattr(Link, "_deliver", counted)
    return trips


async def test_a_page_costs_the_same_however_long_it_is(api, monkeypatch) -> None:
    """One round trip, for two rows and for twenty, in any order; few with filters, too."""
    for i in range(20):
        await api.post("/api/users/", {"customer_identifier": f"c{i}", "email": f"e{i}@x.example"})
    trips = trips_of(api, monkeypatch)
    for size in (2, 20):
        for sort_by in ORDERS:
            trips.clear()
            await api.get("/api/users/list/", page_size=size, sort_by=sort_by)
            assert [1] == trips
        trips.clear()
        assert (
            11 == (await api.get("/api/users/list/", page_size=size, search="c1")).json()["count"]
        )
        assert 3 == len(trips)


@pytest.mark.parametrize(
    "query",
    [
        {"page": "0"},
        {"page": "x"},
        {"page": "-1"},
        {"page": "9" * 30},
        {"page": "202"},
        {"page_size": "1001"},
        {"page_size": "٣"},
        {"sort_by": "metadata"},
        {"sort_by": "--email"},
        {"search": "a" * 513},
        {"after": "x"},
        {"after": "WyJjaGFyZ2UiLCB0cnVlLCAxLCAieCJd"},
        {"environment": "test"},
        {"wat": "1"},
    ],
)
async def test_a_query_that_cannot_be_followed_is_refused(api, query) -> None:
    """A filter or an order that is ignored would show other rows than were asked for."""
    response = await api.get("/api/users/list/", **query)

    assert 422 == response.status_code
    assert list(query) == list(response.json()["errors"])


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"filters": []}, "filters"),
        ({"filter": {}}, "filter"),
        ({"filters": {"metadata": {"operator": "", "value": ["x"]}}}, "filters.metadata"),
        ({"filters": {"name": "x"}}, "filters.name"),
        ({"filters": {"name": {"op": "", "value": ["x"]}}}, "filters.name"),
        ({"filters": {"name": {"operator": "like", "value": ["x"]}}}, "filters.name"),
        ({"filters": {"name": {"operator": "", "value": []}}}, "filters.name"),
        ({"filters": {"name": {"operator": "", "value": [5]}}}, "filters.name"),
        ({"filters": {"name": {"operator": "isnull", "value": ["x"]}}}, "filters.name"),
        ({"filters": {"active_days": {"operator": "icontains", "value": ["1"]}}}, "active_days"),
        ({"filters": {"total_cost": {"operator": "gt", "value": ["NaN"]}}}, "total_cost"),
        ({"filters": {"total_cost": {"operator": "gt", "value": [True]}}}, "total_cost"),
        ({"filters": {"total_cost": {"operator": "gt", "value": ["1e99"]}}}, "total_cost"),
    ],
)
async def test_a_filter_that_cannot_be_followed_is_refused(api, body, field) -> None:
    """Each is named."""
    response = await api.post("/api/users/list/", body)

    assert 422 == response.status_code
    (named,) = response.json()["errors"]
    assert field in {named, named.removeprefix("filters.")}
