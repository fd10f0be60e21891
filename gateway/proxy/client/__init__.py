"""The seam to a provider: one call out, one answer back, as small as it can be.

Nothing above knows which client is below: `lean.HttptoolsClient`, or `adapted.HttpxClient`
around any httpx transport. What goes wrong is raised as one of gateway's errors, whose
texts name no URL, key or body:

* UpstreamUnreachable   nothing was sent: no address, refused, no handshake, too slow to connect
* UpstreamBroken        the connection ended early, or what came was not HTTP
* UpstreamTimeout       a timeout of the client below, if it has any; the lean one has none
* GatewayBusy           every connection that may be open is in use
* InvalidCall           a header or target that would not stay on its line

Time is the caller's: put `asyncio.timeout` around `exchange` and `next_chunk`.
"""

from dataclasses import dataclass
from typing import Protocol

from gateway.openai.content import Content
from gateway.proxy.headers import RawHeaders


@dataclass(slots=True)
class Sent:
    """Whether a byte of the request may have left: what was sent may be billed."""

    maybe: bool = False


class Answer(Protocol):
    """A provider's answer: its head, and a body still to be read. Close it.

    Attributes:
        headers: Names in lower case; order and repetitions as sent. No trailers.
        ready: `next_chunk` would not wait.
    """

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> RawHeaders: ...

    @property
    def ready(self) -> bool: ...

    def header(self, name: str) -> str | None:
        """The value of a header, several joined by commas."""
        ...

    async def next_chunk(self) -> bytes | None:
        """What has come of the body since, joined; None at its true end.

        A cancelled call loses nothing: the next one has what arrived.

        Raises:
            UpstreamBroken: the connection ended before the body did.
        """
        ...

    def close(self) -> None:
        """Give the connection back if the answer came to its end, else end it at once.

        Whoever waits in `next_chunk` gets UpstreamBroken.
        """
        ...


class Client(Protocol):
    async def exchange(
        self, method: str, target: bytes, headers: RawHeaders, body: bytes | Content, sent: Sent
    ) -> Answer:
        """Send a request; returns when the head of its answer (no 1xx) has come.

        Nothing is ever sent twice.

        Args:
            target: Path and query, as they stand in the request line.
            headers: All but the host and the framing, which are the client's.
        """
        ...

    async def aclose(self) -> None: ...
