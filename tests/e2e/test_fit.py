"""Under `fit` a call that does not fit gets a smaller output cap; under `reject`, a refusal.

The demo upstream obeys the cap and keeps what it was sent.
"""

import asyncio
import threading
import time
from decimal import Decimal

import httpx
import openai
import orjson
import pytest

from gateway.event import Kind
from gateway.openai.input_bound import REQUEST_OVERHEAD_TOKENS
from tests.support.gateways import (
    TOKEN,
    a_customer,
    chat_body,
    gateway,
    kinds,
    price_of,
    total_usd,
)

NEWER, OLDER = "max_completion_tokens", "max_tokens"
INPUT_PICO, OUTPUT_PICO, OUTPUT_MAX = 2_500_000, 10_000_000, 16_384
"""Of demo-large: pico-USD a token, and its largest answer."""

CAP = "x-farebox-output-cap"


@pytest.fixture(scope="module")
def rejecting():
    with gateway(budgets={"policy": "reject"}) as running:
        yield running


@pytest.fixture(scope="module")
def tight():
    with gateway(budgets={"min_output_tokens": 16}) as running:
        yield running


def raw(door, content, **headers):
    return httpx.post(
        f"{door.url}/v1/chat/completions",
        content=content,
        headers={"authorization": f"Bearer {TOKEN}", "content-type": "application/json", **headers},
        trust_env=False,
        timeout=30,
    )


def body_of(text="Hi", **fields):
    """A body for demo-large, spelled as no serialiser of ours would."""
    message = b'[ {"role": "user",\t"content": ' + orjson.dumps(text) + b"} ]"
    more = b"".join(b', "%b" :%b' % (k.encode(), orjson.dumps(v)) for k, v in fields.items())
    return b'{"model" : "demo-large" ,"messages":' + message + b',"temperature":1.0' + more + b"}"


def with_customer(body, customer, **params):
    params = {"customer_identifier": customer, **params}
    return b'{"customer_params":' + orjson.dumps(params) + b"," + body[1:]


def bound_usd(body, output_tokens):
    """What a call of this forwarded body and so much output costs at most."""
    pico = (len(body) + REQUEST_OVERHEAD_TOKENS) * INPUT_PICO + output_tokens * OUTPUT_PICO
    return Decimal(pico).scaleb(-12)


def the_cap(door, body, sent, answer):
    """The cap told in the header; the body upstream is the caller's with that cap, no byte else."""
    cap = int(answer.headers[CAP])
    written = body.replace(b'"demo-large" ', b'"demo-large","max_completion_tokens":%d ' % cap)
    assert written != body
    assert written == sent
    return cap


def test_the_cap_is_the_largest_that_fits(door):
    """All of the room where the caller named a maximum; it is written where that stood."""
    customer = a_customer()
    body = body_of(max_completion_tokens=12_000, n=1)
    budget = bound_usd(body, 5_000) + Decimal("0.000009")

    answer = raw(door, with_customer(body, customer, total_budget=str(budget)))

    assert (200, "5000") == (answer.status_code, answer.headers[CAP])
    assert body.replace(b"12000", b"5000") == door.seen[-1].body
    [event] = door.settled(customer)
    assert budget == Decimal(event.hold_pico).scaleb(-12)
    log = door.log(event.request_id)
    assert (5_000, budget) == (log["output_cap"], Decimal(log["hold_usd"]))
    left = Decimal(answer.headers["x-farebox-budget-remaining-usd"])
    assert budget - door.spent(customer) == left


@pytest.mark.parametrize(
    ("fields", "field", "cap"),
    [
        ({NEWER: 12_000}, NEWER, 5_000),
        ({OLDER: 12_000}, OLDER, 5_000),  # OpenAI refuses the pair: the caller's field it is
        ({NEWER: None}, NEWER, 2_500),  # no maximum: half of the room
        ({NEWER: 0}, NEWER, 2_500),
        ({}, NEWER, 2_500),
    ],
)
def test_the_cap_goes_where_the_caller_had_one(door, fields, field, cap):
    customer = a_customer()
    body = body_of(**fields)
    share = 1 if any(fields.values()) else 2
    budget = share * bound_usd(body, cap)

    answer = raw(door, with_customer(body, customer, total_budget=str(budget)))

    told = orjson.loads(door.seen[-1].body)
    assert (200, str(cap)) == (answer.status_code, answer.headers[CAP])
    assert {**orjson.loads(body), field: cap} == told


