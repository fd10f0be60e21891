"""Apps: who calls. An application is known by its token, and says what its calls may do."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from hashlib import sha256

from gateway.errors import InvalidToken


class Identity(StrEnum):
    """Which carriers of a customer's identity count."""

    ANY = "any"
    HEADER = "header"
    TOKEN = "token"  # noqa: S105


class ParamsPolicy(StrEnum):
    """What the `customer_params` of an app's calls may set."""

    FULL = "full"
    PROFILE = "profile"
    IGNORE = "ignore"


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """One application.

    Attributes:
        token_sha256: Hex digest of its token; the token itself is never kept.
        model: The price of reported events that name no model.
        upstreams, models: Globs of what it may use.
        customer_prefix: Put before the identifiers of its customers.
        user_is_customer: Whether the body's `user` may name the customer.
        cors_origins: Web pages of these origins may call for it, from a browser.
        passthrough: It may have the unmetered rest of ``/v1``.
        manage: Its token opens the management API too.
    """

    id: str
    token_sha256: str
    model: str | None = None
    upstreams: tuple[str, ...] = ("*",)
    models: tuple[str, ...] = ("*",)
    identity: Identity = Identity.ANY
    customer_params: ParamsPolicy = ParamsPolicy.FULL
    customer_prefix: str = ""
    user_is_customer: bool = True
    cors_origins: tuple[str, ...] = ()
    passthrough: bool = False
    manage: bool = False

    def may_use(self, model: str) -> bool:
        return any(fnmatchcase(model, glob) for glob in self.models)


class Apps:
    """All applications: `all` in the order of the configuration, and by token."""

    def __init__(self, apps: Iterable[App]) -> None:
        self.all = tuple(apps)
        self._by_digest = {app.token_sha256: app for app in self.all}

    def authenticate(self, token: str | None) -> App:
        """The app that a token belongs to. Looked up by digest, so that timing tells nothing.

        Raises:
            InvalidToken: the token is missing or nobody's. The message never repeats it.
        """
        if not token:
            raise InvalidToken(
                "No app token. Send it as 'Authorization: Bearer <token>' "
                "(the api_key of your OpenAI client)."
            )
        app = self._by_digest.get(token_digest(token))
        if app is None:
            raise InvalidToken(
                "This app token is not known here. Check the api_key of your client."
            )
        return app


def token_digest(token: str) -> str:
    return sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
