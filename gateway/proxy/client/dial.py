"""From a host name to an open, verified connection, or `UpstreamUnreachable`.

Addresses are raced as RFC 8305 (Happy Eyeballs) has it, since a broken IPv6 must not cost
a call its connect timeout; uvloop's `create_connection` cannot.
"""

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import Callable
from itertools import chain, zip_longest
from typing import Any, Final, TypeVar

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
    addresses = await _resolve(host, port)
    if len(addresses) == 1:
        return await _connect(addresses[0])
    return await _race(_interleaved(addresses)[:ADDRESSES_MAX])


async def _resolve(host: str, port: int) -> list[AddressInfo]:
    kind = socket.SOCK_STREAM
    try:  # an address needs no resolver, and so no thread
        return list(socket.getaddrinfo(host, port, type=kind, flags=socket.AI_NUMERICHOST))
    except socket.gaierror:
        loop = asyncio.get_running_loop()
        return list(await loop.getaddrinfo(host, port, type=kind))


def _interleaved(addresses: list[AddressInfo]) -> list[AddressInfo]:
    """One of the resolver's first family, one of another, and so on."""
    first = [a for a in addresses if a[0] == addresses[0][0]]
    others = [a for a in addresses if a[0] != addresses[0][0]]
    return [a for a in chain.from_iterable(zip_longest(first, others)) if a is not None]


async def _race(addresses: list[AddressInfo]) -> socket.socket:
    waiting = deque(addresses)
    running: set[asyncio.Task[socket.socket]] = set()
    problem: BaseException = OSError("no address")
    try:
        while waiting or running:
            if waiting:
                running.add(asyncio.create_task(_connect(waiting.popleft())))
            done, _ = await asyncio.wait(
                running,
                timeout=HEAD_START_SECONDS if waiting else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            for task in done:
                running.discard(task)
                if (failure := task.exception()) is None:
                    running |= done - {task}
                    return task.result()
                problem = failure
        raise problem
    finally:
        for task in running:
            task.cancel()
            task.add_done_callback(_discard)


async def _connect(address: AddressInfo) -> socket.socket:
    family, kind, protocol, _, target = address
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, target)
    except BaseException:
        sock.close()
        raise
    return sock


def _discard(task: asyncio.Task[socket.socket]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().close()
