"""`farebox check`: does the config work here? One finding a subject, in the order of a start."""

import asyncio
import json
import os
import socket
import ssl
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import click
import redis
from sqlalchemy.exc import SQLAlchemyError

from gateway.catalog import matches
from gateway.clock import SystemClock
from gateway.config import Config, ConfigError, Upstream, aliases, load, price_book
from gateway.rating import Rating
from gateway.store.archive import Archive
from gateway.store.embedded import StoreError, binary, is_running
from gateway.store.guarantees import EMBEDDED_STANDARD, EMBEDDED_STRICT, audited
from gateway.store.identity import Unfit
from pricing.names import canonical_provider

OK, WARNING, FAULTY = "ok", "warning", "fault"
CONNECT_SECONDS_MAX = 5.0
UPSTREAMS_AT_ONCE_MAX = 16

_COLORS: Final = {OK: "green", WARNING: "yellow", FAULTY: "red"}


@dataclass(frozen=True, slots=True)
class Finding:
    """What is said of one subject; `detail` never holds a secret."""

    status: str
    subject: str
    detail: str


def check_file(file: Path, env: Mapping[str, str]) -> list[Finding]:
    """Try everything `file` names. Nothing is started and nothing is written."""
    try:
        config = load(file, env=env)
    except ConfigError as exc:
        return [Finding(FAULTY, "config", str(fault)) for fault in exc.faults]
    summary = f"{file}: upstreams {len(config.upstreams)}, apps {len(config.apps)}"
    with ThreadPoolExecutor(max_workers=UPSTREAMS_AT_ONCE_MAX) as pool:
        return [
            Finding(OK, "config", summary),
            *_store(config),
            *_archive(config),
            *pool.map(_upstream, config.upstreams),
            *_names(config),
            *_prices(config),
        ]


def lines(findings: Sequence[Finding]) -> Iterator[str]:
    for found in findings:
        status = click.style(f"{found.status:<8}", fg=_COLORS[found.status])
        yield f"{status} {found.subject}: {found.detail}"


def report(findings: Sequence[Finding]) -> str:
    """The findings as JSON: ``{"ok": bool, "findings": [{"status", "subject", "detail"}]}``."""
    good = all(found.status != FAULTY for found in findings)
    return json.dumps({"ok": good, "findings": [asdict(found) for found in findings]}, indent=2)


def _store(config: Config) -> Iterator[Finding]:
    url = config.redis.url
    if url is not None:
        yield from _external(url.get_secret_value(), strict=config.strict)
        return
    found = _embedded(config.data_dir)
    yield found
    if found.status == OK:
        yield Finding(OK, "store", EMBEDDED_STRICT if config.strict else EMBEDDED_STANDARD)


