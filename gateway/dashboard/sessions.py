"""Sessions: who has signed in, in a signed cookie; and links that sign in once.

The signing key comes from the admin key, so that every worker and every machine with the
same admin key knows the same sessions, and a new admin key ends them all.
"""

import hmac
import secrets
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Any, Final

from itsdangerous import BadData, URLSafeTimedSerializer

from gateway.customers.apps import token_digest
from gateway.store.client import Store
from gateway.store.keys import login_key

COOKIE: Final = "farebox_session"
SESSION_SECONDS: Final = 14 * 86_400
LINK_SECONDS: Final = 86_400

_SESSION, _LINK = "session", "login link"


class Role(StrEnum):
    ADMIN = "admin"
    VIEWER = "viewer"


@dataclass(frozen=True, slots=True)
class Session:
    """One person's: `csrf` is what its forms must send back."""

    role: Role
    csrf: str

    @property
    def may_change(self) -> bool:
        return self.role is Role.ADMIN


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the dashboard knows of keys: digests, and the key that signs.

    Attributes:
        admin_sha256, viewer_sha256: Hex digests; without the second there are no viewers.
    """

    admin_sha256: str
    viewer_sha256: str | None
    signing_key: str

    @classmethod
    def of(cls, admin_key: str, viewer_key: str | None) -> "Credentials":
        return cls(
            token_digest(admin_key),
            token_digest(viewer_key) if viewer_key else None,
            signing_key(admin_key),
        )

    def role_of(self, key: str) -> Role | None:
        """Whose key this is; None: nobody's."""
        digest = token_digest(key)
        if hmac.compare_digest(digest, self.admin_sha256):
            return Role.ADMIN
        if self.viewer_sha256 and hmac.compare_digest(digest, self.viewer_sha256):
            return Role.VIEWER
        return None


def signing_key(admin_key: str) -> str:
    return hmac.new(admin_key.encode(), b"farebox dashboard", sha256).hexdigest()


class Sessions:
    def __init__(self, credentials: Credentials, store: Store) -> None:
        self._key = credentials.signing_key
        # A viewer's session ends when the viewer key changes, too.
        self._viewer = (credentials.viewer_sha256 or "")[:16]
        self._store = store

    def sealed(self, role: Role) -> str:
        """A new session, as the cookie carries it."""
        said = {"role": role.value, "csrf": secrets.token_urlsafe(18)}
        if role is Role.VIEWER:
            said["of"] = self._viewer
        return str(_signer(self._key, _SESSION).dumps(said))

    def opened(self, cookie: str | None) -> Session | None:
        """The session of a cookie; None: there is none, or it is too old, or not ours."""
        said = _read(self._key, _SESSION, cookie, SESSION_SECONDS)
        if said is None:
            return None
        if said["role"] == Role.VIEWER and said.get("of") != self._viewer:
            return None
        return Session(Role(said["role"]), said["csrf"])

    async def spend(self, token: str) -> bool:
        """Whether a login link's token is good; from now on it is not."""
        said = _read(self._key, _LINK, token, LINK_SECONDS)
        if said is None:
            return False
        spent = await self._store.command(
            "SET", login_key(said["once"]), 1, "NX", "EX", LINK_SECONDS
        )
        return spent is not None


def login_token(admin_key: str) -> str:
    """What ``/login?token=`` takes, once, within a day."""
    said = {"once": secrets.token_urlsafe(12)}
    return str(_signer(signing_key(admin_key), _LINK).dumps(said))


def _signer(key: str, purpose: str) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(key, salt=purpose, signer_kwargs={"digest_method": sha256})


def _read(key: str, purpose: str, text: str | None, seconds: int) -> dict[str, Any] | None:
    if not text:
        return None
    try:
        said: dict[str, Any] = _signer(key, purpose).loads(text, max_age=seconds)
    except BadData:
        return None
    return said
