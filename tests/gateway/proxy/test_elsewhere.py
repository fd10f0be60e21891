"""Elsewhere: what is large is worked on in another process, and comes back as if it were here."""

import asyncio
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from gateway.errors import GatewayBusy, InvalidCall
from gateway.openai.call import Endpoint, parse_call, parse_shallow
from gateway.openai.foreign import ours_in
from gateway.proxy.elsewhere import LARGE_BYTES, Elsewhere
from tests.support.gateways import wait_until

pytestmark = pytest.mark.anyio

TOOLS = [{"type": "web_search"}]
BODY = orjson.dumps(
    {
        "model": "m",
        "messages": [{"role": "user", "content": "x" * LARGE_BYTES}],
        "tools": TOOLS,
        "max_tool_calls": 3,
        "max_tokens": 5,
        "user": "u",
        "customer_params": {"customer_identifier": "acme"},
    }
)


@pytest.fixture(scope="module")
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="module")
async def elsewhere():
    made = Elsewhere()
    yield made
    made.close()


def pid_of(elsewhere):
    [process] = elsewhere._pool._processes.values()
    return process.pid


async def test_what_comes_back_is_what_it_would_be_here(elsewhere):
    """A call with all that can be in one; absent fields are absent there, too."""
    call = await elsewhere.run(parse_shallow, Endpoint.CHAT, BODY)

    assert parse_call(Endpoint.CHAT, BODY) == replace(call, body=BODY)
    assert os.getpid() != pid_of(elsewhere)


async def test_a_refusal_comes_back_whole(elsewhere):
    body = BODY.replace(b'"max_tokens":5', b'"max_tokens":"five"')

    with pytest.raises(InvalidCall) as refused:
        await elsewhere.run(parse_shallow, Endpoint.CHAT, body)
    with pytest.raises(InvalidCall) as here:
        parse_call(Endpoint.CHAT, body)

    assert (str(here.value), here.value.code, here.value.param) == (
        str(refused.value),
        refused.value.code,
        refused.value.param,
    )


async def test_what_is_small_stays_here(elsewhere):
    """Nothing is pickled: a local function would not survive that."""
    assert 2 == await elsewhere.if_large(b"{}", len)
    assert os.getpid() == await elsewhere.if_large(b"{}", lambda _: os.getpid())
    assert (
        "acme"
        == (await elsewhere.if_large(BODY, ours_in)).fields.customer_params["customer_identifier"]
    )


async def test_a_process_that_dies_is_started_again(elsewhere):
    await elsewhere.run(len, b"")
    first = pid_of(elsewhere)
    os.kill(first, signal.SIGKILL)

    assert 3 == await elsewhere.run(len, b"abc")
    assert first != pid_of(elsewhere)


async def test_what_kills_every_process_is_refused(elsewhere):
    with pytest.raises(GatewayBusy):
        await elsewhere.run(os._exit, 1)

    assert 3 == await elsewhere.run(len, b"abc")


async def test_the_loop_turns_while_the_other_process_stands_still(elsewhere):
    await elsewhere.run(len, b"")
    os.kill(pid_of(elsewhere), signal.SIGSTOP)
    try:
        parsing = asyncio.ensure_future(elsewhere.run(parse_shallow, Endpoint.CHAT, BODY))
        for _ in range(1_000):
            await asyncio.sleep(0)
        assert not parsing.done()
    finally:
        os.kill(pid_of(elsewhere), signal.SIGCONT)
    assert "m" == (await parsing).model


GATEWAY = """
import asyncio, os, sys
from gateway.proxy.elsewhere import Elsewhere

async def main():
    elsewhere = Elsewhere()
    print(await elsewhere.run(os.getpid), flush=True)
    sys.stdin.read()

if __name__ == "__main__":
    asyncio.run(main())
"""


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_it_does_not_outlive_a_gateway_that_is_killed(end, tmp_path):
    script = tmp_path / "gateway_.py"
    script.write_text(GATEWAY)
    with subprocess.Popen(
        [sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        there = Path("/proc", process.stdout.readline().decode().strip())
        assert there.exists()
        process.send_signal(end)
        process.wait()
        wait_until(lambda: not there.exists(), "the other process has ended")
