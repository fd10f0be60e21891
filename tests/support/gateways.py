"""A whole real gateway in one line: store, demo upstream, app and server, each on a socket."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import redis
from openai import AsyncOpenAI, OpenAI

from gateway.app import build_app
from gateway.cli.server import SETTINGS
from gateway.config import parsed
from gateway.demo.upstream import AT_ONCE, Pace, build_upstream
from gateway.event import Kind, UsageEvent
from gateway.store.keys import Keyspace, Partition
from pricing.money import pico_usd
from tests.support.servers import serve
from tests.support.stores import server
from tests.support.streams import events_in

TOKEN = "app-token-canary"
OTHER_TOKEN = "other-app-token-canary"
ADMIN_KEY = "admin-key-canary"
UPSTREAM_KEY = "upstream-key-canary"
SETTLED_SECONDS_MAX = 10.0

RATES = {  # USD per million tokens: input, cached input, output; pricing/data/demo.yaml
    "demo-small": ("0.15", "0.075", "0.60"),
    "demo-large": ("2.50", "1.25", "10"),
    "demo-reasoning": ("1.10", "0.275", "4.40"),
    "demo-embedding": ("0.02", "0.02", "0"),
}


def by_hand(model: str, prompt: int, completion: int = 0, cached: int = 0) -> Decimal:
    """What a usage costs, in USD: the price list's arithmetic and nothing of ours."""
    rates = [Decimal(rate) for rate in RATES[model]]
    counts = [prompt - cached, cached, completion]
    return sum((r * n for r, n in zip(rates, counts, strict=True)), Decimal(0)) / 1_000_000


def price_of(usage: Any, model: str = "demo-small") -> Decimal:
    """`by_hand` of a usage block as openai-python parses it."""
    details = getattr(usage, "prompt_tokens_details", None)
    return by_hand(
        model,
        usage.prompt_tokens,
        getattr(usage, "completion_tokens", 0),
        (details.cached_tokens or 0) if details else 0,
    )


def a_customer(name: str = "customer") -> str:
    """One that no other test has."""
    return f"{name}_{uuid4().hex[:12]}"


@dataclass
class Gateway:
    """A gateway that serves, what stands behind it, and shorthands to read back."""

    url: str
    upstream: Any
    store_url: str
    store: Any
    folder: Path
    api: httpx.Client
    _clients: ExitStack = field(default_factory=ExitStack)

    def openai(self, **options: Any) -> Any:
        with_ours: dict[str, Any] = {
            "api_key": TOKEN,
            "http_client": httpx.Client(trust_env=False),
        } | options
        return self._closed(OpenAI(base_url=f"{self.url}/v1", **with_ours))

    def async_openai(self, **options: Any) -> Any:
        """Use it in an ``async with``."""
        with_ours: dict[str, Any] = {
            "api_key": TOKEN,
            "http_client": httpx.AsyncClient(trust_env=False),
        } | options
        return AsyncOpenAI(base_url=f"{self.url}/v1", **with_ours)

    def _closed(self, client: Any) -> Any:
        """The client, to be closed in the end."""
        self._clients.callback(client.close)
        return client

    def post(
        self, path: str = "/v1/chat/completions", *, json: Any = None, **options: Any
    ) -> httpx.Response:
        headers = {"authorization": f"Bearer {TOKEN}"} | (options.pop("headers", None) or {})
        options.setdefault("timeout", 30)
        return httpx.post(self.url + path, json=json, headers=headers, **options, trust_env=False)

    def chat(self, customer: str | None = None, text: str = "Hi", **fields: Any) -> httpx.Response:
        """A plain HTTP call; `fields` stand beside the model and the message."""
        return self.post(json=chat_body(customer, text, **fields), timeout=30)

    def user(self, customer: str) -> dict[str, Any]:
        answer = self.api.get(f"/api/users/{quote(customer, safe='')}/")
        answer.raise_for_status()
        return dict(answer.json())

    def spent(self, customer: str) -> Decimal:
        return Decimal(self.user(customer)["spent_usd"])

    def held(self, customer: str) -> Decimal:
        """Nothing, too, of a customer that is not there yet."""
        answer = self.api.get(f"/api/users/{quote(customer, safe='')}/")
        return Decimal(answer.json()["held_usd"]) if answer.status_code == 200 else Decimal(0)

    def partition(self, customer: str) -> Partition:
        return Keyspace().partition_of(customer)

    def events(self, customer: str) -> list[UsageEvent]:
        """The customer's events, straight from the stream: the truth."""
        partition = self.partition(customer)
        number = int(self.store.get(partition.number(customer)) or 0)
        found = events_in(self.store, partition.stream)
        return [event for _, event in found if event.customer_number == number]

    def settled(self, customer: str, count: int = 1) -> list[UsageEvent]:
        """The customer's events, once there are `count` of them; nothing is held then."""
        wait_until(
            lambda: len(self.events(customer)) >= count,
            f"{customer} has {count} events",
        )
        events = self.events(customer)
        assert count == len(events), events
        wait_until(lambda: self.held(customer) == 0, f"nothing of {customer} is held")
        return events

    def logs(self, customer: str, count: int = 1) -> list[dict[str, Any]]:
        """The rows of the logs API, oldest first, once there are `count` of them."""
        query: Any = {"customer_identifier": customer, "sort_by": "id", "page_size": 1000}

        def rows() -> list[dict[str, Any]]:
            return list(self.api.get("/api/request-logs/list/", params=query).json()["results"])

        wait_until(lambda: len(rows()) >= count, f"{customer} has {count} logs")
        return rows()

    def log(self, request_id: str) -> dict[str, Any]:
        """One log, opened, once it is archived."""
        path = f"/api/request-logs/{request_id}"
        wait_until(lambda: self.api.get(path).status_code == 200, f"the log of {request_id}")
        return dict(self.api.get(path).json())

    def summary(self, **query: str) -> dict[str, Any]:
        return dict(self.api.get("/api/analytics/summary", params=query).json())

    def lapse(self, customer: str) -> None:
        """Let the leases of what the customer holds run out."""
        partition = self.partition(customer)
        for request_id in self.store.hkeys(partition.holds):
            self.store.zadd(partition.expiries, {request_id: 0}, xx=True)

    def snapshot(self) -> dict[bytes, int]:
        """What the ledger has, once nothing is held: key -> size of a stream, or 1."""
        wait_until(lambda: not any(self.store.scan_iter("*}h*")), "every call has ended")
        sizes = {}
        for key in self.store.scan_iter(count=10_000):
            kind = key.split(b"}", 1)[-1]
            if kind == b"ev":
                sizes[key] = self.store.xlen(key)
            elif kind.startswith((b"n:", b"a:", b"p:")):
                sizes[key] = 1
        return sizes

    @property
    def seen(self) -> Any:
        """What the demo upstream was sent, newest last."""
        return self.upstream.state.seen


