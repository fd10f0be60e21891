"""A network without mercy: between one process and the server.

Within a connection the order is kept, as TCP keeps it; all else may happen. A packet takes
its time, or very long, until after its sender has given up and sent it again on a new
connection. A connection breaks before, amid or after the commands of a packet: those
executed are executed, though nobody hears of it; those behind them are lost, or arrive later.
Only when the server dies, what was under way to it never arrives.
"""

import asyncio
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

import hiredis
from redis.exceptions import ConnectionError as Broken

from tests.simulator.virtual_server import VirtualServer

TICK = 1e-6
"""Two commands of one connection never land at once."""

GIVE_UP_SECONDS = 600.0
"""Nothing is under way for longer than that."""


@dataclass(frozen=True)
class Faults:
    """How often what goes wrong, as a share of all packets.

    Attributes:
        breaks: The connection breaks on the way there, amid the packet or on the way back.
        stalls: The packet, or the reply, takes longer than anybody waits.
        delay_seconds_max: How long any packet may take.
    """

    breaks: float = 0.0
    stalls: float = 0.0
    delay_seconds_max: float = 0.1


class Network:
    """What one process has of the network: its connections, and its outages."""

    def __init__(
        self, name: str, server: VirtualServer, *, faults: Faults, random: Random | None = None
    ) -> None:
        self.name = name
        self.server = server
        self.random = random or Random(0)
        self.faults = faults
        self.is_down = False
        self.is_dead = False
        self.under_way = 0
        self._streams: list[Stream] = []

    async def locate(self) -> "Connection":
        return Connection(self)

    def open(self) -> "Stream":
        stream = Stream(self)
        self._streams = [s for s in self._streams if not s.is_over] + [stream]
        return stream

    def take_down(self) -> None:
        self.is_down = True
        for stream in self._streams:
            stream.break_off()

    def lose_server(self) -> None:
        """What was under way to it is lost with it."""
        for stream in self._streams:
            stream.lose_server()

    def die(self) -> None:
        """The process is gone; what it had sent may still arrive."""
        self.is_dead = True
        self.take_down()

    def delay(self) -> float:
        """Mostly a blink, at times a wait."""
        share = self.random.choice((0.0, 0.01, 0.02, 0.1, 1.0)) * self.random.random()
        return share * self.faults.delay_seconds_max

    def stall(self) -> float:
        return self.random.choice((1.0, 10.0, 100.0, GIVE_UP_SECONDS)) * self.random.random()

    def happens(self, share: float) -> bool:
        return self.random.random() < share


class Stream:
    """One TCP connection, both ways."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._lands = self._returns = 0.0
        self._is_cut = self._is_lost = False
        self._under_way = 0
        self._replies: deque[object] = deque()
        self._heard = asyncio.Event()
        self.is_broken = False

    def send(self, commands: list[list[bytes]]) -> None:
        network = self._network
        loop = asyncio.get_running_loop()
        faults = network.faults
        start = loop.time() + network.delay()
        if network.happens(faults.stalls):
            start += network.stall()
        self._lands = max(self._lands, start)
        breaks_at = None
        if network.happens(faults.breaks):
            breaks_at = network.random.randint(0, len(commands))
        for i, command in enumerate(commands):
            if i == breaks_at:
                if network.happens(0.5):
                    self._is_cut = True  # this and what comes after never arrives
                else:
                    self._lands += network.stall()
                loop.call_later(network.delay(), self.break_off)
            if self._is_cut:
                return
            self._lands += TICK + network.delay() / 10
            network.under_way += 1
            self._under_way += 1
            loop.call_at(self._lands, self._land, command)
        if breaks_at == len(commands):
            loop.call_at(self._lands, self.break_off)

    def _land(self, command: list[bytes]) -> None:
        network = self._network
        network.under_way -= 1
        self._under_way -= 1
        if self._is_lost:
            return
        reply = network.server.execute(network.name, command)
        loop = asyncio.get_running_loop()
        back = loop.time() + network.delay()
        if network.happens(network.faults.stalls / 4):
            back += network.stall()
        self._returns = max(self._returns + TICK, back)
        loop.call_at(self._returns, self._return, reply)

    def _return(self, reply: object) -> None:
        self._replies.append(reply)
        self._heard.set()

    @property
    def is_over(self) -> bool:
        """Nobody hears of it, and nothing of it will arrive."""
        return self.is_broken and not self._under_way

    def lose_server(self) -> None:
        self._is_cut = self._is_lost = True
        self.break_off()

    def break_off(self) -> None:
        """Nobody hears what comes back; what is under way still arrives."""
        self.is_broken = True
        self._heard.set()

    async def read(self) -> object:
        while not self._replies or self.is_broken:
            if self.is_broken:
                raise Broken("the connection broke")
            self._heard.clear()
            await self._heard.wait()
        return self._replies.popleft()


class Connection:
    """What a link of the store uses of redis-py's connections."""

    path = "simulated"

    def __init__(self, network: Network) -> None:
        self._network = network
        self._stream: Stream | None = None

    @property
    def is_connected(self) -> bool:
        return self._stream is not None

    async def connect(self) -> None:
        await asyncio.sleep(self._network.delay())
        if self._network.is_down or self._network.server.is_down:
            raise Broken("nobody answers")
        self._stream = self._network.open()

    async def disconnect(self, nowait: bool = False) -> None:
        if self._stream is not None:
            self._stream.break_off()
            self._stream = None

    async def send_packed_command(self, packed: bytes, check_health: bool = True) -> None:
        if self._network.is_dead:
            await asyncio.get_running_loop().create_future()
        if self._stream is None or self._stream.is_broken:
            raise Broken("the connection is closed")
        self._stream.send(list(commands_in(packed)))

    async def read_response(
        self, disable_decoding: bool = False, disconnect_on_error: bool = True, **_: object
    ) -> object:
        assert self._stream is not None
        reply = await self._stream.read()
        if isinstance(reply, Exception):
            raise reply
        return reply


def commands_in(packed: bytes) -> Iterator[list[bytes]]:
    reader = hiredis.Reader()
    reader.feed(packed)
    while True:
        parts = reader.gets()
        if parts is False:
            return
        yield parts
