"""The Lua verbs: one file a verb, read from the package at start.

A line ``--@include limbs`` is replaced by ``lib/limbs.lua``: Redis has no modules, and the
exact arithmetic on money must not be written twice. Lua makes a function whenever it comes
past its definition, which takes longer than most of them run; so what only some calls need
is included where they need it.
"""

import re
from dataclasses import dataclass
from hashlib import sha1
from importlib.resources import files
from typing import Final

VERBS: Final = (
    "adjust",
    "apply",
    "arrive",
    "backlog",
    "credit",
    "delete",
    "event",
    "expire",
    "group",
    "hold",
    "index",
    "key_change",
    "key_use",
    "lease",
    "mark",
    "page",
    "profile",
    "rebuild",
    "refuse",
    "release",
    "renew",
    "restore",
    "scope_apply",
    "scope_expire",
    "scope_hold",
    "settle",
    "snapshot",
    "tally",
    "trim",
    "written",
)

_INCLUDE = re.compile(r"^ *--@include (\w+)\n", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Script:
    name: str
    source: str
    sha: str


def load(name: str) -> Script:
    """Read one verb with its includes. The sha is Redis' own: SHA-1 of the source."""
    folder = files(__name__)
    source = _INCLUDE.sub(
        lambda match: (folder / "lib" / f"{match[1]}.lua").read_text(),
        (folder / f"{name}.lua").read_text(),
    )
    return Script(name, source, sha1(source.encode(), usedforsecurity=False).hexdigest())


def load_all() -> dict[str, Script]:
    return {name: load(name) for name in VERBS}
