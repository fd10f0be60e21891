"""The callers of a chaos run: what each asked, and what it was told.

Every call has a name of its own, which stands in its message (the upstream's truth), in its
`custom_identifier` (the event's metadata) and in what is kept here. A call is never retried
under its name; a reported event always is, under its key, until it was taken.
"""

import asyncio
import json
import random
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from tests.chaos.upstream import MODEL, Plan
from tests.support.gateways import TOKEN
from tests.support.rawhttp import Raw, parse, request

CALLERS = 24
CALL_SECONDS_MAX = 30.0
GROUP, GROUP_LIMIT_USD = "team", "0.02"


@dataclass(frozen=True, slots=True)
class Customer:
    name: str
    limit_usd: str | None = None
    group: str | None = None

    def params(self) -> dict[str, Any]:
        more = {"total_budget": self.limit_usd, "group_identifier": self.group}
        known = {key: value for key, value in more.items() if value is not None}
        return {"customer_identifier": self.name, **known}


@dataclass(slots=True)
class Told:
    """One call, as its caller knows it.

    Attributes:
        outcome: ``whole``; ``refused`` by the gateway; ``left`` by the caller; ``broken``;
            ``unreached``.
        request_id: As the gateway named it, if its head came.
    """

    name: str
    customer: Customer
    outcome: str = "unreached"
    status: int = 0
    code: str = ""
    request_id: str = ""


@dataclass(slots=True)
class Reported:
    """One reported event; `accepted` counts the answers that said it is new."""

    key: str
    customer: Customer
    input_tokens: int
    output_tokens: int
    taken: bool = False
    accepted: int = 0
    duplicates: int = 0


@dataclass
class Load:
    """Drives the gateways at `urls` from many callers at once."""

    urls: list[str]
    customers: list[Customer]
    seed: int
    calls: dict[str, Told] = field(default_factory=dict)
    reports: dict[str, Reported] = field(default_factory=dict)

    async def run(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        await asyncio.gather(*(self._caller(number, until) for number in range(CALLERS)))

    async def insist(self) -> None:
        """Repeat every report that was not taken yet, as its sender would."""
        for report in self.reports.values():
            while not report.taken:
                await self._report(report, random.Random(report.key))

    async def _caller(self, number: int, until: float) -> None:
        chance = random.Random(f"{self.seed}:{number}")
        count = 0
        while time.monotonic() < until:
            count += 1
            name = f"call-{number:02d}-{count:05d}"
            if chance.random() < 0.15:
                await self._new_report(name, chance)
            else:
                await self._call(name, chance)
            await asyncio.sleep(chance.uniform(0, 0.1))

    async def _call(self, name: str, chance: random.Random) -> None:
        told = self.calls[name] = Told(name, chance.choice(self.customers))
        plan = Plan(name, chance.randint(1, 900), chance.randint(1, 12), chance.randint(0, 60))
        body: dict[str, Any] = {
            "model": MODEL,
            "messages": [{"role": "user", "content": plan.text()}],
            "custom_identifier": name,
            "customer_params": told.customer.params(),
        }
        if chance.random() < 0.5:
            body["max_completion_tokens"] = 1_000
        streams = chance.random() < 0.5
        if streams:
            body["stream"] = True
            if chance.random() < 0.3:
                body["stream_options"] = {"include_usage": True}
        patience = chance.uniform(0.0, 0.4) if chance.random() < 0.15 else CALL_SECONDS_MAX
        answer = await self._exchange("/v1/chat/completions", body, chance, told, patience)
        if answer is None:
            return
        told.status = answer.status
        told.request_id = (answer.header("x-farebox-request-id") or b"").decode()
        if answer.status != 200:
            told.outcome = "refused" if answer.whole else "broken"
            if answer.whole:
                told.code = answer.json()["error"]["code"]
        elif told.outcome != "left":
            done = answer.body.endswith(b"data: [DONE]\n\n") if streams else True
            told.outcome = "whole" if answer.whole and done else "broken"
            if told.outcome == "whole":
                assert f"You said: {name}".encode() in answer.body, (name, answer.body)

    async def _new_report(self, key: str, chance: random.Random) -> None:
        report = Reported(
            key, chance.choice(self.customers), chance.randint(1, 500), chance.randint(1, 500)
        )
        self.reports[key] = report
        for _ in range(chance.randint(1, 4)):
            await self._report(report, chance)

    async def _report(self, report: Reported, chance: random.Random) -> None:
        body = {
            "appId": "my-app",
            "eventType": "text_gen",
            "consumerId": report.customer.name,
            "inputTokens": report.input_tokens,
            "outputTokens": report.output_tokens,
            "model": MODEL,
            "provider": "demo",
            "eventId": report.key,
            "metadata": {"custom_identifier": report.key},
        }
        told = Told(report.key, report.customer)
        answer = await self._exchange("/v1/events", body, chance, told, CALL_SECONDS_MAX)
        if answer is None or not answer.whole or answer.status != 202:
            assert answer is None or answer.status in (200, 202, 500, 503), answer
            await asyncio.sleep(0.2)
            return
        report.taken = True
        if answer.json()["duplicate"]:
            report.duplicates += 1
        else:
            report.accepted += 1

    async def _exchange(
        self, path: str, body: Any, chance: random.Random, told: Told, patience: float
    ) -> Raw | None:
        """What came until the end, or that of the caller's patience; None: no HTTP at all."""
        url = urlsplit(chance.choice(self.urls))
        content = json.dumps(body).encode()
        got = bytearray()
        try:
            reader, writer = await asyncio.open_connection(url.hostname, url.port)
        except OSError:
            await asyncio.sleep(0.1)
            return None
        told.outcome = "broken"
        try:
            async with asyncio.timeout(patience):
                writer.write(request(path, content, authorization=f"Bearer {TOKEN}"))
                while piece := await reader.read(65_536):
                    got += piece
        except TimeoutError:
            told.outcome = "left" if patience < CALL_SECONDS_MAX else "broken"
        except ConnectionError:
            pass
        finally:
            writer.transport.abort()
        return parse(bytes(got)) if b"\r\n\r\n" in got else None
