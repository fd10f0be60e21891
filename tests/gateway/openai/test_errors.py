"""Each error has one form on the wire, and SDKs retry exactly where it helps."""

import json
from collections.abc import Iterator

import pytest

from gateway import errors
from gateway.errors import (
    BudgetExceeded,
    BudgetInFlight,
    GatewayError,
    InvalidCall,
    NotFound,
    RateLimited,
)
from gateway.openai.errors import WIRE, internal_error, wire_form


def leaves(cls: type[GatewayError]) -> Iterator[type[GatewayError]]:
    below = [sub for sub in cls.__subclasses__() if sub.__module__ == errors.__name__]
    if not below:
        yield cls
    for sub in below:
        yield from leaves(sub)


def test_every_error_has_a_wire_form() -> None:
    """A new error class without a row here would reach customers as a bare 500."""
    assert set(leaves(GatewayError)) == set(WIRE)


@pytest.mark.parametrize(
    ("name", "status", "kind", "code", "retry"),
    [
        ("InvalidToken", 401, "invalid_request_error", "invalid_api_key", "false"),
        ("InvalidCall", 400, "invalid_request_error", "invalid_value", "false"),
        ("PermissionRefused", 403, "invalid_request_error", "permission_denied", "false"),
        ("NotFound", 404, "invalid_request_error", "not_found", "false"),
        ("Conflict", 409, "invalid_request_error", "conflict", "false"),
        ("RequestTooLarge", 413, "invalid_request_error", "request_too_large", "false"),
        ("UnsupportedMedia", 415, "invalid_request_error", "unsupported_media_type", "false"),
        ("BudgetExceeded", 402, "insufficient_quota", "budget_exceeded", "false"),
        ("BudgetInFlight", 429, "rate_limit_error", "budget_in_flight", "true"),
        ("RateLimited", 429, "rate_limit_error", "rate_limit_exceeded", "true"),
        ("UpstreamUnreachable", 502, "server_error", "upstream_unreachable", "true"),
        ("UpstreamTimeout", 504, "server_error", "upstream_timeout", "false"),
        ("UpstreamBroken", 502, "server_error", "upstream_error", "false"),
        ("LedgerUnavailable", 503, "server_error", "ledger_unavailable", "true"),
        ("GatewayBusy", 503, "server_error", "overloaded", "true"),
    ],
)
def test_the_table(name, status, kind, code, retry) -> None:
    sent_status, headers, body = wire_form(getattr(errors, name)("Why."))

    named = dict(headers)
    assert (status, retry.encode()) == (sent_status, named[b"x-should-retry"])
    assert b"application/json" == named[b"content-type"]
    assert len(body) == int(named[b"content-length"])
    expected = {"error": {"message": "Why.", "type": kind, "param": None, "code": code}}
    assert expected == json.loads(body)


def test_code_param_and_details_are_told() -> None:
    error = NotFound(
        "No upstream serves it.",
        code="model_not_found",
        param="model",
        details={"model": "x", "code": "hidden"},
    )

    _, _, body = wire_form(error)

    expected = {
        "message": "No upstream serves it.",
        "type": "invalid_request_error",
        "param": "model",
        "code": "model_not_found",
        "model": "x",
    }
    assert expected == json.loads(body)["error"]
    assert ["message", "type", "param", "code", "model"] == list(json.loads(body)["error"])


@pytest.mark.parametrize("status", [402, 429])
def test_a_used_up_budget_is_never_retried(status) -> None:
    """Nor slept on: openai-node obeys a retry-after of a month."""
    error = BudgetExceeded("Used up.", details={"resets_at": "x", "retry_after_seconds": 9_999})

    sent_status, headers, body = wire_form(error, reject_status=status)

    assert status == sent_status
    assert (b"x-should-retry", b"false") in headers
    assert b"retry-after" not in dict(headers)
    assert "retry_after_seconds" not in json.loads(body)["error"]


def test_other_errors_ignore_the_reject_status() -> None:
    assert 400 == wire_form(InvalidCall("x"), reject_status=429)[0]


@pytest.mark.parametrize(
    ("details", "expected"),
    [
        ({"retry_after_seconds": 7}, b"7"),
        ({"retry_after_seconds": 3_600}, b"60"),
        ({"retry_after_seconds": 0}, b"1"),
        ({}, b"1"),
    ],
)
def test_a_rate_limit_says_when_and_never_more_than_a_minute(details, expected) -> None:
    _, headers, _ = wire_form(RateLimited("Slow down.", details=details))

    assert expected == dict(headers)[b"retry-after"]


def test_in_flight_asks_for_one_second() -> None:
    assert b"1" == dict(wire_form(BudgetInFlight("Soon."))[1])[b"retry-after"]


def test_a_subclass_looks_like_its_parent() -> None:
    class NoSuchModel(NotFound):
        code = "model_not_found"

    status, _, body = wire_form(NoSuchModel("x"))

    assert (404, "model_not_found") == (status, json.loads(body)["error"]["code"])


def test_an_unforeseen_error_tells_nothing_of_the_inside() -> None:
    status, headers, body = internal_error()

    assert (500, "internal_error") == (status, json.loads(body)["error"]["code"])
    assert (b"x-should-retry", b"false") in headers
    assert (status, "internal_error") == (
        wire_form(GatewayError("x"))[0],
        json.loads(wire_form(GatewayError("x"))[2])["error"]["code"],
    )


@pytest.mark.parametrize("hostile", ["\ud800", "\u2028\x00", '"}', "é😀"])
def test_any_text_can_be_quoted(hostile) -> None:
    _, _, body = wire_form(InvalidCall(hostile, details={"n": 10**30, "o": object()}))

    assert hostile == json.loads(body)["error"]["message"]
