"""`farebox token`: customer tokens, made without asking a running gateway."""

import re
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from gateway.cli.fatal import Fatal
from gateway.config import Config
from gateway.customers import fields
from gateway.customers.tokens import SigningKey, mint

_SPAN: Final = re.compile(r"(\d{1,6})([smhd])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def minted(
    config: Config,
    *,
    customer: str,
    expires: str,
    app: str | None,
    models: Sequence[str],
    max_usd: str | None,
    name: str | None,
    key: str | None,
) -> str:
    """A token that the gateways with this configuration take.

    Args:
        expires: A span like ``15m``, or an instant with its zone.
        key: The id of the key to sign with; None: the first.

    Raises:
        Fatal: something of this cannot be; says what.
    """
    try:
        return mint(
            _key(config, key),
            customer=fields.identifier(customer),
            until_seconds=_until(expires),
            app=_app(config, app),
            models=models,
            call_pico_max=None if max_usd is None else fields.budget(max_usd),
            name=name,
        )
    except ValueError as exc:
        raise Fatal(str(exc)) from exc


def _key(config: Config, named: str | None) -> SigningKey:
    keys = config.tokens.keys
    if not keys:
        raise Fatal("there is no key to sign with: add one under tokens.keys")
    for key in keys:
        if named in {None, key.id}:
            return SigningKey(key.id, key.secret.get_secret_value().encode())
    raise Fatal(f"there is no key {named!r} under tokens.keys")


def _app(config: Config, named: str | None) -> str:
    known = [app.id for app in config.apps]
    if named is None and len(known) == 1:
        return known[0]
    if named not in known:
        raise Fatal("--app must name one of: " + ", ".join(known))
    return named


def _until(expires: str) -> int:
    span = _SPAN.fullmatch(expires)
    if span:
        return int(time.time()) + int(span[1]) * _SECONDS[span[2]]
    try:
        when = datetime.fromisoformat(expires)
    except ValueError:
        when = None
    if when is None or when.tzinfo is None:
        raise Fatal("--expires must be a span like 15m, 8h or 30d, or a time like " + _EXAMPLE)
    return int(when.astimezone(UTC).timestamp())


_EXAMPLE: Final = "2026-12-31T23:59:59Z"
