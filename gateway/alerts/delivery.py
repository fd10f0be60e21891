"""Delivering what is in the outbox, until it is taken or a day and a half has gone by.

At least once: a receiver knows a repetition by its ``webhook-id``. Two processes that deliver
at once send the same thing twice, and nothing worse.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import httpx
from sqlalchemy.exc import SQLAlchemyError

from gateway.alerts.addresses import AddressRefused, address_of
from gateway.alerts.signing import signed
from gateway.alerts.watch import Endpoint, Watch
from gateway.clock import Clock
from gateway.errors import LedgerUnavailable
from gateway.store.archive.outbox import Delivery, Outbox, State

RETRY_SECONDS: Final = (5, 30, 120, 600, 1_800, 7_200, 18_000, 36_000, 50_400)
"""After the first attempt, the second ...; after the last it is given up."""

ATTEMPT_SECONDS_MAX: Final = 15.0
PAUSE_SECONDS: Final = 1.0
FORGET_SECONDS: Final = 3_600.0
AT_ONCE_MAX: Final = 10
GONE: Final = 410
PROBLEM_CHARS_MAX: Final = 200

log = logging.getLogger(__name__)


class Deliveries:
    """The background job. `step` is one round of it."""

    def __init__(
        self, outbox: Outbox, watch: Watch, endpoints: Sequence[Endpoint], clock: Clock
    ) -> None:
        self._outbox = outbox
        self._watch = watch
        self._endpoints = {endpoint.url: endpoint for endpoint in endpoints}
        self._clock = clock
        self._forgotten = float("-inf")

    async def run(self) -> None:
        """For ever; never raises."""
        async with httpx.AsyncClient(
            timeout=ATTEMPT_SECONDS_MAX, follow_redirects=False, trust_env=False
        ) as client:
            while True:
                with suppress(LedgerUnavailable):
                    try:
                        await self.step(client)
                    except SQLAlchemyError:
                        log.exception("webhooks_failed")
                await asyncio.sleep(PAUSE_SECONDS)

    async def step(self, client: httpx.AsyncClient) -> int:
        """Look again, try what is due; says how many were tried."""
        await self._watch.look_again()
        due = await self._outbox.due(self._clock.now_ms())
        for start in range(0, len(due), AT_ONCE_MAX):
            some = due[start : start + AT_ONCE_MAX]
            await asyncio.gather(*(self._try(client, delivery) for delivery in some))
        if self._clock.monotonic() - self._forgotten > FORGET_SECONDS:
            self._forgotten = self._clock.monotonic()
            await self._outbox.forget(self._clock.now_ms())
        return len(due)

    async def _try(self, client: httpx.AsyncClient, delivery: Delivery) -> None:
        endpoint = self._endpoints.get(delivery.url)
        if endpoint is None:
            gone = replace(delivery, state=State.GIVEN_UP, problem="no longer in the configuration")
            await self._outbox.tried(gone)
            return
        status, problem = await self._send(client, delivery, endpoint)
        tried = replace(
            delivery, attempts=delivery.attempts + 1, status_code=status, problem=problem
        )
        now_ms = self._clock.now_ms()
        if problem is None:
            tried = replace(tried, state=State.TAKEN, taken_ms=now_ms)
        elif status == GONE or tried.attempts > len(RETRY_SECONDS):
            tried = replace(tried, state=State.GIVEN_UP)
            log.error("webhook_given_up id=%s problem=%s", delivery.message_id, problem)
        else:
            wait_ms = RETRY_SECONDS[tried.attempts - 1] * 1_000
            tried = replace(tried, due_ms=now_ms + wait_ms)
        await self._outbox.tried(tried)

    async def _send(
        self, client: httpx.AsyncClient, delivery: Delivery, endpoint: Endpoint
    ) -> tuple[int | None, str | None]:
        """The status of the answer, and what was wrong, if anything."""
        try:
            request = await self._request(client, delivery, endpoint)
            async with asyncio.timeout(ATTEMPT_SECONDS_MAX):
                response = await client.send(request, stream=True)
                await response.aclose()  # its body is nobody's business
        except AddressRefused as exc:
            return None, str(exc)
        except TimeoutError:
            return None, f"no answer within {ATTEMPT_SECONDS_MAX:g} s"
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as exc:
            return None, (str(exc) or type(exc).__name__)[:PROBLEM_CHARS_MAX]
        if 200 <= response.status_code < 300:
            return response.status_code, None
        return response.status_code, f"answered {response.status_code}"

    async def _request(
        self, client: httpx.AsyncClient, delivery: Delivery, endpoint: Endpoint
    ) -> httpx.Request:
        """To the very address that was looked at, under the name that it was asked by."""
        parts = urlsplit(delivery.url)
        address = await address_of(delivery.url, private=endpoint.private)
        host = f"[{address}]" if ":" in address else address
        at = f"{host}:{parts.port}" if parts.port else host
        headers = signed(
            endpoint.key, delivery.message_id, self._clock.now_ms() // 1000, delivery.body
        )
        return client.build_request(
            "POST",
            urlunsplit((parts.scheme, at, parts.path or "/", parts.query, "")),
            headers={**headers, "host": parts.netloc, "user-agent": "farebox"},
            content=delivery.body,
            extensions={"sni_hostname": parts.hostname or ""},
        )
