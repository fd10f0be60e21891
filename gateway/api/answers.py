"""How management answers and errors look on the wire: ``{"detail": ...}``, as JSON."""

from collections.abc import Mapping
from typing import Any, Final

import orjson
from starlette.responses import Response

from gateway.errors import (
    Conflict,
    GatewayBusy,
    GatewayError,
    InvalidCall,
    InvalidToken,
    LedgerUnavailable,
    MethodNotAllowed,
    NotFound,
    PermissionRefused,
    RequestTooLarge,
    UnsupportedMedia,
)

_JSON: Final = "application/json"
_NO_STORE: Final = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


class MalformedRequest(InvalidCall):
    """It cannot even be read (no JSON, another host): 400, with no field to blame."""

    code = "invalid_request"


class MalformedBody(MalformedRequest):
    code = "invalid_json"


class InvalidFields(InvalidCall):
    """Several fields at once.

    Attributes:
        errors: Field -> what is wrong with it, a sentence each.
    """

    def __init__(self, errors: Mapping[str, str]) -> None:
        super().__init__("Validation error", param=next(iter(errors)))
        self.errors = errors


STATUS: Final[Mapping[type[GatewayError], int]] = {
    MalformedRequest: 400,
    InvalidCall: 422,
    InvalidToken: 401,
    PermissionRefused: 403,
    NotFound: 404,
    MethodNotAllowed: 405,
    Conflict: 409,
    RequestTooLarge: 413,
    UnsupportedMedia: 415,
    LedgerUnavailable: 503,
    GatewayBusy: 503,
}


def answer(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(orjson.dumps(content), status, {**_NO_STORE, **(headers or {})}, _JSON)


def refusal(error: GatewayError) -> Response:
    """The answer for an error; one without a row in `STATUS` is ours, and says nothing."""
    status = next((STATUS[cls] for cls in type(error).__mro__ if cls in STATUS), 500)
    if status == 500:
        return answer({"detail": "internal error"}, 500)
    return answer(_detail(error, status), status, advice(error, status))


def advice(error: GatewayError, status: int) -> dict[str, str]:
    """Headers that tell the caller what to do next."""
    if isinstance(error, MethodNotAllowed):
        return {"allow": error.allow}
    if status == 401:
        return {"www-authenticate": "Bearer"}
    return {"retry-after": "1"} if status == 503 else {}


def _detail(error: GatewayError, status: int) -> dict[str, Any]:
    if isinstance(error, InvalidFields):
        errors = {name: [message] for name, message in error.errors.items()}
        return {"detail": "Validation error", "errors": errors}
    if status == 422 and error.param is not None:
        return {"detail": "Validation error", "errors": {error.param: [str(error)]}}
    return {"detail": str(error)}
