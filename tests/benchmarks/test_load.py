"""The load generator notices every answer that is not its own, and the mock gives each its own."""

import asyncio
import json
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from benchmarks.load import WrongAnswer, check, closed_loop, connected, held_open, open_loop
from benchmarks.processes import Cores
from benchmarks.targets import mock_upstream
from benchmarks.wire import FOREVER_MS, Plan, caller, read_plan, request_bytes

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="the benchmarks pin processes to cores and read /proc"
)


@pytest.fixture(scope="module")
def mock_port(tmp_path_factory) -> Iterator[int]:
    with mock_upstream(tmp_path_factory.mktemp("mock"), Cores.of_this_machine()) as port:
        yield port


@pytest.mark.parametrize(
    "plan", [Plan(), Plan(delay_ms=3), Plan(chunks=7, gap_ms=1), Plan(chunks=200)]
)
def test_everyone_gets_an_answer_of_its_own(mock_port: int, plan: Plan) -> None:
    """Whole, delayed, paced or in bulk: all calls are checked, and all pass."""

    async def main() -> int:
        async with connected(mock_port, 8) as pool:
            return len(await closed_loop(pool, 40, plan, count(1)))

    assert 40 == asyncio.run(main())


def test_the_time_beside_the_upstream_leaves_its_delay_out(mock_port: int) -> None:
    """So that a timer's grain is not taken for a gateway's latency."""

    async def main() -> list[tuple[float, float]]:
        async with connected(mock_port, 20) as pool:
            timings = await open_loop(pool, 20, 500, Plan(delay_ms=50), count(1))
            return [(timing.total_s, timing.beside_s) for timing in timings]

    for total_s, beside_s in asyncio.run(main()):
        assert 0.045 < total_s
        assert 0 < beside_s < total_s - 0.045


def test_streams_are_held_open(mock_port: int) -> None:
    """It returns once each has its first piece; one that has ended by then is an error."""

    async def main(plan: Plan) -> None:
        async with connected(mock_port, 20) as pool:
            await held_open(pool, plan, count(1))

    asyncio.run(main(Plan(chunks=2, gap_ms=FOREVER_MS)))
    with pytest.raises(WrongAnswer, match="did not stay open"):
        asyncio.run(main(Plan()))


@pytest.mark.parametrize(
    ("status", "body", "plan"),
    [
        (500, b"caller-000000000007", Plan()),
        (200, b"caller-000000000008", Plan()),
        (200, b"", Plan()),
        (200, b"caller-000000000007 caller-000000000008", Plan(chunks=1)),
        (200, b"caller-000000000007 " * 4 + b"data: [DONE]\n\n", Plan(chunks=4)),
        (200, b"caller-000000000007 " * 7 + b"data: [DONE]\n\n", Plan(chunks=4)),
        (200, b"caller-000000000007 " * 5, Plan(chunks=4)),
    ],
)
def test_a_wrong_answer_is_noticed(status: int, body: bytes, plan: Plan) -> None:
    """An error, another caller's, a piece too few or too many, a missing end."""
    with pytest.raises(WrongAnswer):
        check(status, body, 7, plan)


@pytest.mark.parametrize("pieces", [5, 6])
def test_a_stream_may_have_a_usage_frame(pieces: int) -> None:
    """Depending on the target: it is there when asked for on the caller's behalf."""
    body = b"caller-000000000007 " * pieces + b"data: [DONE]\n\n"

    check(200, body, 7, Plan(chunks=4))


def test_the_plan_survives_the_wire() -> None:
    """It travels in the user message, so that any proxy passes it on."""
    plan = Plan(delay_ms=5, chunks=100, gap_ms=20)

    head, _, body = request_bytes(42, plan, host="h").partition(b"\r\n\r\n")

    assert (caller(42), plan) == read_plan(body)
    assert f"content-length: {len(body)}".encode() in head
    assert json.loads(body)["stream"] is True


def test_the_mock_leaves_nothing_behind(tmp_path: Path) -> None:
    """Its process is gone when the block is."""
    with mock_upstream(tmp_path, Cores.of_this_machine()) as port:
        asyncio.run(one_call(port))

    with pytest.raises(OSError, match=r"[Cc]onnect"):
        asyncio.run(one_call(port))


async def one_call(port: int) -> None:
    async with connected(port, 1) as pool:
        await pool.idle[0].call(1, Plan())
