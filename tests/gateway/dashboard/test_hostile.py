"""Hostile names on every page, in every fragment and file: they are text, whole, and no more."""

import csv
import io
import json
import re
import shlex
from contextlib import suppress
from datetime import UTC
from pathlib import Path
from urllib.parse import quote, unquote, unquote_plus

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import gateway.dashboard
from gateway.clock import rfc3339
from gateway.customers import fields
from gateway.customers.temporary_keys import TemporaryKey
from gateway.dashboard.people import user_path
from gateway.dashboard.spans import span
from gateway.dashboard.state import State
from gateway.reports.csv_text import csv_text
from tests.support.hostile_names import NAMES, SIGNS, named_in, short

from .conftest import Html

pytestmark = pytest.mark.anyio

SOURCE = "\n".join(
    path.read_text()
    for path in sorted(Path(gateway.dashboard.__file__).parent.rglob("*"))
    if path.suffix in {".html", ".svg"}
).lower()
TAGS = {"html", *re.findall(r"<([a-z][a-z0-9]*)", SOURCE)}
BARE = {"autofocus", "defer", "checked", "hidden", "open", "required", "selected"}
ATTRIBUTES = BARE | set(re.findall(r"([a-z][a-z0-9:-]*)=\"", SOURCE))
ATTRIBUTES |= set(re.findall(r"\s(data-[a-z-]+)", SOURCE))
EMPTY = {"meta", "link", "input", "img", "br", "hr", "col"}
SHAPES = {"path", "rect", "line", "use", "circle", "polyline", "polygon", "ellipse"}
ISOLATED = {"bdi", "title", "option", "text", "pre"}
"""In these a text's direction ends where it ends."""

TURNING = re.compile("[\u202a-\u202e\u2066-\u2069\u061c\u200e\u200f]")
DAY_MS = 86_400_000
TOP = 8
"""Users on the overview at a time: so many call in a day of their own."""

BATCHES = 3


class Seen(Html):
    """A page that is checked as it is read: where a name's mark is, there is all of the name."""

    def __init__(self, html: str) -> None:
        self.open: list[str] = []
        self.found: set[int] = set()
        super().__init__(html)
        self.close()

    def handle_starttag(self, tag, attrs) -> None:
        super().handle_starttag(tag, attrs)
        assert tag in TAGS, tag
        for name, value in attrs:
            assert name in ATTRIBUTES, (tag, name, value)
            self.whole(value or "", name in {"href", "src", "action", "formaction"})
        if tag not in EMPTY | SHAPES:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in EMPTY | SHAPES:
            self.open.pop()

    def handle_endtag(self, tag) -> None:
        if tag not in EMPTY | SHAPES:
            assert tag == self.open.pop()

    def handle_data(self, data) -> None:
        super().handle_data(data)
        self.whole(data, False)
        if TURNING.search(data):
            assert ISOLATED & set(self.open), (self.open[-5:], data[:40])

    def handle_comment(self, data) -> None:
        assert not named_in(data), data

    def handle_decl(self, decl) -> None:
        assert "doctype html" == decl.lower()

    def handle_pi(self, data) -> None:
        raise AssertionError(data)

    def unknown_decl(self, data) -> None:
        raise AssertionError(data)

    def whole(self, text: str, is_link: bool) -> None:
        if is_link and text:
            assert re.match(r"/(?!/)|#", text), text
            assert text.isascii(), text
            assert not re.search(r"[\s\"'<>\\]", text), text
        if "curl" in text and named_in(text):
            text = its_customer(text)
        for at in named_in(text):
            self.found.add(at)
            name, read = NAMES[at], [text, unquote(text), unquote_plus(text)]
            spelled = [name, short(name), name[:64], mailbox(name), name.replace("\0", "\ufffd")]
            spelled += [" ".join(short(name).split())]  # in a tip, a line each
            spelled += [repr(name[:64])[1:-1], *(one.strip() for one in spelled)]
            assert any(one in said for one in spelled for said in read), (name, text)


