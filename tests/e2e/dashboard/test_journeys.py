"""What people come for, done in a browser from the first click to the last."""

import csv
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tests.support.gateways import ADMIN_KEY, a_customer, gateway

from .conftest import VIEWER_KEY

pytestmark = pytest.mark.slow


def test_find_the_top_spender_and_why(opened, house) -> None:
    """Overview, the first of the top users, its dearest model, its calls, one call's lines."""
    page = opened().enter().page
    top = house.api.get("/api/analytics/top-users?limit=1").json()["data"][0]

    first = page.locator("section", has_text="Top users").locator("ol.bars li").first
    assert top["name"] in first.inner_text()
    first.get_by_role("link").click()
    page.get_by_role("heading", name=top["name"], level=2).wait_for()
    models = page.get_by_role("region", name="Models of this user")
    assert "demo-large" in models.inner_text()
    page.get_by_role("link", name="All of them").click()
    rows = page.get_by_role("region", name="Calls", exact=True).locator("tbody tr")
    rows.filter(has_text="demo-large").filter(has_text="stop").first.locator("a").first.click()
    adds_up(page)


def test_set_a_budget_and_see_the_next_call_refused(opened, house) -> None:
    """From the list to the panel to the form; the call is refused, and the log says why."""
    customer = a_customer("budget")
    assert 200 == house.chat(customer).status_code
    house.logs(customer)
    page = opened().enter().page

    page.get_by_label("Search users").fill(customer)
    page.keyboard.press("Enter")
    page.get_by_role("link", name=customer).click()
    panel = page.get_by_role("complementary")
    panel.get_by_role("link", name="Change").click()
    page.get_by_label("Budget of a period").fill("0.000001")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("It holds for the next call").wait_for()
    assert "Used up" in page.get_by_role("region", name="Budget").inner_text()

    refused = house.chat(customer)
    assert (402, "budget_exceeded") == (refused.status_code, refused.json()["error"]["code"])
    house.logs(customer, 2)
    page.get_by_role("link", name="All of them").click()
    row = page.get_by_role("region", name="Calls", exact=True).locator("tbody tr").first
    assert "refused 402" in " ".join(row.inner_text().split())


def test_follow_a_call_from_curl_to_its_arithmetic(opened, house) -> None:
    """The overview shows it within two seconds, without a reload; opened, it adds up."""
    customer = a_customer("curl")
    page = opened().enter().page
    page.locator("#live:not([hidden])").wait_for()

    house.chat(customer, "How long is a piece of string?")
    link = page.locator("section", has_text="Latest calls").get_by_role("link", name=customer)
    link.wait_for(timeout=10_000)
    link.click()
    page.locator("#panel").wait_for()
    assert customer in page.locator("#panel").inner_text().split("This call")[0]
    adds_up(page)


def test_the_first_call_of_all_turns_the_empty_page_into_data(opened) -> None:
    """By itself: the example stands there until somebody follows it."""
    with gateway() as fresh:
        page = opened(at=fresh.url).enter().page
        page.locator("#live:not([hidden])").wait_for()
        page.get_by_text("Waiting for a call").wait_for()
        for language in ("curl", "Python", "JavaScript"):
            page.locator(".welcome").get_by_text(language, exact=language != "curl").wait_for()

        fresh.chat("first")
        page.locator(".welcome").wait_for(state="detached")
        page.locator("section", has_text="Top users").get_by_role("link", name="first").wait_for()
        page.goto("about:blank")  # or its live feed would outlast the gateway


def test_create_a_user_without_a_call(opened) -> None:
    """With a fault on the way: it is said where it is, and nothing has to be typed again."""
    customer = a_customer("Zoë 🦊")
    page = opened(expects=("422",)).enter().page

    page.get_by_role("link", name="Users", exact=True).click()
    page.get_by_role("link", name="Add user").click()
    page.get_by_label("Identifier").fill(customer)
    page.get_by_label("Name").fill("Zoë")
    page.get_by_label("Budget of a period").fill("lots")
    page.get_by_role("button", name="Add user").click()
    page.get_by_text("Must be a number or a decimal string").wait_for()
    page.get_by_label("Budget of a period").fill("2.50")
    page.get_by_role("button", name="Add user").click()
    page.get_by_text("The user is there now").wait_for()
    assert "$2.50" in page.get_by_role("region", name="Budget").inner_text()


