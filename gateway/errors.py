"""What can go wrong, and whose turn it is to act.

* GatewayError
  - CallerError              the caller must change something
    + InvalidToken           the app token is wrong or missing
    + InvalidCall            a field of the request: names it and the remedy
    + PermissionRefused      this app or customer may not: a foreign app, a blocked customer
    + NotFound               no such route, model or record
    + NotSupported           HTTP has it, and this gateway has not: realtime
    + MethodNotAllowed       the route has other methods
    + Conflict               the same idempotency key with another body; a name taken
    + RequestTooLarge
    + UnsupportedMedia
    + BudgetExceeded         a limit is used up
    + BudgetInFlight         it would fit once running calls settle
    + RateLimited
  - UpstreamError            the provider failed us
    + UpstreamUnreachable    nothing was sent
    + UpstreamTimeout
    + UpstreamBroken
  - LedgerUnavailable        the store is away: what must be counted is not let through
  - GatewayBusy              we are out of capacity, or draining; retrying helps

No HTTP here: `gateway.openai.errors` and `gateway.api` say how each looks on their wire.
"""

from collections.abc import Iterable, Mapping


class GatewayError(Exception):
    """Anything that ends a request early.

    Attributes:
        code: Stable machine-readable name of the case (http-api: ``error.code``).
        param: The field at fault, as the caller spelled it, or None.
        details: Further fields for the error object (limits, amounts, times).
        recorded: The ledger has posted the row of the call that this ends.
    """

    code: str = "internal_error"
    recorded: bool = False

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        details: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code
        self.param = param
        self.details = details or {}


class CallerError(GatewayError):
    pass


class InvalidToken(CallerError):
    code = "invalid_api_key"


class InvalidCall(CallerError):
    code = "invalid_value"


class PermissionRefused(CallerError):
    code = "permission_denied"


class NotFound(CallerError):
    code = "not_found"


class NotSupported(CallerError):
    code = "not_supported"


class MethodNotAllowed(CallerError):
    """`allow` names the methods that the path has, as the header of that name does."""

    code = "method_not_allowed"

    def __init__(self, method: str, allow: Iterable[str]) -> None:
        self.allow = ", ".join(sorted(allow))
        super().__init__(f"This path has no {method[:16]}; it has {self.allow}.")


class Conflict(CallerError):
    code = "conflict"


class RequestTooLarge(CallerError):
    code = "request_too_large"


class UnsupportedMedia(CallerError):
    code = "unsupported_media_type"


class BudgetExceeded(CallerError):
    code = "budget_exceeded"


class BudgetInFlight(CallerError):
    code = "budget_in_flight"


class RateLimited(CallerError):
    """`details["retry_after_seconds"]`: whole seconds, 1 to 60."""

    code = "rate_limit_exceeded"


class UpstreamError(GatewayError):
    pass


class UpstreamUnreachable(UpstreamError):
    code = "upstream_unreachable"


class UpstreamTimeout(UpstreamError):
    code = "upstream_timeout"


class UpstreamBroken(UpstreamError):
    code = "upstream_error"


class LedgerUnavailable(GatewayError):
    code = "ledger_unavailable"


class GatewayBusy(GatewayError):
    code = "overloaded"
