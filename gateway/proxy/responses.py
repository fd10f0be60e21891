"""Responses that a provider keeps: read, cancelled, deleted, unmetered.

One that was made in the background is billed here, by whoever brings its end first.
"""

from typing import Final

from gateway.customers.apps import App
from gateway.customers.credentials import Credential
from gateway.errors import NotFound
from gateway.openai.answer import Reading, read_answer
from gateway.openai.endpoints import Endpoint
from gateway.openai.sse import StreamReader
from gateway.proxy.background import Background, Pending
from gateway.proxy.client import Answer
from gateway.proxy.decoding import READ_BYTES_MAX, decoder
from gateway.proxy.departure import Departure
from gateway.proxy.passage import Passing, ask, relay
from gateway.proxy.relay import is_event_stream
from gateway.proxy.routing import Upstreams
from gateway.proxy.upstream import Upstream

_NOT_ITS: Final = (400, 404, 405)
"""How an upstream answers that does not know a response, or none at all."""


class KeptResponses:
    def __init__(self, upstreams: Upstreams, background: Background) -> None:
        self._upstreams = upstreams
        self._background = background

    async def pass_on(self, passing: Passing, credential: Credential, response_id: str) -> None:
        """Ask the upstream that has the response, and relay what it says.

        Where nobody noted which one that is, they are asked in their order. Whose it is, is
        known of those alone that were made in the background: who may speak for one customer
        only, or has a temporary key, gets no others.

        Raises:
            NotFound: it is another's, or this app has no upstream that could have it.
            UpstreamError: there is no answer.
            LedgerUnavailable: nobody knows whether its call is still to be billed.
        """
        pending = await self._background.find(response_id)
        if credential.is_bound if pending is None else not pending.is_of(credential):
            raise _no_such()
        app = credential.app
        async with Departure(passing.receive, lambda: None):
            upstream, answer = await self._asked(passing, app, pending)
            reader = _Ending(pending, self._background) if pending is not None else None
            await relay(passing, upstream, answer, reader)

    async def _asked(
        self, passing: Passing, app: App, pending: Pending | None
    ) -> tuple[Upstream, Answer]:
        asked: tuple[Upstream, Answer] | None = None
        for upstream in self._upstreams.open_to(app):
            if pending is not None and upstream.settings.name != pending.upstream:
                continue
            if upstream.needs_model(Endpoint.RESPONSES):
                continue
            if asked is not None:
                asked[1].close()
            asked = upstream, await ask(passing, upstream)
            if asked[1].status not in _NOT_ITS:
                break
        if asked is None:
            raise _no_such()
        return asked


def _no_such() -> NotFound:
    return NotFound("There is no such response.", code="not_found")


class _Ending:
    """Reads along in an answer about a response, and bills it if it has ended."""

    def __init__(self, pending: Pending, background: Background) -> None:
        self._pending = pending
        self._background = background
        self._kept = bytearray()
        self._stream: StreamReader | None = None
        self._status = 0
        self._settled = False
        self._decode = decoder(None)

    def begin(self, answer: Answer) -> None:
        self._status = answer.status
        self._decode = decoder(answer.header("content-encoding"))
        if is_event_stream(answer):
            last_events = Endpoint.RESPONSES.traits.last_events
            self._stream = StreamReader(hold_back_usage=False, last_events=last_events)

    def read(self, chunk: bytes) -> bool:
        if self._stream is not None:
            self._stream.feed(self._decode(chunk))
            return self._stream.done
        if len(self._kept) <= READ_BYTES_MAX:
            self._kept += chunk
        return False

    async def end(self) -> None:
        if self._status == 200 and not self._settled:
            self._settled = True
            await self._background.settle(self._pending, self._reading())

    def _reading(self) -> Reading:
        if self._stream is None:
            return read_answer(self._decode(bytes(self._kept)))
        self._stream.finish()
        return self._stream.reading()
