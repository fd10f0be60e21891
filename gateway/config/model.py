"""The settings: their names, types, defaults, and how they must fit together.

Units are in the documentation of `config.example.yaml`, which has every key (a test holds
the two together). A key exists here only when the part that obeys it does: a setting
without effect is an error.
"""

import hashlib
from collections.abc import Mapping
from decimal import Decimal
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    PrivateAttr,
    SecretStr,
    Tag,
    model_validator,
)

from gateway.config.faults import did_you_mean
from gateway.config.keeping import Archive, Events, Redis, Reports
from gateway.config.section import Section
from gateway.config.serving import Server
from gateway.config.values import (
    BaseUrl,
    CustomerPrefix,
    Flag,
    Glob,
    Headers,
    ModelName,
    Moment,
    Origin,
    Percent,
    Scope,
    Seconds,
    Secret,
    SigningSecret,
    Slug,
    TokenSha256,
    Usd,
    UsdPerMillion,
    WebhookSecret,
    WebhookUrl,
    Whole,
    Zone,
    group_identifiers,
    overlay,
    refusal,
    whole,
)
from gateway.customers.windows import Anchor, Calendar, Duration
from pricing.book import PriceBook
from pricing.names import STATE_THEIR_COST, canonical_provider
from pricing.scopes import GLOBAL, knows

UNION_MARK = "="
"""Starts the tags of unions, so that a fault's path can leave them out."""

Anything = ("*",)


def _absent_when_empty(value: Any) -> Any:
    return None if value == "" else value


def _refuse_twins(values: list[str], field: str) -> None:
    for index, value in enumerate(values):
        if value in values[:index]:
            first = values.index(value)
            raise refusal(f"is the same as that of number {first + 1}: change one", index, field)


class Timeouts(Section):
    connect: Seconds = 5.0
    first_byte: Seconds = 600.0
    between_bytes: Seconds = 120.0
    total: Seconds | None = None


class Upstream(Section):
    name: Slug
    provider: Slug
    base_url: BaseUrl
    api_key: Secret
    auth: Literal["bearer", "api-key", "x-api-key"] = "bearer"
    headers: Headers = {}
    query: Mapping[str, SecretStr] = {}
    models: tuple[Glob, ...] = Anything
    include_usage: Literal["auto", "never"] = "auto"
    reported_cost: Literal["compare", "trust"] | None = None
    scope: Scope | None = None
    timeouts: Timeouts = Timeouts()

    @property
    def passthrough(self) -> bool:
        """The caller's own key goes upstream."""
        return self.api_key.get_secret_value() == "passthrough"

    @property
    def trusts_reported_cost(self) -> bool:
        """What the provider says that a call cost is booked; unset, where that is its price."""
        if self.reported_cost is None:
            return canonical_provider(self.provider) in STATE_THEIR_COST
        return self.reported_cost == "trust"

    @property
    def own_key(self) -> str | None:
        """The key to call this upstream with, or None when there is none to send."""
        key = self.api_key.get_secret_value()
        return None if key in {"passthrough", "none"} else key


class Period(Section):
    """What a `period_budget` counts in: calendar windows, or a period of one's own."""

    period_budget: Usd | None = None
    budget_duration: Literal["daily", "weekly", "monthly", "yearly"] = "monthly"
    period_start: Moment | None = None
    period_end: Moment | None = None

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.period_start is None and self.period_end is not None:
            raise refusal("needs a period_start beside it: add one, or remove it", "period_end")
        if self.period_start is not None and self.period_budget is None:
            raise refusal("does nothing without a period_budget: add one", "period_start")
        return self

    @property
    def anchor(self) -> Anchor | None:
        if self.period_start is None:
            return None
        return Anchor(self.period_start, self.period_end, Duration(self.budget_duration))


class App(Period):
    id: Slug
    token: Secret | None = None
    token_sha256: TokenSha256 | None = None
    model: Annotated[str, Field(min_length=1, max_length=256)] | None = None
    upstreams: tuple[Glob, ...] = Anything
    models: tuple[Glob, ...] = Anything
    identity: Literal["any", "header", "token"] = "any"
    customer_params: Literal["full", "profile", "ignore"] = "full"
    customer_prefix: CustomerPrefix = ""
    user_is_customer: Flag = True
    new_customers_per_day: Annotated[Whole, Field(ge=0, le=10_000_000)] | None = 1_000
    cors_origins: tuple[Origin, ...] = ()
    passthrough: Flag = False
    manage: Flag = False

    @model_validator(mode="after")
    def _one_token(self) -> Self:
        if self.token is None and self.token_sha256 is None:
            raise refusal("is missing: give the app a token, or token_sha256", "token")
        if self.token is not None and self.token_sha256 is not None:
            raise refusal("stands beside token: remove one of the two", "token_sha256")
        return self

    @property
    def token_digest(self) -> str:
        """The SHA-256 of the token, in lower-case hexadecimal."""
        if self.token is None:
            return self.token_sha256 or ""
        return sha256(self.token)