@pytest.mark.parametrize("width", [360, 1280])
def test_set_one_budget_for_two_users(opened, house, width) -> None:
    """With a fault on the way: the form stays open with it, and the ticks where they were."""
    alike = a_customer("bulk")
    both = [f"{alike}_1", f"{alike}_2"]
    for customer in both:
        house.api.post("/api/users/", json={"customer_identifier": customer}).raise_for_status()
    page = opened(viewport={"width": width, "height": 720}, expects=("422",)).enter().page

    page.goto(page.url.rstrip("/") + f"/users?q={alike}")
    button = page.locator(".bulk summary").bounding_box()
    assert 0 <= button["x"] <= button["x"] + button["width"] <= width  # no scrolling to it
    page.get_by_label("Tick all of this page").check()
    page.get_by_text("Set budget").click()
    page.get_by_label("Budget, USD").fill("lots")
    page.get_by_role("button", name="Set for those ticked").click()
    page.get_by_text("Nobody was changed").wait_for()
    assert page.locator("tbody .tick input:checked").count() == len(both)
    page.get_by_label("Budget, USD").fill("4.20")
    page.get_by_role("button", name="Set for those ticked").click()
    page.get_by_text("The budget is set").wait_for()
    assert [4.2, 4.2] == [house.user(customer)["period_budget"] for customer in both]


@pytest.mark.parametrize("months_ago", [0, 1])
def test_export_a_month(opened, house, months_ago) -> None:
    """The file has what the API says, to the last digit; it ends where the month ends."""
    page = opened(accept_downloads=True).enter().page
    page.get_by_role("link", name="Users", exact=True).click()
    page.get_by_title("Last month" if months_ago else "This month").click()
    page.wait_for_url("**range=*")

    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    rows = list(csv.DictReader(Path(download.value.path()).read_text().splitlines()))

    assert "users.csv" == download.value.suggested_filename
    begins = datetime.now(UTC).date().replace(day=1)
    days = {"from": begins}
    if months_ago:
        days = {"from": (begins - timedelta(days=1)).replace(day=1), "to": begins}
    [told] = csv.DictReader(
        house.api.get(
            "/api/analytics/summary.csv",
            params={name: day.isoformat() for name, day in days.items()},
        ).text.splitlines()
    )
    assert Decimal(told["total_cost"]) == sum(Decimal(row["cost_usd"]) for row in rows)
    assert int(told["requests"]) == sum(int(row["requests"]) for row in rows)
    [whale] = [row for row in rows if row["customer_identifier"] == "northwind"]
    shown = house.api.get("/api/users/northwind/").json()
    assert Decimal(whale["total_charge_usd"]) == Decimal(shown["spent_usd"])


def test_a_viewer_sees_no_way_to_change_anything(opened) -> None:
    page = opened().enter(VIEWER_KEY).page

    assert "Viewer" in page.locator(".rail-foot").inner_text()
    page.get_by_role("link", name="Users", exact=True).click()
    assert 0 == page.get_by_role("link", name="Add user").count()
    page.locator("a[data-panel]").first.click()
    page.locator("#panel").wait_for()
    assert 0 == page.locator("#panel form").count()


def test_live_tail_shows_a_call_and_holds_while_somebody_reads(opened, house) -> None:
    customer, other = a_customer("tail"), a_customer("held")
    page = opened().enter().page
    page.goto(page.url.rstrip("/") + "/logs")
    page.locator("#live:not([hidden])").wait_for()

    house.chat(customer)
    page.locator("tbody").get_by_text(customer).first.wait_for(timeout=10_000)
    page.keyboard.press("Space")
    page.get_by_text("Held").wait_for()
    house.chat(other)
    page.get_by_text("1 new").wait_for()
    assert 0 == page.locator("tbody").get_by_text(other).count()
    page.keyboard.press("Space")
    page.locator("tbody").get_by_text(other).first.wait_for()


def test_light_and_dark_are_kept(opened) -> None:
    page = opened(color_scheme="light").enter().page

    page.get_by_role("button", name="Switch between light and dark").click()
    assert "dark" == page.evaluate("document.documentElement.dataset.theme")
    page.reload()
    assert "dark" == page.evaluate("document.documentElement.dataset.theme")


def adds_up(page) -> None:
    """The lines of the call that is open are its cost, exactly."""
    page.locator("#panel table.sum").wait_for()
    lines = page.locator("table.sum tbody tr").all_inner_texts()
    amounts = [Decimal(re.findall(r"\$([\d.]+)", line)[-1]) for line in lines]
    cost = page.locator("table.sum tfoot tr").first.inner_text()
    assert amounts
    assert sum(amounts) == Decimal(re.findall(r"\$([\d.]+)", cost)[-1])


def test_the_key_itself_is_nowhere_in_the_browser(opened) -> None:
    tab = opened().enter()

    cookies = tab.page.context.cookies()
    assert not [c for c in cookies if ADMIN_KEY in c["value"]]
    assert [True] == [c["httpOnly"] for c in cookies if c["name"] == "farebox_session"]
    assert ADMIN_KEY not in tab.page.content()
