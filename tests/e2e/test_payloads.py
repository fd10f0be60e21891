"""Payloads: kept where it is asked for, cut, gone after their days; no money hangs on them."""

from contextlib import ExitStack

import pytest

from gateway.metering.payload_retention import PayloadRetention
from gateway.proxy import payload_writer
from gateway.proxy.payload_writer import PayloadWriter
from gateway.proxy.request import Request
from gateway.store.archive import Archive, Payload
from tests.support.gateways import a_customer, gateway, wait_until


@pytest.fixture(scope="module")
def keeping():
    with ExitStack() as stack:
        yield stack.enter_context(gateway(events={"store_payloads": True, "payload_bytes": 2_000}))


@pytest.mark.parametrize("stream", [False, True])
def test_what_was_asked_and_answered_is_shown(keeping, stream) -> None:
    """As it was forwarded, and as the client got it; our own fields are not in it."""
    customer = a_customer()
    answer = keeping.chat(customer, "Tell me a canary", stream=stream)
    request_id = answer.headers["x-farebox-request-id"]

    def payload():
        return keeping.log(request_id).get("payload")

    wait_until(lambda: payload() is not None, "the payload is written")
    kept = payload()
    assert "Tell me a canary" in kept["request"]
    assert customer not in kept["request"]
    assert answer.text[:2_000] == kept["answer"]
    assert (len(answer.content) > 2_000) is kept["cut"]
    [event] = keeping.settled(customer)
    assert b"canary" not in event.details()


def test_long_ones_are_cut(keeping) -> None:
    answer = keeping.chat(a_customer(), "long " * 2_000)
    request_id = answer.headers["x-farebox-request-id"]

    wait_until(lambda: "payload" in keeping.log(request_id), "the payload is written")
    kept = keeping.log(request_id)["payload"]
    assert (2_000, True) == (len(kept["request"]), kept["cut"])


def test_a_call_may_ask_that_nothing_is_kept(keeping) -> None:
    """`disable_log`: its figures are in the logs, what was said is not."""
    quiet = keeping.chat(a_customer(), "Tell me a canary", disable_log=True)
    loud = keeping.chat(a_customer())

    # Payloads are written in the order of their calls.
    loud_id = loud.headers["x-farebox-request-id"]
    wait_until(lambda: "payload" in keeping.log(loud_id), "the next call's payload is written")
    row = keeping.log(quiet.headers["x-farebox-request-id"])
    assert "payload" not in row
    assert {"disable_log": True} == row["metadata"]


def test_nothing_is_kept_unless_asked_for(door) -> None:
    answer = door.chat(a_customer())

    assert "payload" not in door.log(answer.headers["x-farebox-request-id"])


class Broken:
    async def add(self, payloads) -> None:
        from sqlalchemy.exc import OperationalError

        raise OperationalError("INSERT", {}, OSError("disk full"))


def a_call(index: int) -> Request:
    async def nobody(*_):
        raise AssertionError("nobody listens")

    return Request(
        request_id=str(index),
        credential=None,  # type: ignore[arg-type]  # not asked about
        headers={},
        raw_headers=[],
        started=0.0,
        started_ms=1,
        receive=nobody,
        send=nobody,
    )


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.anyio
async def test_what_cannot_be_written_is_dropped(monkeypatch) -> None:
    """Nobody waits for it, and no more is held than has room."""
    monkeypatch.setattr(payload_writer, "WAITING_BYTES_MAX", 25)
    writer = PayloadWriter(Broken(), bytes_max=10)  # type: ignore[arg-type]  # what it needs
    for index in range(3):
        request = writer.listening(a_call(index))
        assert request.recording is not None
        request.recording.request = b"x" * 10
        writer.keep(request, 1)

    assert 1 == writer.dropped
    assert 2 == await writer.step()
    assert (3, 0) == (writer.dropped, await writer.step())


@pytest.mark.anyio
async def test_they_go_after_their_days_and_with_their_customer(tmp_path) -> None:
    class Clock:
        def now_ms(self) -> int:
            return 40 * 86_400_000

        def monotonic(self) -> float:
            return 0.0

    archive = await Archive.open(tmp_path)
    for day, number in [(1, 1), (11, 1), (12, 2)]:
        await archive.payloads.add(
            [
                Payload(
                    request_id=f"r{day}",
                    customer_number=number,
                    at_ms=day * 86_400_000,
                    request=b"q",
                    answer=b"\xff",
                    cut=False,
                )
            ]
        )

    assert 1 == await PayloadRetention(archive.payloads, Clock(), days=30).step()
    assert 1 == await archive.payloads.forget(1)

    kept = [await archive.payloads.one(name) for name in ("r1", "r11", "r12")]
    assert [None, None, b"\xff"] == [one and one.answer for one in kept]
    await archive.close()
