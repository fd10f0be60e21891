"""A thousand calls at once, over two gateways of two workers each: no limit is ever passed.

The upstream lets nobody through before all calls are decided, so that what is admitted is
what fits beside each other. Every body names its caller, every answer is held against it.
"""

import asyncio
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal

import orjson
import pytest

from gateway.demo.upstream import AT_ONCE, build_upstream
from gateway.event import Kind
from gateway.openai.input_bound import REQUEST_OVERHEAD_TOKENS
from gateway.store.keys import Keyspace
from tests.support.gateways import TOKEN, a_customer, by_hand, total_usd, wait_until
from tests.support.mortals import Mortal, fleet, reading
from tests.support.rawhttp import Raw, exchanged, request
from tests.support.sampling import sampled
from tests.support.servers import serve
from tests.support.stores import server

pytestmark = pytest.mark.slow

CALLS = 1_000
FITTING = 37
DECIDED_SECONDS_MAX = 120.0
SAMPLES_MIN = 50
GROUP = "crew"

INPUT_PICO, OUTPUT_PICO = 2_500_000, 10_000_000
"""Of demo-large, pico-USD a token; pricing/data/demo.yaml."""


class Turnstile:
    """Keeps every call waiting at the upstream's door until it is opened."""

    def __init__(self, app):
        self.app = app
        self.state = app.state
        self.waiting = 0
        self._open = threading.Event()

    async def __call__(self, scope, receive, send):
        if scope["type"] == "http":
            self.waiting += 1
            while not self._open.is_set():  # noqa: ASYNC110 - opened from another thread
                await asyncio.sleep(0.02)
        await self.app(scope, receive, send)

    def close(self):
        """For the next crowd; none is under way."""
        self.waiting = 0
        self.state.seen.clear()
        self._open.clear()

    def open(self):
        self._open.set()


@dataclass
class Fleet:
    gateways: list[Mortal]
    upstream: Turnstile
    door: object
    """Reads back, through the first gateway."""


@contextmanager
def running(folder, store, **changes):
    upstream = Turnstile(build_upstream(pace=AT_ONCE))
    with (
        serve(upstream, http="httptools") as url,
        fleet(folder, store, url, gateways=2, workers=2, **changes) as gateways,
        reading(gateways[0], upstream, store) as door,
    ):
        yield Fleet(gateways, upstream, door)


@pytest.fixture(scope="module", params=["valkey", "redis"])
def store(request):
    with server(request.param) as url:
        yield url


@pytest.fixture(scope="module")
def rejecting(store, tmp_path_factory):
    """Its customers have room for the holds of `FITTING` calls of `body_of`, and a half."""
    budget = hold_usd() * FITTING + hold_usd() / 2
    defaults = {"default": {"period_budget": str(budget)}}
    with running(
        tmp_path_factory.mktemp("reject"),
        store,
        budgets={"policy": "reject"},
        customers=defaults,
        groups={GROUP: {"total_budget": str(budget)}},
    ) as made:
        yield made


@pytest.fixture(scope="module")
def fitting(store, tmp_path_factory):
    with running(tmp_path_factory.mktemp("fit"), store) as made:
        yield made


def name_of(number):
    return f"caller-{number:04d}"


def body_of(number, **fields):
    return {
        "model": "demo-large",
        "messages": [{"role": "user", "content": name_of(number)}],
        **fields,
    }


CAPPED = {"max_completion_tokens": 1_000}


def hold_usd():
    """What a call with `CAPPED` may cost: all bytes of its body as tokens, and its maximum."""
    sent = len(orjson.dumps(body_of(0, **CAPPED))) + REQUEST_OVERHEAD_TOKENS
    return Decimal(sent * INPUT_PICO + 1_000 * OUTPUT_PICO).scaleb(-12)


@dataclass
class Outcome:
    """What a crowd was answered, by its callers' numbers."""

    passed: dict[int, Raw] = field(default_factory=dict)
    refused: dict[int, Raw] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def codes(self):
        return {
            (answer.status, answer.json()["error"]["code"], answer.header("x-should-retry"))
            for answer in self.refused.values()
        }


def crowd(made, whose, **fields):
    """All calls at once, every other to the other gateway; the upstream waits for the last.

    Args:
        whose: What each number's body says of its customer.
    """
    made.upstream.close()
    outcome = Outcome()

    async def call(number):
        url = made.gateways[number % len(made.gateways)].url
        body = orjson.dumps(body_of(number, **fields) | whose(number))
        asked = request("/v1/chat/completions", body, authorization=f"Bearer {TOKEN}")
        answer = await exchanged(url, asked)
        assert answer.whole
        into = outcome.passed if answer.status == 200 else outcome.refused
        into[number] = answer

    async def decided():
        async with asyncio.timeout(DECIDED_SECONDS_MAX):
            while made.upstream.waiting + len(outcome.refused) < CALLS:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        made.upstream.open()

    async def everybody():
        await asyncio.gather(*(call(number) for number in range(CALLS)), decided())

    started = time.monotonic()
    asyncio.run(everybody())
    outcome.seconds = time.monotonic() - started
    check_answers(made, outcome)
    return outcome


def check_answers(made, outcome):
    """Each answer is its caller's own, and who got one is who came through."""
    sent = [orjson.loads(one.body)["messages"][0]["content"] for one in made.upstream.state.seen]
    assert sorted(map(name_of, outcome.passed)) == sorted(sent)
    for number, answer in outcome.passed.items():
        said = answer.json()["choices"][0]["message"]["content"]
        assert said.startswith(f"You said: {name_of(number)}"[: len(said)])
        assert name_of(number) in said


