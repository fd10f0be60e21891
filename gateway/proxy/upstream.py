"""An upstream: one provider account. Says where its calls go, with which key, how patiently."""

import asyncio
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote, urlencode, urlsplit

from gateway.errors import InvalidCall, UpstreamTimeout
from gateway.openai.content import Content
from gateway.openai.endpoints import Endpoint
from gateway.proxy.blanking import Secrets
from gateway.proxy.client import Answer, Client, Sent
from gateway.proxy.client.lean import HttptoolsClient
from gateway.proxy.headers import CREDENTIALS, RawHeaders
from gateway.proxy.paths import VERSION, Azure
from pricing.names import canonical_provider

if TYPE_CHECKING:
    import httpx

MODEL_PLACE: Final = "{model}"
DEPLOYMENTS: Final = f"/deployments/{MODEL_PLACE}"
"""How Azure's older base URLs end. It has routes beside those of its deployments."""
_OF_DEPLOYMENTS: Final = frozenset(Endpoint) - {Endpoint.RESPONSES}
_NO_PART: Final = ("", ".", "..")
TARGETS_MAX: Final = 1_000
_NAMES_ONE: Final = "responses/"
"""Paths with an id in them are not worth remembering."""

UNCOUNTED_MAX: Final = 1_000
"""Models remembered for refusing to be asked for usage."""


_DEFAULTS: Final[dict[str, RawHeaders]] = {
    "anthropic": [(b"anthropic-version", b"2023-06-01")],
}
"""What a provider demands of every call, and a caller may leave out."""

_NATIVE: Final = {"anthropic": ("messages", "models")}
"""Paths of a provider's own, beside OpenAI's: they take the key in ``x-api-key``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Seconds; None: unbounded."""

    connect: float | None = 5.0
    first_byte: float | None = 600.0
    between_bytes: float | None = 120.0
    total: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamSettings:
    """One provider account.

    Attributes:
        provider: Whose prices and usage dialect.
        base_url: Up to and including ``/v1``; no trailing slash. ``{model}`` in its path is the
            call's model, as Azure's deployments have it.
        api_key: None: the upstream wants none, or the caller's own.
        passthrough: The caller's key goes upstream; its app token is in a header of ours.
        auth: The header that carries the key: ``authorization`` as a bearer, or another.
            Anthropic's own routes have it in ``x-api-key`` in any case.
        models: Globs of the models it serves.
        include_usage: Whether streams may be asked for their usage.
        trust_reported_cost: What the provider says that a call cost is booked; else ours is.
        scope: Where it serves, as the price book has it (``regional``); None: models' names say.
    """

    name: str
    provider: str
    base_url: str
    api_key: str | None = field(default=None, repr=False)
    passthrough: bool = False
    auth: str = "bearer"
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    models: tuple[str, ...] = ("*",)
    include_usage: bool = True
    trust_reported_cost: bool = False
    scope: str | None = None
    timeouts: Timeouts = Timeouts()