def its_customer(curl: str) -> str:
    """Whom a command names that is copied into a shell: no name ends its quotes."""
    *command, option, body = shlex.split(curl.replace("\\\n", " "))
    assert (8, "curl", "-d") == (len(command) + 2, command[0], option)
    named: str = json.loads(body)["customer_params"]["customer_identifier"]
    return named


def mailbox(name: str) -> str:
    return re.sub(r"\s", "", short(name)[-240:])


async def filled(api, batch: int) -> dict[int, str]:
    """Each name as identifier where it may be one, and as everything else; place -> identifier."""
    found = {}
    now_ms = api.bench.clock.now_ms()
    for order, at in enumerate(range(batch, len(NAMES), BATCHES)):
        name = NAMES[at]
        identifier, change = f"c{at}", {}
        with suppress(ValueError):
            identifier = fields.identifier(short(name))
            change = {"group_identifier": identifier}
        found[at] = identifier
        change |= {"customer_identifier": identifier, "period_budget": "2"}
        if "\0" not in short(name):
            change["name"] = short(name)
        with suppress(ValueError):
            change["email"] = fields.email(f"{mailbox(name)}@example.com")
        metadata = {name[:64]: name, "plan": [name]}
        answer = await api.post("/api/users/", {**change, "metadata": metadata})
        assert 201 == answer.status_code, answer.text
        await api.call(
            identifier,
            at_ms=now_ms - order // TOP * DAY_MS,
            cost_pico=10**10,
            charge_pico=10**10,
            unpriced=not order % 3,
            model=name,
            served_model=name,
            finish_reason=None if order % 2 else name,
            error_code=name,
            upstream_request_id=name,
            metadata={"thread_identifier": name, name[:64]: name},
            latency_ms=order,
        )
        if not order % 3:
            key = TemporaryKey(id="", digest="", app="my-app", made_ms=0, name=short(name))
            await api.services.keys.make(key)
    await api.flush()
    return found


async def seen(site, path: str, **options) -> Seen:
    response = await site.get(path, **options)
    assert 200 == response.status_code, (path, response.text[-500:])
    return Seen(response.text)


async def all_pages(site, path: str) -> set[int]:
    """Names on a list and on all its pages, by the link to the next."""
    found: set[int] = set()
    following = path
    while following:
        response = await site.get(following)
        page = Seen(response.text)
        found |= page.found
        link = re.search(r'<a class="button small" rel="next" href="([^"]+)"', response.text)
        following = link[1].replace("&amp;", "&") if link else ""
    return found


