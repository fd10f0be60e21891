"""Where the gateway listens, with how many processes, and how it stops."""

from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from gateway.config.section import Section
from gateway.config.values import Seconds, Whole, listening, refusal


class Server(Section):
    host: str = Field(default="127.0.0.1", min_length=1)
    port: Annotated[Whole, Field(ge=0, le=65_535)] = 8080
    workers: Annotated[Whole, Field(ge=1, le=256)] = 1
    hosts: tuple[Annotated[str, Field(min_length=1, max_length=253)], ...] = ()
    admin_listen: Annotated[str | None, AfterValidator(listening)] = None
    stream_keep_alive_seconds: Seconds | None = None
    drain_delay_seconds: Annotated[Whole, Field(ge=0, le=3_600)] = 5
    drain_seconds: Annotated[Whole, Field(ge=0, le=86_400)] = 30

    @property
    def admin_address(self) -> tuple[str, int] | None:
        """Where management, metrics and dashboard listen, if not where calls do."""
        if self.admin_listen is None:
            return None
        host, _, port = self.admin_listen.rpartition(":")
        return host.strip("[]"), int(port)

    @model_validator(mode="after")
    def _has_two_ports(self) -> Self:
        if self.admin_address and self.admin_address[1] == self.port:
            raise refusal("has the port of server.port: give it another", "admin_listen")
        return self
