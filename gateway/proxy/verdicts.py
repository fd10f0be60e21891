"""What is wrong with the amount of an ended call, told to the metrics and the log.

Its price is open, its usage is an estimate or makes no sense, or its provider states another
cost.
"""

import logging
from typing import Final

from gateway.event import Kind, Source, Status, UsageEvent
from gateway.rating import REPORTED, drifts
from gateway.telemetry import CUT, DRIFTED, ESTIMATED, UNPRICED, Telemetry
from pricing.money import usd

log = logging.getLogger(__name__)

SAID_MAX: Final = 1_000
"""Upstreams and models of which something has been logged; each is said once."""


class Verdicts:
    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        self._said: set[tuple[str, str, str]] = set()

    def tell(self, event: UsageEvent) -> None:
        """Count the event that ends a call. Once each."""
        if event.unpriced:
            self._telemetry.count(UNPRICED)
        if event.source is Source.ESTIMATED:
            self._telemetry.count(ESTIMATED, why_estimated(event))
        if event.usage_cut:
            self._telemetry.count(CUT)
            self._say("usage_cut", event, f"parts={event.usage_cut}")
        reported = event.reported_cost_pico
        comparable = event.kind is Kind.SETTLE and event.source is Source.REPORTED
        if reported is None or not comparable or event.unpriced or event.price_id == REPORTED:
            return
        if drifts(event.cost_pico, reported):
            self._telemetry.count(DRIFTED)
            told = f"cost_usd={usd(event.cost_pico)} reported_usd={usd(reported)}"
            self._say("reported_cost_drifts", event, told)

    def _say(self, what: str, event: UsageEvent, told: str) -> None:
        known = (what, event.upstream, event.model)
        if known in self._said or len(self._said) >= SAID_MAX:
            return
        self._said.add(known)
        log.warning(
            "%s upstream=%s model=%s request_id=%s %s",
            what,
            event.upstream,
            event.model,
            event.request_id,
            told,
        )


def why_estimated(event: UsageEvent) -> str:
    """``unparsed``: nobody could read the usage; ``cut``: it ended before it; ``missing``."""
    if event.raw_usage is not None:
        return "unparsed"
    return "missing" if event.status is Status.OK else "cut"
