"""Every page, with data nobody would wish for: it is there, it is safe, it says what is true."""

import csv
import html
import io
import re
from datetime import UTC, datetime, timedelta

import pytest

from gateway.dashboard import site
from gateway.event import Status
from gateway.store.archive.table import METADATA
from pricing.usage import Usage

from .conftest import Html

pytestmark = pytest.mark.anyio

EVIL = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "=cmd|' /C calc'!A0",
    "مرحبا/..%2F\u202etxt",
    "🦊" * 60,
    "x" * 256,
    "a{{ 7 * 7 }}",
    "a'b\"c&d",
]
PAGES = [
    "/",
    "/?range=1h&top=tokens",
    "/?range=24h&top=calls&compare=0",
    "/?range=7d",
    "/?range=mtd",
    "/?range=last",
    "/?from=2024-01-01&to=2025-12-31",
    "/users",
    "/users?sort=name",
    "/users?sort=-budget&show=near",
    "/users?q=zzz",
    "/users?user=nobody",
    "/new-user",
    "/logs",
    "/logs?status=error&min_cost=0.5&app=my-app&model=small&tag=a%22b&key=%27%22",
    "/users?cols=refused.failed.tokens_in.cached.tokens_out.p95.top_model",
    "/logs?log=nothing",
    "/budgets",
    "/budgets?show=over",
    "/prices",
    "/prices?q=small&provider=lab",
    "/keys",
    "/health",
]


async def test_a_page_of_a_new_gateway_says_what_to_do(admin) -> None:
    """Without a single call, every page is there."""
    for path in PAGES:
        page = await admin.page(path)
        assert "main" in page.tags, path


async def test_hostile_names_are_text(admin) -> None:
    """Whatever customers and models are called, nothing of it is markup."""
    await fill(admin.api)

    for path in PAGES:
        page = await admin.page(path)
        assert 1 == page.tags.count("img"), path  # our mark
        assert 2 == page.tags.count("script"), path  # our two files
        assert all(link.startswith(("/", "#")) for link in page.links if link), path
        assert "a49" not in page.text, path


async def test_every_answer_forbids_what_is_not_ours(admin) -> None:
    response = await admin.get("/")

    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "no-store" == response.headers["cache-control"]
    assert "nosniff" == response.headers["x-content-type-options"]


async def test_assets_may_be_kept_since_their_address_names_them(admin) -> None:
    page = await admin.page("/")

    for link in {link for link in page.links if link.startswith("/assets/")}:
        response = await admin.get(link)
        assert 200 == response.status_code
        assert "immutable" in response.headers["cache-control"]
        stale = await admin.get(link.replace(link.split("/")[2], "0" * 12))
        assert 404 == stale.status_code


async def test_a_cost_that_is_not_known_is_not_zero(admin) -> None:
    """An unpriced call is called so, in the list, in its panel, in the file."""
    api = admin.api
    request_id = await api.call(
        "acme", unpriced=True, model="odd", usage=Usage(input_tokens=1000, output_tokens=10)
    )
    await api.flush()

    listed = await admin.page("/logs")
    opened = await admin.page(f"/logs?log={request_id}")
    rows = await rows_of(admin, "/logs.csv")

    assert "unpriced" in listed.text
    assert "No price was known" in opened.text
    assert "" == rows[0]["cost_usd"]


async def test_a_call_opens_on_its_customer_and_adds_up(admin) -> None:
    """The customer's card, then each line; the lines are the cost, to the last digit."""
    api = admin.api
    await api.report({**USAGE, "consumerId": "acme", "eventId": "one"})
    await api.flush()
    await admin.api.patch("/api/users/acme/", {"name": "ACME", "period_budget": 10})
    [row] = (await api.get("/api/request-logs/list/")).json()["results"]

    page = await admin.page(f"/logs?log={row['unique_id']}")

    assert page.text.index("ACME") < page.text.index("What it cost")
    for count, rate in ((800, "1.00"), (200, "0.50"), (100, "4.00")):
        assert f"{count} \N{MULTIPLICATION SIGN} ${rate} per 1M" in page.text
    assert "$0.0013" in page.text


async def test_a_refused_call_is_said_to_be_refused(admin) -> None:
    api = admin.api
    await api.call("acme", status=Status.ERROR, status_code=500, model="small")
    await api.flush()

    page = await admin.page("/logs?status=error")

    assert "error 500" in " ".join(page.text.split())


