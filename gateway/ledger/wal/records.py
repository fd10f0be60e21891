"""Records: what the log says of a call, in the order in which a call makes them.

    i  intent     before the hold is asked for; a later one replaces it
    s  so far     before the call is sent upstream, then as its answer grows
    f  final      how it ended, before the store is told
    c  confirmed  the store has it, or nothing was ever held
    e  counted    usage that an application reported, once the store has taken it
    p  profile    a customer as a call has changed it
    d  identity   the store that what follows was sent to

Each is a JSON array that begins with its letter. What a reader does not know it skips, so
that two versions can run side by side.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson
from msgspec import Struct

from gateway.event import Kind, Source, Status

DIED: Final = "gateway_died"
"""The error code of a call whose gateway was killed while it ran."""

HISTORY: Final = (b'["f"', b'["e"', b'["p"')
"""How the payloads begin that a store which has lost its newest writes may lack."""

Change = Mapping[str, Any] | None


class Intent(Struct, frozen=True, kw_only=True):
    """A call that is about to be held.

    Attributes:
        number: The customer's; 0 while it is not known, for a call that passes unheld.
        change: What an unheld call says of its customer, to be written with its end.
        opening: Details of the event, as far as they are known; JSON.
    """

    request_id: str
    customer: str
    number: int
    window_ids: str
    opening: bytes
    change: Change = None

    def payload(self) -> bytes:
        return orjson.dumps(
            (
                "i",
                self.request_id,
                self.customer,
                self.number,
                self.window_ids,
                orjson.Fragment(self.opening),
                self.change,
            )
        )


class SoFar(Struct, frozen=True, kw_only=True):
    """What a call would cost if it ended now; never more than its hold."""

    request_id: str
    charge_pico: int
    cost_pico: int
    hold_pico: int
    markup_ppm: int
    input_tokens: int
    output_tokens: int
    price_id: str | None = None
    unpriced: bool = False

    def payload(self) -> bytes:
        return orjson.dumps(
            (
                "s",
                self.request_id,
                str(self.charge_pico),
                str(self.cost_pico),
                str(self.hold_pico),
                self.markup_ppm,
                self.input_tokens,
                self.output_tokens,
                self.price_id,
                self.unpriced,
            )
        )


class Ending(Struct, frozen=True, kw_only=True):
    """How a call ended: what the store is told, whoever tells it.

    Attributes:
        verb: ``settle`` or ``release``.
        kind: Of the event that a release posts.
        number: The customer's; 0: to be found, or made, by its identifier.
        details: Of the event; JSON.
        change: As in `Intent`.
    """

    request_id: str
    customer: str
    verb: str
    number: int
    window_ids: str
    charge_pico: int
    cost_pico: int
    details: bytes
    kind: Kind = Kind.RELEASE
    change: Change = None

    def payload(self) -> bytes:
        return orjson.dumps(
            (
                "f",
                self.request_id,
                self.customer,
                self.verb,
                self.kind,
                self.number,
                self.window_ids,
                str(self.charge_pico),
                str(self.cost_pico),
                orjson.Fragment(self.details),
                self.change,
            )
        )


class Counted(Struct, frozen=True, kw_only=True):
    """Reported usage: its sender has been told that it counts.

    Attributes:
        request_id: Under which it was counted, perhaps by an earlier sending.
        key: The idempotency key, scoped to its app; None: without one.
        details: Of the event; JSON.
    """

    request_id: str
    customer: str
    number: int
    key: str | None
    fingerprint: str
    charge_pico: int
    cost_pico: int
    details: bytes

    def payload(self) -> bytes:
        return orjson.dumps(
            (
                "e",
                self.request_id,
                self.customer,
                self.number,
                self.key,
                self.fingerprint,
                str(self.charge_pico),
                str(self.cost_pico),
                orjson.Fragment(self.details),
            )
        )


class Confirmed(Struct, frozen=True):
    request_id: str

    def payload(self) -> bytes:
        return orjson.dumps(("c", self.request_id))


@dataclass(frozen=True, slots=True)
class KnownProfile:
    """A customer's stored fields, as they were when a call had changed them."""

    customer: str
    number: int
    stored: Mapping[str, str]

    def payload(self) -> bytes:
        return orjson.dumps(("p", self.customer, self.number, dict(self.stored)))


