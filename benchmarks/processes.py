"""Start processes on the right core, wait until they answer, and end them whatever happens."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.error import URLError
from urllib.request import urlopen

from benchmarks import measure

READY_S_MAX: Final = 20.0
STOP_S_MAX: Final = 10.0


@dataclass(frozen=True, slots=True)
class Cores:
    """Who runs where: the process under test has a core of its own where there are two."""

    tested: int
    load: int
    mock: int

    @classmethod
    def of_this_machine(cls) -> "Cores":
        cores = sorted(os.sched_getaffinity(0))
        return cls(tested=cores[-1], load=cores[0], mock=cores[1] if len(cores) > 2 else cores[0])


@contextmanager
def running(
    command: Sequence[str], *, core: int, log: Path, stdout: int | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run `command` pinned to `core`; its output goes to `log`; it and its children end with us."""
    own = os.sched_getaffinity(0)
    with log.open("wb") as output:
        os.sched_setaffinity(0, {core})  # inherited, from the first instruction on
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=output if stdout is None else stdout,
                stderr=subprocess.STDOUT if stdout is None else output,
                start_new_session=True,  # Ctrl-C reaches us; we end them in order
            )
        finally:
            os.sched_setaffinity(0, own)
    try:
        yield process
    finally:
        _end(process)


def wait_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    """Return once `url` answers 200.

    Raises:
        RuntimeError: the process ended, or took too long; with the end of its log.
    """
    deadline = time.monotonic() + READY_S_MAX
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urlopen(url, timeout=1):
                return
        except (URLError, OSError):
            time.sleep(0.02)
    how = "did not answer in time" if process.poll() is None else "ended"
    tail = log.read_text(errors="replace")[-2_000:]
    raise RuntimeError(f"{' '.join(map(str, process.args))} {how}:\n{tail}")  # type: ignore[arg-type]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask, wait, then kill what is left of the family."""
    family = measure.tree(process.pid) if process.poll() is None else []
    if process.stdin is not None:
        process.stdin.close()
    process.terminate()
    try:
        process.wait(STOP_S_MAX)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
    deadline = time.monotonic() + STOP_S_MAX
    for pid in family[1:]:
        while _lives(pid) and time.monotonic() < deadline:
            time.sleep(0.02)
        if _lives(pid):
            os.kill(pid, 9)


def _lives(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False
