"""For everybody: contrast and names (axe), keyboard alone, no scripts, narrow, hostile names."""

from contextlib import suppress
from typing import Any

import pytest

from gateway.customers import fields
from tests.support.gateways import ADMIN_KEY, a_customer
from tests.support.hostile_names import WORST, short

pytestmark = pytest.mark.slow

PAGES = [
    *("/", "/?range=7d&top=tokens", "/users", "/users?user=northwind", "/users/northwind"),
    *("/users/northwind/edit", "/new-user", "/logs", "/budgets", "/prices", "/keys", "/health"),
]
SERIOUS = {"serious", "critical"}


def test_axe_finds_nothing_serious(opened, house) -> None:
    """WCAG 2.2 A and AA, on every page, in both themes; in the dark, what depends on colours."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    newest = house.api.get("/api/request-logs/list/?page_size=1").json()["results"][0]
    page = opened(color_scheme="light", expects=("404",)).enter().page
    origin = page.url.rstrip("/")
    found = []

    for path in [*PAGES, f"/logs?log={newest['unique_id']}", "/login", "/users/nobody"]:
        page.goto(origin + path)
        for theme, options in (("light", AXE), ("dark", CONTRAST)):
            page.emulate_media(color_scheme=theme)
            result = axe.run(page, context=FIRST_ROWS, options=options)
            found += [
                f"{path} {theme}: {v['id']} {v['nodes'][0]['html'][:200]}"
                for v in result.response["violations"]
                if v["impact"] in SERIOUS
            ]

    assert [] == found


FIRST_ROWS = {"exclude": [["tbody tr:nth-child(n+5)"], [".slot:nth-child(n+4)"]]}
"""The others are like them; looking at each takes a minute."""

AXE = {
    "resultTypes": ["violations"],
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]},
}
CONTRAST = {
    "resultTypes": ["violations"],
    "runOnly": {"type": "rule", "values": ["color-contrast"]},
}


LISTENS = ".keys-button:not([hidden])"
"""What scripts show when they have taken over the keys."""


def test_the_keyboard_is_enough(opened) -> None:
    """Skip link, search, rows, panel and back, pages, help; nothing is typed into a field."""
    page = opened().enter().page

    page.locator(LISTENS).wait_for()
    page.keyboard.press("Tab")
    assert "Skip to the content" == page.evaluate("document.activeElement.textContent")
    page.keyboard.press("Enter")
    assert "main" == page.evaluate("document.activeElement.id")
    page.keyboard.press("g")
    page.keyboard.press("u")
    page.get_by_role("heading", name="Users", level=1).wait_for()
    page.locator(LISTENS).wait_for()
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.activeElement.id === 'panel'")
    first = page.locator("#panel-title").inner_text()
    page.keyboard.press("j")
    page.wait_for_function(
        "first => document.querySelector('#panel-title')?.innerText !== first", arg=first
    )
    page.keyboard.press("Escape")
    page.locator("#panel").wait_for(state="detached")
    page.wait_for_function("() => document.activeElement.hasAttribute('data-row')")
    page.keyboard.press("3")
    page.wait_for_url("**range=7d**")
    page.locator(LISTENS).wait_for()
    page.keyboard.press("/")
    page.keyboard.type("glug 1 x ?")
    assert "glug 1 x ?" == page.get_by_label("Search users").input_value()
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Nobody matches").wait_for()
    page.locator(LISTENS).wait_for()
    page.locator("#main").focus()
    page.keyboard.press("?")
    page.get_by_role("heading", name="Keyboard").wait_for()
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    page.keyboard.press("l")
    page.get_by_role("heading", name="Logs", level=1).wait_for()


FOCUSED = "id => document.activeElement.closest('tr')?.id === id"


def test_the_focus_stays_while_the_list_is_fetched_again(opened, house) -> None:
    """The answer is held back: the panel closes without it, and it takes no focus when it comes."""
    customer = a_customer("news")
    page = opened().enter().on("/users")
    held: list[Any] = []
    free: list[bool] = []
    row = page.locator("tbody tr").first.get_attribute("id")

    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.activeElement.id === 'panel'")
    page.route("**/users?user=*", lambda r: r.continue_() if free else held.append(r))
    with page.expect_request("**/users?user=*"):
        house.chat(customer)
    page.keyboard.press("Escape")
    page.locator("#panel").wait_for(state="detached")
    page.wait_for_function(FOCUSED, arg=row)
    free.append(True)
    for route in held:
        route.continue_()
    page.locator("tbody").get_by_text(customer).wait_for()
    page.wait_for_function(FOCUSED, arg=row)


@pytest.mark.parametrize("scripts", [True, False])
def test_what_is_being_added_up_is_asked_for_again(opened, scripts) -> None:
    """The page comes by itself; here the first answer is made to one that has nothing yet."""
    tab = opened(java_script_enabled=scripts).enter()
    asked = []

    def answered(route) -> None:
        asked.append(route)
        if len(asked) > 1:
            route.continue_()
            return
        answer = route.fetch()
        head, _, rest = answer.text().partition("<main")
        retry = '<noscript><meta http-equiv="refresh" content="1"></noscript></head>'
        main = "<main><section id=list data-pending><h2>Being added up</h2></section></main>"
        foot = rest.partition("</main>")[2]
        route.fulfill(response=answer, body=head.replace("</head>", retry) + main + foot)

    tab.page.route("**/users", answered)
    tab.go("/users").page.locator("tbody tr").first.wait_for()
    assert 2 == len(asked)


def test_single_keys_can_be_switched_off(opened) -> None:
    """WCAG 2.1.4."""
    page = opened().enter().page

    page.locator(LISTENS).wait_for()
    page.keyboard.press("?")
    page.get_by_label("Turn single keys off").check()
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    page.keyboard.press("u")
    page.keyboard.press("/")
    assert "search" != page.evaluate("document.activeElement.id")
    assert page.url.endswith("/")


def test_everything_works_without_scripts(opened, house) -> None:
    """Sign in, look, search, sort, open, filter, change, block and unblock, sign out."""
    customer = a_customer("quiet")
    house.chat(customer)
    house.logs(customer)
    page = opened(java_script_enabled=False).enter().page

    assert page.locator("svg.canvas rect.s-1").count() > 0
    page.locator("summary", has_text="Show as table").first.click()
    assert page.get_by_role("table", name="LLM cost by user").is_visible()
    page.get_by_label("Search users").fill(customer)
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Calls", exact=True).click()
    page.get_by_role("link", name=customer).click()
    panel = page.get_by_role("complementary")
    panel.get_by_role("link", name="Edit").click()
    page.get_by_label("Budget of a period").fill("7")
    page.get_by_role("button", name="Save").click()
    assert "$7.00" in page.get_by_role("region", name="Budget").inner_text()
    page.get_by_role("button", name="Block").click()
    page.get_by_role("button", name="Unblock").click()
    page.get_by_role("link", name="All of them").click()
    page.get_by_label("Status").select_option("ok")
    page.get_by_role("button", name="Filter").click()
    page.get_by_role("region", name="Calls", exact=True).locator("tbody tr a").first.click()
    assert "What it cost" in page.get_by_role("complementary").inner_text()
    page.get_by_role("link", name="Close").click()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_label("Admin or viewer key").wait_for()


@pytest.mark.parametrize("width", [320, 360, 1920])
def test_no_page_is_wider_than_the_screen(opened, width) -> None:
    """320 px is 1280 at 400 % zoom: only tables scroll, in regions of their own."""
    page = opened(viewport={"width": width, "height": 720}).enter().page
    origin = page.url.rstrip("/")

    wide, unseen = [], []
    for path in PAGES:
        page.goto(origin + path)
        if page.evaluate("document.documentElement.scrollWidth") > width:
            wide.append(path)
        if not page.evaluate(TABLES_ARE_SEEN):
            unseen.append(path)

    assert ([], []) == (wide, unseen)


TABLES_ARE_SEEN = """
[...document.querySelectorAll("main table")].every((t) => t.closest("details") || t.offsetHeight)
"""


USAGE = {
    "appId": "my-app",
    "eventType": "text_gen",
    "inputTokens": 9,
    "inputTokensCached": 0,
    "outputTokens": 9,
}


TALLEST_ROW = """
Math.max(0, ...[...document.querySelectorAll(".list tbody tr")].map((row) => row.offsetHeight))
"""


def test_hostile_names_do_nothing(opened, house) -> None:
    """The worst of them, as identifier, name, model and metadata, in lists, panels and tips."""
    names, events = [short(name) for name in WORST if "\0" not in name], []
    identifier = ""
    for at, name in enumerate(names):
        identifier = f"worst-{at}"
        with suppress(ValueError):
            identifier = fields.identifier(name)
        of_user = {"customer_identifier": identifier, "name": name, "metadata": {"k": name}}
        house.api.post("/api/users/", json=of_user).raise_for_status()
        events.append({**USAGE, "consumerId": identifier, "model": name, "metadata": {"t": name}})
    for again in (True, False):  # what may be no model is at least the rest
        answer = house.post("/v1/events", json={"events": events}).json()
        results = zip(events, answer["results"], strict=True)
        events = [event for event, result in results if result["status"] == "rejected"]
        assert again or not events, answer
        for event in events:
            del event["model"]
    house.logs(identifier)
    page = opened(viewport={"width": 1280, "height": 2000}).enter().page
    origin = page.url.rstrip("/")
    cols = "cols=top_model.email"

    for path in (
        *(
            "/?range=1h",
            f"/users?sort=-first_seen&{cols}",
            f"/users?sort=-first_seen&page=2&{cols}",
        ),
        *("/logs?range=1h", "/prices?range=1h", "/budgets"),
    ):
        page.goto(origin + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 1280, path
        assert page.evaluate(TALLEST_ROW) < 90, path
        page.locator(".slot .hit").last.hover(force=True) if page.locator(".slot").count() else None
    page.goto(f"{origin}/users?sort=-first_seen")
    for link in page.locator("a[data-panel]").all()[:40:8]:
        link.click()
        page.locator("#panel").wait_for()
        page.keyboard.press("Escape")
        page.locator("#panel").wait_for(state="detached")
    assert 2 == page.locator("script").count()
    assert not page.locator("img[src='x'], iframe, base, math, form[action*=evil]").count()


def test_a_link_signs_in_once(opened, house) -> None:
    from gateway.dashboard.sessions import login_token

    link = f"{house.url}/login?token={login_token(ADMIN_KEY)}"
    first, second = opened().page, opened(expects=("403",)).page

    first.goto(link)
    first.get_by_role("heading", name="Overview", level=1).wait_for()
    second.goto(link)
    second.get_by_text("This link has been used").wait_for()