@pytest.mark.parametrize(
    ("query", "models"),
    [
        ("tag=ORDER-17", ["tagged"]),
        ("tag=zo%C3%AB", ["tagged"]),
        ("key=tk_1", ["keyed"]),
        ("key=tk_", []),
        ("tag=order&key=tk_1", []),
        ("tag=nothing", []),
    ],
)
async def test_calls_are_found_by_what_they_say_and_by_their_key(admin, query, models) -> None:
    """A tag anywhere in the metadata, in any case; a key as it is, not a part of it."""
    await admin.api.call("acme", model="plain")
    await admin.api.call("acme", model="tagged", metadata={"thread_identifier": "order-17 Zoë"})
    await admin.api.call("acme", model="keyed", key="tk_1")
    await admin.api.flush()

    rows = await rows_of(admin, f"/logs.csv?{query}")
    page = await admin.page(f"/logs?{query}")

    assert models == [row["model"] for row in rows]
    assert all(model in page.text for model in models)
    assert ("No call matches" in page.text) is not bool(models)


async def test_models_of_the_range_are_suggested(admin) -> None:
    """Whatever they are called, a refused one too; none of another time."""
    api = admin.api
    await api.call("acme", model="of-last-year", at_ms=api.bench.clock.now_ms() - 400 * 86_400_000)
    for model in ("small", "small", EVIL[0]):
        await api.call("acme", model=model)
    await api.flush()

    page = await admin.get("/logs")

    [options] = re.findall(r'<datalist id="models">(.*?)</datalist>', page.text)
    named = [html.unescape(name) for name in re.findall(r'<option value="(.*?)">', options)]
    assert [EVIL[0], "small"] == named


async def test_a_list_may_show_how_long_and_which_model(admin) -> None:
    """Of the latest calls within the range; a dash where nothing is known."""
    for model, latency_ms in (("small", 200), ("large", 1_500), ("small", 300)):
        await admin.api.call("acme", model=model, latency_ms=latency_ms)
    await admin.api.call("quiet", model="odd")
    await admin.api.flush()

    page = await admin.page("/users?cols=p95.top_model&sort=name")
    texts = " ".join(page.text.split())

    assert "p95Top model" in texts
    assert "1.5 s small" in texts
    assert "\N{EN DASH} odd" in texts


@pytest.mark.parametrize("span", ["30d", "24h"])  # by the counters; by the archive
async def test_a_list_may_show_what_went_in_and_came_out(admin, span) -> None:
    await admin.api.report({**USAGE, "consumerId": "acme", "eventId": "one"})
    await admin.api.flush()

    page = await admin.page(f"/users?cols=tokens_in.cached.tokens_out&range={span}")
    texts = " ".join(page.text.split())

    assert "InCachedOut" in texts
    assert "$0.0013 1 1,000 200 100" in texts
    [row] = await rows_of(admin, f"/users.csv?range={span}")
    kinds = ("tokens", "input_tokens", "cached_tokens", "output_tokens")
    assert ["1100", "1000", "200", "100"] == [row[kind] for kind in kinds]


async def test_files_have_what_pages_show_exactly(admin) -> None:
    """Amounts with all their digits; a name that a spreadsheet would run is text."""
    await fill(admin.api)

    rows = await rows_of(admin, "/users.csv")
    data = (await admin.get("/users.json")).json()["data"]

    assert len(EVIL) == len(rows) == len(data)
    [formula] = [row for row in rows if "cmd|" in row["customer_identifier"]]
    assert formula["customer_identifier"].startswith("'=")
    assert {"0.0013"} == {row["cost_usd"] for row in rows}


async def test_the_files_of_last_month_end_where_it_ends(admin) -> None:
    """By the links of the pages, to the millisecond; one user's calls likewise."""
    api = admin.api
    now = datetime.fromtimestamp(api.bench.clock.now_ms() / 1000, UTC)
    after = datetime(now.year, now.month, 1, tzinfo=UTC)
    first = (after - timedelta(days=1)).replace(day=1)
    instants = [int(at.timestamp() * 1000) + ms for at in (first, after) for ms in (-1, 0)]
    for customer in ("acme", "other"):
        for cents, at_ms in enumerate(instants, 1):
            pico = cents * 10**10
            await api.call(customer, model="small", at_ms=at_ms, cost_pico=pico, charge_pico=pico)
    await api.flush()
    users, user = await admin.page("/users?range=last"), await admin.page("/users/acme?range=last")

    by_user = await rows_of(admin, file_in(users, "/users.csv"))
    its_calls = await rows_of(admin, file_in(user, "/logs.csv"))
    by_day = await rows_of(admin, file_in(await admin.page("/?range=last"), "/overview.csv"))

    assert [("2", "0.05")] * 2 == [(row["requests"], row["cost_usd"]) for row in by_user]
    assert {"acme"} == {row["customer_identifier"] for row in its_calls}
    assert ["0.03", "0.02"] == [row["cost_usd"] for row in its_calls]
    assert (after - first).days == len(by_day)
    assert ("0.04", "0.06") == (by_day[0]["cost_usd"], by_day[-1]["cost_usd"])


def file_in(page: Html, path: str) -> str:
    [link] = {link for link in page.links if link.startswith(f"{path}?")}
    return link


