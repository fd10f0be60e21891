"""A config with the two things it may leave to us: where the store is, and the admin key."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gateway.config.environment import from_environment
from gateway.config.kept import ADMIN_KEY_FILE, kept_secret
from gateway.config.load import load
from gateway.config.model import Config
from gateway.store.embedded import store_url

CONFIG_VARIABLE = "FAREBOX_CONFIG"


@dataclass(frozen=True, slots=True)
class Resolved:
    """What `build_app` needs. It crosses to worker processes by pickle, never by a file."""

    config: Config
    store_url: str = field(repr=False)
    admin_key: str = field(repr=False)


def configured(path: Path | None, env: Mapping[str, str]) -> Config:
    """The config at `path`, else at FAREBOX_CONFIG, else from the providers' keys."""
    named = path or (Path(env[CONFIG_VARIABLE]) if env.get(CONFIG_VARIABLE) else None)
    return load(named, env=env) if named else from_environment(env)


def resolve(config: Config) -> Resolved:
    """Settle the store's URL and the admin key; makes the key up where there is none yet."""
    url = config.redis.url
    key = config.admin_key or kept_secret(config.data_dir / ADMIN_KEY_FILE, prefix="farebox-admin-")
    return Resolved(
        config=config,
        store_url=url.get_secret_value() if url else store_url(config.data_dir),
        admin_key=key.get_secret_value(),
    )


def resolved_from_environment() -> Resolved:
    """The same for another ASGI server's workers, where no `farebox serve` has done it.

    The embedded store is used where it stands, not started.
    """
    return resolve(configured(None, os.environ))
