"""The log: what it was told is there after a kill, and it neither grows nor forgets."""

import asyncio
import os
import stat
from pathlib import Path

import pytest

from gateway.ledger.wal import log as log_module
from gateway.ledger.wal.files import abandoned
from gateway.ledger.wal.log import Log
from gateway.ledger.wal.records import Ending, Intent

pytestmark = pytest.mark.anyio


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "wal"


def opened(folder: Path, **options) -> Log:
    log = Log(folder, **options)
    log.open()
    return log


def an_id(n: int) -> str:
    return f"fbx_{n:032x}"


def intent(n: int) -> Intent:
    return Intent(request_id=an_id(n), customer="acme", number=1, window_ids="", opening=b"{}")


def ending(n: int) -> Ending:
    return Ending(
        request_id=an_id(n),
        customer="acme",
        verb="settle",
        number=1,
        window_ids="",
        charge_pico=n,
        cost_pico=n,
        details=b"{}",
    )


async def owed(folder: Path) -> list[tuple[str, int]]:
    heir = opened(folder)
    taken = await heir.take_over()
    debts = [(e.verb, e.charge_pico) for d, _ in taken for e in d.unpaid()]
    heir.abandon()
    return debts


async def test_what_was_flushed_outlives_the_process(folder):
    log = opened(folder)
    log.intend(intent(1))
    log.intend(intent(2))
    log.end(ending(2))
    log.end(ending(3))
    log.confirm(an_id(3))
    log.flush()
    log.intend(intent(4))
    log.abandon()
    assert [("release", 0), ("settle", 2)] == await owed(folder)


async def test_the_turn_of_the_loop_flushes(folder):
    log = opened(folder)
    log.intend(intent(1))
    await asyncio.sleep(0)
    log.abandon()
    assert [("release", 0)] == await owed(folder)


async def test_only_its_owner_can_read_it(folder):
    log = opened(folder)
    assert 0o700 == stat.S_IMODE(folder.stat().st_mode)
    assert [0o600] == [stat.S_IMODE(f.stat().st_mode) for f in folder.iterdir()]
    log.abandon()


async def test_a_living_log_is_left_alone(folder):
    """By whoever starts beside it; and a dead one has one heir."""
    living, dead = opened(folder), opened(folder)
    for n, log in enumerate((living, dead)):
        log.intend(intent(n))
        log.flush()
    dead.abandon()
    first, second = opened(folder), opened(folder)
    assert [1, 0] == [len(await first.take_over()), len(await second.take_over())]
    for log in (living, first, second):
        log.abandon()


async def test_running_calls_are_carried_into_the_next_segment(folder):
    """An old segment is history only: dropping it forgets nothing that is owed."""
    log = opened(folder, segment_bytes_max=2_000)
    log.intend(intent(1))
    for n in range(2, 200):
        log.intend(intent(n))
        log.end(ending(n))
        log.confirm(an_id(n))
        log.step()
    assert len(log._segments) > 10
    for segment in log._segments:
        segment.newest_ms = 0
    log.step()
    assert 1 == len(log._segments) == len(list(folder.iterdir()))
    log.abandon()
    assert [("release", 0)] == await owed(folder)


async def test_history_is_kept_for_the_replay_window(folder, monkeypatch):
    monkeypatch.setattr(log_module, "SEGMENT_MS_MAX", -1)
    log = opened(folder)
    for n in range(3):
        log.end(ending(n))
        log.confirm(an_id(n))
        log.step()
    found = [e.charge_pico async for debts in log.history() for e in debts.endings()]
    assert [2, 1, 0] == found
    log.abandon()


async def test_its_size_is_bounded(folder):
    """The oldest history goes first; what is owed never does."""
    log = opened(folder, segment_bytes_max=1_000, total_bytes_max=5_000)
    log.end(ending(7))
    for n in range(100, 400):
        log.end(ending(n))
        log.confirm(an_id(n))
        log.step()
        assert log.size_bytes < 8_000
    log.abandon()
    assert [("settle", 7)] == await owed(folder)


async def test_ends_that_only_the_disk_remembers_stay_there(folder):
    log = opened(folder, segment_bytes_max=1_000, total_bytes_max=5_000)
    for n in range(1, 50):
        log.end(ending(n))
        assert log.leave_on_disk(an_id(n))
        log.step()
    assert 0 == log.running
    segments, left = log.left_on_disk()
    assert list(range(1, 50)) == [e.charge_pico for e in left]
    log.unpin(segments, left)
    assert ([], []) == log.left_on_disk()
    log.abandon()
    assert [] == await owed(folder)