async def test_every_list_has_its_files(admin) -> None:
    for name in ("overview", "users", "logs", "budgets", "prices", "keys"):
        for kind in ("csv", "json"):
            response = await admin.get(f"/{name}.{kind}")
            assert 200 == response.status_code
            assert f".{kind}" in response.headers["content-disposition"]


async def test_the_days_of_a_range_add_up_to_it(admin) -> None:
    await fill(admin.api)

    rows = await rows_of(admin, "/overview.csv")
    users = await rows_of(admin, "/users.csv")

    assert sum(float(r["cost_usd"]) for r in rows) == pytest.approx(
        sum(float(u["cost_usd"]) for u in users)
    )
    assert len(EVIL) == sum(int(row["requests"]) for row in rows)


async def test_a_range_that_makes_no_sense_is_said_to_and_the_default_shown(admin) -> None:
    for query in ("range=forever", "from=2026-02-30&to=x", "from=2026-02-02&to=2026-01-01"):
        page = await admin.page(f"/?{query}")
        assert "This shows the last 30 days" in " ".join(page.text.split())


USAGE = {
    "appId": "my-app",
    "eventType": "text_gen",
    "inputTokens": 1000,
    "inputTokensCached": 200,
    "outputTokens": 100,
}


async def fill(api) -> None:
    """A call of each hostile customer, with a hostile model and metadata."""
    for i, name in enumerate(EVIL):
        answer = await api.report(
            {**USAGE, "consumerId": name, "eventId": f"e{i}", "metadata": {name[:30]: name}}
        )
        assert 202 == answer.status_code, answer.text
        await api.patch(
            "/api/users/", {"name": name, "metadata": {name[:9]: name}}, customer_identifier=name
        )
    await api.flush()


async def rows_of(site, path) -> list[dict[str, str]]:
    response = await site.get(path)
    assert 200 == response.status_code
    return list(csv.DictReader(io.StringIO(response.text)))


def test_the_parser_of_these_tests_sees_what_is_wrong() -> None:
    for wrong in ('<p style="x">', "<p onclick=x>", "<script>1</script>", "<style>"):
        with pytest.raises(AssertionError):
            Html(wrong)


async def test_users_are_shown_while_the_archive_is_away(admin) -> None:
    """What the store knows is there; what is missing is said, and no zero stands in its place."""
    await admin.api.bench.directory.create("acme", {"total_budget": 5 * 10**12})
    await admin.api.call("acme", charge_pico=2_000_000_000_000, cost_pico=2_000_000_000_000)
    await admin.api.flush()
    with admin.api.services.archive._engine.begin() as connection:
        METADATA.drop_all(connection)

    for path in (
        "/users?range=24h&sort=-calls",
        "/users?range=24h&user=acme",
        "/users/acme?range=24h",
    ):
        page = await admin.page(path)
        assert "The archive cannot be read now" in page.text, path
        assert "acme" in page.text, path
    by_day = await admin.page("/users/acme")  # counted in the store
    assert "of $5" in by_day.text
    assert "Not known while the archive cannot be read" in by_day.text
    assert 503 == (await admin.get("/users.csv?range=24h")).status_code


async def test_a_page_that_would_have_to_wait_says_so_and_is_there_the_next_time(
    admin, monkeypatch
) -> None:
    """Without a patience there is nothing yet; the files wait, however long it takes."""
    monkeypatch.setattr(site, "PATIENCE_SECONDS", 0.0)
    await fill(admin.api)

    first = await admin.page("/users")
    assert "Being added up" in first.text
    assert len(EVIL) == len(await rows_of(admin, "/users.csv"))
    assert "Being added up" not in (await admin.page("/users")).text


async def test_a_script_that_opens_a_panel_gets_no_more_than_that(admin) -> None:
    """And nothing where none is open: so it closes."""
    await fill(admin.api)
    part = {"x-farebox-part": "panel"}

    opened = await admin.get("/users?user=nobody", headers=part)
    closed = await admin.get("/users", headers=part)

    assert opened.text.startswith('<div id="layer">')
    assert 'id="panel"' in opened.text
    assert '<table class="list' not in opened.text
    assert '<div id="layer"></div>' == closed.text.strip()


async def test_users_are_filtered_by_when_they_called(admin) -> None:
    """Who was created and never called is new, and idle."""
    await admin.api.call("caller", model="small")
    await admin.api.post("/api/users/", {"customer_identifier": "quiet"})
    await admin.api.flush()

    shown = {
        show: sorted(r["customer_identifier"] for r in await rows_of(admin, f"/users.csv?{show}"))
        for show in ("show=active", "show=idle", "show=new", "show=active&sort=name")
    }

    assert {
        "show=active": ["caller"],
        "show=idle": ["quiet"],
        "show=new": ["caller", "quiet"],
        "show=active&sort=name": ["caller"],
    } == shown
