"""Where Sentinel says that the master is: asked anew for each connection."""

import asyncio
from collections import deque
from contextlib import suppress
from typing import Any, Final

import redis
from redis.asyncio.connection import AbstractConnection

from gateway.store.address import CONNECT_SECONDS_MAX, Address, Node
from gateway.store.identity import Unfit
from gateway.store.wire import packed

ANSWER_SECONDS_MAX: Final = CONNECT_SECONDS_MAX + 1.0


class Sentinels:
    def __init__(self, address: Address) -> None:
        self._address = address
        self._nodes = deque(address.nodes)
        """The one that answered last comes first."""

    async def locate(self) -> AbstractConnection:
        """A connection, not yet open, to the master.

        Raises:
            Unfit: no Sentinel answers, or none of them knows the master.
        """
        reason = "no Sentinel answers"
        for node in tuple(self._nodes):
            try:
                found = await asked(
                    self._address.sentinel(node),
                    packed("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._address.master),
                )
            except (redis.RedisError, OSError, TimeoutError) as exc:
                reason = f"no Sentinel answers: {type(exc).__name__}"
                continue
            if isinstance(found[0], list):
                host, port = found[0]
                self._nodes.remove(node)
                self._nodes.appendleft(node)
                return self._address.connection(Node(host.decode(), int(port)))
            reason = f"the Sentinel at {node} watches no master called {self._address.master}"
        raise Unfit(reason)


async def asked(connection: AbstractConnection, *commands: bytes) -> list[Any]:
    """Open `connection`, send the commands, and close it: one reply each.

    Raises:
        redis.RedisError, OSError, TimeoutError: no connection, or an error for an answer.
    """
    try:
        async with asyncio.timeout(ANSWER_SECONDS_MAX):
            await connection.connect()  # type: ignore[no-untyped-call]
            await connection.send_packed_command(b"".join(commands), check_health=False)
            return [await connection.read_response(disable_decoding=True) for _ in commands]
    finally:
        with suppress(redis.RedisError, OSError):
            await connection.disconnect(nowait=True)
