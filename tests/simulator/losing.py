"""Losing: the store dies, and comes back without its newest writes.

What it has acknowledged is then in the logs and the memories of the gateways alone, and no
new hold may be granted from room that is taken: not before they have put it back, or have
had two seconds for it.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from gateway.event import Kind
from gateway.ledger.continuity import WAIT_SECONDS_MAX
from gateway.store.keys import GATEWAYS
from tests.simulator.books import Books
from tests.simulator.decisions import HELD
from tests.simulator.fate import Fate
from tests.simulator.gateway import Gateway
from tests.simulator.process import Process
from tests.simulator.promises import expect
from tests.simulator.virtual_server import Executed, VirtualServer
from tests.simulator.virtual_time import VirtualLoop

KEPT_AFTER_COMMANDS_MAX = 60
LOST_COMMANDS_MAX = 100

Known = tuple[str, int]
"""Whose call it is: the customer, and its number."""


class Losing:
    """One loss at a time.

    Attributes:
        count: How often the store has come back as another.
        lost: How many events went with it.
        is_over: Nothing is about to be lost.
    """

    def __init__(
        self,
        server: VirtualServer,
        books: Books,
        fate: Fate,
        loop: VirtualLoop,
        *,
        note: Callable[[str], None],
    ) -> None:
        self._server = server
        self._books = books
        self._fate = fate
        self._loop = loop
        self._note = note
        self._owed: dict[Gateway, dict[str, Known]] = {}
        self._is_orderly = True
        self._open_at = float("-inf")
        self.count = self.lost = 0
        self.is_over = True
        self._gateways: Sequence[Gateway] = ()
        self._is_kept = False

    def begin(self, gateways: Sequence[Gateway], born: Sequence[Process]) -> None:
        """Keep what there is soon, and lose what came after it, a while later.

        Args:
            gateways: Those that are alive, whenever that may be.
            born: All processes.
        """
        if not self.is_over:
            return
        self.is_over = False
        self._gateways = gateways
        random = self._fate.random
        kept_after = random.randint(0, KEPT_AFTER_COMMANDS_MAX)
        self._server.after(kept_after, self._keep)
        if random.random() < 0.5:
            seconds = random.choice((0.1, 2.0, 2.0, 90.0)) * random.random()
            self._loop.call_later(seconds, self._die, born)
        else:  # amid something: by the clock it would mostly be in between
            lost = random.randint(1, LOST_COMMANDS_MAX)
            self._server.after(kept_after + lost, partial(self._loop.call_soon, self._die, born))

    def follow(self, executed: Executed) -> None:
        """No hold is granted while a gateway that will report has not put all back."""
        if self._loop.now >= self._open_at:
            return
        managing = {gateway.name for gateway in self._gateways if gateway.managing}
        if executed.verb == "event" or (executed.verb == "profile" and executed.by in managing):
            self._is_orderly = False  # it may make a lost customer anew
        if not has_granted(executed):
            return
        registered = set(self._server.ask("HKEYS", GATEWAYS))
        for gateway, owed in self._owed.items():
            waited_for = gateway.token.encode() in registered or gateway.name == executed.by
            if gateway in self._gateways and waited_for:
                left = sorted(self._still_owed(gateway, owed))
                expect(not left, f"a hold was granted before {gateway.name} told of {left}")

    def _keep(self) -> None:
        if self._is_kept or self.is_over:
            return
        self._is_kept = True
        self._server.keep()
        self._books.keep_all()
        self._note("the store's disk has what was written up to here")

    def _die(self, born: Sequence[Process]) -> None:
        self._keep()
        self._is_kept = False
        before = len(self._books.log)
        earlier = self._owed if self._fate.has_logs else {}
        self._owed = {g: earlier.get(g, {}) | self._known_to(g) for g in self._gateways}
        self._server.die()
        self._books.lose()
        for process in born:
            process.network.lose_server()
        for gateway, told in self._owed.items():
            self._owed[gateway] = {name: told[name] for name in told if self._is_missing(name)}
        self.lost += before - len(self._books.log)
        self._note("the store has died, and what was not on its disk is lost")
        seconds = self._fate.random.choice((0.0, 0.5, 5.0)) * self._fate.random.random()
        self._open_at = float("inf")
        self._loop.call_later(seconds, self._come_back, born)

    def _come_back(self, born: Sequence[Process]) -> None:
        self.count += 1
        self._server.is_down = False
        self._open_at = self._loop.now + WAIT_SECONDS_MAX
        self._is_orderly = True
        self.is_over = True
        self._note("the store is back")
        for process in born:
            if process.alive:
                self._loop.call_later(self._fate.random.random(), process.beat)
        self._loop.call_later(WAIT_SECONDS_MAX, self._look_at_customers, self.count)
        if self._fate.random.random() < 0.2:  # once more, before all have told it
            self.begin(self._gateways, born)

    def _look_at_customers(self, count: int) -> None:
        """Those that were lost are back under the numbers they had, if all went well."""
        living = [gateway for gateway in self._gateways if gateway in self._owed]
        has_gone_well = self._is_orderly and not any(g.has_passed_unheld for g in self._gateways)
        told = {gateway.told for gateway in self._gateways}
        if count != self.count or self._server.is_down or not has_gone_well:
            return
        if told <= {self._server.identity_told}:
            owed = [(g, self._still_owed(g, self._owed[g], told=True)) for g in living]
            for customer, number in {self._owed[g][name] for g, names in owed for name in names}:
                partition = self._books.keyspace.partition_of(customer)
                stored = self._server.ask("GET", partition.number(customer))
                expect(stored == b"%d" % number, f"{customer} is {stored!r}, and was {number}")

    def _known_to(self, gateway: Gateway) -> dict[str, Known]:
        """The calls of which this gateway can tell: what it holds and, in its log, what ended."""
        known = {
            hold.request_id: (hold.profile.identifier, hold.profile.number)
            for hold in gateway.live()
            if hold.is_held
        }
        if self._fate.has_logs:
            for call in gateway.oracle.calls.values():
                for event in self._books.by_call.get(call.request_id, ()):
                    if call.gateway == gateway.name and event.kind is Kind.SETTLE:
                        known[call.request_id] = call.customer, event.customer_number
        return known

    def _still_owed(
        self, gateway: Gateway, owed: Iterable[str], *, told: bool = False
    ) -> list[str]:
        """Without a log, what has ended meanwhile is only told after the gate has opened."""
        live = {hold.request_id for hold in gateway.live()}
        return [
            name
            for name in owed
            if (told or self._is_missing(name)) and (self._fate.has_logs or name in live)
        ]

    def _is_missing(self, request_id: str) -> bool:
        return not self._books.has_ended(request_id) and request_id not in self._books.granted


def has_granted(executed: Executed) -> bool:
    """A hold, of a customer or a scope; not one that is put back, which asks no limits."""
    reply: Any = executed.reply
    match executed.verb:
        case "hold":
            return bool(reply[0] == HELD)
        case "scope_hold":
            return bool(reply[0] == HELD and (executed.args[9] or executed.args[10]))
    return False
