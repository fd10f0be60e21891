"""Clients that leave and upstreams that fail, in every phase: one event each, nothing held."""

import json
import socket
import time

import httpx
import openai
import pytest

from gateway.event import Kind, Source, Status
from gateway.proxy.tab import Tab
from tests.support.gateways import (
    TOKEN,
    a_customer,
    chat_body,
    gateway,
    price_of,
    total_usd,
    wait_until,
)
from tests.support.rawhttp import connected, request, to_the_end, until
from tests.support.rawupstream import deaf, stream

CLOSED_SECONDS_MAX = 1.0
GREETING = [{"role": "user", "content": "Hello"}]


def sent(customer, text="Hi", **fields):
    body = json.dumps(chat_body(customer, text, user=customer, **fields)).encode()
    return request("/v1/chat/completions", body, authorization=f"Bearer {TOKEN}")


def only(door, customer):
    """The one event of a customer's only call."""
    [event] = door.settled(customer)
    return event


def leave_at(door, customer, mark, text, **fields):
    """Call, read until `mark` has come, hang up; when that was."""
    with connected(door.url) as connection:
        connection.sendall(sent(customer, text, **fields))
        if mark:
            until(connection, mark)
        else:
            wait_until(lambda: _asked(door, customer), "the call is upstream")
        return time.monotonic()


def _asked(door, customer):
    return any(customer.encode() in seen.body for seen in door.seen)


def closed_after(door, left):
    """How long the upstream still had its caller."""
    seen = door.seen[-1]
    wait_until(lambda: seen.disconnected_after_s is not None, "the upstream call is closed")
    return seen.arrived_s + seen.disconnected_after_s - left


PHASES = {
    "before the head": (b"", "!stall 30", {"stream": True}),
    "after a chunk": (b"You", "!stall-stream 30", {"stream": True}),
    "in a whole answer": (b"", "!stall-stream 30", {}),
    "waiting for a whole answer": (b"", "!stall 30", {}),
}


@pytest.mark.parametrize("phase", PHASES)
def test_r01_r14_who_leaves_ends_the_call_upstream(door, phase):
    """Closed within a second in every phase, settled as an estimate, nothing held."""
    customer = a_customer()
    mark, text, fields = PHASES[phase]

    left = leave_at(door, customer, mark, text, **fields)

    assert closed_after(door, left) < CLOSED_SECONDS_MAX
    event = only(door, customer)
    assert (Kind.SETTLE, Status.ABORTED, Source.ESTIMATED) == (
        event.kind,
        event.status,
        event.source,
    )
    assert event.usage.input_total > 0
    seen = phase in ("after a chunk", "in a whole answer")
    assert seen == (event.usage.output_total > 0)
    assert 0 < event.charge_pico <= event.hold_pico
    assert (200 if seen else 499) == event.status_code
    assert "aborted" == door.logs(customer)[0]["status"]


def test_r01_who_leaves_before_the_usage_pays(provider, behind):
    """All of the content read, the connection closed, and the usage not yet there."""
    customer = a_customer()
    content = b'data: {"choices":[{"index":0,"delta":{"content":"0123456789abcdef"}}]}\n\n'

    def script(connection, _):
        connection.sendall(stream(content * 10, end=False))
        wait_for_end(connection)

    provider.script = script

    with connected(behind.url) as connection:
        connection.sendall(sent(customer, stream=True, max_tokens=500))
        until(connection, content * 10)

    event = only(behind, customer)
    assert (Status.ABORTED, Source.ESTIMATED) == (event.status, event.source)
    assert 40 == event.usage.output_total


def wait_for_end(connection):
    connection.settimeout(20)
    connection.recv(1)


@pytest.fixture(scope="module")
def behind(provider):
    with gateway(upstream_url=provider.url) as running:
        yield running