def _embedded(data_dir: Path) -> Finding:
    try:
        program = binary()
    except StoreError as exc:
        return Finding(FAULTY, "store", str(exc))
    if is_running(data_dir):
        return Finding(OK, "store", f"embedded, running in {data_dir}")
    parent = next(folder for folder in (data_dir, *data_dir.parents) if folder.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        return Finding(FAULTY, "store", f"data_dir {data_dir} cannot be written: check its owner")
    return Finding(OK, "store", f"embedded, {program.name} would keep its data in {data_dir}")


def _external(url: str, *, strict: bool) -> Iterator[Finding]:
    try:
        found = asyncio.run(audited(url, strict=strict))
    except (redis.RedisError, OSError, TimeoutError) as exc:
        # The message of some errors names the URL, which may hold a password.
        reason = "refused the password" if isinstance(exc, redis.AuthenticationError) else "is away"
        said = f": {exc}" if isinstance(exc, Unfit) else ""
        yield Finding(FAULTY, "store", f"redis.url {reason} ({type(exc).__name__}){said}")
        return
    for promise in found.promises:
        yield Finding(promise.verdict, "store", promise.text)


def _archive(config: Config) -> Iterator[Finding]:
    """Of one at a URL; a file is made beside the embedded store."""
    if config.archive.address is None:
        return
    try:
        version = asyncio.run(_archive_version(config))
    except (SQLAlchemyError, ValueError, RuntimeError) as exc:
        # Not str of SQLAlchemy's: the driver's own message names host and user, no password.
        reason = str(getattr(exc, "orig", exc)).strip().splitlines()[0]
        yield Finding(FAULTY, "archive", f"archive.url: {reason}")
        return
    told = f"schema {version}" if version else "would create its tables there"
    yield Finding(OK, "archive", f"PostgreSQL reachable, {told}")


async def _archive_version(config: Config) -> int:
    archive = Archive.at(config.data_dir, config.archive.address)
    try:
        return await archive.version()
    finally:
        await archive.close()


def _upstream(upstream: Upstream) -> Finding:
    subject = f"upstream {upstream.name}"
    parts = urlsplit(upstream.base_url)
    secure = parts.scheme == "https"
    host, port = parts.hostname or "", parts.port or (443 if secure else 80)
    seconds = min(upstream.timeouts.connect, CONNECT_SECONDS_MAX)
    try:
        with socket.create_connection((host, port), timeout=seconds) as plain:
            if secure:
                with ssl.create_default_context().wrap_socket(plain, server_hostname=host):
                    pass
    except ssl.SSLCertVerificationError as exc:
        return Finding(FAULTY, subject, f"{host}:{port}: its certificate: {exc.verify_message}")
    except OSError as exc:
        return Finding(FAULTY, subject, f"cannot connect to {host}:{port}: {exc.strerror or exc}")
    if upstream.passthrough:
        key = "the caller's key is passed through"
    else:
        key = "key present" if upstream.own_key else "no key"
    return Finding(OK, subject, f"{host}:{port} {'TLS ' if secure else ''}reachable, {key}")


def _names(config: Config) -> Iterator[Finding]:
    """What each of the operator's own names is."""
    book = price_book(config)
    aliased = aliases(config)
    for name, target in config.models.items():
        if name in aliased:
            said = f"an alias: calls are sent as {target}"
            if not _is_served(target, config.upstreams):
                said += ", which no upstream serves: add it to the `models` of one"
                yield Finding(WARNING, f"model {name}", said)
                continue
            cards = [found.card for found in matches(book, name)]
        else:
            at = [upstream for upstream in config.upstreams if name in upstream.models]
            said = f"a deployment of {', '.join(upstream.name for upstream in at)}, sent as it is"
            found = (book.find(upstream.provider, name).card for upstream in at)
            cards = [card for card in found if card is not None]
        priced = sorted({f"{card.provider}/{card.model}" for card in cards})
        yield Finding(
            OK if priced else WARNING,
            f"model {name}",
            f"{said}, priced as {' or '.join(priced)}" if priced else f"{said}; no price",
        )


def _is_served(target: str, upstreams: Sequence[Upstream]) -> bool:
    """Whether any upstream has the target of an alias, or, named before it, is to have it."""
    before, slash, rest = target.partition("/")
    for upstream in upstreams:
        named = slash and (
            upstream.name == before
            or canonical_provider(upstream.provider) == canonical_provider(before)
        )
        names = (target, rest) if named else (target,)
        if any(fnmatchcase(name, glob) for name in names for glob in upstream.models):
            return True
    return False


def _prices(config: Config) -> Iterator[Finding]:
    """The models named without wildcards that have no price."""
    book = price_book(config)
    rating = Rating(book)
    names = {
        (upstream.provider, model, upstream.scope)
        for upstream in config.upstreams
        for model in upstream.models
        if not set(model) & set("*?[")
    }
    unpriced = dict.fromkeys(
        f"{provider}/{model} has no price{where}: add one to prices"
        for provider, model, scope in sorted(names, key=lambda name: (*name[:2], name[2] or ""))
        if (where := _without_price(rating, provider, model, scope)) is not None
    )
    for said in unpriced:
        yield Finding(WARNING, "prices", said)
    if not unpriced:
        yield Finding(OK, "prices", f"book {book.version[:12]}, every named model has one")


def _without_price(rating: Rating, provider: str, model: str, scope: str | None) -> str | None:
    """Where a model has no price: "" for nowhere; None: it has one where it is served."""
    rated = rating.known(provider, model, SystemClock().now_ms())
    if rated.card is None:
        return ""
    if rated.price is None or rated.price_in(scope) is not None:
        return None
    return f" where it is served ({scope or rated.scope})"
