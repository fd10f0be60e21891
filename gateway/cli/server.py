"""The HTTP server: uvicorn as we run it, and the socket it is given."""

import asyncio
import errno
import gc
import logging
import multiprocessing
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import Any, Final

import uvicorn
from uvicorn.supervisors import Multiprocess

from gateway.cli.bounded_http import BoundedHttp
from gateway.cli.fatal import Fatal

BACKLOG = 2_048
KEEP_ALIVE_SECONDS = 75
"""Longer than clients keep idle connections, so that they close first and never race us."""

GARBAGE_OBJECTS = 10_000
"""New objects after which Python looks for cycles; its own 700 are a handful of calls."""

AppFactory = Callable[[], Any]
Stop = Callable[[int, FrameType | None], Any]

log = logging.getLogger(__name__)


SETTINGS: Final[Mapping[str, Any]] = {
    "loop": "uvloop",
    "http": BoundedHttp,
    "ws": "none",
    "interface": "asgi3",
    "lifespan": "on",
    "log_config": None,
    "log_level": "warning",
    "access_log": False,
    "proxy_headers": False,
    "server_header": False,
    "backlog": BACKLOG,
    "timeout_keep_alive": KEEP_ALIVE_SECONDS,
}
"""What uvicorn is told, whoever runs it: the tests serve with the same."""


def bound(host: str, port: int) -> socket.socket:
    """Take the address at once, so that a taken port is known before anything is started.

    Raises:
        Fatal: the address cannot be had.
    """
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as exc:
        raise Fatal(f"host {host} is not an address of this machine: {exc.strerror}") from exc
    listener = socket.socket(family, kind, proto)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as exc:
        listener.close()
        if exc.errno == errno.EADDRINUSE:
            message = f"{host}:{port} is taken by another program: end it, or choose another --port"
        else:
            message = f"cannot listen on {host}:{port}: {exc.strerror}"
        raise Fatal(message) from exc
    return listener


def url_of(listener: socket.socket) -> str:
    """Where a program on this machine reaches `listener`."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def run(
    factory: AppFactory,
    listeners: list[socket.socket],
    *,
    workers: int,
    drain_delay_seconds: float = 0,
    drain_seconds: int,
) -> None:
    """Serve until told to stop: in this process, or in `workers` of them.

    Several workers get `factory` by pickle through a pipe, so what it holds (keys) is in
    no file, environment or process list.

    Args:
        drain_delay_seconds: How long calls are still taken after SIGTERM, see `_tell_of_the_stop`.
        drain_seconds: How long those that run then may take.

    Raises:
        Fatal: the app did not start; its own log says why.
    """
    make = partial(_worker if workers > 1 else _settled, factory, drain_delay_seconds)
    config = uvicorn.Config(
        make,
        factory=True,
        workers=workers,
        timeout_graceful_shutdown=drain_seconds,
        **SETTINGS,
    )
    if workers > 1:
        family = Multiprocess(config, listeners)
        family.run()
        started = not any(child.exitcode == STARTUP_FAILURE for child in family.processes)
    else:
        started = _run_here(config, listeners)
    if not started:
        raise Fatal("the gateway did not start: see the messages above")


STARTUP_FAILURE = 3
"""The exit status by which uvicorn says that the app's lifespan failed."""


def _run_here(config: uvicorn.Config, listeners: list[socket.socket]) -> bool:
    server = uvicorn.Server(config)
    try:
        server.run(sockets=listeners)
    except SystemExit as exc:
        if exc.code == STARTUP_FAILURE:
            return False
        raise
    return server.started


def _settled(factory: AppFactory, drain_delay_seconds: float) -> Any:
    """Make the app, and keep what it is made of out of every later garbage collection.

    Code and prices are a hundred thousand objects that stay: looking through them takes
    70 ms, again and again, in the middle of somebody's call.
    """
    app = factory()
    if hasattr(app, "drain"):
        _tell_of_the_stop(app, drain_delay_seconds)
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_OBJECTS)
    return app


def _tell_of_the_stop(app: Any, delay_seconds: float) -> None:
    """At SIGTERM have `app` say that it is ending, and stop `delay_seconds` later.

    Whoever balances the load asks for readiness every few seconds, and goes on sending
    meanwhile: a listener that is closed at once refuses those calls. Ctrl-C does not wait; it
    is told all the same, for streams that would not end by themselves.
    """
    loop = asyncio.get_running_loop()
    told = False

    def drain(stop: Stop, seconds: float, sign: int, frame: FrameType | None) -> None:
        app.drain()
        if seconds:
            log.info("draining delay_seconds=%g", seconds)
            loop.call_later(seconds, stop, sign, frame)
        else:
            stop(sign, frame)

    for sign, seconds in ((signal.SIGTERM, delay_seconds), (signal.SIGINT, 0.0)):
        stop = signal.getsignal(sign)  # uvicorn's; it puts back what was there before
        assert callable(stop)

        def tell(
            sign: int,
            frame: FrameType | None,
            stop: Stop = stop,
            seconds: float = seconds,
        ) -> None:
            nonlocal told
            if not told:  # a service manager tells every process, and the parent its workers again
                told = True
                loop.call_soon_threadsafe(drain, stop, seconds, sign, frame)
            elif sign == signal.SIGINT:
                stop(sign, frame)

        signal.signal(sign, tell)


def _worker(factory: AppFactory, drain_delay_seconds: float) -> Any:
    """Make the app in a worker process, which is not to outlive its parent."""
    log_to_stderr()
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=_follow, args=(parent,), daemon=True).start()
    return _settled(factory, drain_delay_seconds)


def _follow(parent: Any) -> None:
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)


def log_to_stderr() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Turn the first SIGTERM or SIGINT into an orderly exit with status 0; ignore the rest.

    uvicorn takes the signals while it serves and raises them again when it has drained, so
    that whatever encloses it (the embedded store) is closed after the last call is settled.
    """
    ending = False

    def end(_sign: int, _frame: FrameType | None) -> None:
        nonlocal ending
        if not ending:
            ending = True
            raise SystemExit(0)

    before = {sign: signal.signal(sign, end) for sign in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        ending = True
        for sign, handler in before.items():
            signal.signal(sign, handler)
