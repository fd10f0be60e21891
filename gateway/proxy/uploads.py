"""Uploads: bodies that are not JSON, of any size up to a limit, in a spool.

One may take as long as the slowest body: `seconds` for each `request_bytes` of it.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.openai.forms import Form, taken_apart
from gateway.openai.multipart import MEDIA, FormReader, boundary_of
from gateway.proxy.bodies import BodyLimits, Receive, check_declared, decoded, media_of
from gateway.proxy.spool import Spool


@dataclass(frozen=True, slots=True, kw_only=True)
class Uploads:
    """Where uploads are kept while their calls run, and how large they may be."""

    folder: Path
    bytes_max: int
    limits: BodyLimits

    @asynccontextmanager
    async def form(self, receive: Receive, headers: Mapping[bytes, bytes]) -> AsyncIterator[Form]:
        """Read a form; it is there for as long as the context is.

        Raises:
            RequestTooLarge, UnsupportedMedia, InvalidCall, ClientGone: as `read_body`.
            GatewayBusy: the disk is full.
        """
        boundary = boundary_of(headers.get(b"content-type", b""))
        reader = FormReader(boundary)
        async with self._spooled(receive, headers, reader) as spool:
            yield taken_apart(reader.finish(), spool, boundary)

    @asynccontextmanager
    async def body(self, receive: Receive, headers: Mapping[bytes, bytes]) -> AsyncIterator[Spool]:
        """Read anything, as `form` does."""
        async with self._spooled(receive, headers, None) as spool:
            yield spool

    @asynccontextmanager
    async def _spooled(
        self, receive: Receive, headers: Mapping[bytes, bytes], reader: FormReader | None
    ) -> AsyncIterator[Spool]:
        check_declared(headers, self.bytes_max)
        spool = Spool(self.folder)
        try:
            async for piece in decoded(
                receive, headers, self.limits, bytes_max=self.bytes_max, decoded_max=self.bytes_max
            ):
                if reader is not None:
                    reader.feed(piece)
                await spool.write(piece)
            yield spool
        finally:
            spool.close()


def is_form(headers: Mapping[bytes, bytes]) -> bool:
    return media_of(headers) == MEDIA
