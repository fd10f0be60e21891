"""Who may manage: the admin key, or the token of an app that has `manage: true`."""

import hmac
from typing import Final

from starlette.datastructures import Headers

from gateway.customers.apps import App, Apps, token_digest
from gateway.errors import InvalidToken, PermissionRefused

_KEY_HEADERS: Final = ("api-key", "x-api-key")


def bearer(headers: Headers) -> str | None:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def require_manager(headers: Headers, apps: Apps, admin_key_sha256: str) -> None:
    """Let the request pass.

    Raises:
        InvalidToken: no key, or nobody's.
        PermissionRefused: an app's token, and the app may not manage.
    """
    token = bearer(headers)
    if token is None:
        raise InvalidToken("No key. Send 'Authorization: Bearer <admin key>'.")
    if hmac.compare_digest(token_digest(token), admin_key_sha256):
        return
    try:
        app = apps.authenticate(token)
    except InvalidToken as exc:
        raise InvalidToken("This key is not the admin key of this gateway.") from exc
    if not app.manage:
        raise PermissionRefused(
            f"App {app.id!r} may not manage. Use the admin key, or set manage: true for the app."
        )


def calling_app(headers: Headers, apps: Apps) -> App:
    """The app of a data-plane request, by any of the headers that clients use.

    Raises:
        InvalidToken: the token is missing or nobody's.
    """
    keys = (headers.get(name, "").strip() for name in _KEY_HEADERS)
    return apps.authenticate(bearer(headers) or next(filter(None, keys), None))
