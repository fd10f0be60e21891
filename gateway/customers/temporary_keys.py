"""Temporary keys: app tokens that end, made and kept in the store.

A key is ``fbk-<id>.<secret>``. The store has the digest of the secret, so who reads it there
can call nobody. How often and how fast it may be used, one script decides (`key_use.lua`);
what it may spend is the account of a scope, held like that of a group
(`gateway.ledger.scope_holds`), so that it is as hard a limit as any.

A store that loses its newest writes forgets the uses in them; what was spent is told again.
"""

import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Final

import orjson

from gateway.clock import Clock
from gateway.customers.apps import App, Apps, token_digest
from gateway.customers.credentials import ANY_MODEL, Credential
from gateway.customers.profile import Limits
from gateway.customers.rates import wait_ms
from gateway.customers.scopes import Scope, key_name
from gateway.errors import (
    CallerError,
    InvalidToken,
    LedgerUnavailable,
    NotFound,
    PermissionRefused,
    RateLimited,
)
from gateway.store.client import Store
from gateway.store.keys import TEMPORARY_KEYS

PREFIX: Final = "fbk-"
KEPT_MS: Final = 35 * 24 * 3_600_000
"""How long a key that has ended is still listed."""

_ID_BYTES: Final = 8
_SECRET_BYTES: Final = 24
_NEVER: Final = ""
_CHANGED: Final = 1


class _Use(IntEnum):
    """What `key_use.lua` answers."""

    PASSED = 1
    UNKNOWN = 2
    REVOKED = 3
    ENDED = 4
    USED_UP = 5
    RATE_LIMITED = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class TemporaryKey:
    """One key, as the store has it; None: no such limit.

    Attributes:
        id: What it is called by; also the first part of the key itself.
        customer: The only one that its calls may name.
        until_ms, made_ms, used_ms: When it ends, was made, was last used; Unix ms.
        uses: How many calls have passed.
        tat_us: How far its rate has been used, as `gateway.customers.rates` has it.
        rate: Calls a minute.
        budget_pico: What its calls may cost together, pico-USD.
        test: Said by its maker; it changes nothing.
    """

    id: str
    digest: str
    app: str
    made_ms: int
    name: str | None = None
    customer: str | None = None
    models: tuple[str, ...] = ANY_MODEL
    until_ms: int | None = None
    uses_max: int | None = None
    rate: int | None = None
    budget_pico: int | None = None
    revoked: bool = False
    test: bool = False
    uses: int = 0
    used_ms: int | None = None
    tat_us: int = 0

    @property
    def scope(self) -> Scope:
        """The account that its calls count on."""
        return Scope(key_name(self.id), Limits(total_budget_pico=self.budget_pico))

    @classmethod
    def of(cls, key: str, stored: Mapping[bytes, bytes]) -> "TemporaryKey":
        def text(name: bytes) -> str | None:
            value = stored.get(name)
            return None if value is None else value.decode()

        def whole(name: bytes) -> int | None:
            value = stored.get(name)
            return None if value is None else int(value)

        return cls(
            id=key,
            digest=text(b"digest") or "",
            app=text(b"app") or "",
            made_ms=whole(b"made_ms") or 0,
            name=text(b"name"),
            customer=text(b"customer"),
            models=tuple(orjson.loads(stored[b"models"])) if b"models" in stored else ANY_MODEL,
            until_ms=whole(b"until"),
            uses_max=whole(b"uses_max"),
            rate=whole(b"rate"),
            budget_pico=whole(b"budget"),
            revoked=stored.get(b"revoked") == b"1",
            test=stored.get(b"test") == b"1",
            uses=whole(b"uses") or 0,
            used_ms=whole(b"last_ms"),
            tat_us=whole(b"tat") or 0,
        )

    def stored(self) -> dict[str, str]:
        """Its fields as the store has them; '' for what is not there."""
        return {
            "name": self.name or "",
            "customer": self.customer or "",
            "models": "" if self.models is ANY_MODEL else orjson.dumps(self.models).decode(),
            "until": _text(self.until_ms),
            "uses_max": _text(self.uses_max),
            "rate": _text(self.rate),
            "budget": _text(self.budget_pico),
            "revoked": "1" if self.revoked else "",
            "test": "1" if self.test else "",
        }


