"""The row of a call that was not admitted: in the logs with its reason, never in the sums."""

from gateway.customers.identity import Caller
from gateway.errors import CallerError
from gateway.event import Kind, Status, UsageEvent
from gateway.openai.call import Call
from gateway.openai.errors import wire_form
from gateway.proxy.request import Request


def refusal_row(
    request: Request, call: Call, caller: Caller, error: CallerError, *, reject_status: int
) -> UsageEvent:
    status_code, _, _ = wire_form(error, reject_status=reject_status)
    return UsageEvent(
        request_id=request.request_id,
        kind=Kind.REFUSE,
        at_ms=request.started_ms,
        app=request.app.id,
        key=request.credential.key_id,
        endpoint=call.endpoint.value,
        model=call.model,
        stream=call.stream,
        status=Status.REJECTED,
        status_code=status_code,
        error_code=error.code,
        metadata=caller.recorded or None,
    )