@dataclass(frozen=True, slots=True)
class StoreIdentity:
    identity: str

    def payload(self) -> bytes:
        return orjson.dumps(("d", self.identity))


Record = Intent | SoFar | Ending | Confirmed | Counted | KnownProfile | StoreIdentity


def read(payload: bytes) -> Record | None:
    """The record of a frame; None for one of another version."""
    try:
        letter, *told = orjson.loads(payload)
        reader = _READERS.get(letter)
        return reader(told) if reader else None
    except (ValueError, TypeError, IndexError):
        return None


def _intent(told: list[Any]) -> Intent:
    return Intent(
        request_id=told[0],
        customer=told[1],
        number=told[2],
        window_ids=told[3],
        opening=orjson.dumps(told[4]),
        change=told[5],
    )


def _so_far(told: list[Any]) -> SoFar:
    return SoFar(
        request_id=told[0],
        charge_pico=int(told[1]),
        cost_pico=int(told[2]),
        hold_pico=int(told[3]),
        markup_ppm=told[4],
        input_tokens=told[5],
        output_tokens=told[6],
        price_id=told[7],
        unpriced=told[8],
    )


def _ending(told: list[Any]) -> Ending:
    return Ending(
        request_id=told[0],
        customer=told[1],
        verb=told[2],
        kind=Kind(told[3]),
        number=told[4],
        window_ids=told[5],
        charge_pico=int(told[6]),
        cost_pico=int(told[7]),
        details=orjson.dumps(told[8]),
        change=told[9],
    )


def _counted(told: list[Any]) -> Counted:
    return Counted(
        request_id=told[0],
        customer=told[1],
        number=told[2],
        key=told[3],
        fingerprint=told[4],
        charge_pico=int(told[5]),
        cost_pico=int(told[6]),
        details=orjson.dumps(told[7]),
    )


_READERS: Final[Mapping[str, Any]] = {
    "i": _intent,
    "s": _so_far,
    "f": _ending,
    "e": _counted,
    "c": lambda told: Confirmed(told[0]),
    "p": lambda told: KnownProfile(told[0], told[1], told[2]),
    "d": lambda told: StoreIdentity(told[0]),
}


def ending_of_the_dead(intent: Intent, so_far: SoFar | None) -> Ending:
    """How a call ends whose gateway was killed.

    Nothing was sent: it is released. Otherwise the provider may bill it, so it is settled
    for what was seen of it.
    """
    told = orjson.loads(intent.opening) | {
        "status": Status.ERROR,
        "status_code": 500,
        "error_code": DIED,
    }
    if intent.number == 0:
        told["unheld"] = True
    if so_far is not None:
        told |= {
            "source": Source.ESTIMATED,
            "usage": {
                "input_tokens": so_far.input_tokens,
                "output_tokens": so_far.output_tokens,
            },
        }
        found = {
            "hold_pico": so_far.hold_pico,
            "markup_ppm": so_far.markup_ppm,
            "price_id": so_far.price_id,
            "unpriced": so_far.unpriced,
        }
        told |= {name: value for name, value in found.items() if value}
    return Ending(
        request_id=intent.request_id,
        customer=intent.customer,
        verb="release" if so_far is None else "settle",
        number=intent.number,
        window_ids=intent.window_ids,
        charge_pico=so_far.charge_pico if so_far else 0,
        cost_pico=so_far.cost_pico if so_far else 0,
        details=orjson.dumps(told),
        change=intent.change,
    )