class TemporaryKeys:
    """Makes, finds, changes and forgets keys, and lets calls pass by them."""

    def __init__(self, store: Store, apps: Apps, clock: Clock) -> None:
        self._store = store
        self._apps = apps
        self._clock = clock

    def recognises(self, token: str) -> bool:
        return token.startswith(PREFIX)

    async def authenticate(self, token: str) -> Credential:
        """What a key entitles to. Whether it may be used once more, `use` decides.

        Raises:
            InvalidToken: there is no such key, or it has ended.
            LedgerUnavailable: nobody knows.
        """
        name, _, secret = token.removeprefix(PREFIX).partition(".")
        key = await self._find(name) if secret and name.isalnum() and name.isascii() else None
        credential = self.credential(key) if key else None
        digest = token_digest(token)
        if key is None or credential is None or not secrets.compare_digest(key.digest, digest):
            raise InvalidToken("This temporary key is not known here.")
        if key.revoked:
            raise _revoked()
        if key.until_ms is not None and self._clock.now_ms() >= key.until_ms:
            raise _ended()
        return credential

    async def use(self, key: Scope, digest: str) -> None:
        """Count a call that is about to be held; the two as its credential has them.

        Raises:
            InvalidToken: it has ended meanwhile.
            PermissionRefused: it may not be used again.
            RateLimited: not so soon.
            LedgerUnavailable: nobody knows.
        """
        outcome, n = await self._step(key, digest, 1)
        if outcome == _Use.PASSED:
            return
        if outcome == _Use.USED_UP:
            raise _used_up(n)
        if outcome == _Use.RATE_LIMITED:
            raise _too_fast(n)
        raise _revoked() if outcome == _Use.REVOKED else _ended()

    def credential(self, key: TemporaryKey) -> Credential | None:
        """What a call with it is authenticated by; None: its app is not there any more."""
        app = self._app(key.app)
        if app is None:
            return None
        return Credential(
            app=app,
            customer=key.customer,
            models=key.models,
            key=key.scope,
            key_digest=key.digest,
        )

    def refusal(self, key: TemporaryKey) -> CallerError | None:
        """Why one more call with it would not pass now; as `authenticate` and `use`."""
        now_ms = self._clock.now_ms()
        if key.revoked:
            return _revoked()
        if key.until_ms is not None and now_ms >= key.until_ms:
            return _ended()
        if key.uses_max is not None and key.uses >= key.uses_max:
            return _used_up(key.uses)
        wait = wait_ms(key.tat_us, key.rate, now_ms) if key.rate else 0
        return _too_fast(wait) if wait else None

    async def give_back(self, key: Scope, digest: str) -> None:
        """A call that `use` had counted was refused after all. What cannot be told, is lost."""
        with suppress(LedgerUnavailable):
            await self._step(key, digest, -1)

    async def make(self, wanted: TemporaryKey) -> tuple[TemporaryKey, str]:
        """Make a key like `wanted`, which has no id yet.

        Returns:
            The key, and the token, which nobody can read again.
        """
        name = secrets.token_hex(_ID_BYTES)
        token = f"{PREFIX}{name}.{secrets.token_urlsafe(_SECRET_BYTES)}"
        made_ms = self._clock.now_ms()
        key = replace(wanted, id=name, digest=token_digest(token), made_ms=made_ms)
        fields = {"digest": key.digest, "app": key.app, "made_ms": str(made_ms), **key.stored()}
        pairs = [part for pair in fields.items() if pair[1] for part in pair]
        # The list first: a name in it without a key is merely not shown.
        await self._store.command("ZADD", TEMPORARY_KEYS, made_ms, name)
        await self._store.command("HSET", self._at(name), *pairs)
        if key.until_ms is not None:
            await self._store.command("PEXPIREAT", self._at(name), key.until_ms + KEPT_MS)
        return key, token

    async def find(self, name: str) -> TemporaryKey:
        """Raise NotFound where there is none."""
        key = await self._find(name)
        if key is None:
            raise _unknown(name)
        return key

    async def change(self, changed: TemporaryKey) -> None:
        """Write the key as it is to be; its secret, its app and its uses stay.

        Raises:
            NotFound: it is gone.
        """
        until_ms = changed.until_ms
        pairs = [part for pair in changed.stored().items() for part in pair]
        outcome = await self._store.script(
            "key_change",
            [self._at(changed.id)],
            [_NEVER if until_ms is None else until_ms + KEPT_MS, *pairs],
        )
        if outcome != _CHANGED:
            raise _unknown(changed.id)

    async def delete(self, name: str) -> None:
        """Forget it. What it has spent stays counted, in its app and its customers.

        Raises:
            NotFound: it is gone.
        """
        gone = await self._store.command("DEL", self._at(name))
        await self._store.command("ZREM", TEMPORARY_KEYS, name)
        if not gone:
            raise _unknown(name)

    async def page(self, first: int, count: int) -> tuple[int, list[TemporaryKey]]:
        """How many there are, and some of them, the newest first."""
        total, names = await self._store.commands(
            [
                ("ZCARD", TEMPORARY_KEYS),
                ("ZRANGE", TEMPORARY_KEYS, first, first + count - 1, "REV"),
            ]
        )
        keys = await self._all([name.decode() for name in names])
        gone = [name for name, key in keys.items() if key is None]
        if gone:  # forgotten by the store, at their time
            await self._store.command("ZREM", TEMPORARY_KEYS, *gone)
        return total - len(gone), [key for key in keys.values() if key is not None]

    async def _all(self, names: Sequence[str]) -> dict[str, TemporaryKey | None]:
        replies = await self._store.commands([("HGETALL", self._at(name)) for name in names])
        return {n: _read(n, reply) for n, reply in zip(names, replies, strict=True)}

    async def _find(self, name: str) -> TemporaryKey | None:
        return _read(name, await self._store.command("HGETALL", self._at(name)))

    async def _step(self, key: Scope, digest: str, step: int) -> tuple[int, int]:
        at = self._at(key.identifier)
        outcome, n = await self._store.script("key_use", [at], [digest, step])
        return outcome, n

    def _app(self, named: str) -> App | None:
        return next((app for app in self._apps.all if app.id == named), None)

    def _at(self, name: str) -> str:
        return self._store.keyspace.partition_of(key_name(name)).temporary_key(name)


def _read(name: str, reply: Sequence[bytes]) -> TemporaryKey | None:
    return TemporaryKey.of(name, dict(zip(reply[::2], reply[1::2], strict=True))) if reply else None


def _text(number: int | None) -> str:
    return "" if number is None else str(number)


def _unknown(name: str) -> NotFound:
    return NotFound(f"There is no temporary key {name[:64]!r}.", code="key_not_found")


def _revoked() -> InvalidToken:
    return InvalidToken("This temporary key was revoked.", code="key_revoked")


def _used_up(times: int) -> PermissionRefused:
    return PermissionRefused(
        f"This temporary key has been used {times} times, which is all it may.",
        code="key_used_up",
    )


def _too_fast(wait: int) -> RateLimited:
    seconds = min(60, max(1, -(-wait // 1000)))
    return RateLimited(
        f"This temporary key is used too fast. Try again in {seconds} s.",
        details={"limit": "key_rate_limit", "retry_after_seconds": seconds},
    )


def _ended() -> InvalidToken:
    return InvalidToken("This temporary key has ended.", code="key_expired")
