"""Request: a call as it arrived, once it is known whose it is."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.customers.apps import App
from gateway.customers.credentials import Credential
from gateway.openai.carriers import NO_CUSTOMER_FIELDS, CustomerFields
from gateway.proxy.headers import RawHeaders
from gateway.proxy.paths import Azure
from gateway.proxy.payloads import Recording
from gateway.proxy.relay import Send

Receive = Callable[[], Awaitable[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """An authenticated call as it arrived.

    Attributes:
        headers: By lower-case name; `raw_headers` keeps repetitions and order.
        started, started_ms: When it arrived, by the monotonic and by the wall clock.
        query: The caller's without our fields: it is passed on.
        query_fields: These.
        azure: Which of Azure's surfaces it came by.
        recording: Listens to what is asked and answered; None: nobody does.
    """

    request_id: str
    credential: Credential
    headers: Mapping[bytes, bytes] = field(repr=False)
    raw_headers: RawHeaders = field(repr=False)
    started: float
    started_ms: int
    receive: Receive
    send: Send
    query: bytes = field(default=b"", repr=False)
    query_fields: CustomerFields = NO_CUSTOMER_FIELDS
    azure: Azure | None = None
    recording: Recording | None = None

    @property
    def app(self) -> App:
        return self.credential.app
