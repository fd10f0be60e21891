"""A store that is killed, and comes back as it was, or as it was some time ago."""

import asyncio
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import redis

from tests.support.stores import SERVERS, wait_for

SNAPSHOT = "dump.rdb"


class MortalStore:
    """A server on a Unix socket, whose data is one snapshot file in its folder."""

    def __init__(self, folder: Path, kind: str = "valkey") -> None:
        self._folder = folder
        self._kind = kind
        self._process: subprocess.Popen[bytes] | None = None
        self.socket = folder / "s.sock"
        self.url = f"unix://{self.socket}"

    def start(self) -> None:
        binary = SERVERS[self._kind]()
        assert binary is not None
        self._process = subprocess.Popen(
            [
                binary,
                *("--port", "0", "--unixsocket", str(self.socket), "--dir", str(self._folder)),
                *("--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction"),
            ],
            stdout=subprocess.DEVNULL,
        )
        wait_for(self.socket)

    def kill(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None
            self.socket.unlink(missing_ok=True)

    def save(self) -> None:
        """What comes back after the next kill is what is there now."""
        with redis.Redis(unix_socket_path=str(self.socket)) as client:
            client.save()

    def forget(self) -> None:
        """Nothing comes back after the next kill."""
        (self._folder / SNAPSHOT).unlink(missing_ok=True)

    def restart(self) -> None:
        """All that was written since `save` is lost."""
        self.kill()
        self.start()


@contextmanager
def mortal_store(kind: str = "valkey") -> Iterator[MortalStore]:
    with TemporaryDirectory(prefix="fb-") as folder:
        store = MortalStore(Path(folder), kind)
        store.start()
        try:
            yield store
        finally:
            store.kill()


def copied(folder: Path, to: Path) -> Path:
    """The log as a process would leave it that was killed in this moment."""
    shutil.copytree(folder, to)
    return to


async def until(true: Callable[[], bool], seconds_max: float = 10.0) -> None:
    async with asyncio.timeout(seconds_max):
        while not true():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.01)