async def test_a_damaged_rest_is_kept_aside(folder):
    log = opened(folder)
    log.end(ending(1))
    log.flush()
    path = log._segments[0].path
    log.abandon()
    whole = path.read_bytes()
    path.write_bytes(whole + b"\0\0\0\x09garbage")
    assert [("settle", 1)] == await owed(folder)
    assert b"\0\0\0\x09garbage" == path.with_suffix(".wal.damaged").read_bytes()
    assert whole == path.read_bytes()


async def test_a_full_disk_is_said_and_forgotten_when_it_is_over(folder, monkeypatch, caplog):
    """Calls go on meanwhile; what still runs when the disk is back is in the log again."""
    log = opened(folder)
    log.intend(intent(1))
    log.flush()
    real = os.write

    def full(fd, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    log.intend(intent(2))
    log.intend(intent(3))
    log.end(ending(3))
    log.flush()
    assert log.failing
    assert 1 == log.errors
    assert "wal_not_written" in caplog.text
    log.intend(intent(4))
    log.flush()
    await log.synced()
    monkeypatch.setattr(os, "write", real)
    log._retry_at = 0.0
    log.confirm(an_id(4))
    log.flush()
    assert not log.failing
    log.abandon()
    assert [("release", 0), ("release", 0), ("settle", 3)] == sorted(await owed(folder))


async def test_a_full_disk_remembers_no_end_alone(folder, monkeypatch):
    """Whoever wanted to forget it is told, and keeps it."""
    log = opened(folder)
    log.end(ending(1))

    def full(fd, content):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        assert not log.leave_on_disk(an_id(1))
    assert 1 == log.running
    log._retry_at = 0.0
    log.confirm(an_id(2))
    log.flush()
    log.abandon()
    assert [("settle", 1)] == await owed(folder)


async def test_a_torn_write_is_taken_back(folder, monkeypatch):
    """Half a frame, then no space: what follows must be readable."""
    log = opened(folder)
    real, calls = os.write, []

    def half(fd, content):
        calls.append(content)
        if len(calls) == 1:
            return real(fd, content[: len(content) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", half)
    log.end(ending(1))
    log.flush()
    monkeypatch.setattr(os, "write", real)
    log._retry_at = 0.0
    log.end(ending(2))
    log.flush()
    log.abandon()
    assert [("settle", 1), ("settle", 2)] == await owed(folder)


async def test_synced_waits_for_the_disk_once_for_all(folder, monkeypatch):
    """Group commit: a hundred waiters share a few syncs, and none returns before its own."""
    log = opened(folder)
    synced: list[int] = []
    real = os.fdatasync

    def counted(fd):
        real(fd)
        synced.append(log._segments[-1].written_bytes)

    monkeypatch.setattr(os, "fdatasync", counted)

    async def one(n):
        log.intend(intent(n))
        log.flush()
        written = log._segments[-1].written_bytes
        await log.synced()
        assert any(upto >= written for upto in synced)

    await asyncio.gather(*(one(n) for n in range(100)))
    assert len(synced) < 10
    log.abandon()


async def test_a_closed_log_that_says_nothing_is_gone(folder):
    log = opened(folder)
    await log.close()
    assert [] == list(folder.iterdir())


async def test_a_closed_log_is_told_in_vain(folder):
    """A reply may come after it: neither the loop nor the store's sender may fail for that."""
    log = opened(folder)
    log.end(ending(1))
    await log.close()
    log.confirm(an_id(1))
    log.flush()
    assert [("settle", 1)] == await owed(folder)


async def test_a_log_that_is_let_go_of_file_by_file_is_left_alone(folder):
    """Its owner is dying, or stops: half a log does not tell how its calls ended."""
    log = opened(folder, segment_bytes_max=1)
    log.intend(intent(1))
    log.step()
    log.end(ending(1))
    log.flush()
    first, *rest = log._segments
    first.close()
    assert [] == await owed(folder)
    for segment in rest:
        segment.close()
    assert [("settle", 1)] == await owed(folder)


async def test_a_file_that_cannot_be_opened_keeps_nobody_from_the_others(folder):
    log = opened(folder)
    log.end(ending(1))
    log.flush()
    log.abandon()
    (folder / "000000000000-other.000000.wal").symlink_to(folder / "000000000000-other.000000.wal")
    assert [("settle", 1)] == await owed(folder)


async def test_abandoned_files_are_locked_when_found(folder):
    log = opened(folder)
    log.intend(intent(1))
    log.flush()
    log.abandon()
    (first,) = abandoned(folder)
    assert [] == list(abandoned(folder))
    for segment in first:
        segment.close()
