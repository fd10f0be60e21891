"""From a host name to an open, verified connection, or `UpstreamUnreachable`.

Addresses are raced as RFC 8305 (Happy Eyeballs) has it, since a broken IPv6 must not cost
a call its connect timeout. A library does it, since uvloop's `create_connection` cannot.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Any, Final, TypeVar

from aiohappyeyeballs import start_connection

from gateway.errors import UpstreamUnreachable

ADDRESSES_MAX: Final = 8
HEAD_START_SECONDS: Final = 0.25
"""How long an address is tried alone before the next one is tried beside it."""

AddressInfo = tuple[int, int, int, str, Any]
P = TypeVar("P", bound=asyncio.Protocol)


def new_ssl_context() -> ssl.SSLContext:
    """Verify the certificate and the name; speak HTTP/1.1."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


async def dial(
    factory: Callable[[], P],
    host: str,
    port: int,
    *,
    ssl_context: ssl.SSLContext | None,
    seconds: float | None,
) -> P:
    """Connect, and shake hands over TLS where a context is given; the protocol made.

    Raises:
        UpstreamUnreachable: no such host, no connection, not the right certificate, or all
            that took longer than `seconds`.
    """
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(seconds):
            sock = await _open_socket(host, port)
            _, protocol = await loop.create_connection(  # on any failure it closes the socket
                factory,
                sock=sock,
                ssl=ssl_context,
                server_hostname=host if ssl_context else None,
            )
    except TimeoutError as exc:
        raise UpstreamUnreachable("The provider could not be reached in time.") from exc
    except (OSError, ValueError) as exc:  # ValueError: a name that cannot be one
        raise UpstreamUnreachable("The provider could not be reached.") from exc
    return protocol


async def _open_socket(host: str, port: int) -> socket.socket:
    addresses = (await _resolve(host, port))[:ADDRESSES_MAX]
    return await start_connection(addresses, happy_eyeballs_delay=HEAD_START_SECONDS, interleave=1)


async def _resolve(host: str, port: int) -> list[AddressInfo]:
    kind = socket.SOCK_STREAM
    try:  # an address needs no resolver, and so no thread
        return list(socket.getaddrinfo(host, port, type=kind, flags=socket.AI_NUMERICHOST))
    except socket.gaierror:
        loop = asyncio.get_running_loop()
        return list(await loop.getaddrinfo(host, port, type=kind))