def charges(outcome):
    """What the answers cost, by the price list."""
    usages = [answer.json()["usage"] for answer in outcome.passed.values()]
    return sum(by_hand("demo-large", u["prompt_tokens"], u["completion_tokens"]) for u in usages)


def all_settled(door, customer, count):
    wait_until(lambda: len(door.events(customer)) >= count, f"{count} events", 30)
    return door.settled(customer, count)


def test_r02_r18_exactly_those_that_fit_reach_the_upstream(rejecting):
    """The first calls of a stranger, whose default budget has room for 37 of 1,000."""
    door, customer = rejecting.door, a_customer()
    limit_pico = int((hold_usd() * FITTING + hold_usd() / 2).scaleb(12))

    with sampled(door.store_url, customer) as samples:
        outcome = crowd(rejecting, lambda _: {"customer_identifier": customer}, **CAPPED)

    assert (FITTING, CALLS - FITTING) == (len(outcome.passed), len(outcome.refused))
    assert {(429, "budget_in_flight", b"true")} == outcome.codes
    assert samples.count[customer] > SAMPLES_MIN
    assert samples.most_pico[customer] <= limit_pico
    assert int(hold_usd().scaleb(12)) * FITTING == samples.most_pico[customer]
    events = all_settled(door, customer, CALLS)
    ended = [event for event in events if event.kind is Kind.SETTLE]
    assert CALLS == len({event.request_id for event in events})
    assert {int(hold_usd().scaleb(12))} == {event.hold_pico for event in ended}
    assert charges(outcome) == total_usd(events) == door.spent(customer)


def test_a_group_admits_what_fits_of_a_thousand_customers(rejecting):
    """Each call another customer's, with a budget of its own; the group has room for 37."""
    door, crowded = rejecting.door, a_customer()
    account = Keyspace().partition_of(f"group:{GROUP}").scope_account(f"group:{GROUP}")

    def whose(number):
        name = f"{crowded}-{number}"
        return {"customer_params": {"customer_identifier": name, "group_identifier": GROUP}}

    with sampled(door.store_url, account) as samples:
        outcome = crowd(rejecting, whose, **CAPPED)

    assert (FITTING, CALLS - FITTING) == (len(outcome.passed), len(outcome.refused))
    assert {(429, "budget_in_flight", b"true")} == outcome.codes
    assert samples.count[account] > SAMPLES_MIN
    assert int(hold_usd().scaleb(12)) * FITTING == samples.most_pico[account]

    def books():
        spent, held = (int(amount or 0) for amount in door.store.hmget(account, "spent", "held"))
        return Decimal(spent).scaleb(-12), held

    wait_until(lambda: books() == (charges(outcome), 0), "the group's books are in order", 30)
    for number in outcome.passed:
        assert 0 < door.spent(f"{crowded}-{number}") <= hold_usd()
    for number in list(outcome.refused)[:20]:
        assert (0, 0) == (door.spent(f"{crowded}-{number}"), door.held(f"{crowded}-{number}"))


def test_r02_what_a_thousand_calls_are_granted_fits_the_limit(fitting):
    """Under `fit`: granted holds never pass the limit, every cap is in its body and obeyed."""
    door, customer, limit = fitting.door, a_customer(), Decimal(2)
    params = {"customer_params": {"customer_identifier": customer, "total_budget": str(limit)}}

    with sampled(door.store_url, customer) as samples:
        outcome = crowd(fitting, lambda _: params)

    assert samples.count[customer] > SAMPLES_MIN
    assert samples.most_pico[customer] <= limit.scaleb(12)
    assert samples.most_pico[customer] > limit.scaleb(12) * 9 / 10
    assert {(429, "budget_in_flight", b"true")} == outcome.codes
    events = {event.request_id: event for event in all_settled(door, customer, CALLS)}
    sent = {
        body["messages"][0]["content"]: (body, len(one.body))
        for one in fitting.upstream.state.seen
        for body in [orjson.loads(one.body)]
    }
    capped = 0
    for number, answer in outcome.passed.items():
        body, size = sent[name_of(number)]
        event = events[answer.header("x-farebox-request-id").decode()]
        cap = body.get("max_completion_tokens")
        assert cap == event.output_cap_tokens
        assert event.charge_pico <= event.hold_pico
        if cap is not None:
            capped += 1
            assert b"%d" % cap == answer.header("x-farebox-output-cap")
            assert cap >= 1_024 >= answer.json()["usage"]["completion_tokens"]
            without = size - len(f',"max_completion_tokens":{cap}') + REQUEST_OVERHEAD_TOKENS
            assert without * INPUT_PICO + cap * OUTPUT_PICO <= event.hold_pico
    assert 0 < capped < len(outcome.passed) < CALLS
    assert sum(event.hold_pico for event in events.values()) <= limit.scaleb(12)
    assert charges(outcome) == total_usd([*events.values()]) == door.spent(customer) <= limit


RATE = 20


def test_a_rate_limit_counts_over_all_gateways(fitting):
    """1,000 calls of one customer at once: those of a minute pass, and what refilled meanwhile."""
    customer = a_customer()
    params = {"customer_params": {"customer_identifier": customer, "rate_limit": RATE}}

    outcome = crowd(fitting, lambda _: params, **CAPPED)

    refilled = int(outcome.seconds * RATE / 60) + 1
    assert RATE <= len(outcome.passed) <= RATE + refilled
    assert {(429, "rate_limit_exceeded", b"true")} == outcome.codes
    events = all_settled(fitting.door, customer, CALLS)
    assert charges(outcome) == total_usd(events) == fitting.door.spent(customer)