def test_choices_share_the_grant(door):
    """`n` answers of the cap each are within what is held."""
    customer = a_customer()
    body = body_of(n=3, max_completion_tokens=8_000)
    budget = bound_usd(body, 3 * 2_000 + 2)

    answer = raw(door, with_customer(body, customer, total_budget=str(budget)))

    assert (200, "2000") == (answer.status_code, answer.headers[CAP])
    assert body.replace(b"8000", b"2000") == door.seen[-1].body


@pytest.mark.parametrize("budget_tokens", [16_384, 100_000])
def test_a_call_that_fits_is_not_capped(door, budget_tokens):
    """One that names its maximum may take all that is left; none is told of a cap."""
    customer = a_customer()
    body = body_of(max_completion_tokens=16_384)

    answer = raw(
        door, with_customer(body, customer, total_budget=str(bound_usd(body, budget_tokens)))
    )

    assert 200 == answer.status_code
    assert CAP not in answer.headers
    assert body == door.seen[-1].body
    assert door.log(answer.headers["x-farebox-request-id"])["output_cap"] is None


def test_a_stream_is_capped_and_counted(door):
    """Beside the wish for usage; and again where the upstream will not hear that wish."""
    customer = a_customer()
    body = body_of(stream=True)
    budget = str(bound_usd(body, 8_000))

    first = raw(door, with_customer(body, customer, total_budget=budget))
    counted = orjson.loads(door.seen[-1].body)
    second = raw(door, with_customer(body, customer), **{"x-demo-fault": "no-stream-options"})

    assert (200, 200) == (first.status_code, second.status_code)
    assert (int(first.headers[CAP]), {"include_usage": True}) == (
        counted[NEWER],
        counted["stream_options"],
    )
    assert int(second.headers[CAP]) == the_cap(door, body, door.seen[-1].body, second)
    door.settled(customer, 2)


def test_openai_python_sees_an_answer_cut_to_its_budget(tight):
    """`finish_reason: length`; what is charged is within the budget."""
    customer, client = a_customer(), tight.openai()
    text = "Tell me more " * 40

    def ask(**params):
        return client.chat.completions.create(
            model="demo-small",
            messages=[{"role": "user", "content": text}],
            extra_body={"customer_params": {"customer_identifier": customer, **params}},
        )

    assert "stop" == ask().choices[0].finish_reason
    whole = tight.settled(customer)[0]
    least = Decimal(whole.hold_pico).scaleb(-12) - Decimal(4_096 - 30) * Decimal("0.0000006")
    answer = ask(total_budget=str(tight.spent(customer) + least))

    assert "length" == answer.choices[0].finish_reason
    assert 16 <= answer.usage.completion_tokens <= 30
    assert price_of(answer.usage) <= least
    tight.settled(customer, 2)


def test_less_than_the_least_is_refused(door):
    """402 that names what the least would have cost; 1,024 tokens, or what the caller asked."""
    for fields, least in (({}, 1_024), ({NEWER: 5_000}, 1_024), ({NEWER: 100}, 100)):
        customer, wanted = a_customer(), body_of(**fields)
        before = len(door.seen)

        answer = raw(
            door,
            with_customer(wanted, customer, total_budget=str(bound_usd(wanted, least - 1))),
        )

        error = answer.json()["error"]
        assert (402, "budget_exceeded", "false") == (
            answer.status_code,
            error["code"],
            answer.headers["x-should-retry"],
        )
        assert bound_usd(wanted, least) == Decimal(error["needed_usd"])
        assert before == len(door.seen)
        assert [Kind.REFUSE] == kinds(door.settled(customer))


def test_reject_never_touches_a_body(rejecting):
    """What does not fit as it is, is refused, whatever would."""
    customer, body = a_customer(), body_of(max_completion_tokens=12_000)
    budget = bound_usd(body, 12_000)

    passed = raw(rejecting, with_customer(body, customer, total_budget=str(budget)))
    refused = raw(rejecting, with_customer(body, customer))

    assert (200, 402) == (passed.status_code, refused.status_code)
    assert CAP not in passed.headers
    assert [body] == [seen.body for seen in rejecting.seen]
    assert budget == Decimal(refused.json()["error"]["limit_usd"])
    assert bound_usd(body, 12_000) == Decimal(refused.json()["error"]["needed_usd"])