def chat_body(customer=None, text="Hi", **fields):
    body = {"model": "demo-small", "messages": [{"role": "user", "content": text}], **fields}
    if customer is not None:
        body["customer_params"] = {
            "customer_identifier": customer,
            **(body.get("customer_params") or {}),
        }
    return body


ANY_NUMBER = {"new_customers_per_day": None}


def settings(folder: Path, upstream_url: str, **changes: Any) -> dict[str, Any]:
    """A configuration; what is in `changes` replaces the top-level keys of that name."""
    return {
        "data_dir": folder,
        "admin_key": ADMIN_KEY,
        "server": {"drain_delay_seconds": 0},
        "upstreams": [an_upstream(upstream_url)],
        "apps": [
            {"id": "my-app", "token": TOKEN, "model": "demo-small", **ANY_NUMBER},
            {"id": "other", "token": OTHER_TOKEN, "model": "demo-small", **ANY_NUMBER},
        ],
        **changes,
    }


def an_upstream(url: str, **changes: Any) -> dict[str, Any]:
    return {
        "name": "demo",
        "provider": "demo",
        "base_url": f"{url}/v1",
        "api_key": UPSTREAM_KEY,
        "models": ["demo-*"],
        **changes,
    }


@contextmanager
def gateway(
    *,
    pace: Pace = AT_ONCE,
    upstream_url: str | None = None,
    account: Mapping[str, Any] | None = None,
    **changes: Any,
) -> Iterator[Gateway]:
    """Run a gateway on an empty store.

    Args:
        upstream_url: Another provider, in the demo upstream's place.
        account: Changes to the configured upstream.
        changes: Replace the top-level keys of the configuration.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="fb-")))
        store_url = stack.enter_context(server())
        behind = build_upstream(pace=pace)
        where = upstream_url or stack.enter_context(serve(behind, http="httptools"))
        changes.setdefault("upstreams", [an_upstream(where, **(account or {}))])
        config = parsed(settings(folder, where, **changes), origin="test")
        app = build_app(config, store_url=store_url, admin_key=ADMIN_KEY)
        url = stack.enter_context(serve(app, **SETTINGS))
        api = httpx.Client(
            base_url=url,
            headers={"authorization": f"Bearer {ADMIN_KEY}"},
            trust_env=False,
            timeout=30,  # a busy machine is no fault of the gateway
        )
        stack.enter_context(api)
        store = redis.Redis.from_url(store_url)
        stack.callback(store.close)
        made = Gateway(url, behind, store_url, store, folder, api)
        stack.callback(made._clients.close)
        yield made


def wait_until(
    true: Callable[[], bool], what: str, seconds_max: float = SETTLED_SECONDS_MAX
) -> None:
    deadline = time.monotonic() + seconds_max
    while not true():
        assert time.monotonic() < deadline, f"not within {seconds_max:g} s: {what}"
        time.sleep(0.01)


def total_usd(events: list[UsageEvent]) -> Decimal:
    return Decimal(sum(event.charge_pico for event in events)) / pico_usd("1")


def kinds(events: list[UsageEvent]) -> list[Kind]:
    return [event.kind for event in events]
