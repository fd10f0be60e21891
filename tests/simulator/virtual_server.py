"""A real server whose clock is ours: the scripts run as they are, but for where time comes from.

Each ``redis.call`` of a script goes through a few lines that answer TIME from a key, give
stream ids by it and note a key's end of life instead of setting it. Whatever else a script
does, the server does.

It can also die with its newest writes: what it has at one moment is kept, key by key, and at
a later one it is that again, with another identity.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import redis
from redis.exceptions import NoScriptError, ResponseError

from gateway.store import scripts
from tests.simulator.virtual_time import VirtualClock

NOW_KEY = "sim:now"
LIVES_KEY = "sim:lives"
LAST_PREFIX = b"sim:last:"
HOUR_MS = 3_600_000

PREAMBLE = """
local function sim_call(command, ...)
    local args = {...}
    local now_us = redis.call('GET', 'sim:now')
    local seconds, micros = string.sub(now_us, 1, -7), string.sub(now_us, -6)
    if command == 'TIME' then
        return {seconds, tostring(tonumber(micros))}
    end
    if command == 'XADD' and args[2] == '*' then
        local last_key = 'sim:last:' .. args[1]
        local now_ms = string.sub(now_us, 1, -4)
        local last_ms = redis.call('GET', last_key)
        if last_ms and tonumber(last_ms) > tonumber(now_ms) then
            now_ms = last_ms
        end
        redis.call('SET', last_key, now_ms)
        args[2] = now_ms .. '-*'
    end
    if command == 'EXPIRE' then
        local due_ms = tonumber(string.sub(now_us, 1, -4)) + 1000 * tonumber(args[2])
        redis.call('ZADD', 'sim:lives', string.format('%.0f', due_ms), args[1])
        return 1
    end
    return redis.call(command, unpack(args))
end
"""

Part = str | int | bytes
Edit = Callable[[str, str], str]
"""Given a script's name and source: the source to run instead."""


def nothing(_verb: str, _keys: list[str], _args: list[bytes]) -> list[Sequence[Part]]:
    return []


def as_it_is(_: str, source: str) -> str:
    return source


@dataclass(frozen=True, slots=True)
class Executed:
    """A command that the server has executed, wherever its reply went.

    Attributes:
        by: The process that sent it.
        verb: The script's name, or the command's.
    """

    by: str
    verb: str
    keys: Sequence[str]
    args: Sequence[bytes]
    reply: object


@cache
def virtual(source: str) -> str:
    """The same script, under virtual time."""
    shebang, newline, rest = source.partition("\n")
    return shebang + newline + PREAMBLE + re.sub(r"\bredis\.call\(", "sim_call(", rest)


