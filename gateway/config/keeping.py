"""Where things are kept, and how long: the store, the archive, events, their days."""

from typing import Annotated

from pydantic import Field

from gateway.config.section import Section
from gateway.config.values import ArchiveUrl, Flag, RedisUrl, Whole, Zone


class Redis(Section):
    url: RedisUrl = None


class Archive(Section):
    url: ArchiveUrl = None

    @property
    def address(self) -> str | None:
        return self.url.get_secret_value() if self.url else None


class Events(Section):
    hot_hours: Annotated[Whole, Field(ge=1, le=8_760)] = 24
    retention_days: Annotated[Whole, Field(ge=1, le=36_500)] | None = 400
    store_payloads: Flag = False
    payload_bytes: Annotated[Whole, Field(ge=1, le=16_777_216)] = 65_536
    payload_days: Annotated[Whole, Field(ge=1, le=36_500)] = 30


class Reports(Section):
    timezone: Zone = "UTC"
