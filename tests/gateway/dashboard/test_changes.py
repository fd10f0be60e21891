"""What a form changes is what the API would have changed; what it refuses, it says where."""

import re

import pytest

pytestmark = pytest.mark.anyio


async def test_a_user_is_created_without_a_call(admin) -> None:
    response = await admin.post(
        "/users",
        customer_identifier="a/b 🦊",
        name="Zoë",
        period_budget="2.50",
        budget_duration="daily",
    )

    assert 303 == response.status_code
    page = await admin.page(response.headers["location"])
    assert "The user is there now" in page.text
    made = (await admin.api.get("/api/users/", customer_identifier="a/b 🦊")).json()
    assert ("Zoë", 2.5, "daily") == (made["name"], made["period_budget"], made["budget_duration"])


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"customer_identifier": ""}, "is required"),
        ({"customer_identifier": "~x"}, "reserved"),
        ({"customer_identifier": "x", "period_budget": "abc"}, "decimal string"),
        ({"customer_identifier": "x", "period_budget": "-1"}, "must not be negative"),
        ({"customer_identifier": "x", "email": "nobody"}, "email address"),
        ({"customer_identifier": "x", "rate_limit": "1.5"}, "whole number"),
    ],
)
async def test_a_fault_is_said_where_it_is_and_nothing_is_lost(admin, form, said) -> None:
    response = await admin.post("/users", name="Kept", **form)

    assert 422 == response.status_code
    assert said in response.text.lower()
    assert 'value="Kept"' in response.text
    assert 0 == (await admin.api.get("/api/users/list/")).json()["count"]


async def test_the_same_identifier_twice_is_said_to_be_there(admin) -> None:
    await admin.post("/users", customer_identifier="acme")

    response = await admin.post("/users", customer_identifier="acme")

    assert 422 == response.status_code
    assert "already" in response.text


async def test_only_what_was_changed_is_pinned(admin) -> None:
    """Saving a form that was not touched does not freeze what calls say."""
    await admin.api.post("/api/users/", {"customer_identifier": "acme", "name": "ACME"})

    unchanged = await admin.post("/users/acme", name="ACME", email="", period_budget="")
    assert 303 == unchanged.status_code
    assert ["name"] == (await admin.api.get("/api/users/acme/")).json()["pinned"]
    await admin.post("/users/acme", name="ACME", period_budget="0.10")
    changed = (await admin.api.get("/api/users/acme/")).json()
    assert (0.1, ["name", "period_budget"]) == (changed["period_budget"], changed["pinned"])
    await admin.post("/users/acme", name="ACME", period_budget="")
    assert (await admin.api.get("/api/users/acme/")).json()["period_budget"] is None


async def test_blocking_is_seen_and_undone(admin) -> None:
    await admin.api.post("/api/users/", {"customer_identifier": "acme"})

    blocked = await admin.post("/users/acme/block", blocked="1")
    assert "Blocked" in (await admin.page(blocked.headers["location"])).text
    assert (await admin.api.get("/api/users/acme/")).json()["blocked"] is True
    await admin.post("/users/acme/block", blocked="0")
    assert (await admin.api.get("/api/users/acme/")).json()["blocked"] is False


async def test_a_key_is_shown_once(admin) -> None:
    made = await admin.post("/keys", app="my-app", name="Demo", spending_limit="1.5")

    assert 200 == made.status_code
    token = made.text.split("fbk-", 1)[1].split("<", 1)[0]
    assert "." in token
    listed = await admin.get("/keys")
    assert "Demo" in listed.text
    assert token not in listed.text
    key = token.partition(".")[0]
    [row] = (await admin.get("/keys.json")).json()["data"]
    assert (key, "Demo", "1.5", False) == (
        *(row["key_id"], row["name"], row["limit_usd"], row["revoked"]),
    )
    await admin.post(f"/keys/{key}")
    assert "revoked" in (await admin.get("/keys")).text
    await admin.post(f"/keys/{key}", delete="1")
    assert "No temporary keys" in (await admin.get("/keys")).text