class VirtualServer:
    """Executes one command after the other, and tells `watch` of each.

    Attributes:
        look_at: What to read right after a script, given its verb, keys and arguments.
        seen: What was found there.
        is_down: Nobody can connect.
    """

    def __init__(self, url: str, clock: VirtualClock, edit: Edit = as_it_is) -> None:
        pool = redis.ConnectionPool.from_url(url, protocol=2)
        self._wire = pool.make_connection()
        self._wire.connect()
        self._edit = edit
        self._scripts = scripts.load_all()
        self._names = {script.sha: name for name, script in self._scripts.items()}
        self._loaded: dict[str, bytes] = {}
        self._swept_hour = 0
        self.clock = clock
        self.identity = 1
        self.is_down = False
        self._kept: list[tuple[bytes, bytes]] = []
        self._awaited: list[tuple[int, Callable[[], object]]] = []
        self.executed = 0
        self.errors: list[str] = []
        self.look_at: Callable[[str, list[str], list[bytes]], list[Sequence[Part]]] = nothing
        self.seen: list[Any] = []
        self.watch: Callable[[Executed], None] = lambda _: None
        self.ask("FLUSHALL")

    def close(self) -> None:
        self._wire.disconnect()

    def ask(self, *parts: Part):
        """Run one command on the quiet; an error raises."""
        reply = self._pipeline([parts])[0]
        if isinstance(reply, ResponseError):
            raise reply
        return reply

    def asks(self, *commands: Sequence[Part]):
        return self._pipeline(commands)

    def _pipeline(self, commands: Sequence[Sequence[Part]]):
        self._wire.send_packed_command(self._wire.pack_commands(commands))
        return [self._reply() for _ in commands]

    def _reply(self):
        try:
            return self._wire.read_response(disable_decoding=True)
        except ResponseError as exc:
            return exc

    def forget_scripts(self) -> None:
        self._loaded.clear()

    def after(self, commands: int, callback: Callable[[], object]) -> None:
        """Call back once so many more commands have been executed."""
        self._awaited.append((self.executed + commands, callback))

    def keep(self) -> None:
        """Remember what there is: all that a disk will have of it."""
        keys = [key for key in sorted(self.ask("KEYS", "*")) if not key.startswith(LAST_PREFIX)]
        dumps = self.asks(*(("DUMP", key) for key in keys))
        self._kept = list(zip(keys, dumps, strict=True))

    def die(self) -> None:
        """What is not kept is lost. But no stream id is given twice: clocks agree to so much."""
        self.is_down = True
        self.identity += 1
        self.forget_scripts()
        keys = self.ask("KEYS", "*")
        given = [("INCR", key) for key in keys if key.startswith(LAST_PREFIX)]
        lost = [key for key in keys if not key.startswith(LAST_PREFIX)]
        restored = [("RESTORE", key, 0, dump) for key, dump in self._kept]
        self.asks(("DEL", "", *lost), *given)
        for reply in self.asks(*restored):
            assert reply == b"OK", reply

    def execute(self, by: str, parts: list[bytes]) -> object:
        """The reply as a client would read it; a command's error is its reply."""
        for awaited in [a for a in self._awaited if a[0] <= self.executed]:
            self._awaited.remove(awaited)
            awaited[1]()
        self.executed += 1
        self._end_lives()
        try:
            verb, keys, args, reply = self._run(parts)
        except NoScriptError as exc:
            return exc
        except ResponseError as exc:
            self.errors.append(f"{by} {parts[0].decode()}: {exc}")
            return exc
        self.watch(Executed(by, verb, keys, args, reply))
        return reply

    def _run(self, parts: list[bytes]) -> tuple[str, list[str], list[bytes], object]:
        name = parts[0].decode().upper()
        match name:
            case "EVALSHA":
                return self._run_script(parts)
            case "SCRIPT":
                return name, [], [], self._load(parts[2].decode())
            case "TIME":
                seconds, millis = divmod(self.clock.now_ms(), 1000)
                return name, [], [], [b"%d" % seconds, b"%d" % (1000 * millis)]
            case "INFO":
                return name, [], [], self._info()
        return name, [], parts[1:], self.ask(*parts)

    def _run_script(self, parts: list[bytes]) -> tuple[str, list[str], list[bytes], object]:
        sha, count = parts[1].decode(), int(parts[2])
        if sha not in self._loaded:
            raise NoScriptError("NOSCRIPT No matching script.")
        now_us = self.clock.now_ms() * 1000
        verb = self._names[sha]
        keys = [key.decode() for key in parts[3 : 3 + count]]
        args = parts[3 + count :]
        _, reply, *self.seen = self._pipeline(
            [
                ("SET", NOW_KEY, now_us),
                ("EVALSHA", self._loaded[sha], *parts[2:]),
                *self.look_at(verb, keys, args),
            ]
        )
        if isinstance(reply, ResponseError):
            raise reply
        return verb, keys, args, reply

    def _load(self, source: str) -> bytes:
        script = next(s for s in self._scripts.values() if s.source == source)
        edited = virtual(self._edit(script.name, source))
        self._loaded[script.sha] = self.ask("SCRIPT", "LOAD", edited)
        return script.sha.encode()

    @property
    def identity_told(self) -> str:
        """As a `Store` names it."""
        return f"{self.identity}/{self.identity}"

    def _info(self) -> bytes:
        """As much as a link reads of it."""
        return b"run_id:%d\r\nmaster_replid:%d\r\nloading:0\r\n" % ((self.identity,) * 2)

    def _end_lives(self) -> None:
        hour = self.clock.now_ms() // HOUR_MS
        if hour != self._swept_hour:
            self._swept_hour = hour
            for key in self.ask("ZRANGEBYSCORE", LIVES_KEY, "-inf", self.clock.now_ms()):
                self.asks(("DEL", key), ("ZREM", LIVES_KEY, key))