def test_r36_a_free_model_passes_an_exhausted_budget():
    """An explicit zero price; with a budget of nothing at all."""
    free = [{"provider": "demo", "model": "demo-unpriced", "free": True}]
    with gateway(prices=free) as door:
        customer, nothing = a_customer(), {"total_budget": 0}

        answers = [
            door.chat(customer, model=model, customer_params=nothing)
            for model in ("demo-unpriced", "demo-small")
        ]

        assert [200, 402] == [answer.status_code for answer in answers]
        assert "0" == answers[0].headers["x-farebox-charge-usd"]
        assert "max_completion_tokens" not in orjson.loads(door.seen[-1].body)


def test_an_absurd_maximum_is_fitted_or_refused(door, rejecting):
    """Nothing of ours overflows: 2^63 tokens cost more than any budget has."""
    body = chat_body(max_completion_tokens=2**63, model="demo-large")
    params = {"customer_params": {"customer_identifier": a_customer(), "total_budget": 1}}

    fitted, refused = (one.post(json=body | params) for one in (door, rejecting))

    assert 200 == fitted.status_code
    assert int(fitted.headers[CAP]) < 100_000
    assert (400, "call_not_boundable") == (
        refused.status_code,
        refused.json()["error"]["code"],
    )
    assert 200 == door.post(json=body).status_code  # the anonymous have no limit


CALLS = 64
LIMIT = Decimal("0.25")


def test_r02_many_at_once_share_what_is_left(door):
    """64 calls at once, a budget for a few: the holds never pass it, every cap is its hold's."""
    customer = a_customer()
    bodies = [body_of("!stall 6", seed=10_000 + number) for number in range(CALLS)]
    before = len(door.seen)
    samples: list[int] = []
    over = threading.Event()
    watcher = threading.Thread(target=watch, args=(door, customer, samples, over))
    watcher.start()

    answers = asyncio.run(crowd(door, customer, bodies))
    over.set()
    watcher.join()

    passed = [(b, a) for b, a in zip(bodies, answers, strict=True) if a.status_code == 200]
    refused = [a for a in answers if a.status_code != 200]
    assert 2 <= len(passed) < CALLS
    assert {(429, "budget_in_flight", "1", "true")} == {
        (
            a.status_code,
            a.json()["error"]["code"],
            a.headers["retry-after"],
            a.headers["x-should-retry"],
        )
        for a in refused
    }
    limit_pico = int(LIMIT.scaleb(12))
    assert max(samples) <= limit_pico
    assert max(samples) > limit_pico // 2
    events = {e.request_id: e for e in door.settled(customer, CALLS)}
    seen = {seed_of(one.body): one.body for one in list(door.seen)[before:]}
    assert len(passed) == len(seen)
    holds = 0
    for body, answer in passed:
        cap = the_cap(door, body, seen[seed_of(body)], answer)
        event = events[answer.headers["x-farebox-request-id"]]
        hold = Decimal(event.hold_pico).scaleb(-12)
        assert 1_024 <= cap == event.output_cap_tokens
        assert bound_usd(body, cap) <= hold < bound_usd(body, cap + 1)
        assert event.charge_pico <= event.hold_pico
        holds += event.hold_pico
    assert holds <= limit_pico
    assert total_usd(list(events.values())) == door.spent(customer) <= LIMIT


def seed_of(body):
    return orjson.loads(body)["seed"]


def watch(door, customer, samples, over):
    """What is spent and held, again and again."""
    partition = door.partition(customer)
    while not over.is_set():
        number = int(door.store.get(partition.number(customer)) or 0)
        amounts = door.store.hmget(partition.account(number), "spent", "held")
        samples.append(sum(int(amount or 0) for amount in amounts))
        time.sleep(0.002)


async def crowd(door, customer, bodies):
    limits = httpx.Limits(max_connections=None)
    headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
    async with httpx.AsyncClient(
        headers=headers, trust_env=False, limits=limits, timeout=30
    ) as client:
        calls = [
            client.post(
                f"{door.url}/v1/chat/completions",
                content=with_customer(body, customer, total_budget=str(LIMIT)),
            )
            for body in bodies
        ]
        return await asyncio.gather(*calls)


def test_a_refused_call_is_an_error_of_openai_python(door):
    """APIStatusError with 402, RateLimitError with 429; neither is retried here."""
    customer = a_customer()
    with pytest.raises(openai.APIStatusError) as refused:
        door.openai().chat.completions.create(
            model="demo-large",
            messages=[{"role": "user", "content": "Hi"}],
            extra_body={
                "customer_params": {"customer_identifier": customer, "total_budget": "0.0001"}
            },
        )

    assert (402, "budget_exceeded") == (refused.value.status_code, refused.value.code)
