"""The way to a store of one server, or of one that Sentinel chooses: one link for all."""

from collections.abc import Sequence

from redis.asyncio.connection import AbstractConnection

from gateway.store.address import Address, Kind
from gateway.store.identity import Changes
from gateway.store.link import Link
from gateway.store.replies import Command
from gateway.store.scripts import Script
from gateway.store.sentinel import Sentinels


class Single:
    """A `Way` of one link."""

    def __init__(
        self, address: Address, scripts: Sequence[Script], changes: Changes, *, durable: bool
    ) -> None:
        watched = address.kind is Kind.SENTINEL
        self._address = address
        self._link = Link(
            Sentinels(address).locate if watched else self._locate,
            scripts,
            changes,
            master_only=watched,
            durable=durable,
        )
        self.links = (self._link,)

    async def _locate(self) -> AbstractConnection:
        return self._address.connection()

    @property
    def is_up(self) -> bool:
        return self._link.is_up

    def start(self) -> None:
        self._link.start()

    async def close(self) -> None:
        await self._link.close()

    def submit(self, command: Command, _key: str | None) -> None:
        self._link.submit(command)

    def link_of(self, _key: str) -> Link:
        return self._link