@pytest.mark.parametrize("batch", range(BATCHES))
async def test_hostile_names_are_whole_and_text_everywhere(admin, batch) -> None:
    people = await filled(admin.api, batch)
    marked = {at for at in people if "\0" not in short(NAMES[at])}
    columns = "tokens.trend.budget.p95.top_model.email.last_seen"

    assert set(people) == await all_pages(admin, f"/users?sort=name&cols={columns}")
    assert set(people) == await all_pages(admin, "/logs")
    assert marked <= await all_pages(admin, "/budgets")
    assert 5 < len(await all_pages(admin, "/prices"))  # the dearest, and some without a price
    assert len(people) // 3 <= len(await all_pages(admin, "/keys"))
    today = admin.api.bench.clock.now_ms()
    for day in range(0, -(-len(people) // TOP), 4):
        date = rfc3339(today - day * DAY_MS)[:10]
        assert (await seen(admin, f"/?from={date}&to={date}")).found
    for at, identifier in people.items():
        panel = await seen(
            admin, f"/users?user={quote(identifier, safe='')}", headers={"x-farebox-part": "panel"}
        )
        assert at in panel.found
        if at % 5 == 0:
            form = await seen(admin, f"{user_path(identifier)}/edit")
            assert at in form.found or at not in marked
    await files(admin, people)


async def files(admin, people: dict[int, str]) -> None:
    """What the API has, exactly, in JSON; in CSV nothing that a spreadsheet would run."""
    for name in ("overview", "users", "logs", "budgets", "prices", "keys"):
        data = (await admin.get(f"/{name}.json")).json()["data"]
        text = (await admin.get(f"/{name}.csv")).text
        rows = list(csv.reader(io.StringIO(text, newline="")))
        assert len(data) == len(rows) - 1
        for row, exact in zip(rows[1:], data, strict=True):
            assert len(row) == len(rows[0])
            for cell, value in zip(row, (exact[column] for column in rows[0]), strict=True):
                check_cell(cell, value)
        if name == "users":
            assert set(people.values()) == {row["customer_identifier"] for row in data}
        if name == "logs":
            assert {NAMES[at] for at in people} == {row["model"] for row in data}


def check_cell(cell: str, value: object) -> None:
    if isinstance(value, str):
        assert value.replace("'", "") == cell.replace("'", "")
        if not re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", cell):
            assert not any(begins_a_formula(part) for part in re.split(r"[;\t\r\n]", cell)), cell


def begins_a_formula(part: str) -> bool:
    shown = re.sub(r"^[\s\u200b\ufeff\0]+", "", part)
    return shown[:1] in set(SIGNS) - {"\t", "\r", "\n"} and bool(shown)


async def test_calls_with_hostile_names_have_their_panels(admin) -> None:
    """Model, metadata, ids and reasons of each call, beside the list and on a page of its own."""
    people = await filled(admin.api, 0)
    rows = (await admin.get("/logs.json")).json()["data"]

    for row in rows[:: 1 + len(rows) // 60]:
        panel = await seen(
            admin, f"/logs?log={row['request_id']}", headers={"x-farebox-part": "panel"}
        )
        assert panel.found <= set(people)
        assert panel.found
    assert (await seen(admin, f"/logs/{rows[0]['request_id']}")).found


PARAMETERS = [
    *("q", "model", "tag", "customer", "user", "sort", "cols", "show", "range", "from", "page"),
    *("log", "after", "key", "id", "status", "app", "min_cost", "provider", "top", "said", "live"),
]
LISTS = ["/", "/users", "/logs", "/budgets", "/prices", "/keys", "/health", "/new-user"]


async def test_what_an_address_says_is_text_where_it_is_shown(admin) -> None:
    """Names in parameters: pages, their links and forms say them again."""
    await admin.api.call("acme", model="small")
    await admin.api.flush()

    for at in range(0, len(NAMES), 5):
        path, parameter = LISTS[1 + at % 2], PARAMETERS[at % 7]
        await seen(admin, f"{path}?{parameter}={quote(short(NAMES[at]))}")
    for at, parameter in enumerate(PARAMETERS):
        await seen(admin, f"{LISTS[at % len(LISTS)]}?{parameter}={quote(NAMES[at * 11])}")


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.sampled_from(LISTS),
    st.dictionaries(st.sampled_from(PARAMETERS), st.text(max_size=60), max_size=5),
)
async def test_any_address_has_a_page(admin, path, query) -> None:
    await seen(admin, path, params=query)


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=80))
def test_any_name_is_one_segment_of_a_path_and_one_value_of_a_query(name) -> None:
    path = user_path(name)
    assert path.isascii()
    assert 2 == path.count("/")
    assert name == unquote(path.removeprefix("/users/"))
    link = State(path="/users", params={}, span=span("30d", now_ms=0, zone=UTC)).link(user=name)
    assert re.fullmatch(r"/users\?user=[A-Za-z0-9._~%+-]+", link)
    assert name == unquote_plus(link.partition("=")[2])


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=20), min_size=1, max_size=5))
def test_any_cell_is_read_again_and_begins_no_formula(row) -> None:
    [read] = csv.reader(io.StringIO(csv_text([row]), newline=""))

    for cell, text in zip(read, row, strict=True):
        check_cell(cell, text)
