"""Secrets we make up ourselves: one file each, only its owner reads it, made once."""

import os
import secrets
import tempfile
from pathlib import Path

from pydantic import SecretStr

from gateway.config.faults import ConfigError, Fault

ADMIN_KEY_FILE = "admin_key"
APP_TOKEN_FILE = "app_token"  # noqa: S105 - the name of a file
_SECRET_BYTES = 32


def kept_secret(path: Path, *, prefix: str) -> SecretStr:
    """Read the secret in `path`, or make one there. Two processes at once get the same.

    Raises:
        ConfigError: the folder cannot be written, or the file is empty.
    """
    try:
        if not path.exists():
            _create(path, prefix + secrets.token_urlsafe(_SECRET_BYTES))
        text = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as exc:
        reason = getattr(exc, "strerror", None) or "not ASCII text"
        fault = Fault(("data_dir",), f"cannot keep a secret in {path}: {reason}")
        raise ConfigError([fault]) from exc
    if not text:
        raise ConfigError([Fault(("data_dir",), f"{path} is empty: delete it for a new one")])
    return SecretStr(text)


def _create(path: Path, text: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # mkstemp makes it 0600; link, unlike rename, never replaces what another has just made.
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        Path(draft).unlink()
