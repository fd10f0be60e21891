"""What a path says: by whose surface a call comes, what it asks for, and of which deployment.

OpenAI's clients put their routes behind a base URL, Anthropic's behind one of their own.
Azure's have two: one like OpenAI's, and an older one, with the deployment in the path and
a dated version in the query.
"""

import re
from enum import Enum, auto
from typing import Final, NamedTuple
from urllib.parse import unquote

from gateway.openai.endpoints import Endpoint
from gateway.openai.errors import Surface

AZURE_PREFIX: Final = "/openai/"
_AZURE_V1: Final = "/openai/v1/"
ANTHROPIC_PREFIX: Final = "/anthropic/v1/"
PREFIXES: Final = ("/v1/", "/api/", _AZURE_V1, AZURE_PREFIX)
"""Where every route is; what begins with another stands before it."""

FOREIGN: Final = (b"/v1/", _AZURE_V1.encode(), AZURE_PREFIX.encode())
"""Where also routes are passed on that are not ours."""

VERSION: Final = "api-version"

_DEPLOYMENT: Final = re.compile(
    re.escape(AZURE_PREFIX)
    + r"deployments/(?P<name>.+?)/(?P<endpoint>"
    + "|".join(map(re.escape, Endpoint))
    + ")"
)


class Azure(Enum):
    """Which of Azure's surfaces."""

    V1 = auto()
    DATED = auto()


class Deployed(NamedTuple):
    """A route of a deployment."""

    endpoint: Endpoint
    name: str


def below(path: str) -> str:
    """What follows the prefix of a path."""
    for prefix in (*PREFIXES, ANTHROPIC_PREFIX):
        if path.startswith(prefix):
            return path.removeprefix(prefix)
    return ""


def foreign(raw_path: bytes) -> bytes | None:
    """What follows the prefix of a path that may be passed on; None: it may not.

    Deployments have no routes but ours.
    """
    for prefix in FOREIGN:
        if raw_path.startswith(prefix):
            rest = raw_path.removeprefix(prefix)
            known = unquote(rest.partition(b"/")[0].decode("latin-1")) != "deployments"
            return rest if rest and known else None
    return None


def azure(path: str) -> Azure | None:
    """Which of Azure's surfaces a call comes by, if by one of them."""
    if not path.startswith(AZURE_PREFIX):
        return None
    return Azure.V1 if path.startswith(_AZURE_V1) else Azure.DATED


def deployed(path: str) -> Deployed | None:
    """The route and the deployment of a path that has one in it.

    Names may have slashes: clients do not escape them.
    """
    found = _DEPLOYMENT.fullmatch(path)
    return Deployed(Endpoint(found["endpoint"]), found["name"]) if found else None


def is_anthropics(path: str) -> bool:
    """Whether what stands below a prefix is a route of Anthropic's."""
    return path.partition("/")[0] == Endpoint.MESSAGES.value


def surface(path: str) -> Surface:
    """Whose errors its callers expect."""
    if path.startswith(ANTHROPIC_PREFIX) or is_anthropics(below(path)):
        return Surface.ANTHROPIC
    return Surface.OPENAI
