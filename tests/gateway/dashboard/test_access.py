"""Who sees what: keys, sessions, links that work once, roles, forms of other sites."""

import pytest

from gateway.dashboard.login import own_path
from gateway.dashboard.sessions import COOKIE, Credentials, Role, Sessions, login_token
from tests.gateway.api.conftest import ADMIN_KEY

from .conftest import VIEWER_KEY

pytestmark = pytest.mark.anyio

PATHS = ["/", "/users", "/users/acme", "/users/acme/edit", "/logs", "/budgets", "/prices"]
PATHS += ["/keys", "/health", "/live", "/suggest", "/users.csv", "/logs.json"]


async def test_who_has_not_signed_in_is_asked_to(visitor) -> None:
    """And comes back to where it was going."""
    for path in PATHS:
        response = await visitor.get(path)
        assert 303 == response.status_code, path
        assert response.headers["location"].startswith("/login"), path


async def test_a_wrong_key_is_refused_and_not_repeated(visitor) -> None:
    response = await visitor.client.post("/login", data={"key": "sk-canary"})

    assert 403 == response.status_code
    assert "canary" not in response.text
    assert COOKIE not in response.cookies


async def test_the_cookie_is_for_this_site_and_no_script(visitor) -> None:
    response = await visitor.client.post("/login?next=/logs", data={"key": ADMIN_KEY})

    assert "/logs" == response.headers["location"]
    cookie = response.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert ADMIN_KEY not in response.headers["set-cookie"]


@pytest.mark.parametrize(
    "target",
    ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "", "x"],
)
def test_a_login_never_leads_elsewhere(target) -> None:
    assert "/" == own_path(target)


async def test_a_link_signs_in_once(visitor) -> None:
    token = login_token(ADMIN_KEY)

    first = await visitor.get(f"/login?token={token}")
    assert (303, "/") == (first.status_code, first.headers["location"])
    assert 200 == (await visitor.get("/health")).status_code
    again = await visitor.get(f"/login?token={token}")  # signed in already: no matter
    assert 303 == again.status_code
    visitor.client.cookies.clear()
    used = await visitor.get(f"/login?token={token}")
    assert 403 == used.status_code


async def test_a_link_that_is_only_looked_at_is_not_used_up(visitor) -> None:
    """A prefetch, a HEAD."""
    token = login_token(ADMIN_KEY)

    await visitor.client.head(f"/login?token={token}")
    await visitor.get(f"/login?token={token}", headers={"sec-purpose": "prefetch"})

    assert 303 == (await visitor.get(f"/login?token={token}")).status_code


@pytest.mark.parametrize(
    "token", ["", "x", login_token("another-key")], ids=["none", "no", "another"]
)
async def test_a_link_of_somebody_else_signs_nobody_in(visitor, token) -> None:
    await visitor.get(f"/login?token={token}")

    assert COOKIE not in visitor.client.cookies


async def test_a_forged_or_foreign_session_is_none(api) -> None:
    theirs = Sessions(Credentials.of("another-key", None), api.services.store)
    ours = Sessions(Credentials.of(ADMIN_KEY, VIEWER_KEY), api.services.store)

    opened = ours.opened(ours.sealed(Role.ADMIN))
    assert opened is not None
    assert opened.may_change
    assert ours.opened(theirs.sealed(Role.ADMIN)) is None
    assert ours.opened(ours.sealed(Role.ADMIN)[:-2]) is None
    later = Sessions(Credentials.of(ADMIN_KEY, "new-viewer-key"), api.services.store)
    assert later.opened(ours.sealed(Role.VIEWER)) is None
    assert later.opened(ours.sealed(Role.ADMIN)) is not None


async def test_a_viewer_looks_and_changes_nothing(viewer) -> None:
    await viewer.api.post("/api/users/", {"customer_identifier": "acme"})

    for path in ("/", "/users", "/users?user=acme", "/keys", "/budgets"):
        page = await viewer.page(path)
        assert "Add user" not in page.text
        assert "Block" not in page.text.split()
        assert "Make a key" not in page.text
        assert "Set budget" not in page.text
    for path, form in CHANGES:
        assert 403 == (await viewer.post(path, **form)).status_code, path
    assert "acme" not in (await viewer.api.get("/api/users/acme/")).json()["metadata"]
    assert 303 == (await viewer.post("/theme", theme="dark")).status_code
    assert 303 == (await viewer.post("/logout")).status_code


CHANGES = [
    ("/users", {"customer_identifier": "new"}),
    ("/users/acme", {"name": "other"}),
    ("/users/acme/block", {"blocked": "1"}),
    ("/users/acme/credit", {"amount": "5"}),
    ("/users/acme/delete", {"confirm": "acme"}),
    ("/budgets-of-users", {"tick-1": "acme", "period_budget": "1"}),
    ("/keys", {"app": "my-app"}),
    ("/keys/x", {}),
]


async def test_another_sites_form_changes_nothing(admin) -> None:
    """Neither by its origin, nor by what the browser says of it, nor without our token."""
    await admin.api.post("/api/users/", {"customer_identifier": "acme"})
    for path, fields in CHANGES:
        await refused(admin, path, {"csrf": admin.csrf, **fields})


async def refused(admin, path, form) -> None:
    for headers, fields in (
        ({"sec-fetch-site": "cross-site"}, form),
        ({"sec-fetch-site": "same-site"}, form),
        ({"origin": "https://evil.example"}, form),
        ({"origin": "null"}, form),
        ({}, {**form, "csrf": "guessed"}),
        ({}, {name: value for name, value in form.items() if name != "csrf"}),
    ):
        response = await admin.client.post(path, data=fields, headers=headers)
        assert 403 == response.status_code, headers


async def test_the_host_is_checked(visitor) -> None:
    """Another name that points here ("DNS rebinding") gets nothing, not even the login."""
    for path in ("/", "/login", "/users"):
        response = await visitor.get(path, headers={"host": "evil.example"})
        assert 400 == response.status_code