class Upstream:
    """Sends calls to one provider account over connections that are kept.

    Args:
        transport: Of httpx, in place of our own client: for tests.

    Attributes:
        has_model_in_path: Its base URL has a place for the model.
        azure: Which of Azure's surfaces it is; None: neither.
        secrets: No answer is to repeat them.
    """

    def __init__(
        self, settings: UpstreamSettings, *, transport: "httpx.AsyncBaseTransport | None" = None
    ) -> None:
        self.settings = settings
        self._client = _client(settings, transport)
        configured = [(n.lower().encode(), v.encode()) for n, v in settings.headers.items()]
        self._configured_names = frozenset(name for name, _ in configured)
        self._defaults = _DEFAULTS.get(settings.provider, [])
        self._own_headers: RawHeaders = configured + _credentials(settings, settings.auth)
        self._native_headers = configured + _credentials(settings, "x-api-key")
        self._native_paths = _NATIVE.get(settings.provider, ())
        self.has_model_in_path: Final = MODEL_PLACE in settings.base_url
        is_azures = canonical_provider(settings.provider) == "azure"
        otherwise = Azure.V1 if is_azures else None
        self.azure: Final = Azure.DATED if self.has_model_in_path else otherwise
        told = [settings.api_key or "", *settings.headers.values(), *settings.query.values()]
        self.secrets: Final = Secrets(told)
        self._targets: dict[Hashable, bytes] = {}
        self._uncounted: set[str] = set()

    def serves(self, model: str) -> bool:
        return any(fnmatchcase(model, glob) for glob in self.settings.models)

    def needs_model(self, path: str) -> bool:
        """Whether a path has to have a model in front."""
        if not self.has_model_in_path:
            return False
        return path in _OF_DEPLOYMENTS or not self.settings.base_url.endswith(DEPLOYMENTS)

    def query_of(self, query: bytes, azure: Azure | None) -> bytes:
        """What of a caller's query is meant for this upstream.

        A version that belongs to one of Azure's surfaces goes to no other.
        """
        if azure is None or azure is self.azure or not query:
            return query
        return b"&".join(pair for pair in query.split(b"&") if _name_of(pair) != VERSION)

    def counts_streams(self, model: str) -> bool:
        """Whether streams of this model may be asked for their usage."""
        return self.settings.include_usage and model not in self._uncounted

    def refused_to_count(self, model: str) -> None:
        if len(self._uncounted) < UNCOUNTED_MAX:
            self._uncounted.add(model)

    async def send(
        self,
        path: str,
        headers: RawHeaders,
        body: bytes | Content,
        sent: Sent,
        *,
        model: str = "",
        query: bytes = b"",
    ) -> Answer:
        """Forward a call; returns with the answer's head.

        Args:
            model: What it is called here, for upstreams that have it in their path.
            query: The caller's; of a key that the configuration sets as well, that one counts.

        Raises:
            UpstreamUnreachable: nothing was sent.
            UpstreamTimeout, UpstreamBroken: it may have been; `sent` says.
            GatewayBusy: no connection was free.
        """
        return await self.exchange("POST", path, headers, body, sent, model=model, query=query)

    async def get(self, path: str, headers: RawHeaders, *, query: bytes = b"") -> Answer:
        return await self.exchange("GET", path, headers, b"", Sent(), query=query)

    async def aclose(self) -> None:
        await self._client.aclose()

    async def exchange(
        self,
        method: str,
        path: str | bytes,
        headers: RawHeaders,
        body: bytes | Content,
        sent: Sent,
        *,
        model: str = "",
        query: bytes = b"",
    ) -> Answer:
        """As `send`, with any method; a path that is bytes stays as it is."""
        if isinstance(path, bytes):
            target = self._target_of(path)
            path = path.decode("latin-1")
        else:
            key = (path, model) if self.has_model_in_path else path
            target = self._targets.get(key) or self._target(path, model, key)
        if query:
            target = self._with_query(target, query)
        if self._defaults:
            named = {name for name, _ in headers}
            headers = headers + [pair for pair in self._defaults if pair[0] not in named]
        if self._configured_names:  # the operator's word counts, not the caller's
            headers = [pair for pair in headers if pair[0] not in self._configured_names]
        own = self._own_headers
        if self._native_paths and path.startswith(self._native_paths):
            own = self._native_headers
        try:
            async with asyncio.timeout(self.settings.timeouts.first_byte):
                return await self._client.exchange(method, target, own + headers, body, sent)
        except TimeoutError as exc:
            raise UpstreamTimeout("The provider did not begin to answer in time.") from exc

    def _target(self, path: str, model: str, key: Hashable) -> bytes:
        base = self._base_of(path)
        if MODEL_PLACE in base:
            if model in _NO_PART:
                raise InvalidCall("No model is called that.", param="model")
            base = base.replace(MODEL_PLACE, quote(model, safe=""))
        target = quote(f"{base}/{path}", safe="/%:@!$&'()*+,;=~")
        if self.settings.query:
            target += "?" + urlencode(self.settings.query, quote_via=quote)
        if len(self._targets) < TARGETS_MAX and not path.startswith(_NAMES_ONE):
            self._targets[key] = target.encode()
        return target.encode()

    def _base_of(self, path: str) -> str:
        base = urlsplit(self.settings.base_url).path.rstrip("/")
        return base if self.needs_model(path) else base.removesuffix(DEPLOYMENTS)

    def _target_of(self, path: bytes) -> bytes:
        target = self._base_of(unquote(path.decode("latin-1"))).encode() + b"/" + path
        if self.settings.query:
            target += b"?" + urlencode(self.settings.query, quote_via=quote).encode()
        return target

    def _with_query(self, target: bytes, query: bytes) -> bytes:
        pairs = [
            pair for pair in query.split(b"&") if pair and _name_of(pair) not in self.settings.query
        ]
        if not pairs:
            return target
        return target + (b"&" if b"?" in target else b"?") + b"&".join(pairs)


def _client(settings: UpstreamSettings, transport: "httpx.AsyncBaseTransport | None") -> Client:
    seconds = settings.timeouts.connect
    if transport is None:
        return HttptoolsClient(settings.base_url, connect_seconds=seconds)
    from gateway.proxy.client.adapted import HttpxClient  # noqa: PLC0415 - httpx is slow to import

    return HttpxClient(settings.base_url, transport, connect_seconds=seconds)


def _credentials(settings: UpstreamSettings, auth: str) -> RawHeaders:
    key = settings.api_key
    if key is None:
        return []
    if auth == "bearer":
        return [(CREDENTIALS[0], f"Bearer {key}".encode())]
    return [(auth.encode(), key.encode())]


def _name_of(pair: bytes) -> str:
    return unquote(pair.partition(b"=")[0].decode("latin-1"))
