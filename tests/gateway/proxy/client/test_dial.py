"""The way to a provider: names, addresses, certificates, and what is unreachable."""

import asyncio
import socket
import ssl

import pytest
import trustme

from gateway.errors import UpstreamBroken, UpstreamUnreachable
from gateway.proxy.client import Sent, dial
from gateway.proxy.client.lean import HttptoolsClient
from tests.support.calling import client_of, fetch, post, turns
from tests.support.hostile import answering, hostile, whole

pytestmark = pytest.mark.anyio

HI = answering(whole(b"hi"))


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


async def unreachable(url, **options):
    """Assert that nothing of a call to `url` leaves; returns the error's text."""
    client = HttptoolsClient(url, **options)
    sent = Sent()
    try:
        with pytest.raises(UpstreamUnreachable) as caught:
            await post(client, sent=sent)
        assert not sent.maybe
        assert (0, 0) == (client.active, client.idle)
    finally:
        await client.aclose()
    return str(caught.value)


async def test_a_refused_connection():
    port = free_port()
    text = await unreachable(f"http://127.0.0.1:{port}")
    assert str(port) not in text


@pytest.mark.parametrize("host", ["nowhere.invalid", "a..b", "x" * 70 + ".invalid"])
async def test_a_name_that_is_none(host):
    assert host not in await unreachable(f"http://{host}")


async def test_too_slow_to_connect(monkeypatch):
    async def never(sock, address):
        await asyncio.sleep(60)

    loop = asyncio.get_running_loop()
    slow = type("SlowLoop", (), {"sock_connect": staticmethod(never)})
    monkeypatch.setattr(asyncio, "get_running_loop", lambda: _Instead(loop, slow))
    await unreachable("http://127.0.0.1:1", connect_seconds=0.05)


class _Instead:
    """An object with some attributes of another in place of its own."""

    def __init__(self, original, other):
        self._original, self._other = original, other

    def __getattr__(self, name):
        return getattr(self._other if hasattr(self._other, name) else self._original, name)


async def test_a_handshake_that_never_ends():
    async def silent(peer):
        await peer.gone()

    async with hostile(silent) as server:
        await unreachable(server.url.replace("http:", "https:"), connect_seconds=0.1)
        await server.until_ended(1)


async def test_a_handshake_given_up():
    """A cancelled call leaves no socket behind, in whatever phase it is."""

    async def silent(peer):
        await peer.gone()

    async with hostile(silent) as server:
        client = HttptoolsClient(server.url.replace("http:", "https:"))
        for number in range(1, 6):
            call = asyncio.create_task(post(client))
            await server.until_connected(number)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            await server.until_ended(number)
            assert 0 == client.active
        await client.aclose()


