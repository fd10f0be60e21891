"""A store of one's own, for as long as a measurement takes."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from gateway.store.valkey import binary

READY_SECONDS_MAX: Final = 10.0


@contextmanager
def store_server(folder: Path, core: int | None = None) -> Iterator["subprocess.Popen[bytes]"]:
    """Run the embedded Valkey, empty, on the socket ``s`` in `folder`; on one `core` only."""
    command = [str(binary()), "--port", "0", "--unixsocket", f"{folder}/s", "--dir", str(folder)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*command, "--save", ""], stdout=log, stderr=log)
    try:
        if core is not None:
            os.sched_setaffinity(process.pid, {core})
        deadline = time.monotonic() + READY_SECONDS_MAX
        while not (folder / "s").exists():
            if time.monotonic() > deadline:
                raise RuntimeError((folder / "log").read_text())
            time.sleep(0.01)
        yield process
    finally:
        process.kill()
        process.wait()
