"""`farebox serve`: take the port, start the store, say what runs, serve, stop in reverse."""

import asyncio
import json
import logging
import shlex
import signal
import socket
import sys
from collections.abc import Coroutine
from contextlib import ExitStack, suppress
from functools import partial
from typing import Any

import click
from redis import RedisError

from gateway.cli.fatal import Fatal
from gateway.cli.server import bound, ended_by_signals, log_to_stderr, run, url_of
from gateway.config import Config, Resolved, resolve
from gateway.config.kept import ADMIN_KEY_FILE, APP_TOKEN_FILE
from gateway.store.embedded import EmbeddedStore, is_running
from gateway.store.guarantees import EMBEDDED_STANDARD, EMBEDDED_STRICT, Verdict, audited
from gateway.version import installed_version

log = logging.getLogger(__name__)


def serve(config: Config) -> None:
    """Serve `config` until SIGTERM or Ctrl-C; then drain, stop the store, and return.

    Raises:
        Fatal: the port is taken, the store cannot keep budgets, or the app does not start.
        StoreError: the embedded store cannot be had.
        ConfigError: no admin key can be kept in `data_dir`.
    """
    log_to_stderr()
    with ExitStack() as stack:
        stack.enter_context(ended_by_signals())
        listener = stack.enter_context(bound(config.server.host, config.server.port))
        apart = config.server.admin_address
        admin = stack.enter_context(bound(*apart)) if apart else None
        if config.redis.url is None:
            stack.enter_context(EmbeddedStore(config.data_dir, durable=config.strict))
            promise = EMBEDDED_STRICT if config.strict else EMBEDDED_STANDARD
            log.info("store_promise %s: %s", Verdict.OK, promise)
        else:
            audit_store(config.redis.url.get_secret_value(), strict=config.strict)
        resolved = resolve(config)
        click.echo(_greeting(resolved, listener, admin))
        run_gateway(resolved, listener, admin)


def audit_store(url: str, *, strict: bool) -> None:
    """Log what the store promises. One that is away is judged when it comes.

    Raises:
        Fatal: budgets cannot be kept on it; says why.
    """
    try:
        found = asyncio.run(audited(url, strict=strict))
    except (RedisError, OSError, TimeoutError) as exc:
        log.warning("store_away error=%s", type(exc).__name__)
        return
    for promise in found.promises:
        level = logging.INFO if promise.verdict is Verdict.OK else logging.WARNING
        log.log(level, "store_promise %s: %s", promise.verdict, promise.text)
    if found.faults:
        raise Fatal("the store at redis.url cannot be used: " + "; ".join(found.faults))


def run_gateway(
    resolved: Resolved, listener: socket.socket, admin: socket.socket | None = None
) -> None:
    """Serve; with `admin`, management there and only there."""
    server = resolved.config.server
    factory = partial(build, resolved)
    run(
        factory,
        [listener, *([admin] if admin else ())],
        workers=server.workers,
        drain_delay_seconds=server.drain_delay_seconds,
        drain_seconds=server.drain_seconds,
    )


def build(resolved: Resolved) -> Any:
    """The gateway's ASGI app; called in the process that serves it."""
    from gateway.app import build_app

    return build_app(resolved.config, store_url=resolved.store_url, admin_key=resolved.admin_key)


def flush(config: Config) -> None:
    """Run a flusher until SIGTERM or Ctrl-C.

    Raises:
        Fatal: there is no store to work on.
    """
    import uvloop

    log_to_stderr()
    if config.redis.url is None and not is_running(config.data_dir):
        raise Fatal(
            f"the embedded store of {config.data_dir} is not running: "
            "start farebox serve first, or set redis.url"
        )
    if config.redis.url is not None:
        audit_store(config.redis.url.get_secret_value(), strict=config.strict)
    from gateway.app import run_flusher

    with ended_by_signals():
        uvloop.run(_until_told(run_flusher(config, store_url=resolve(config).store_url)))


async def _until_told(running: Coroutine[Any, Any, None]) -> None:
    """Run until the first SIGTERM or SIGINT, which cancels this one task.

    An exit raised by the handler would cancel all tasks at once, the store's connection
    among them, and the last flush would wait for its answers for ever.
    """
    loop, told = asyncio.get_running_loop(), asyncio.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sign, told.set)
    task = asyncio.ensure_future(running)
    waiting = asyncio.ensure_future(told.wait())
    await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def curl(url: str, *, token: str, model: str) -> str:
    """A call to paste into a shell. `token` is put in double quotes, as ``$(cat …)`` needs."""
    body = {
        "model": model,
        "messages": [{"role": "user", "content": "Hello"}],
        "customer_params": {"customer_identifier": "customer_1"},
    }
    return (
        f"curl {url}/v1/chat/completions \\\n"
        f'    -H "Authorization: Bearer {token}" -H "Content-Type: application/json" \\\n'
        f"    -d {shlex.quote(json.dumps(body))}"
    )


def _greeting(resolved: Resolved, listener: socket.socket, admin: socket.socket | None) -> str:
    config = resolved.config
    folder = config.data_dir
    url = url_of(listener)
    store = f"embedded, in {folder}" if config.redis.url is None else "at redis.url"
    lines = [
        f"Farebox {installed_version()} serves {url}/v1",
        f"  upstreams  {', '.join(upstream.name for upstream in config.upstreams)}",
        f"  store      {store}",
        f"  dashboard  {url_of(admin or listener)}/",
    ]
    if config.admin_key is None:
        lines.append(f"  admin key  in {folder / ADMIN_KEY_FILE}")
    app, token_file = config.apps[0], folder / APP_TOKEN_FILE
    if app.token and token_file.exists() and _holds(token_file, app.token.get_secret_value()):
        # On a terminal the token itself; elsewhere this goes to a log, and it does not.
        shown = f"$(cat {shlex.quote(str(token_file))})"
        if sys.stdout.isatty():
            shown = app.token.get_secret_value()
        lines.append(f"  app token  in {token_file}; try it:\n")
        lines.append("  " + curl(url, token=shown, model=app.model or "gpt-4o-mini") + "\n")
    return "\n".join(lines)


def _holds(file: Any, secret: str) -> bool:
    return bool(file.read_text("ascii").strip() == secret)
