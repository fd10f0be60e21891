"""One customer's account as its events say it is, to be compared with the one in the store."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gateway.customers.windows import KINDS
from gateway.ledger.results import NO_WINDOWS
from gateway.metering.window_sums import NO_WINDOWS as NO_WINDOWS_YET
from gateway.metering.window_sums import InWindows, Window, WindowSums
from tests.simulator.promises import expect


@dataclass
class Account:
    """Sums over events.

    Attributes:
        held: For the calls that run.
        over: Of what was settled, the part beyond what had been reserved for it.
        charge_in, cost_in: By kind and id of the window.
        named: The same, as the events themselves name the windows.
    """

    held: int = 0
    charge: int = 0
    cost: int = 0
    over: int = 0
    charge_in: Counter[tuple[str, int]] = field(default_factory=Counter)
    cost_in: Counter[tuple[str, int]] = field(default_factory=Counter)
    named: InWindows = NO_WINDOWS_YET

    def opened(self, kind: str) -> int:
        """The latest window that anything was ever counted in; 0: none."""
        return max((window_id for k, window_id in self.charge_in if k == kind), default=0)

    def count(self, charge: int, cost: int, ids: Sequence[int], named: bytes | None = None) -> None:
        """`ids`: the windows it counts in, in the order of `KINDS`; 0: not this kind.

        `named`: those that its event names.
        """
        self.charge += charge
        self.cost += cost
        for kind, window_id in zip(KINDS, ids, strict=False):
            if window_id:
                self.charge_in[kind, window_id] += charge
                self.cost_in[kind, window_id] += cost
        if named is not None:
            one = WindowSums()
            one.add(named, 0, charge, cost)
            self.named = self.named.plus(one.total())

    def check_named(self) -> None:
        """The latest windows, as events name them, have what counts in them."""
        for kind, window in zip(KINDS, self.named.windows, strict=True):
            opened = self.opened(kind)
            amounts = self.charge_in[kind, opened], self.cost_in[kind, opened]
            said = Window(opened, *amounts) if opened else Window()
            expect(window == said, f"{kind} is {said}, its events name {window}")

    def check(self, fields: Mapping[bytes, bytes]) -> None:
        """That the stored account, `fields`, says the same."""
        for name, said in (
            (b"spent", self.charge),
            (b"cost", self.cost),
            (b"held", self.held),
            (b"over.settle", self.over),
        ):
            stored = int(fields.get(name, 0))
            expect(stored == said, f"{name.decode()} is {stored}, the events say {said}")
        for kind in KINDS:
            opened = self.opened(kind)
            if opened:
                self._check_window(fields, kind, opened)

    def _check_window(self, fields: Mapping[bytes, bytes], kind: str, opened: int) -> None:
        """What counts in a window is what was held in it, and the latest window is open."""
        current = int(fields.get(b"windows", NO_WINDOWS).split()[KINDS.index(kind)])
        expect(current == opened, f"{kind} {current} is open, not {opened}")
        for name, total, sums in (
            ("charge", b"spent", self.charge_in),
            ("cost", b"cost", self.cost_in),
        ):
            past = int(fields.get(f"{kind}.past.{name}".encode(), 0))
            stored, said = int(fields.get(total, 0)) - past, sums[kind, opened]
            expect(stored == said, f"{name} in {kind} {opened}: {stored}, the events say {said}")
