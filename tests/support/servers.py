"""Run an ASGI application on a real socket, for tests that need a real wire."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.types import ASGIApp

START_S_MAX = 10.0
STOP_S_MAX = 10.0
GRACE_S = 1
"""How long open answers may go on once the test is over."""


@contextmanager
def serve(app: ASGIApp, **options: Any) -> Iterator[str]:
    """Serve `app` from a thread; yield its base URL, ``http://127.0.0.1:<free port>``.

    The lifespan runs; a failure in it is raised here. `options` go to `uvicorn.Config`.
    """
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        settings: dict[str, Any] = {
            "lifespan": "on",
            "log_config": None,
            "access_log": False,
            "timeout_graceful_shutdown": GRACE_S,
        }
        runner = _Runner(uvicorn.Server(uvicorn.Config(app, **settings | options)), listener)
        runner.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            runner.stop()


class _Runner:
    def __init__(self, server: uvicorn.Server, listener: socket.socket) -> None:
        self._server = server
        self._listener = listener
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="server under test", daemon=True)

    def start(self) -> None:
        self._thread.start()
        deadline = time.monotonic() + START_S_MAX
        while not self._server.started:
            if not self._thread.is_alive():
                raise RuntimeError("the server did not start") from self._failure
            if time.monotonic() > deadline:
                self._server.should_exit = True
                raise RuntimeError(f"the server did not start within {START_S_MAX:g} s")
            time.sleep(0.005)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(STOP_S_MAX)
        if self._thread.is_alive():
            self._server.force_exit = True
            self._thread.join(STOP_S_MAX)
        if self._thread.is_alive():
            raise RuntimeError("the server did not stop; a task in it does not end")
        if self._failure is not None:
            raise RuntimeError("the server failed") from self._failure

    def _run(self) -> None:
        try:
            self._server.run(sockets=[self._listener])
        except BaseException as exc:  # noqa: BLE001 - handed to the test's thread, SystemExit too
            self._failure = exc
