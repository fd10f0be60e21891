"""What a call says, taken down as it passes, up to a cap of bytes."""

from collections.abc import Awaitable, Callable
from typing import Any

Send = Callable[[Any], Awaitable[None]]


class Recording:
    """What one call says. `request` is set when it is forwarded."""

    def __init__(self, bytes_max: int) -> None:
        self._max = bytes_max
        self._answer = bytearray()
        self._request = b""
        self.cut = False

    @property
    def request(self) -> bytes:
        return self._request

    @request.setter
    def request(self, content: bytes) -> None:
        self.cut = len(content) > self._max
        self._request = content[: self._max]

    @property
    def answer(self) -> bytes:
        return bytes(self._answer)

    def through(self, send: Send) -> Send:
        """`send`, which listens."""

        async def listened(message: Any) -> None:
            content = message.get("body")
            if content:
                room = self._max - len(self._answer)
                self._answer += content[:room]
                self.cut = self.cut or len(content) > room
            await send(message)

        return listened
