"""What `redis.url` may say, and what is said of one that cannot be used."""

import pytest

from gateway.store.address import Kind, Node, parse, place_of

SECRET = "hunter2"


def options(connection) -> tuple[object, ...]:
    return (
        getattr(connection, "host", None),
        getattr(connection, "port", None),
        connection.db,
        connection.username,
        connection.password,
    )


@pytest.mark.parametrize(
    ("url", "kind", "expected"),
    [
        ("redis://h", Kind.ONE, ("h", 6379, 0, None, None)),
        ("redis://u:p%40ss@h:1/3", Kind.ONE, ("h", 1, 3, "u", "p@ss")),
        ("rediss://:p@[::1]:7?ssl_check_hostname=no", Kind.ONE, ("::1", 7, 0, None, "p")),
        ("unix:///run/s.sock?db=2", Kind.ONE, (None, None, 2, None, None)),
        ("redis+cluster://u:p@a:1,b", Kind.CLUSTER, ("a", 1, 0, "u", "p")),
        ("rediss+cluster://a/0?ssl_ca_certs=ca.pem", Kind.CLUSTER, ("a", 6379, 0, None, None)),
        ("redis+sentinel://:p@a,b:2/m/4", Kind.SENTINEL, ("a", 26379, 4, None, "p")),
    ],
)
def test_forms(url: str, kind: Kind, expected: tuple[object, ...]) -> None:
    address = parse(url)

    assert kind is address.kind
    assert expected == options(address.connection(address.nodes[0] if address.nodes else None))


def test_each_host_is_reached_with_the_same_credentials() -> None:
    address = parse("rediss+cluster://u:p@a:1,[::2]:3,b.example")

    assert (Node("a", 1), Node("::2", 3), Node("b.example", 6379)) == address.nodes
    made = address.connection(Node("elsewhere", 9))
    assert ("elsewhere", 9, 0, "u", "p") == options(made)
    assert "SSLConnection" == type(made).__name__
    assert "[::2]:3" == str(address.nodes[1])


def test_the_sentinels_have_credentials_of_their_own() -> None:
    """The data servers' password is none of theirs."""
    address = parse(
        "redis+sentinel://u:p@a,b/mym%20aster/2"
        "?sentinel_username=s&sentinel_password=q%26&socket_timeout=3"
    )

    assert "mym aster" == address.master
    assert ("b", 26379, 0, "s", "q&") == options(address.sentinel(address.nodes[1]))
    assert ("x", 5, 2, "u", "p") == options(address.connection(Node("x", 5)))
    plain = parse("redis+sentinel://u:p@a/m")
    assert ("a", 26379, 0, None, None) == options(plain.sentinel(plain.nodes[0]))


def test_the_protocol_is_ours() -> None:
    """Replies are read as the second protocol gives them."""
    assert 2 == int(parse("redis://h?protocol=3").connection().protocol)


@pytest.mark.parametrize(
    ("url", "remedy"),
    [
        ("", "must start with"),
        (SECRET, "must start with"),
        ("http://h", "must start with"),
        ("unix+cluster://h", "must start with"),
        (f"redis://:{SECRET}", "must name a host|cannot be read"),
        (f"redis://:{SECRET}@", "must name a host"),
        (f"redis://:a/{SECRET}@h", "encode reserved characters"),
        (f"redis://:a?{SECRET}@h", "encode reserved characters"),
        (f"redis://:a#{SECRET}@h", "encode reserved characters"),
        (f"redis://:{SECRET}@h:port", "check port"),
        (f"redis://:{SECRET}@h:0", "must name a host"),
        (f"redis://:{SECRET}@h/x", "number of the database"),
        (f"redis://:{SECRET}@h?db=x", "check port, database"),
        (f"redis://:{SECRET}@h?tls=1", "not known 'tls'"),
        ("unix://", "must name a socket"),
        (f"redis+sentinel://:{SECRET}@h", "name the master"),
        (f"redis+sentinel://:{SECRET}@h/m/x", "name the master"),
        (f"redis+sentinel://:{SECRET}@h,,g/m", "host:port, separated by commas"),
        (f"redis+cluster://:{SECRET}@h/3", "only number 0"),
        (f"redis+cluster://:{SECRET}@h:99999", "host:port"),
        (f"redis+cluster://:{SECRET}@h g", "host:port"),
        ("redis+cluster://" + ",".join("abc" * 30), "more than 64 hosts"),
    ],
)
def test_a_faulty_url_is_refused_without_repeating_it(url: str, remedy: str) -> None:
    with pytest.raises(ValueError, match=remedy) as refused:
        parse(url)
    assert SECRET not in str(refused.value)
    assert refused.value.__cause__ is None


def test_no_secret_is_shown() -> None:
    """In logs a store is its hosts."""
    for url in (f"redis://u:{SECRET}@h", f"redis+sentinel://u:{SECRET}@h/m"):
        address = parse(url)
        assert SECRET not in f"{address} {address!r} {place_of(address.connection(Node('h', 1)))}"
    assert "/run/s.sock" == str(parse("unix:///run/s.sock"))