def test_hanging_up_at_done_is_a_good_end(door):
    """openai-python does it after each stream: `ok`, and the usage is reported."""
    customer, client = a_customer(), door.openai()
    for _ in range(5):
        list(
            client.chat.completions.create(
                model="demo-small",
                messages=GREETING,
                stream=True,
                extra_body={"customer_identifier": customer},
            )
        )
    left = leave_at(door, customer, b"[DONE]", "bye", stream=True)

    assert left
    events = door.settled(customer, 6)
    assert {(Status.OK, Source.REPORTED)} == {(event.status, event.source) for event in events}


def test_a_broken_off_loop_is_settled(door):
    """`break` in the caller's loop, as everybody writes it."""
    customer = a_customer()
    client = door.openai()

    with client.chat.completions.create(
        model="demo-small",
        messages=[{"role": "user", "content": "!stall-stream 30"}],
        stream=True,
        extra_body={"customer_identifier": customer},
    ) as chunks:
        for _ in chunks:
            break

    assert Status.ABORTED is only(door, customer).status


@pytest.mark.parametrize("streamed", [False, True])
def test_a_reasoning_model_is_read_on(door, streamed):
    """Only its end says what was billed: the client is gone, the usage is reported."""
    customer = a_customer()

    leave_at(
        door,
        customer,
        b"You" if streamed else b"",
        "!stall-stream 1" if streamed else "!stall 1",
        stream=streamed,
        model="demo-reasoning",
    )

    event = only(door, customer)
    assert (Source.REPORTED, Status.ABORTED) == (event.source, event.status)
    assert event.usage.reasoning_tokens > 0
    assert door.seen[-1].disconnected_after_s is None


@pytest.mark.parametrize("wish", ["cancel", "drain"])
def test_on_disconnect_chooses_otherwise(wish):
    """`cancel` closes reasoning models too, `drain` reads on whatever it is."""
    model = "demo-reasoning" if wish == "cancel" else "demo-small"
    with gateway(on_disconnect=wish) as running:
        customer = a_customer()

        leave_at(running, customer, b"You", "!stall-stream 1.5", stream=True, model=model)

        event = only(running, customer)
        source = Source.ESTIMATED if wish == "cancel" else Source.REPORTED
        assert (source, Status.ABORTED) == (event.source, event.status)


def test_r01_who_leaves_during_the_hold(door):
    """Admitted or not, sent or not: at most one event a call, and the sums agree."""
    customer = a_customer()
    door.chat(customer)
    for _ in range(40):
        with connected(door.url) as connection:
            connection.sendall(sent(customer))
    door.chat(customer)

    wait_until(lambda: door.held(customer) == 0, "nothing is held")
    events = door.events(customer)
    assert 2 <= len(events) == len({event.request_id for event in events}) <= 42
    assert total_usd(events) == door.spent(customer)


def test_a_slow_reader_is_not_a_departure(door):
    """Who reads slowly gets all of it."""
    customer = a_customer()
    body = sent(customer, "x" * 1_900, stream=True, n=4)

    with connected(door.url) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32_768)
        connection.sendall(body)
        time.sleep(0.5)
        got = to_the_end(connection)

    assert b"data: [DONE]" in got
    assert Status.OK is only(door, customer).status


# --- the upstream fails -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "raised"),
    [
        ("!cut 1", (httpx.RemoteProtocolError, openai.APIError)),
        ("!cut 0", (httpx.RemoteProtocolError, openai.APIError)),
        ("!error-frame 1", openai.APIError),
    ],
)
def test_r16_a_stream_that_breaks_is_seen_to_break(door, fault, raised):
    """openai-python raises; one event, an error, charged for what was seen."""
    customer = a_customer()
    chunks = door.openai(max_retries=0).chat.completions.create(
        model="demo-small",
        messages=[{"role": "user", "content": fault}],
        stream=True,
        extra_body={"customer_identifier": customer},
    )

    with pytest.raises(raised):
        list(chunks)

    event = only(door, customer)
    assert (Status.ERROR, 200) == (event.status, event.status_code)
    assert "error" == door.logs(customer)[0]["status"]
    assert 1 == door.summary(customer_identifier=customer)["errors"]