class TokenKey(Section):
    """A key that customer tokens are signed with."""

    id: Slug
    secret: SigningSecret


def _unique_keys(keys: tuple[TokenKey, ...]) -> tuple[TokenKey, ...]:
    _refuse_twins([key.id for key in keys], "id")
    return keys


class Tokens(Section):
    keys: Annotated[tuple[TokenKey, ...], AfterValidator(_unique_keys)] = ()
    revoked: tuple[Annotated[str, Field(min_length=1, max_length=256)], ...] = ()


class Webhook(Section):
    """Where alerts go."""

    url: WebhookUrl
    secret: WebhookSecret
    events: tuple[
        Literal["budget.threshold", "budget.exceeded", "budget.reset", "model.unpriced"], ...
    ] = ("budget.threshold", "budget.exceeded", "budget.reset", "model.unpriced")
    allow_private: Flag = False


def _unique_webhooks(webhooks: tuple[Webhook, ...]) -> tuple[Webhook, ...]:
    _refuse_twins([webhook.url for webhook in webhooks], "url")
    return webhooks


class CustomerDefaults(Section):
    period_budget: Usd | None = None
    total_budget: Usd | None = None
    budget_duration: Literal["daily", "weekly", "monthly", "yearly"] = "monthly"
    rate_limit: Annotated[Whole, Field(ge=1, le=1_000_000)] | None = None
    markup_percentage: Percent = Decimal(0)


class Customers(Section):
    default: CustomerDefaults = CustomerDefaults()
    registered_only: Flag = False


class Group(Period):
    """A budget that the customers of a group share."""

    total_budget: Usd | None = None

    @model_validator(mode="after")
    def _has_a_limit(self) -> Self:
        if self.period_budget is None and self.total_budget is None:
            raise refusal("has no limit: give it a period_budget or a total_budget")
        return self


class Budgets(Section):
    policy: Literal["fit", "reject", "soft"] = "fit"
    min_output_tokens: Annotated[Whole, Field(ge=1, le=10_000_000)] = 1_024
    reject_status: Annotated[Literal[402, 429], BeforeValidator(whole)] = 402
    timezone: Zone = "UTC"
    count: Literal["charge", "cost"] = "charge"
    orphans: Literal["hold", "input", "progress"] = "hold"
    when_ledger_down: Literal["closed", "open"] = "closed"


class UnpricedRates(Section):
    """What a model without a price costs, so that customers with a limit may use it."""

    input: UsdPerMillion
    output: UsdPerMillion
    max_output: Annotated[Whole, Field(ge=1, le=100_000_000)]


class Limits(Section):
    request_bytes: Annotated[Whole, Field(ge=1_024, le=2**31)] = 33_554_432
    decoded_bytes: Annotated[Whole, Field(ge=1_024, le=2**31)] = 67_108_864
    upload_bytes: Annotated[Whole, Field(ge=1_024, le=2**40)] = 536_870_912
    body_seconds: Seconds = 120.0
    concurrent_calls: Annotated[Whole, Field(ge=1, le=1_000_000)] = 10_000


def _unpriced_kind(value: Any) -> str:
    return UNION_MARK + ("rates" if isinstance(value, (Mapping, UnpricedRates)) else "word")


Unpriced = Annotated[
    Annotated[Literal["allow", "reject"], Tag(UNION_MARK + "word")]
    | Annotated[UnpricedRates, Tag(UNION_MARK + "rates")],
    Discriminator(_unpriced_kind),
]


def _unique_names(upstreams: tuple[Upstream, ...]) -> tuple[Upstream, ...]:
    if not upstreams:
        raise refusal("needs at least one upstream")
    _refuse_twins([upstream.name for upstream in upstreams], "name")
    return upstreams


def _followed_once(models: Mapping[str, str]) -> Mapping[str, str]:
    for name, target in models.items():
        if target in models:
            raise refusal("is one of these names itself: name the model that it stands for", name)
    return models


