"""Recorder: a checked report becomes an event in the ledger, once."""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from gateway.api.report import Report
from gateway.api.services import Services
from gateway.customers.apps import App
from gateway.errors import Conflict, InvalidCall
from gateway.event import Kind, Source, UsageEvent
from gateway.ledger.reports import Reported
from gateway.ledger.requests import is_request_id, new_request_id
from gateway.ledger.results import Receipt, Recorded
from gateway.rating import Rated, Rating, bill
from pricing.money import usd

ENDPOINT: Final = "events"


class Taken(Struct, frozen=True):
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
        (taken,) = await self.record_all([report], app)
        if isinstance(taken, Exception):
            raise taken
        return taken

    async def record_all(self, reports: Sequence[Report], app: App) -> list[Taken | Exception]:
        """Count each, unless it has been counted.

        Returns:
            For each what became of it, or what `record` would have raised.
        """
        bills = [
            # The proxy gave such an id to a call, and has counted it.
            None if is_request_id(report.event_id or "") else self._bill(report, app)
            for report in reports
        ]
        receipts = iter(
            await self._services.ledger.reports.record_all(
                [
                    Reported(
                        report.customer,
                        billed.event,
                        _scoped(app, report.event_id),
                        report.fingerprint,
                    )
                    for report, billed in zip(reports, bills, strict=True)
                    if billed is not None
                ]
            )
        )
        return [
            _counted_by_proxy(report.event_id or "")
            if billed is None
            else _taken(report, billed, next(receipts))
            for report, billed in zip(reports, bills, strict=True)
        ]

    def _bill(self, report: Report, app: App) -> "_Bill":
        rating = self._services.rating.pinned()
        provider = report.provider or self._provider_of(report.model, rating)
        rated = rating.rate(provider, report.model, report.at_ms)
        return _Bill(
            report=report,
            app=app,
            rating=rating,
            provider=provider,
            rated=rated,
            request_id=new_request_id(self._services.clock.now_ms()),
        )

    def _provider_of(self, model: str, rating: Rating) -> str:
        alias = rating.book.own_names.aliases.get(model)
        if alias is None:
            return self._services.provider_of(model)
        return alias.provider or self._services.provider_of(alias.model)


class _Bill(Struct, kw_only=True):
    """Whose price a report has, and what it comes to once its customer's markup is known.

    Attributes:
        unpriced: There was no price when the event was last made.
    """

    report: Report
    app: App
    rating: Rating
    provider: str
    rated: Rated
    request_id: str
    unpriced: bool = False

    def event(self, markup_ppm: int) -> UsageEvent:
        """The event.

        Raises:
            InvalidCall: its model has no price, and the policy is to reject that.
        """
        report = self.report
        amount = bill(self.rated, report.usage, markup_ppm=markup_ppm, completed_ms=report.at_ms)
        self.unpriced = amount.unpriced
        if amount.unpriced and self.rating.rejects_unpriced:
            raise InvalidCall(
                f"There is no price for model {report.model!r} of provider {self.provider!r}. "
                "Add one under prices in the configuration.",
                param="model",
                code="model_not_priced",
            )
        return UsageEvent(
            request_id=self.request_id,
            kind=Kind.EVENT,
            at_ms=report.at_ms,
            charge_pico=amount.charge_pico,
            cost_pico=amount.cost_pico,
            app=self.app.id,
            unpriced=amount.unpriced,
            markup_ppm=markup_ppm,
            endpoint=ENDPOINT,
            model=report.model,
            provider=self.provider,
            price_id=amount.price_id,
            error_code=f"unpriced_{amount.problem}" if amount.problem else None,
            scope=self.rated.scope,
            book_version=self.rating.book.version,
            usage=report.usage,
            source=Source.EVENT,
            status_code=202,
            metadata=report.metadata,
        )


def _taken(report: Report, billed: _Bill, receipt: Receipt | Exception) -> Taken | Exception:
    if isinstance(receipt, Exception):
        return receipt
    if receipt.outcome is Recorded.CONFLICT:
        return Conflict(
            "This eventId was used before, for another usage. Give each event its own.",
            param="eventId",
            code="event_conflict",
        )
    return Taken(
        report.event_id or receipt.event_id,
        receipt.event_id,
        duplicate=receipt.outcome is Recorded.DUPLICATE,
        charge_usd=None if billed.unpriced else usd(receipt.charge_pico),
    )


def _counted_by_proxy(request_id: str) -> Taken:
    return Taken(request_id, request_id, duplicate=True, charge_usd=None)


def _scoped(app: App, event_id: str | None) -> str | None:
    """Ids of different apps never meet: a line break cannot stand in one."""
    return None if event_id is None else f"{app.id}\n{event_id}"
