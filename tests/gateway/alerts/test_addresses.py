"""Webhooks go out, never in: no name and no spelling reaches the gateway's own network."""

import socket

import pytest

from gateway.alerts.addresses import AddressRefused, address_of

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "2130706433",
        "0x7f.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[fe80::1]",
        "[fc00::1]",
        "224.0.0.1",
    ],
)
async def test_a_private_address_is_refused_however_it_is_spelled(host):
    with pytest.raises(AddressRefused):
        await address_of(f"https://{host}/x", private=False)


async def test_a_name_that_also_points_inside_is_refused(monkeypatch):
    """Among several addresses one is enough: which would be connected to, nobody says."""

    def resolved(*_args, **_more):
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.215.14", 443)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.1", 443)),
        ]

    monkeypatch.setattr(socket, "getaddrinfo", resolved)
    with pytest.raises(AddressRefused, match="private network"):
        await address_of("https://hooks.example.com", private=False)
    assert "93.184.215.14" == await address_of("https://hooks.example.com", private=True)


async def test_what_is_allowed_is_resolved():
    assert "127.0.0.1" == await address_of("http://127.0.0.1:9", private=True)
    assert "8.8.8.8" == await address_of("https://8.8.8.8/x", private=False)


async def test_a_name_that_is_nobodys_is_said_to_be_so():
    with pytest.raises(AddressRefused, match="cannot be resolved"):
        await address_of("https://nobody.invalid/", private=True)
