"""`farebox demo`: a gateway, a provider that costs nothing, customers with a past and a present.

All of it in this process: the demo upstream on a loopback port in a thread, the embedded
store in a folder of its own, then the history, then live calls through the gateway's door.
"""

import asyncio
import secrets
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import click
import uvicorn

from gateway.cli.demo_traffic import trickle_calls
from gateway.cli.fatal import Fatal
from gateway.cli.serve import curl, run_gateway
from gateway.cli.server import bound, ended_by_signals, log_to_stderr, url_of
from gateway.config import Config, Resolved, parsed, resolve
from gateway.dashboard.sessions import login_token
from gateway.demo.cast import APPS
from gateway.demo.models import PLAYED
from gateway.demo.upstream import build_upstream
from gateway.store.embedded import EmbeddedStore

START_SECONDS_MAX = 10.0
MODEL = "demo-small"
HISTORY_FILE = "history-written"
"""Marks a kept folder that has its past: a second start does not write it twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """What `farebox demo` was asked for."""

    host: str
    port: int
    days: int
    customers: int
    seed: int
    no_traffic: bool
    keep: Path | None


def run(demo: Demo) -> None:
    """Run the demo until SIGTERM or Ctrl-C; a temporary folder is removed at the end.

    Raises:
        Fatal, StoreError, ConfigError: as `farebox serve`.
    """
    log_to_stderr()
    with ExitStack() as stack:
        stack.enter_context(ended_by_signals())
        listener = stack.enter_context(bound(demo.host, demo.port))
        folder = demo.keep or Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="farebox-demo-"))
        )
        upstream = stack.enter_context(_upstream(demo.seed))
        stack.enter_context(EmbeddedStore(folder))
        resolved = resolve(_config(demo, folder, upstream))
        _write_history(demo, resolved)
        url = url_of(listener)
        click.echo(_greeting(resolved, url, folder if demo.keep else None))
        if not demo.no_traffic:
            stack.enter_context(_traffic(demo, resolved, url))
        run_gateway(resolved, listener)


def _config(demo: Demo, folder: Path, upstream_url: str) -> Config:
    return parsed(
        {
            "data_dir": folder,
            "server": {
                "host": demo.host,
                "port": demo.port,
                "drain_delay_seconds": 0,
                "drain_seconds": 3,
            },
            "upstreams": [
                {
                    "name": provider,
                    "provider": provider,
                    "base_url": f"{upstream_url}/v1",
                    "api_key": "demo-upstream-key",
                    "models": models,
                }
                # Who comes with a program of their own brings OpenAI's names: played, and
                # priced as OpenAI does.
                for provider, models in (("demo", ["demo-*"]), ("openai", list(PLAYED)))
            ],
            "apps": [
                {"id": name, "token": f"demo-{secrets.token_urlsafe(12)}", "model": MODEL}
                for name in APPS
            ],
        },
        origin="demo",
    )


@contextmanager
def _upstream(seed: int) -> Iterator[str]:
    """The demo upstream on a loopback port; yields its URL."""
    listener = bound("127.0.0.1", 0)
    server = uvicorn.Server(
        uvicorn.Config(
            build_upstream(seed=seed),
            http="httptools",
            ws="none",
            log_config=None,
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=1,
        )
    )
    thread = threading.Thread(
        target=server.run, kwargs={"sockets": [listener]}, name="demo-upstream", daemon=True
    )
    thread.start()
    deadline = time.monotonic() + START_SECONDS_MAX
    while not server.started:
        if time.monotonic() > deadline or not thread.is_alive():
            raise Fatal("the demo upstream did not start")
        time.sleep(0.01)
    try:
        yield url_of(listener)
    finally:
        server.should_exit = True
        thread.join()


def _write_history(demo: Demo, resolved: Resolved) -> None:
    """Book the past, as the same events through the same scripts as live calls.

    `gateway.past` wires it: the demo package itself reaches no ledger.
    """
    written = resolved.config.data_dir / HISTORY_FILE
    if demo.days == 0 or written.exists():
        return
    from gateway.past import write_history

    with _progress(f"Writing {demo.days} days of history") as advance:
        asyncio.run(
            write_history(
                resolved.config,
                store_url=resolved.store_url,
                days=demo.days,
                customers=demo.customers,
                seed=demo.seed,
                progress=advance,
            )
        )
    written.touch()


@contextmanager
def _progress(label: str) -> Iterator[Callable[[float], None]]:
    """A bar on a terminal (elsewhere one line); yields what takes the share done, 0 to 1."""
    with click.progressbar(length=1_000, label=label) as bar:
        yield lambda share: bar.update(int(share * 1_000) - bar.pos)


@contextmanager
def _traffic(demo: Demo, resolved: Resolved, url: str) -> Iterator[None]:
    """Live calls through the front door, in a thread, until the demo ends."""
    tokens = {app.id: app.token.get_secret_value() for app in resolved.config.apps if app.token}
    over = threading.Event()
    thread = threading.Thread(
        target=trickle_calls,
        kwargs={
            "url": url,
            "tokens": tokens,
            "customers": demo.customers,
            "seed": demo.seed,
            "over": over,
        },
        name="demo-traffic",
        daemon=True,
    )
    thread.start()
    try:
        yield
    finally:
        over.set()


def _greeting(resolved: Resolved, url: str, kept: Path | None) -> str:
    app = resolved.config.apps[0]
    assert app.token is not None
    token = app.token.get_secret_value()
    return "\n".join(
        (
            "",
            f"Farebox demo: open {url}/login?token={login_token(resolved.admin_key)}",
            "  (that link signs in once; later the admin key does)",
            f"  API        {url}/v1",
            f"  app token  {token}",
            f"  admin key  {resolved.admin_key}",
            f"  data       {kept or 'temporary: gone when this ends'}",
            "",
            curl(url, token=token, model=MODEL),
            "",
            "Ctrl-C ends it.",
        )
    )
