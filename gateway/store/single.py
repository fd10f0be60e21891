"""The way to a store of one server: every command takes the one link."""

from collections.abc import Sequence

from redis.asyncio.connection import AbstractConnection

from gateway.store.address import Address
from gateway.store.identity import Changes
from gateway.store.link import Link
from gateway.store.replies import Command
from gateway.store.scripts import Script


class Single:
    """A `Way` of one link."""

    def __init__(
        self, address: Address, scripts: Sequence[Script], changes: Changes, *, durable: bool
    ) -> None:
        self._address = address
        self._link = Link(self._locate, scripts, changes, durable=durable)
        self.links = (self._link,)

    async def _locate(self) -> AbstractConnection:
        return self._address.connection()

    def start(self) -> None:
        self._link.start()

    async def close(self) -> None:
        await self._link.close()

    def submit(self, command: Command, _key: str | None) -> None:
        self._link.submit(command)
