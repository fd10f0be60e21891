"""``POST /v1/events``: usage reported by the application, one event or up to a thousand."""

from collections import Counter
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from gateway.api.answers import answer
from gateway.api.auth import calling_app
from gateway.api.bodies import read_json
from gateway.api.endpoint import Endpoint
from gateway.api.recorder import Recorder, Taken
from gateway.api.report import Report, checked_event_id, read_report
from gateway.api.services import Services
from gateway.customers.apps import App
from gateway.errors import CallerError, Conflict, GatewayError, InvalidCall, LedgerUnavailable
from gateway.openai.errors import wire_form

BATCH_EVENTS_MAX: Final = 1_000
AT_ONCE_MAX: Final = 100
"""Of a batch in one turn of the loop: between turns it serves calls."""

IDEMPOTENCY_HEADER: Final = "Idempotency-Key"

Json = dict[str, Any]


class Events:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._recorder = Recorder(services)

    def routes(self) -> list[Endpoint]:
        return [Endpoint("/v1/events", {"POST": self.post}, on_error=refusal)]

    async def post(self, request: Request) -> Response:
        app = calling_app(request.headers, self._services.apps)
        content = await read_json(request, self._services.request_bytes_max)
        from_header = request.headers.get(IDEMPOTENCY_HEADER)
        batch = _batch(content)
        if batch is not None:
            if from_header is not None:
                raise InvalidCall(
                    f"{IDEMPOTENCY_HEADER} names one event. In a batch, give each its eventId.",
                    param=IDEMPOTENCY_HEADER,
                )
            return await self._many(batch, app)
        if from_header is not None:
            checked_event_id(from_header, IDEMPOTENCY_HEADER)
        taken = await self._recorder.record(self._report(content, app, from_header), app)
        body = {
            "status": "accepted",
            "eventId": taken.event_id,
            "duplicate": taken.duplicate,
            "costUsd": taken.charge_usd,
        }
        return answer(body, 202, {"x-farebox-request-id": taken.request_id})

    def _report(self, content: object, app: App, event_id: str | None = None) -> Report:
        return read_report(content, app, event_id=event_id, now_ms=self._services.clock.now_ms())

    def _report_or_fault(self, content: object, app: App) -> Report | CallerError:
        try:
            return self._report(content, app)
        except CallerError as fault:
            return fault

    async def _many(self, batch: list[Any], app: App) -> Response:
        """Each event stands and falls alone.

        Raises:
            LedgerUnavailable: before any of them was taken.
        """
        outcomes: list[Taken | Exception] = []
        for start in range(0, len(batch), AT_ONCE_MAX):
            outcomes += await self._some(batch[start : start + AT_ONCE_MAX], app)
            away = next((o for o in outcomes if isinstance(o, LedgerUnavailable)), None)
            if away is not None:
                if not any(isinstance(outcome, Taken) for outcome in outcomes):
                    raise away
                outcomes += [away] * (len(batch) - len(outcomes))
                break
        results = [_result(*pair) for pair in zip(batch, outcomes, strict=True)]
        counts = Counter(result["status"] for result in results)
        return answer(
            {
                "accepted": counts["accepted"],
                "duplicates": counts["duplicate"],
                "rejected": counts["rejected"] + counts["conflict"],
                "results": results,
            },
            202,
        )

    async def _some(self, contents: list[Any], app: App) -> list[Taken | Exception]:
        read = [self._report_or_fault(content, app) for content in contents]
        reports = [report for report in read if isinstance(report, Report)]
        recorded = iter(await self._recorder.record_all(reports, app))
        return [next(recorded) if isinstance(one, Report) else one for one in read]


def refusal(error: GatewayError) -> Response:
    """Errors in the shape that OpenAI's clients read."""
    status, headers, body = wire_form(error)
    response = Response(body, status)
    response.raw_headers = headers
    return response


def _batch(content: object) -> list[Any] | None:
    """The events of a batch; None where the body is a single event."""
    if isinstance(content, dict) and "events" in content:
        if len(content) > 1 or not isinstance(content["events"], list):
            raise InvalidCall('A batch is {"events": [...]} and nothing beside.', param="events")
        content = content["events"]
    if not isinstance(content, list):
        return None
    if len(content) > BATCH_EVENTS_MAX:
        raise InvalidCall(
            f"A batch has at most {BATCH_EVENTS_MAX} events; this one has {len(content)}.",
            param="events",
        )
    return content


def _result(content: object, outcome: Taken | Exception) -> Json:
    if isinstance(outcome, Taken):
        return {
            "eventId": outcome.event_id,
            "status": "duplicate" if outcome.duplicate else "accepted",
            "costUsd": outcome.charge_usd,
            "error": None,
        }
    if not isinstance(outcome, CallerError | LedgerUnavailable):
        raise outcome
    given = content.get("eventId") if isinstance(content, dict) else None
    return {
        "eventId": given if isinstance(given, str) else None,
        "status": "conflict" if isinstance(outcome, Conflict) else "rejected",
        "costUsd": None,
        "error": {"message": str(outcome), "param": outcome.param, "code": outcome.code},
    }