async def test_a_key_with_a_fault_is_not_made(admin) -> None:
    response = await admin.post("/keys", app="nobody", spending_limit="much")

    assert 422 == response.status_code
    assert "No temporary keys" in response.text


async def test_a_credit_is_given_once_a_form(admin) -> None:
    """However often it is sent; what it changes is what may be spent in all."""
    await admin.api.post("/api/users/", {"customer_identifier": "acme", "total_budget": 1})

    for _ in range(2):
        sent = await admin.post(
            "/users/acme/credit", amount="2.5", reason="sorry", idempotency_key="k1"
        )
        assert 303 == sent.status_code
    assert "of $3.50 in total" in " ".join((await admin.page("/users/acme")).text.split())
    wrong = await admin.post("/users/acme/credit", amount="much")
    assert 422 == wrong.status_code


async def test_a_user_is_deleted_only_when_it_is_named(admin) -> None:
    await admin.api.post("/api/users/", {"customer_identifier": "acme"})

    assert 422 == (await admin.post("/users/acme/delete", confirm="acm")).status_code
    assert 200 == (await admin.api.get("/api/users/acme/")).status_code
    assert 303 == (await admin.post("/users/acme/delete", confirm="acme")).status_code
    assert 404 == (await admin.api.get("/api/users/acme/")).status_code
    assert 404 == (await admin.get("/users/acme")).status_code


async def test_a_budget_for_all_that_are_ticked(admin) -> None:
    for named in ("a/b 🦊", "acme", "left-alone"):
        await admin.api.post("/api/users/", {"customer_identifier": named})
    form = {"period_budget": "2.50", "budget_duration": "weekly"}

    response = await admin.post(
        "/budgets-of-users?q=a", **form, **{"tick-1": "a/b 🦊", "tick-2": "acme"}
    )

    assert (303, "/users?q=a&said=budgets") == (
        response.status_code,
        response.headers["location"],
    )
    users = [
        (await admin.api.get("/api/users/", customer_identifier=named)).json()
        for named in ("a/b 🦊", "acme", "left-alone")
    ]
    assert [2.5, 2.5, None] == [user["period_budget"] for user in users]
    assert ["weekly", "weekly"] == [user["budget_duration"] for user in users[:2]]


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"period_budget": "1"}, "No user was ticked"),
        ({"period_budget": "", "tick-1": "acme"}, "A budget is needed"),
        ({"period_budget": "lots", "tick-1": "acme"}, "decimal string"),
        ({"period_budget": "1", "tick-1": "acme", "tick-2": "gone"}, "no user &#39;gone&#39;"),
    ],
)
async def test_a_wrong_budget_for_many_changes_nobody(admin, form, said) -> None:
    """The form comes again where it was, with what was typed and the ticks: none is lost."""
    for named in ("acme", "other"):
        await admin.api.post("/api/users/", {"customer_identifier": named})

    response = await admin.post("/budgets-of-users?sort=name", budget_duration="daily", **form)

    assert 422 == response.status_code
    assert said in response.text
    assert "<option selected>daily" in response.text
    assert f'value="{form["period_budget"]}" inputmode' in response.text
    assert sorted(set(form.values()) - {form["period_budget"]}) == sorted(ticked(response.text))
    assert 'action="/budgets-of-users?sort=name"' in response.text
    assert "data-fresh" not in response.text
    assert (await admin.api.get("/api/users/acme/")).json()["period_budget"] is None


async def test_ticks_of_another_page_are_kept_too(admin) -> None:
    """Whoever is no longer in the list, since it is sorted by what is used, is named beside it."""
    for named in ("acme", "other"):
        await admin.api.post("/api/users/", {"customer_identifier": named})
    form = {"period_budget": "lots", "tick-1": "acme", "tick-2": "other"}

    response = await admin.post("/budgets-of-users?q=acm", **form)

    assert ["acme", "other"] == sorted(ticked(response.text))


def ticked(html: str) -> list[str]:
    boxes = re.findall(r'<input type="checkbox"[^>]* name="tick-[^>]*>', html)
    return [re.findall(r'value="([^"]*)"', box)[0] for box in boxes if " checked" in box]
