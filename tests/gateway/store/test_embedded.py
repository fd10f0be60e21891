"""The embedded store keeps what it was told, whoever is killed; all on the real server."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import redis

from gateway.store.embedded import EmbeddedStore, StoreError, is_running, store_url

ROOT = Path(__file__).parents[3]
AOF_SYNC_SECONDS = 1.2
"""``appendfsync everysec``: what is older than this survives kill -9 of a machine, too."""

HOLDER = """
import sys, time
from pathlib import Path
from gateway.store.embedded import EmbeddedStore
with EmbeddedStore(Path(sys.argv[1])) as store:
    print(store.url, flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def data_dir(tmp_path):
    return tmp_path / "data"


@pytest.fixture
def holder(data_dir):
    """Another process that has the store open: (process, url)."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(data_dir)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        text=True,
    )
    assert process.stdout is not None
    with process:
        yield process, process.stdout.readline().strip()
        process.kill()
    # What it started lives on; taking over is how to end it.
    with EmbeddedStore(data_dir):
        pass


def connect(url: str) -> redis.Redis:
    return redis.Redis.from_url(url, decode_responses=True)


def eventually(check, seconds=10.0):
    """The first true result of `check`; a store that is away counts as not yet."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if found := check():
                return found
        except redis.RedisError:
            pass
        assert time.monotonic() < deadline, "not within the time"
        time.sleep(0.02)


def server_pid(url: str) -> int:
    with connect(url) as client:
        return int(client.info("server")["process_id"])


def gone(pid: int) -> bool:
    """An orphan that nobody has reaped yet counts as gone."""
    found = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], check=False, capture_output=True, text=True
    )
    return not found.stdout.strip() or found.stdout.startswith("Z")


def test_what_was_written_is_there_after_a_stop(data_dir):
    """Also what was written a moment before it."""
    with EmbeddedStore(data_dir) as store, connect(store.url) as client:
        client.set("balance", "1")

    with EmbeddedStore(data_dir) as store, connect(store.url) as client:
        assert "1" == client.get("balance")


def test_a_stop_leaves_no_server(data_dir):
    with EmbeddedStore(data_dir) as store:
        pid = server_pid(store.url)
        assert is_running(data_dir)

    assert gone(pid)
    assert not is_running(data_dir)
    store.stop()  # a second time changes nothing


def test_it_is_configured_to_lose_nothing_and_to_be_ours_alone(data_dir):
    with EmbeddedStore(data_dir) as store, connect(store.url) as client:
        found = client.config_get(
            "port", "appendonly", "appendfsync", "maxmemory-policy", "save", "aof-use-rdb-preamble"
        )
        socket = Path(client.connection_pool.connection_kwargs["path"])

        assert {
            "port": "0",
            "appendonly": "yes",
            "appendfsync": "everysec",
            "maxmemory-policy": "noeviction",
            "save": "",
            "aof-use-rdb-preamble": "yes",
        } == found
        assert 0o700 == socket.stat().st_mode & 0o777
        assert 0o700 == (data_dir / "store").stat().st_mode & 0o777


def test_a_killed_server_is_back_with_its_data(data_dir):
    with EmbeddedStore(data_dir) as store, connect(store.url) as client:
        client.set("balance", "1")
        time.sleep(AOF_SYNC_SECONDS)
        for _ in range(2):
            pid = server_pid(store.url)
            os.kill(pid, signal.SIGKILL)

            assert "1" == eventually(lambda: client.get("balance"), seconds=3)
            assert pid != server_pid(store.url)


def test_the_store_outlives_a_killed_gateway_and_the_next_one_takes_it_over(data_dir, holder):
    """The same server, with what the dead gateway wrote last; and it can be stopped."""
    process, url = holder
    with connect(url) as client:
        client.set("balance", "1")
    pid = server_pid(url)
    process.kill()
    process.wait()

    with EmbeddedStore(data_dir) as store, connect(store.url) as client:
        assert pid == server_pid(store.url)
        assert "1" == client.get("balance")

    assert gone(pid)


def test_a_server_taken_over_is_watched_like_an_own_one(data_dir, holder):
    process, url = holder
    process.kill()
    process.wait()

    with EmbeddedStore(data_dir) as store:
        pid = server_pid(url)
        os.kill(pid, signal.SIGKILL)

        assert pid != eventually(lambda: server_pid(store.url))


def test_a_stale_socket_is_no_obstacle(data_dir, holder):
    """After a power cut: socket and pid file of servers that are no more."""
    process, url = holder
    pid = server_pid(url)
    process.kill()
    process.wait()
    os.kill(pid, signal.SIGKILL)
    assert (data_dir / "store" / "store.sock").exists()

    with EmbeddedStore(data_dir) as store:
        assert pid != server_pid(store.url)


@pytest.mark.usefixtures("holder")
def test_a_second_gateway_on_the_folder_is_refused(data_dir, holder):
    """It is told which folder, who has it, and what to do."""
    process, _ = holder

    with (
        pytest.raises(StoreError, match=rf"{data_dir} is in use .*{process.pid}.*its own"),
        EmbeddedStore(data_dir),
    ):
        pass
    assert is_running(data_dir)


def test_the_terminal_cannot_interrupt_it(data_dir):
    """Ctrl-C goes to the process group of the gateway, which has calls to settle first."""
    with EmbeddedStore(data_dir) as store:
        assert os.getsid(0) != os.getsid(server_pid(store.url))


@pytest.mark.parametrize("name", ["d" * 200, 'quote " backslash \\ space', "ünïcode-字"])
def test_any_folder_will_do(tmp_path, name):
    """Also one whose path is longer than a socket's may be."""
    data_dir = tmp_path / name

    with EmbeddedStore(data_dir) as store, connect(store.url) as client:
        assert client.set("a", "1")
        assert store.url == store_url(data_dir)
        assert str(data_dir / "store") == client.config_get("dir")["dir"]


def test_a_short_folder_for_the_socket_must_be_ours(tmp_path):
    """Anybody may write to /tmp: what another could read there is not used."""
    data_dir = tmp_path / ("d" * 200)
    folder = Path(store_url(data_dir).removeprefix("unix://")).parent
    folder.mkdir(mode=0o755)
    folder.chmod(0o755)
    try:
        with pytest.raises(StoreError, match="nobody else"), EmbeddedStore(data_dir):
            pass
    finally:
        folder.rmdir()


def test_a_server_that_cannot_start_says_why(data_dir):
    """The end of its log is in the message, and the folder is free again."""
    with EmbeddedStore(data_dir):
        pass
    manifest = data_dir / "store" / "appendonlydir" / "appendonly.aof.manifest"
    kept = manifest.read_bytes()
    manifest.write_bytes(b"nonsense\n")

    with pytest.raises(StoreError, match=r"(?s)valkey\.log, ends:.*AOF"), EmbeddedStore(data_dir):
        pass

    manifest.write_bytes(kept)
    with EmbeddedStore(data_dir):
        pass


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()

    with (
        pytest.raises(StoreError, match=r"data_dir .*/file/data cannot be used"),
        EmbeddedStore(tmp_path / "file" / "data"),
    ):
        pass
