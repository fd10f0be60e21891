"""Apps: known by their token, which is never kept and never shown."""

import pytest

from gateway.customers.apps import App, Apps, token_digest
from gateway.errors import InvalidToken

APP = App(id="shop", token_sha256=token_digest("fb-secret"), models=("gpt-*", "demo"))
APPS = Apps([APP])


def test_an_app_is_known_by_its_token() -> None:
    """By exactly that."""
    assert APP is APPS.authenticate("fb-secret")


@pytest.mark.parametrize(
    "token", [None, "", "fb-wrong", "FB-SECRET", " fb-secret", "\ud800", APP.id]
)
def test_r63_any_other_token_is_refused(token: str | None) -> None:
    """And never repeated in the message, nor found in the app."""
    with pytest.raises(InvalidToken) as refusal:
        APPS.authenticate(token)
    assert not token or token == APP.id or token not in str(refusal.value)
    assert "fb-secret" not in repr(APP)


@pytest.mark.parametrize(
    ("model", "may"), [("gpt-4o", True), ("demo", True), ("demo-2", False), ("GPT-4o", False)]
)
def test_an_app_uses_only_its_models(model: str, *, may: bool) -> None:
    """Globs, by case."""
    assert may == APP.may_use(model)
