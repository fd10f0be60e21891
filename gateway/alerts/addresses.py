"""Where a webhook may go: an address that the gateway's own network does not answer at.

Whoever may write the configuration may send to wherever he likes; but a name can be made to
point anywhere, so it is resolved here, and the address that was looked at is the one that is
connected to.
"""

import asyncio
import ipaddress
import socket
from typing import Final
from urllib.parse import urlsplit

RESOLVE_SECONDS_MAX: Final = 5.0


class AddressRefused(Exception):
    """It does not resolve, or into the private network. Says which."""


async def address_of(url: str, *, private: bool) -> str:
    """An address of the URL's host.

    Args:
        private: Loopback, private and link-local addresses are well, too.

    Raises:
        AddressRefused: there is none to go to.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(RESOLVE_SECONDS_MAX):
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, TimeoutError) as exc:
        raise AddressRefused(f"{host} cannot be resolved") from exc
    addresses = [str(entry[4][0]) for entry in found]
    if not private:
        for address in addresses:
            if not _is_public(address):
                raise AddressRefused(f"{host} is in a private network (see allow_private)")
    if not addresses:
        raise AddressRefused(f"{host} cannot be resolved")
    return addresses[0]


def _is_public(address: str) -> bool:
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return parsed.is_global and not parsed.is_multicast
