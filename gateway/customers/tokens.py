"""Customer tokens: signed, for one customer, for a while. Made anywhere, checked here.

A JSON Web Token (RFC 7519) with HS256, so that any language mints one offline:

    header  {"alg": "HS256", "kid": "<id of the key>"}
    claims  sub     the customer
            exp     when it ends, Unix seconds
            app     for which app; may be left out where there is only one
            models  globs of what it may use; left out: whatever the app may
            max_usd the most that one call may cost, a decimal string
            jti     names it, so that it can be revoked
            nbf     from when it counts

Keys and revoked names stand in the configuration; a key that is removed ends its tokens.
"""

from collections import OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

import jwt

from gateway.clock import Clock
from gateway.customers import fields
from gateway.customers.apps import App, Apps
from gateway.customers.credentials import ANY_MODEL, Credential
from gateway.errors import InvalidToken
from pricing.money import usd

SECRET_BYTES_MIN: Final = 32
ALGORITHM: Final = "HS256"
_START: Final = "eyJ"
"""Every JSON object in base64url that begins with a name begins so."""
_CACHED_MAX: Final = 10_000
_LEEWAY_SECONDS: Final = 30
MODELS_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key that tokens are signed with; `repr` has no secret."""

    id: str
    secret: bytes

    def __repr__(self) -> str:
        return f"SigningKey({self.id!r})"


@dataclass(frozen=True, slots=True)
class _Checked:
    credential: Credential
    from_seconds: float
    until_seconds: float


class Tokens:
    """Checks tokens. What was checked once is remembered until it ends."""

    def __init__(
        self, keys: Collection[SigningKey], revoked: Collection[str], apps: Apps, clock: Clock
    ) -> None:
        self._keys = {key.id: key for key in keys}
        self._revoked = frozenset(revoked)
        self._apps = apps
        self._clock = clock
        self._checked: OrderedDict[str, _Checked] = OrderedDict()

    def recognises(self, token: str) -> bool:
        """Whether it has the shape of one; no app token has, and no temporary key."""
        return bool(self._keys) and token.startswith(_START) and token.count(".") == 2

    def authenticate(self, token: str) -> Credential:
        """What `token` entitles to.

        Raises:
            InvalidToken: its signature is not ours, it has ended, was revoked, or says
                something that cannot be obeyed. The message never repeats it.
        """
        found = self._checked.get(token)
        if found is None:
            found = self._check(token)
            self._checked[token] = found
            if len(self._checked) > _CACHED_MAX:
                self._checked.popitem(last=False)
        now = self._clock.now_ms() / 1000
        if now >= found.until_seconds + _LEEWAY_SECONDS:
            raise InvalidToken("This customer token has ended: mint another.", code="token_expired")
        if now < found.from_seconds - _LEEWAY_SECONDS:
            raise InvalidToken("This customer token does not count yet (nbf).")
        return found.credential

    def _check(self, token: str) -> _Checked:
        claims = self._claims(token)
        if claims.get("jti") in self._revoked:
            raise InvalidToken("This customer token was revoked.", code="token_revoked")
        try:
            if claims.get("aud") is not None:  # RFC 7519, 4.1.3: we have no name to be meant by
                raise ValueError("`aud` is not for this gateway, leave it out")
            return _Checked(
                Credential(
                    app=self._app(claims),
                    customer=_customer(claims),
                    models=_models(claims),
                    call_pico_max=_call_max(claims),
                ),
                _seconds(claims, "nbf", 0),
                _seconds(claims, "exp", None),
            )
        except ValueError as exc:
            raise InvalidToken(f"This customer token cannot be used: {exc}.") from exc

    def _claims(self, token: str) -> dict[str, Any]:
        try:
            named = jwt.get_unverified_header(token).get("kid")
            key = self._keys.get(named) if isinstance(named, str) else None
            if key is None:
                raise InvalidToken("This customer token names no key (kid) that is known here.")
            claims: dict[str, Any] = jwt.decode(
                token,
                key.secret,
                algorithms=[ALGORITHM],
                options={  # what is in it is looked at here, and its time on every call
                    "verify_sub": False,
                    "verify_jti": False,
                    "verify_iss": False,
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                    "verify_aud": False,
                },
            )
        except jwt.InvalidTokenError as exc:
            raise InvalidToken("The signature of this customer token is not valid here.") from exc
        return claims

    def _app(self, claims: Mapping[str, Any]) -> App:
        named = claims.get("app")
        if named is None and len(self._apps.all) == 1:
            return self._apps.all[0]
        for app in self._apps.all:
            if app.id == named:
                return app
        raise ValueError("`app` must name an app of this gateway")


def mint(
    key: SigningKey,
    *,
    customer: str,
    until_seconds: int,
    app: str | None = None,
    models: Collection[str] = (),
    call_pico_max: int | None = None,
    name: str | None = None,
) -> str:
    """Make a token; what is left out, it does not limit."""
    claims: dict[str, Any] = {"sub": customer, "exp": until_seconds}
    optional = {
        "app": app,
        "models": list(models) or None,
        "max_usd": None if call_pico_max is None else usd(call_pico_max),
        "jti": name,
    }
    claims |= {claim: value for claim, value in optional.items() if value is not None}
    return jwt.encode(claims, key.secret, algorithm=ALGORITHM, headers={"kid": key.id})


def _customer(claims: Mapping[str, Any]) -> str:
    try:
        return fields.identifier(claims.get("sub"))
    except ValueError as exc:
        raise ValueError(f"`sub` {exc}") from exc


def _models(claims: Mapping[str, Any]) -> tuple[str, ...]:
    models = claims.get("models")
    if models is None:
        return ANY_MODEL
    if not isinstance(models, list) or not 0 < len(models) <= MODELS_MAX:
        raise ValueError("`models` must be a list of names")
    if not all(isinstance(model, str) and model for model in models):
        raise ValueError("`models` must be a list of names")
    return tuple(models)


def _call_max(claims: Mapping[str, Any]) -> int | None:
    most = claims.get("max_usd")
    if most is None:
        return None
    try:
        return fields.budget(most)
    except ValueError as exc:
        raise ValueError(f"`max_usd` {exc}") from exc


def _seconds(claims: Mapping[str, Any], name: str, default: float | None) -> float:
    seconds = claims.get(name, default)
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise ValueError(f"`{name}` must be a time in Unix seconds")
    return seconds
