"""A real PostgreSQL for tests: a cluster of its own in a temporary folder."""

import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ABSENT = "PostgreSQL is not installed (Debian: apt-get install postgresql, pip: psycopg)"
_DEBIAN = Path("/usr/lib/postgresql")
_CONNECT_TRIES = 500


def programs() -> Path | None:
    """The folder with `initdb` and `postgres`; None where there is none."""
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).resolve().parent
    versions = sorted(_DEBIAN.glob("*/bin/initdb"))
    return versions[-1].parent if versions else None


def installed() -> bool:
    try:
        import psycopg  # noqa: F401
    except ImportError:
        return False
    return programs() is not None


@contextmanager
def cluster() -> Iterator[str]:
    """Run an empty server on a Unix socket; yields its URL. Nothing of it survives."""
    folder = programs()
    assert folder is not None
    with TemporaryDirectory(prefix="fb-pg-") as home:
        user = _unprivileged()
        if user is not None:
            os.chown(home, user.pw_uid, user.pw_gid)
        run_as: dict[str, Any] = {} if user is None else {"user": user.pw_uid, "group": user.pw_gid}
        quiet: dict[str, Any] = {
            "stdout": subprocess.DEVNULL,
            "stderr": subprocess.DEVNULL,
            "cwd": home,
        }
        data = Path(home) / "data"
        subprocess.run(
            [folder / "initdb", "-D", data, "-U", "farebox", "--no-sync", "-E", "UTF8"],
            check=True,
            **run_as,
            **quiet,
        )
        options = ["fsync=off", f"unix_socket_directories={home}", "listen_addresses="]
        server = subprocess.Popen(
            [folder / "postgres", "-D", data, *(part for o in options for part in ("-c", o))],
            **run_as,
            **quiet,
        )
        try:
            url = f"postgresql://farebox@/postgres?host={home}"
            _wait_for(url)
            yield url
        finally:
            server.terminate()
            server.wait()


def empty(url: str) -> None:
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")


def _unprivileged() -> pwd.struct_passwd | None:
    """Who runs it where we are root, which it refuses; None: we may do it ourselves."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise RuntimeError("no user to run PostgreSQL as")


def _wait_for(url: str) -> None:
    import psycopg

    for _ in range(_CONNECT_TRIES):
        try:
            psycopg.connect(url).close()
        except psycopg.OperationalError:
            time.sleep(0.02)
        else:
            return
    raise TimeoutError("PostgreSQL did not start")