def _unique_apps(apps: tuple[App, ...]) -> tuple[App, ...]:
    if not apps:
        raise refusal("needs at least one app")
    _refuse_twins([app.id for app in apps], "id")
    _refuse_twins([app.token_digest for app in apps], "token")
    return apps


class Config(Section):
    """Everything a gateway is told. Paths are absolute once loaded."""

    version: Annotated[Literal[1], BeforeValidator(whole)] = 1
    server: Server = Server()
    admin_key: Annotated[Secret | None, BeforeValidator(_absent_when_empty)] = None
    viewer_key: Annotated[Secret | None, BeforeValidator(_absent_when_empty)] = None
    data_dir: Path = Path("farebox-data")
    redis: Redis = Redis()
    archive: Archive = Archive()
    upstreams: Annotated[tuple[Upstream, ...], AfterValidator(_unique_names)]
    models: Annotated[Mapping[ModelName, ModelName], AfterValidator(_followed_once)] = {}
    apps: Annotated[tuple[App, ...], AfterValidator(_unique_apps)]
    customers: Customers = Customers()
    groups: Annotated[Mapping[str, Group], AfterValidator(group_identifiers)] = {}
    budgets: Budgets = Budgets()
    reports: Reports = Reports()
    events: Events = Events()
    on_disconnect: Literal["auto", "cancel", "drain"] = "auto"
    unpriced: Unpriced = "allow"
    prices: Annotated[tuple[Mapping[str, Any], ...], AfterValidator(overlay)] = ()
    prices_confirm: str | None = None
    tokens: Tokens = Tokens()
    webhooks: Annotated[tuple[Webhook, ...], AfterValidator(_unique_webhooks)] = ()
    limits: Limits = Limits()
    durability: Literal["standard", "strict"] = "standard"
    _file: Path | None = PrivateAttr(default=None)

    @property
    def file(self) -> Path | None:
        """Where it was read from; None: from elsewhere than a file."""
        return self._file

    def read_from(self, file: Path) -> Self:
        """The same, which remembers that."""
        self._file = file
        return self

    @property
    def strict(self) -> bool:
        """What is answered is on disk."""
        return self.durability == "strict"

    @model_validator(mode="after")
    def _apps_fit(self) -> Self:
        names = [upstream.name for upstream in self.upstreams]
        admin = sha256(self.admin_key) if self.admin_key else None
        for index, app in enumerate(self.apps):
            if app.token_digest == admin:
                raise refusal("is the admin key: give each its own", "apps", index, "token")
            for at, glob in enumerate(app.upstreams):
                if not any(fnmatchcase(name, glob) for name in names):
                    message = f"matches no upstream{did_you_mean(glob, names)}"
                    raise refusal(message, "apps", index, "upstreams", at)
        return self

    @model_validator(mode="after")
    def _scopes_have_prices(self) -> Self:
        for index, upstream in enumerate(self.upstreams):
            if upstream.scope is None:
                continue
            known = PriceBook.load().overlaid(self.prices).scopes(upstream.provider)
            if not knows(known, upstream.scope):
                places = ", ".join(sorted(known - {GLOBAL}))
                said = (
                    f"is no place that prices of {upstream.provider} know: there are {places}, "
                    f"and {GLOBAL}{did_you_mean(upstream.scope, known)}"
                    if places
                    else f"means nothing: {upstream.provider} has one price everywhere. Remove it"
                )
                raise refusal(said, "upstreams", index, "scope")
        return self

    @model_validator(mode="after")
    def _tokens_can_be_had(self) -> Self:
        for index, app in enumerate(self.apps):
            if app.identity == "token" and not self.tokens.keys:
                message = "takes signed tokens only: add a key under tokens.keys"
                raise refusal(message, "apps", index, "identity")
        return self

    @model_validator(mode="after")
    def _periods_last(self) -> Self:
        calendar = Calendar(ZoneInfo(self.budgets.timezone))
        periods: list[tuple[tuple[str | int, ...], Period]] = [
            *((("groups", name), group) for name, group in self.groups.items()),
            *((("apps", index), app) for index, app in enumerate(self.apps)),
        ]
        for at, period in periods:
            if period.anchor and (problem := calendar.problem(period.anchor)):
                raise refusal(problem.removeprefix("period_end "), *at, "period_end")
        return self


def sha256(secret: SecretStr) -> str:
    return hashlib.sha256(secret.get_secret_value().encode()).hexdigest()
