"""Recorder: a checked report becomes an event in the ledger, once."""

from dataclasses import dataclass
from typing import Final

from gateway.api.report import Report
from gateway.api.services import Services
from gateway.customers.apps import App
from gateway.errors import Conflict, InvalidCall
from gateway.event import Kind, Source, UsageEvent
from gateway.ledger.ledger import Recorded
from gateway.ledger.requests import is_request_id, new_request_id
from gateway.rating import Rated, Rating, bill
from pricing.money import usd

ENDPOINT: Final = "events"


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a report.

    Attributes:
        event_id: The caller's, else the one it was given.
        request_id: Under which its log is found.
        charge_usd: None where no price is known, or the call was counted by the proxy.
    """

    event_id: str
    request_id: str
    duplicate: bool
    charge_usd: str | None


@dataclass(frozen=True, slots=True)
class _Priced:
    """Whose price a report has; without a markup yet, which the ledger knows."""

    provider: str
    rated: Rated
    book_version: str
    unpriced: bool


class Recorder:
    def __init__(self, services: Services) -> None:
        self._services = services

    async def record(self, report: Report, app: App) -> Taken:
        """Count it, unless it has been counted.

        Raises:
            Conflict: its id was used for another usage.
            InvalidCall: its model has no price, and the policy is to reject that.
            LedgerUnavailable: nothing was counted.
        """
        if report.event_id is not None and is_request_id(report.event_id):
            # The proxy gave that id to a call, and has counted it.
            return Taken(report.event_id, report.event_id, duplicate=True, charge_usd=None)
        priced = self._priced(report)
        request_id = new_request_id(self._services.clock.now_ms())
        receipt = await self._services.ledger.record(
            report.customer,
            lambda markup_ppm: self._event(report, app, priced, request_id, markup_ppm=markup_ppm),
            idempotency_key=_scoped(app, report.event_id),
            fingerprint=report.fingerprint,
        )
        if receipt.outcome is Recorded.CONFLICT:
            raise Conflict(
                "This eventId was used before, for another usage. Give each event its own.",
                param="eventId",
                code="event_conflict",
            )
        return Taken(
            report.event_id or receipt.event_id,
            receipt.event_id,
            duplicate=receipt.outcome is Recorded.DUPLICATE,
            charge_usd=None if priced.unpriced else usd(receipt.charge_pico),
        )

    def _priced(self, report: Report) -> _Priced:
        rating = self._services.rating.pinned()
        provider = report.provider or self._provider_of(report.model, rating)
        rated = rating.rate(provider, report.model, report.at_ms)
        unpriced = bill(rated, report.usage, completed_ms=report.at_ms).unpriced
        if unpriced and rating.rejects_unpriced:
            raise InvalidCall(
                f"There is no price for model {report.model!r} of provider {provider!r}. "
                "Add one under prices in the configuration.",
                param="model",
                code="model_not_priced",
            )
        return _Priced(provider, rated, rating.book.version, unpriced)

    def _provider_of(self, model: str, rating: Rating) -> str:
        alias = rating.book.own_names.aliases.get(model)
        if alias is None:
            return self._services.provider_of(model)
        return alias.provider or self._services.provider_of(alias.model)

    def _event(
        self, report: Report, app: App, priced: _Priced, request_id: str, *, markup_ppm: int
    ) -> UsageEvent:
        amount = bill(priced.rated, report.usage, markup_ppm=markup_ppm, completed_ms=report.at_ms)
        return UsageEvent(
            request_id=request_id,
            kind=Kind.EVENT,
            at_ms=report.at_ms,
            charge_pico=amount.charge_pico,
            cost_pico=amount.cost_pico,
            app=app.id,
            unpriced=amount.unpriced,
            markup_ppm=markup_ppm,
            endpoint=ENDPOINT,
            model=report.model,
            provider=priced.provider,
            price_id=amount.price_id,
            scope=priced.rated.scope,
            book_version=priced.book_version,
            usage=report.usage,
            source=Source.EVENT,
            status_code=202,
            metadata=report.metadata,
        )


def _scoped(app: App, event_id: str | None) -> str | None:
    """Ids of different apps never meet: a line break cannot stand in one."""
    return None if event_id is None else f"{app.id}\n{event_id}"