CUTS = {
    "within a frame": (b'data: {"choices":[{"index":0,"delta":{"content":"Hi"}}]}', True),
    "between frames": (b'data: {"choices":[{"index":0,"delta":{"content":"Hi"}}]}\n\n', True),
    "in a clean end": (b'data: {"choices":[{"index":0,"delta":{"content":"Hi"}}]}\n\n', False),
    "in nothing at all": (b"", False),
}


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("asks", [False, True])
def test_r16_a_short_stream_never_ends_well(behind, provider, cut, asks):
    """The bytes that came, then a break: no [DONE] of ours, no last chunk."""
    customer = a_customer()
    seen, abruptly = CUTS[cut]
    provider.answers(stream(*([seen] if seen else []), end=not abruptly))
    options = {"stream_options": {"include_usage": True}} if asks else {}

    with connected(behind.url) as connection:
        connection.sendall(sent(customer, stream=True, **options))
        got = to_the_end(connection)

    assert b"[DONE]" not in got
    assert not got.endswith(b"0\r\n\r\n")
    if cut != "within a frame" or asks:
        assert seen in got
    event = only(behind, customer)
    assert (Kind.SETTLE, Status.ERROR, Source.ESTIMATED) == (event.kind, event.status, event.source)
    assert event.charge_pico > 0


def test_a_whole_stream_without_done_is_whole(door):
    """Some providers never send [DONE]: a choice that said why it stopped is an end."""
    customer = a_customer()

    chunks = list(
        door.openai().chat.completions.create(
            model="demo-small",
            messages=[{"role": "user", "content": "!no-done"}],
            stream=True,
            extra_body={"customer_identifier": customer},
        )
    )

    assert "stop" == chunks[-1].choices[0].finish_reason
    event = only(door, customer)
    assert (Status.OK, Source.REPORTED) == (event.status, event.source)


def test_r16_a_whole_answer_that_breaks_is_an_error(door):
    """502 in OpenAI's shape, not half a body; it was sent, so it is not free."""
    customer = a_customer()

    answer = door.chat(customer, "!cut")

    assert (502, "upstream_error") == (answer.status_code, answer.json()["error"]["code"])
    assert "false" == answer.headers["x-should-retry"]
    event = only(door, customer)
    assert (Kind.SETTLE, Status.ERROR, 502) == (event.kind, event.status, event.status_code)
    assert event.usage.output_total > 0


def test_an_error_before_the_first_token_is_free(door):
    """A stream that is nothing but an error: the upstream refused, without usage."""
    customer = a_customer()

    answer = door.chat(customer, "!error-frame 0", stream=True)

    assert b"error" in answer.content
    event = only(door, customer)
    assert (Kind.RELEASE, Status.ERROR, 0) == (event.kind, event.status, event.charge_pico)


@pytest.fixture(scope="module")
def impatient():
    with gateway(account={"timeouts": {"first_byte": 0.3, "between_bytes": 0.3}}) as running:
        yield running


@pytest.mark.parametrize("streamed", [False, True])
def test_r68_no_first_byte(impatient, streamed):
    """504 at the limit, not when the late byte comes; not retried, since it was sent."""
    customer, started = a_customer(), time.monotonic()

    answer = impatient.chat(customer, "!stall 5", stream=streamed)

    assert 0.3 <= time.monotonic() - started < 4
    assert (504, "upstream_timeout") == (answer.status_code, answer.json()["error"]["code"])
    assert "false" == answer.headers["x-should-retry"]
    event = only(impatient, customer)
    assert (Kind.SETTLE, Status.ERROR, 504) == (event.kind, event.status, event.status_code)
    assert event.charge_pico > 0


def test_r68_silence_within_a_stream(impatient):
    """The client sees it broken."""
    customer, started = a_customer(), time.monotonic()

    with pytest.raises(httpx.RemoteProtocolError):
        impatient.chat(customer, "!stall-stream 5", stream=True)

    assert 0.3 <= time.monotonic() - started < 4
    event = only(impatient, customer)
    assert (Status.ERROR, "upstream_timeout") == (event.status, event.error_code)


