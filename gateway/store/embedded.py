"""The embedded store: Valkey as a child of ours, on a socket only its owner can open.

Two locks of the kernel say who is alive, so that no crash leaves a stale claim:

* ``data_dir/lock`` is held by the gateway: one gateway to a folder.
* ``data_dir/store/server.lock`` is held by the server, which inherits it: one server to a
  folder. A gateway that was killed leaves its server running, and the next one uses it.

The server has a session of its own, so Ctrl-C in a terminal does not end it before the
gateway has drained.
"""

import fcntl
import logging
import os
import signal
import stat
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from gateway.store.valkey import (
    StoreError,
    answers,
    binary,
    folder_of,
    is_loading,
    is_running,
    process_id,
    set_durable,
    settings,
    socket_path,
    store_url,
    tail,
)

__all__ = ["EmbeddedStore", "StoreError", "binary", "is_running", "store_url"]

START_SECONDS_MAX = 600.0
"""Reading a large log takes a while, and the server says LOADING meanwhile."""
ATTACH_SECONDS_MAX = 10.0
STOP_SECONDS_MAX = 30.0
PAUSE_SECONDS_MIN, PAUSE_SECONDS_MAX = 0.05, 5.0
LOG_BYTES_MAX = 10_000_000
_POLL_SECONDS = 0.05

_log = logging.getLogger(__name__)


class EmbeddedStore:
    """Starts, keeps alive and stops the store of one `data_dir`.

    Args:
        durable: Each write is on disk before it is answered, instead of within a second.

    Raises on entry:
        StoreError: another gateway has the folder, the server does not start, or there is
            no server for this platform.
    """

    def __init__(self, data_dir: Path, *, durable: bool = False) -> None:
        self._data_dir = data_dir.resolve()
        self._durable = durable
        self._folder = folder_of(data_dir)
        self._socket = socket_path(data_dir)
        self._child: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._supervisor = threading.Thread(target=self._supervise, name="store", daemon=True)
        self._lock: int | None = None
        self.url = store_url(data_dir)

    def __enter__(self) -> Self:
        self._lock = _claimed(self._data_dir)
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            self._folder.chmod(0o700)
            _make_private(self._socket.parent)
            self._attach_or_start()
        except BaseException:
            if self._child is not None:
                self._end()
            os.close(self._lock)
            self._lock = None
            raise
        self._supervisor.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End the server; returns when all it has accepted is on disk. Idempotent."""
        if self._lock is None:
            return
        self._stopping.set()
        self._supervisor.join()
        self._end()
        os.close(self._lock)
        self._lock = None

    def _attach_or_start(self) -> None:
        deadline = time.monotonic() + ATTACH_SECONDS_MAX
        while True:
            with _server_lock(self._folder) as lock:
                if lock is not None:
                    self._start(lock)
                    break
            # A server is alive that we did not start: our predecessor's.
            if answers(self._socket, self._folder):
                set_durable(self._socket, durable=self._durable)
                _log.info("store_reattached folder=%s", self._folder)
                return
            if time.monotonic() > deadline and not is_loading(self._socket):
                raise StoreError(
                    f"a store server of {self._folder} is alive but does not answer: "
                    f"end it (its process id is in {self._folder / 'server.pid'}) and start again"
                )
            time.sleep(_POLL_SECONDS)
        self._await_answer()

    def _start(self, lock: int) -> None:
        """Start the server, which inherits `lock`. No server of this folder is alive."""
        self._socket.unlink(missing_ok=True)
        conf = self._folder / "valkey.conf"
        conf.write_bytes(settings(self._folder, self._socket, durable=self._durable))
        log_file = self._folder / "valkey.log"
        if log_file.exists() and log_file.stat().st_size > LOG_BYTES_MAX:
            log_file.replace(log_file.with_suffix(".log.old"))
        with log_file.open("ab") as output:
            self._child = subprocess.Popen(  # noqa: S603 - the package's own binary
                [str(binary()), str(conf)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self._folder,
                pass_fds=(lock,),
                start_new_session=True,
            )

    def _await_answer(self) -> None:
        deadline = time.monotonic() + START_SECONDS_MAX
        while not answers(self._socket, self._folder):
            if self._child is not None and self._child.poll() is not None:
                raise StoreError(
                    f"the store server ended at start (status {self._child.returncode}); "
                    f"its log, {self._folder / 'valkey.log'}, ends:\n{tail(self._folder)}"
                )
            if time.monotonic() > deadline or self._stopping.is_set():
                raise StoreError(f"the store server of {self._folder} does not answer")
            time.sleep(_POLL_SECONDS)

    def _supervise(self) -> None:
        """Start the server again whenever it is gone, ever less eagerly, for as long as we live."""
        pause = PAUSE_SECONDS_MIN
        while not self._stopping.wait(pause):
            if self._alive():
                pause = PAUSE_SECONDS_MIN
                continue
            _log.error("store_died folder=%s restarting", self._folder)
            try:
                self._attach_or_start()
            except (StoreError, OSError) as exc:
                pause = min(2 * pause, PAUSE_SECONDS_MAX)
                _log.error("store_restart_failed pause_seconds=%s %s", pause, exc)
            else:
                _log.warning("store_restarted folder=%s", self._folder)

    def _alive(self) -> bool:
        if self._child is not None:
            return self._child.poll() is None
        with _server_lock(self._folder) as lock:
            return lock is None

    def _end(self) -> None:
        """Ask the server to write everything out and go; kill it when it does not."""
        server = self._child.pid if self._child else process_id(self._socket)
        for sign in (signal.SIGTERM, signal.SIGKILL):
            if not self._alive() or server is None:
                break
            with suppress(ProcessLookupError):
                os.kill(server, sign)
            deadline = time.monotonic() + STOP_SECONDS_MAX
            while self._alive() and time.monotonic() < deadline:
                time.sleep(_POLL_SECONDS / 5)
        if self._alive():
            _log.error("store_not_stopped folder=%s", self._folder)
        self._child = None


def _make_private(folder: Path) -> None:
    """Make `folder`, or refuse one that another user put there."""
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    mine = found.st_uid == os.getuid() and stat.S_ISDIR(found.st_mode)
    if not mine or stat.S_IMODE(found.st_mode) & 0o077:
        raise StoreError(f"{folder} must be a folder of yours that nobody else can open: remove it")


def _claimed(data_dir: Path) -> int:
    """Lock `data_dir` for this process; the descriptor is close-on-exec, children have no part."""
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(data_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        raise StoreError(f"data_dir {data_dir} cannot be used: {exc.strerror}") from exc
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.read(lock, 32).decode().strip() or "unknown"
        os.close(lock)
        raise StoreError(
            f"data_dir {data_dir} is in use by another gateway (process {owner}): "
            "stop that one, or give this one a data_dir of its own"
        ) from None
    os.ftruncate(lock, 0)
    os.write(lock, f"{os.getpid()}\n".encode())
    return lock


@contextmanager
def _server_lock(folder: Path) -> Iterator[int | None]:
    """The server's lock, or None while a server lives; ours is let go of at the end.

    The lock belongs to the open file, so a server that has inherited it keeps it.
    """
    lock = os.open(folder / "server.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield None
    else:
        yield lock
    finally:
        os.close(lock)
