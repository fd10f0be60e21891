"""What a person decided about imported prices, applied to what is proposed.

``decided.yaml`` is a list; each entry names a provider and names, perhaps with ``*``, and
says either ``skip: <reason>`` or what is to stand instead: ``base``, ``tiers``, ``fees``,
``limits``, ``reasoning``, ``free``, ``url``, with a ``note`` of why, and reasons for
`pricing.lint` under ``allow``. ``earlier`` lists superseded prices, each ``until`` the first
instant without it.
What a list has at zero is free only if it is decided so: there, zero often means unknown.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML

from pricing.tools.combine import Agreed, completed
from pricing.tools.merge import Proposal
from pricing.tools.seen import Fee, Figures, Rates

DECIDED: Final = Path(__file__).parent / "decided.yaml"


@dataclass(slots=True)
class Decisions:
    """The decisions, and which of them were of use."""

    rows: Sequence[Mapping[str, Any]]
    used: set[tuple[str, str]] = field(default_factory=set)

    @classmethod
    def load(cls, path: Path = DECIDED) -> "Decisions":
        return cls(YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8")) or [])

    def applied(self, proposals: Iterable[Proposal]) -> Iterator[Proposal]:
        """The proposals as decided, without names to be skipped, and free only if decided so."""
        for proposal in proposals:
            rows = {name: self._row(proposal.provider, name) for name in proposal.names}
            names = tuple(name for name, row in rows.items() if not row or "skip" not in row)
            row = next((rows[name] for name in names if rows[name]), None)
            if names:
                kept = replace(proposal, names=names)
                decided = _decided(kept, row) if row else kept
                if decided.free <= bool(row and row.get("free")):
                    yield decided

    def _row(self, provider: str, name: str) -> Mapping[str, Any] | None:
        for row in self.rows:
            if row["provider"] == provider:
                for pattern in row["names"]:
                    if fnmatchcase(name, pattern):
                        self.used.add((provider, pattern))
                        return row
        return None

    def unused(self) -> list[str]:
        """Decisions about names that nobody lists any more."""
        known = {(row["provider"], name) for row in self.rows for name in row["names"]}
        return sorted("/".join(key) for key in known - self.used)


def _decided(proposal: Proposal, row: Mapping[str, Any]) -> Proposal:
    limits = row.get("limits", {})
    past, now = list(proposal.prices[:-1]), _priced(proposal.prices[-1], row)
    if "earlier" in row:
        past = list(_earlier(row))
        now = replace(now, figures=replace(now.figures, from_day=row["earlier"][-1]["until"]))
    return replace(
        proposal,
        prices=(*past, now),
        context=limits.get("context", proposal.context),
        max_output=limits.get("max_output", proposal.max_output),
        reasoning=row.get("reasoning", proposal.reasoning),
        free=row.get("free", proposal.free),
    )


def _priced(price: Agreed, row: Mapping[str, Any]) -> Agreed:
    """A rate read on the provider's own page: what the lineages say of it no longer counts."""
    figures = price.figures
    base, fees = _rates(row.get("base", {})), _fees(row.get("fees", {}))
    if base or fees:
        tiers = {int(over): _rates(rates) for over, rates in row.get("tiers", {}).items()}
        figures = completed(
            Figures(
                from_day=figures.from_day,
                base={**figures.base, **base},
                tiers=tiers or figures.tiers,
                service=figures.service,
                fees={**figures.fees, **fees},
            )
        )
    settled = {*base, *fees}
    left = tuple(text for text in price.differences if text.partition(":")[0] not in settled)
    return replace(
        price,
        figures=figures,
        differences=left,
        lineages=() if "url" in row else price.lineages,
        url=row.get("url"),
        note=row.get("note"),
        allow=row.get("allow", {}),
    )


def _earlier(row: Mapping[str, Any]) -> Iterator[Agreed]:
    """Prices that were superseded, each until the first instant without it."""
    begin = None
    for past in row["earlier"]:
        figures = Figures(
            from_day=past.get("from", begin),
            base=_rates(past["base"]),
            fees=_fees(past.get("fees", {})),
        )
        yield Agreed(
            figures=figures,
            lineages=tuple(past.get("lineage", ())),
            url=past.get("url", row.get("url")),
            note=past.get("note"),
            allow=past.get("allow", {}),
        )
        begin = past["until"]


def _rates(texts: Mapping[str, str]) -> Rates:
    return {name: Decimal(text) for name, text in texts.items()}


def _fees(texts: Mapping[str, Mapping[str, Any]]) -> dict[str, Fee]:
    return {unit: Fee(Decimal(fee["rate"]), fee.get("per", 1)) for unit, fee in texts.items()}
