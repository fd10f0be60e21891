"""Credentials: what a caller has shown, and what it may do with that.

There are three. An *app token* speaks for its app, and may name any customer. A *customer
token* is signed and binds one customer, for a while; a browser may have it. A *temporary key*
is kept in the store: so many calls, so much money, until then.
"""

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Final

from gateway.customers.apps import App, Identity
from gateway.customers.scopes import Scope
from gateway.errors import PermissionRefused

ANY_MODEL: Final = ("*",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """What a call was authenticated by.

    Attributes:
        app: For which the call is made.
        customer: The only one that it may name, without the app's prefix; None: any.
        models: Globs, besides those of the app.
        call_pico_max: No call may cost more, whatever its customer's limits; None: no such.
        key: The temporary key, as the account that its calls count on.
        key_digest: Of that key's secret.
    """

    app: App
    customer: str | None = None
    models: tuple[str, ...] = ANY_MODEL
    call_pico_max: int | None = None
    key: Scope | None = None
    key_digest: str = field(default="", repr=False)

    @property
    def is_bound(self) -> bool:
        """Whether it is less than an app's own token: of one customer, or a temporary key."""
        return self.customer is not None or self.key is not None

    @property
    def key_id(self) -> str | None:
        return self.key.identifier if self.key else None

    def check_model(self, model: str) -> None:
        """Refuse a model that it may not use.

        Raises:
            PermissionRefused: it may not.
        """
        if self.models is ANY_MODEL or any(fnmatchcase(model, glob) for glob in self.models):
            return
        raise PermissionRefused(
            f"This token may not use the model {model[:200]!r}. It may use: "
            f"{', '.join(self.models)}.",
            code="model_not_allowed",
            param="model",
        )

    def check_app(self) -> None:
        """Refuse who shows less than the app asks for.

        Raises:
            PermissionRefused: the app takes only customer tokens.
        """
        if self.app.identity is Identity.TOKEN and self.customer is None:
            raise PermissionRefused(
                f"App {self.app.id!r} takes calls with a signed customer token only "
                "(identity: token). Mint one with `farebox token mint`.",
                code="customer_token_required",
            )