async def test_plain_text_where_tls_was_expected():
    async def plain(peer):
        await peer.say(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await peer.gone()

    async with hostile(plain) as server:
        await unreachable(server.url.replace("http:", "https:"))


async def test_tls_where_plain_text_was_expected(authority):
    async with hostile(HI, ssl_context=authority.server("localhost")) as server:
        client = HttptoolsClient(server.url.replace("https:", "http:"))
        with pytest.raises(Exception, match="provider"):
            await fetch(client)
        await client.aclose()


async def test_ipv6():
    if not has_ipv6():
        pytest.xfail("this machine has no ::1")
    async with hostile(HI, host="::1") as server, client_of(server) as client:
        assert (200, b"hi") == await fetch(client)


async def test_a_name_is_resolved():
    async with hostile(HI) as server:
        server.url = f"http://localhost:{server.port}"
        async with client_of(server) as client:
            assert (200, b"hi") == await fetch(client)


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


# Several addresses.


def address(port, host="127.0.0.1", family=socket.AF_INET):
    target = (host, port) if family == socket.AF_INET else (host, port, 0, 0)
    return (family, socket.SOCK_STREAM, 6, "", target)


@pytest.fixture
def resolved(monkeypatch):
    """Addresses for any name."""
    found: list[dial.AddressInfo] = []

    async def resolve(host, port):
        return list(found)

    monkeypatch.setattr(dial, "_resolve", resolve)
    return found


async def test_the_next_address_after_a_refusal(resolved):
    async with hostile(HI) as server, client_of(server) as client:
        resolved += [address(free_port()), address(free_port()), address(server.port)]
        assert (200, b"hi") == await fetch(client)


async def test_the_next_address_beside_a_silent_one(resolved, monkeypatch):
    """After a quarter second, not after the system's connect timeout; the loser is given up."""
    loop = asyncio.get_running_loop()
    given_up = []

    async def connect(sock, target):
        if target[1] == 9:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                given_up.append(sock)
                raise
        await loop.sock_connect(sock, target)

    black_hole = type("BlackHole", (), {"sock_connect": staticmethod(connect)})
    async with hostile(HI) as server, client_of(server) as client:
        resolved += [address(9), address(server.port)]
        began = loop.time()
        with monkeypatch.context() as patched:
            patched.setattr(asyncio, "get_running_loop", lambda: _Instead(loop, black_hole))
            answered = await fetch(client)

        assert (200, b"hi") == answered
        assert 0.2 < loop.time() - began < 2
        await turns()
        assert [-1] == [sock.fileno() for sock in given_up]


async def test_no_address_answers(resolved):
    resolved += [address(free_port()) for _ in range(3)]
    await unreachable("http://provider.example")


# TLS.


class Authority:
    """A certificate authority that no system trusts."""

    def __init__(self):
        self._authority = trustme.CA()

    def trusting(self):
        context = dial.new_ssl_context()
        self._authority.configure_trust(context)
        return context

    def server(self, name):
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._authority.issue_cert(name).configure_cert(context)
        context.set_alpn_protocols(["h2", "http/1.1"])
        return context


@pytest.fixture(scope="session")
def authority():
    return Authority()


async def test_a_good_certificate(authority):
    """Verified by name, spoken to by name, and in HTTP/1.1."""
    heard = []

    async def script(peer):
        heard.append(peer.writer.get_extra_info("ssl_object").selected_alpn_protocol())
        await HI(peer)

    certificate = authority.server("localhost")
    certificate.sni_callback = lambda _, name, __: heard.append(name)
    async with hostile(script, ssl_context=certificate) as server:
        server.url = f"https://localhost:{server.port}"
        async with client_of(server, ssl_context=authority.trusting()) as client:
            for _ in range(3):
                assert (200, b"hi") == await fetch(client)

    assert (1, ["localhost", "http/1.1"]) == (server.connections, heard)


async def test_an_address_in_the_certificate(authority):
    certificate = authority.server("127.0.0.1")
    async with (
        hostile(HI, ssl_context=certificate) as server,
        client_of(server, ssl_context=authority.trusting()) as client,
    ):
        assert (200, b"hi") == await fetch(client)


async def test_a_certificate_for_another_host(authority):
    async with hostile(HI, ssl_context=authority.server("other.example")) as server:
        url = f"https://localhost:{server.port}"
        assert "other" not in await unreachable(url, ssl_context=authority.trusting())


async def test_a_certificate_that_nobody_vouches_for(authority):
    """The default trusts the system's authorities only."""
    async with hostile(HI, ssl_context=authority.server("localhost")) as server:
        await unreachable(f"https://localhost:{server.port}")


async def test_a_body_over_tls_that_breaks_off(authority):
    """Without a length only a proper goodbye is its end: a cut line is not."""

    async def script(peer):
        await peer.request()
        await peer.say(b"HTTP/1.1 200 OK\r\n\r\nhello")
        await go.wait()
        peer.reset()

    go = asyncio.Event()
    async with (
        hostile(script, ssl_context=authority.server("127.0.0.1")) as server,
        client_of(server, ssl_context=authority.trusting()) as client,
    ):
        answer = await post(client)
        assert b"hello" == await answer.next_chunk()
        go.set()
        with pytest.raises(UpstreamBroken):
            await answer.next_chunk()
        answer.close()


async def test_a_big_exchange_over_tls(authority):
    """Pieces, pauses and all."""

    async def script(peer):
        while True:
            _, body = await peer.request()
            await peer.say(whole(body))

    certificate = authority.server("127.0.0.1")
    async with (
        hostile(script, ssl_context=certificate) as server,
        client_of(server, ssl_context=authority.trusting()) as client,
    ):
        body = b"0123456789" * 500_000
        for _ in range(2):
            assert (200, body) == await fetch(client, body)
        assert 1 == server.connections