def test_r68_silence_within_a_whole_answer(impatient):
    customer = a_customer()

    answer = impatient.chat(customer, "!stall-stream 5")

    assert 504 == answer.status_code
    assert 504 == only(impatient, customer).status_code


def test_r68_the_whole_call(door):
    """`total` counts from the start, however lively the stream is."""
    with gateway(account={"timeouts": {"total": 0.4}}) as running:
        before, after = a_customer(), a_customer()

        late = running.chat(before, "!stall 5")
        with pytest.raises(httpx.RemoteProtocolError):
            running.chat(after, "!stall-stream 5", stream=True)

        assert 504 == late.status_code
        assert [Status.ERROR] * 2 == [only(running, c).status for c in (before, after)]


@pytest.mark.parametrize("total", [None, 60])
def test_no_call_lives_for_ever(monkeypatch, total):
    """A day at most, whatever is configured: its end must find who remembers it."""
    monkeypatch.setattr("gateway.proxy.pipeline.CALL_SECONDS_MAX", 0.4)
    with gateway(account={"timeouts": {"total": total}}) as running:
        customer = a_customer()

        answer = running.chat(customer, "!stall 5")

        assert (504, "upstream_timeout") == (answer.status_code, answer.json()["error"]["code"])
        assert Status.ERROR == only(running, customer).status


def test_a_fault_of_ours_behind_the_hold_leaves_nothing_held(monkeypatch, door):
    """Whatever breaks, what was held is ended: its lease would be renewed for ever."""

    def broken(*_):
        raise AssertionError("a cap that cannot be")

    monkeypatch.setattr(Tab, "admitted", broken)
    customer = a_customer()

    answer = door.chat(customer)

    assert 500 == answer.status_code
    event = only(door, customer)
    assert (Kind.RELEASE, Status.ERROR) == (event.kind, event.status)
    assert door.spent(customer) == door.held(customer) == 0


def test_an_upstream_that_is_down(door):
    """502, worth a retry, and nothing is charged: nothing was sent."""
    with gateway(upstream_url="http://127.0.0.1:1") as running:
        customer = a_customer()

        answer = running.chat(customer)

        assert (502, "upstream_unreachable") == (
            answer.status_code,
            answer.json()["error"]["code"],
        )
        assert "true" == answer.headers["x-should-retry"]
        event = only(running, customer)
        assert (Kind.RELEASE, Status.ERROR, 502) == (event.kind, event.status, event.status_code)
        assert running.spent(customer) == running.held(customer) == 0


def test_a_host_that_never_takes_the_call():
    """The connection's own limit, in the phase in which nothing has been sent."""
    account = {"timeouts": {"connect": 0.3}}
    with deaf() as url, gateway(upstream_url=url, account=account) as running:
        customer, gone = a_customer(), a_customer()

        answer = running.chat(customer)
        with connected(running.url) as connection:
            connection.sendall(sent(gone))

        assert (502, "true") == (answer.status_code, answer.headers["x-should-retry"])
        assert [Kind.RELEASE] * 2 == [only(running, c).kind for c in (customer, gone)]


def test_r14_who_leaves_while_the_upstream_is_dialled():
    """Nothing was sent: nothing is charged, and nobody waits for the connection any more."""
    account = {"timeouts": {"connect": 60}}
    with deaf() as url, gateway(upstream_url=url, account=account) as running:
        customer = a_customer()
        with connected(running.url) as connection:
            connection.sendall(sent(customer))
            wait_until(lambda: running.held(customer) > 0, "the call is held")

        event = only(running, customer)  # waits far less than a minute

        assert (Kind.RELEASE, Status.ABORTED, 499) == (event.kind, event.status, event.status_code)


def test_the_answer_is_what_the_sdk_says_it_is(door):
    """After all this the gateway is as good as new."""
    customer = a_customer()

    answer = door.openai().chat.completions.create(
        model="demo-small", messages=GREETING, extra_body={"customer_identifier": customer}
    )

    assert price_of(answer.usage) == total_usd(door.settled(customer))
