"""Where the store is: what `redis.url` says, and connections made from it.

    redis://[user:password@]host[:6379][/db]            one server; rediss:// with TLS
    unix:///path/to/socket                              one server on this machine
    redis+sentinel://host[:26379],host2/<master>[/db]   the master that Sentinel names
    redis+cluster://host[:6379],host2                   the cluster that these belong to

Credentials and query options are those of the data servers; what redis-py knows of them
(keys, certificates, timeouts) holds for every form. The Sentinels' own credentials are the
options `sentinel_username` and `sentinel_password`.

No message from here repeats a part of the URL that may be a secret.
"""

import re
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

CONNECT_SECONDS_MAX: Final = 2.0
NODES_MAX: Final = 64
SENTINEL_PORT: Final = 26_379
SERVER_PORT: Final = 6_379

_FORMS: Final = "redis://, rediss://, unix://, redis+sentinel:// or redis+cluster://"
_ENCODE: Final = "; encode reserved characters of a password, like %40 for @"
_SENTINEL_OPTIONS: Final = {"sentinel_username": "username", "sentinel_password": "password"}


class Kind(Enum):
    ONE = "standalone"
    SENTINEL = "Sentinel"
    CLUSTER = "Cluster"


@dataclass(frozen=True, slots=True)
class Node:
    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, repr=False)
class Address:
    """A store's place.

    Attributes:
        nodes: The Sentinels, or servers of the cluster to ask first; empty for one server.
        master: The name under which the Sentinels watch the master.
        server_url: How to reach one data server; its host is replaced by `connection`.
    """

    kind: Kind
    server_url: str
    nodes: tuple[Node, ...] = ()
    master: str = ""
    sentinel_url: str = ""

    def connection(self, node: Node | None = None) -> AbstractConnection:
        """A connection, not yet open, to a data server; without `node`: to the only one."""
        return _connection(self.server_url, node)

    def sentinel(self, node: Node) -> AbstractConnection:
        return _connection(self.sentinel_url, node)

    def __str__(self) -> str:
        """The kind and the hosts, for logs: no secret."""
        if self.kind is not Kind.ONE:
            return f"{self.kind.value} at {','.join(map(str, self.nodes))}"
        return place_of(self.connection())


def parse(url: str) -> Address:
    """Read `redis.url`.

    Raises:
        ValueError: it cannot be used; says what to change, without repeating the URL.
    """
    scheme, separator, _ = url.partition("://")
    kind, _, dialect = scheme.partition("+")
    if not separator or scheme not in _READERS:
        raise ValueError(f"must start with {_FORMS}")
    try:
        address = _READERS[scheme](url, kind if dialect else scheme)
        address.connection(address.nodes[0] if address.nodes else None)
    except _Faulty as exc:
        raise ValueError(str(exc)) from None
    except TypeError as exc:
        option = re.search(r"argument '(\w+)'", str(exc))
        named = f" {option[1]!r}" if option else ""
        raise ValueError(f"has an option that is not known{named}: remove it") from None
    except ValueError:
        raise ValueError(f"cannot be read: check port, database and options{_ENCODE}") from None
    return address


class _Faulty(ValueError):
    """With a message of ours, that holds nothing of the URL's secrets."""


def _one(url: str, _scheme: str) -> Address:
    parts = _split(url)
    if parts.scheme == "unix":
        if not parts.path:
            raise _Faulty("must name a socket, like unix:///run/redis/redis.sock")
    elif not parts.hostname or (parts.port is not None and parts.port < 1):
        raise _Faulty(f"must name a host, like {parts.scheme}://localhost:6379")
    elif not re.fullmatch(r"/?\d*", parts.path):
        raise _Faulty("must end with the number of the database, like /0, or with the host")
    return Address(Kind.ONE, url)


def _sentinel(url: str, scheme: str) -> Address:
    parts = _split(url)
    credentials, nodes = _nodes(parts.netloc, SENTINEL_PORT)
    path = re.fullmatch(r"/([^/]+)(?:/(\d*))?", parts.path)
    if path is None:
        raise _Faulty(
            "must name the master that Sentinel watches, like redis+sentinel://host:26379/mymaster"
        )
    options = parse_qsl(parts.query)
    own = [pair for pair in options if pair[0] not in _SENTINEL_OPTIONS]
    tls = [pair for pair in own if pair[0].startswith(("ssl_", "socket_"))]
    theirs = {_SENTINEL_OPTIONS[k]: v for k, v in options if k in _SENTINEL_OPTIONS}
    login = (
        f"{quote(theirs.get('username', ''), '')}:{quote(theirs['password'], '')}@"
        if ("password" in theirs)
        else ""
    )
    return Address(
        Kind.SENTINEL,
        f"{scheme}://{credentials}{nodes[0]}/{path[2] or 0}?{urlencode(own)}",
        nodes,
        unquote(path[1]),
        f"{scheme}://{login}{nodes[0]}/0?{urlencode(tls)}",
    )


def _cluster(url: str, scheme: str) -> Address:
    parts = _split(url)
    credentials, nodes = _nodes(parts.netloc, SERVER_PORT)
    if parts.path.strip("/") not in {"", "0"}:
        raise _Faulty("must not name a database: a cluster has only number 0")
    return Address(Kind.CLUSTER, f"{scheme}://{credentials}{nodes[0]}/0?{parts.query}", nodes)


_READERS: Final = {
    "redis": _one,
    "rediss": _one,
    "unix": _one,
    "redis+sentinel": _sentinel,
    "rediss+sentinel": _sentinel,
    "redis+cluster": _cluster,
    "rediss+cluster": _cluster,
}


def _split(url: str) -> Any:
    parts = urlsplit(url)
    if parts.fragment or "@" in parts.path or "@" in parts.query:
        raise _Faulty(f"cannot be read{_ENCODE}")
    return parts


def _nodes(netloc: str, port: int) -> tuple[str, tuple[Node, ...]]:
    """``user:password@`` or nothing, and the hosts."""
    credentials, at, hosts = netloc.rpartition("@")
    names = hosts.split(",")
    if len(names) > NODES_MAX:
        raise _Faulty(f"names more than {NODES_MAX} hosts: a few are enough")
    return credentials + at, tuple(_node(name, port) for name in names)


def _node(text: str, port: int) -> Node:
    found = re.fullmatch(r"(\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?", text)
    if found is None or not 0 < int(found[2] or port) < 65_536:
        raise _Faulty(f"must name its hosts as host:port, separated by commas{_ENCODE}")
    return Node(found[1].strip("[]"), int(found[2] or port))


def _connection(url: str, node: Node | None) -> AbstractConnection:
    # Of the pool we take what it knows of URLs, keys and certificates.
    pool = ConnectionPool.from_url(url)
    options = {
        "socket_connect_timeout": CONNECT_SECONDS_MAX,
        "socket_timeout": None,  # whoever reads bounds it all at once, not each reply
        **pool.connection_kwargs,
        "protocol": 2,
        "retry": Retry(NoBackoff(), 0),  # callers are waiting: who retries is for them to say
    }
    if node is not None:
        options |= {"host": node.host, "port": node.port}
    made: AbstractConnection = pool.connection_class(**options)
    return made


def place_of(connection: AbstractConnection) -> str:
    """Where a connection leads, for logs."""
    path = getattr(connection, "path", "")
    if path:
        return str(path)
    return str(Node(str(getattr(connection, "host", "?")), int(getattr(connection, "port", 0))))
