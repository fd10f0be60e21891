"""Identity: one customer a call, whoever names it and however; and what the call says of it."""

import base64
import json
from typing import Any

import pytest

from gateway.customers.apps import App, Identity, ParamsPolicy
from gateway.customers.identity import PARAMS_BYTES_MAX, Caller, identify, refuse_repeated
from gateway.customers.profile import ANONYMOUS
from gateway.errors import InvalidCall
from gateway.openai.carriers import CustomerFields
from gateway.openai.flat_carriers import from_query


def app(**options) -> App:
    return App(id="app", token_sha256="", **options)


def called(
    headers: dict[bytes, bytes] | None = None,
    *,
    by: App | None = None,
    query: bytes = b"",
    **body,
) -> Caller:
    asked = from_query(query).fields
    return identify(by or app(), CustomerFields(**body), headers or {}, asked)


def params(**fields) -> dict[str, Any]:
    return {"customer_params": {"customer_identifier": "acme", **fields}}


def header(content: object, name: bytes = b"x-data-keywordsai-params") -> dict[bytes, bytes]:
    return {name: json.dumps(content).encode()}


def in_base64(content: object, name: bytes = b"x-data-respan-params") -> dict[bytes, bytes]:
    return {name: base64.b64encode(json.dumps(content).encode())}


@pytest.mark.parametrize(
    ("headers", "body", "expected"),
    [
        ({}, {}, ANONYMOUS),
        ({}, {"customer_params": None}, ANONYMOUS),
        ({}, params(), "acme"),
        ({}, {"customer_identifier": "acme"}, "acme"),
        ({}, {"customer_identifier": 42}, "42"),
        ({}, {"customer_identifier": 2**70}, str(2**70)),
        ({}, {"customer_identifier": "e\u0301"}, "\u00e9"),
        ({b"x-farebox-customer": b"acme"}, {}, "acme"),
        ({b"x-farebox-customer": b"Z%C3%BCrich%20%2F%201"}, {}, "Z\u00fcrich / 1"),
        ({b"x-farebox-customer": "Zürich".encode()}, {}, "Z\u00fcrich"),
        ({b"x-farebox-customer": b"a+b"}, {}, "a+b"),
        (header({"customer_identifier": "acme"}), {}, "acme"),
        (header({"customer_params": {"customer_identifier": "acme"}}), {}, "acme"),
        (in_base64({"customer_identifier": "acme"}), {}, "acme"),
        (in_base64({"customer_params": {"customer_identifier": 7}}), {}, "7"),
        (header({"customer_identifier": "acme"}, b"x-data-respan-params"), {}, "acme"),
        ({}, {"user": "acme"}, "acme"),
        ({}, {"safety_identifier": "acme"}, "acme"),
        ({}, {"user": None, "safety_identifier": "acme"}, "acme"),
        ({}, {"user": "", "safety_identifier": "acme"}, "acme"),
        # The last resort gives way to every other carrier, and never conflicts.
        ({}, {"user": "somebody", **params()}, "acme"),
        ({b"x-farebox-customer": b"acme"}, {"user": "somebody"}, "acme"),
    ],
)
def test_every_carrier_names_the_customer(headers, body, expected: str) -> None:
    """In the body, in headers plain, percent-encoded, as JSON and in base64; last, `user`."""
    assert expected == called(headers, **body).customer


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({b"x-farebox-customer": b"acme"}, params()),
        (in_base64({"customer_identifier": "acme"}), {"customer_identifier": "acme"}),
        ({b"x-farebox-customer": b"42"}, {"customer_identifier": 42}),
        ({b"x-farebox-customer": b"%C3%A9"}, {"customer_identifier": "e\u0301"}),
        (
            header({"customer_params": {"customer_identifier": "acme"}})
            | in_base64({"customer_identifier": "acme"}),
            params(),
        ),
    ],
)
def test_carriers_that_agree_are_one(headers, body) -> None:
    """SDKs send the same name in several places; equal means equal once canonical."""
    assert called(headers, **body).customer in {"acme", "42", "\u00e9"}


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({b"x-farebox-customer": b"other"}, params()),
        (header({"customer_identifier": "other"}), params()),
        (in_base64({"customer_params": {"customer_identifier": "other"}}), params()),
        ({}, {"customer_identifier": "other", **params()}),
        (
            header({"customer_identifier": "acme"}) | in_base64({"customer_identifier": "other"}),
            {},
        ),
        (
            header({"customer_identifier": "a", "customer_params": {"customer_identifier": "b"}}),
            {},
        ),
    ],
)
def test_carriers_that_disagree_are_refused(headers, body) -> None:
    """Charging either of two customers would be a guess."""
    with pytest.raises(InvalidCall, match="different customers") as refusal:
        called(headers, **body)
    assert "customer_conflict" == refusal.value.code


@pytest.mark.parametrize(
    ("headers", "body", "param"),
    [
        ({}, {"customer_identifier": ""}, "customer_identifier"),
        ({}, {"customer_identifier": None}, "customer_identifier"),
        ({}, {"customer_identifier": "x" * 10_240}, "customer_identifier"),
        ({}, {"customer_identifier": "~anonymous"}, "customer_identifier"),
        ({}, {"customer_identifier": "a\nb"}, "customer_identifier"),
        ({}, {"customer_identifier": 1.5}, "customer_identifier"),
        ({}, {"customer_identifier": True}, "customer_identifier"),
        (
            {},
            {"customer_params": {"customer_identifier": None}},
            "customer_params.customer_identifier",
        ),
        (
            {},
            {"customer_params": {"customer_identifier": ["a"]}},
            "customer_params.customer_identifier",
        ),
        ({}, {"customer_params": {}}, "customer_params.customer_identifier"),
        ({}, {"customer_params": {"name": "A"}}, "customer_params.customer_identifier"),
        ({}, {"customer_params": "acme"}, "customer_params"),
        ({}, {"customer_params": [1]}, "customer_params"),
        ({}, {"customer_params": 0}, "customer_params"),
        ({b"x-farebox-customer": b""}, {}, "x-farebox-customer"),
        ({b"x-farebox-customer": b"%FF%FE"}, {}, "x-farebox-customer"),
        ({b"x-farebox-customer": b"\xff"}, {}, "x-farebox-customer"),
        ({b"x-farebox-customer": b"a%0Ab"}, {}, "x-farebox-customer"),
        ({b"x-data-keywordsai-params": b"acme"}, {}, "x-data-keywordsai-params"),
        ({b"x-data-keywordsai-params": b"{"}, {}, "x-data-keywordsai-params"),
        ({b"x-data-respan-params": b"////"}, {}, "x-data-respan-params"),
        (in_base64(["acme"]), {}, "x-data-respan-params"),
        (
            header({"customer_identifier": "x" * PARAMS_BYTES_MAX}),
            {},
            "x-data-keywordsai-params",
        ),
        (
            header({"customer_identifier": 1.5}),
            {},
            "x-data-keywordsai-params: customer_identifier",
        ),
        (
            header({"customer_params": 5}),
            {},
            "x-data-keywordsai-params: customer_params",
        ),
    ],
)
def test_a_faulty_carrier_is_refused_by_name(headers, body, param: str) -> None:
    """Never read as anonymous, whom no limit binds; the message stays short and is safe."""
    with pytest.raises(InvalidCall) as refusal:
        called(headers, **body)
    assert ("invalid_customer", param) == (refusal.value.code, refusal.value.param)
    assert len(str(refusal.value)) < 200


@pytest.mark.parametrize(
    "value", [5.5, "~x", "x" * 10_240, '{"device_id": "1"}', "a\0b", [1], True]
)
def test_an_unusable_user_is_anonymous(value) -> None:
    """`user` is OpenAI's own field: what tools put there must not fail their calls."""
    caller = called(user=value)
    assert ANONYMOUS == caller.customer
    assert 1 == len(caller.warnings)
    assert caller.warnings[0].startswith("user must")


def test_an_app_may_say_that_user_is_no_customer() -> None:
    """Then only the carriers of our own name one."""
    by = app(user_is_customer=False)
    assert ANONYMOUS == called(by=by, user="acme").customer
    assert "acme" == called(by=by, user="other", **params()).customer


def test_an_app_may_trust_its_headers_only() -> None:
    """A body that end users can write names nobody then, and sets nothing."""
    by = app(identity=Identity.HEADER)
    body = {
        "customer_identifier": "evil",
        "user": "evil",
        "group_identifier": "the rich",
        **params(period_budget=9),
    }
    assert ANONYMOUS == called(by=by, **body).customer
    caller = called({b"x-farebox-customer": b"acme"}, by=by, **body)
    assert ("acme", {}) == (caller.customer, caller.change)
    assert any("in headers" in warning for warning in caller.warnings)
    assert not called({b"x-farebox-customer": b"acme"}, by=by, user="evil").warnings
    caller = called(
        header({"customer_params": {"customer_identifier": "acme", "period_budget": 5}}),
        by=by,
        **body,
    )
    assert ("acme", {"period_budget": 5 * 10**12}) == (caller.customer, caller.change)


@pytest.mark.parametrize("identity", [Identity.ANY, Identity.HEADER])
def test_headers_say_what_a_body_may_say_beside(identity) -> None:
    """The group, and what is only recorded; where both say something, the body goes first."""
    said = {"customer_identifier": "acme", "group_identifier": "g", "disable_log": True}
    caller = called(header(said), by=app(identity=identity))
    assert {"group_identifier": "g"} == caller.change
    assert caller.disables_log

    caller = called(header(said), by=app(), group_identifier="of the body", disable_log=False)
    assert {"group_identifier": "of the body"} == caller.change
    assert not caller.disables_log


def test_a_prefix_keeps_apps_apart() -> None:
    """Two apps' `1` are two customers; the anonymous stay one."""
    by = app(customer_prefix="shop/")
    assert "shop/1" == called(by=by, customer_identifier=1).customer
    assert "shop/1" == called(by=by, user="1").customer
    assert ANONYMOUS == called(by=by).customer


def test_all_fields_are_read() -> None:
    """Each becomes its canonical value; null says none on purpose."""
    caller = called(
        **params(
            name="Acme",
            email="a@b.co",
            metadata={"plan": "pro"},
            group_identifier=7,
            period_budget="12.5",
            total_budget=None,
            budget_duration="weekly",
            period_start="2026-11-01",
            period_end="2026-11-15",
            markup_percentage=20,
            rate_limit=60,
        )
    )
    expected = {
        "name": "Acme",
        "email": "a@b.co",
        "metadata": {"plan": "pro"},
        "group_identifier": "7",
        "period_budget": 12_500_000_000_000,
        "total_budget": None,
        "budget_duration": "weekly",
        "period_start": "2026-11-01",
        "period_end": "2026-11-15",
        "markup_percentage": 200_000,
        "rate_limit": 60,
    }
    assert (expected, ()) == (caller.change, caller.warnings)


def test_body_and_header_are_merged() -> None:
    """Both may say something of the customer; where both do, the body has the last word."""
    caller = called(
        header({"customer_params": {"name": "header", "email": "a@b.co"}}), **params(name="body")
    )
    assert {"name": "body", "email": "a@b.co"} == caller.change


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("period_budget", "abc"),
        ("period_budget", -1),
        ("period_budget", float("nan")),
        ("period_budget", 9_000_001),
        ("period_budget", True),
        ("total_budget", {}),
        ("budget_duration", "hourly"),
        ("period_start", "soon"),
        ("period_end", 7),
        ("markup_percentage", -1),
        ("rate_limit", 0),
        ("rate_limit", 2.5),
        ("group_identifier", ""),
    ],
)
def test_r35_a_faulty_limit_refuses_the_call(field: str, value) -> None:
    """A limit is never silently ignored: the field is named, the call is not made."""
    with pytest.raises(InvalidCall) as refusal:
        called(**params(**{field: value}))
    named = f"customer_params.{field}"
    assert ("invalid_value", named) == (refusal.value.code, refusal.value.param)
    assert str(refusal.value).startswith(named)


@pytest.mark.parametrize(
    ("field", "meant"),
    [
        ("perod_budget", "period_budget"),
        ("totalBudget", "total_budget"),
        ("rate-limit", "rate_limit"),
    ],
)
def test_r35_a_misspelt_limit_refuses_the_call(field: str, meant: str) -> None:
    """It says which was probably meant."""
    with pytest.raises(InvalidCall, match=f"did you mean {meant}") as refusal:
        called(**params(**{field: 5}))
    assert ("unknown_field", f"customer_params.{field}") == (
        refusal.value.code,
        refusal.value.param,
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", "nobody"),
        ("name", 5),
        ("name", "\ud800"),
        ("metadata", "x"),
        ("metadata", {"big": 2**70}),
        ("metadata", {"a": "x" * 5000}),
        ("favourite_colour", "red"),
        ("x" * 5000, "red"),
    ],
)
def test_a_faulty_profile_field_never_fails_a_paid_call(field: str, value) -> None:
    """It is dropped and named in a warning of bounded size; the rest is taken."""
    caller = called(**params(**{field: value, "rate_limit": 5}))
    assert {"rate_limit": 5} == caller.change
    assert 1 == len(caller.warnings)
    assert caller.warnings[0].startswith("customer_params." + field[:64])
    assert len(caller.warnings[0]) < 200


@pytest.mark.parametrize(
    ("policy", "expected", "warned"),
    [
        (ParamsPolicy.FULL, {"name": "A", "period_budget": 10**12}, 0),
        (ParamsPolicy.PROFILE, {"name": "A"}, 1),
        (ParamsPolicy.IGNORE, {}, 2),
    ],
)
def test_an_app_is_told_what_its_calls_may_set(policy, expected, warned: int) -> None:
    """What it may not set is dropped with a warning; the customer is named all the same."""
    caller = called(by=app(customer_params=policy), **params(name="A", period_budget=1))
    assert ("acme", expected, warned) == (caller.customer, caller.change, len(caller.warnings))


def test_what_an_app_may_not_set_is_not_judged() -> None:
    """A faulty limit of an app whose limits do not count fails nothing."""
    caller = called(by=app(customer_params=ParamsPolicy.PROFILE), **params(period_budget="abc"))
    assert {} == caller.change


def test_the_top_level_group_is_the_customers() -> None:
    """As Keywords AI has it; inside `customer_params` it has the last word."""
    outer = called(group_identifier="outer", customer_identifier="acme")
    assert {"group_identifier": "outer"} == outer.change
    inner = {"group_identifier": "outer", **params(group_identifier="inner")}
    assert {"group_identifier": "inner"} == called(**inner).change
    with pytest.raises(InvalidCall) as refusal:
        called(customer_identifier="acme", group_identifier="")
    assert "group_identifier" == refusal.value.param


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("thread-1", "thread-1"),
        (7, 7),
        (True, True),
        (2**63 - 1, 2**63 - 1),
        (-(2**63), -(2**63)),
        (2**63, "9223372036854775808"),
        (10**254, "1" + "0" * 254),
        (10**300, None),
        pytest.param(10**5000, None, id="5001 digits"),
        ("x" * 257, None),
        ("\ud800", None),
        ({"a": 1}, None),
        (None, None),
        (1.5, None),
    ],
)
def test_recorded_fields_always_fit_an_event(value, kept) -> None:
    """Long integers as text; what could not be written is dropped before the call."""
    caller = called(thread_identifier=value, customer_identifier="acme")
    assert kept == caller.recorded.get("thread_identifier")


def test_a_naming_header_that_stands_twice_must_agree():
    """One proxy reads the first, another the last: the call could be two customers'."""
    same = [(b"x-farebox-customer", b"a"), (b"x-farebox-customer", b"a"), (b"accept", b"b")]
    refuse_repeated(same)

    with pytest.raises(InvalidCall) as refusal:
        refuse_repeated([*same, (b"x-farebox-customer", b"c")])

    assert ("customer_conflict", "x-farebox-customer") == (refusal.value.code, refusal.value.param)


IN_QUERY = b"customer_params%5Bcustomer_identifier%5D=acme"


@pytest.mark.parametrize(
    ("query", "headers", "body"),
    [
        (IN_QUERY, {}, {}),
        (b"customer_identifier=acme", {}, {}),
        (IN_QUERY + b"&customer_identifier=acme", {}, {}),
        (IN_QUERY, {b"x-farebox-customer": b"acme"}, params()),
        (IN_QUERY, {}, {"user": "somebody"}),
    ],
)
def test_the_query_names_the_customer(query, headers, body) -> None:
    """In both styles, alone or beside others that agree."""
    assert "acme" == called(headers, query=query, **body).customer


@pytest.mark.parametrize(
    ("query", "headers", "body"),
    [
        (IN_QUERY, {}, {"customer_identifier": "other"}),
        (IN_QUERY, {b"x-farebox-customer": b"other"}, {}),
        (IN_QUERY + b"&customer_identifier=other", {}, {}),
    ],
)
def test_a_query_that_disagrees_is_refused(query, headers, body) -> None:
    with pytest.raises(InvalidCall) as refusal:
        called(headers, query=query, **body)
    assert "customer_conflict" == refusal.value.code
    assert "query: " in str(refusal.value)


def test_what_the_query_says_is_taken() -> None:
    """As text, as queries have it; the body has the last word, faults are as ever."""
    more = b"&customer_params[period_budget]=2.5&customer_params[rate_limit]=9"
    caller = called(query=IN_QUERY + more + b"&thread_identifier=t", **params(rate_limit=5))
    assert {"period_budget": 2_500_000_000_000, "rate_limit": 5} == caller.change
    assert {"thread_identifier": "t"} == caller.recorded
    with pytest.raises(InvalidCall) as refusal:
        called(query=IN_QUERY + b"&customer_params[period_budget]=abc")
    assert "customer_params.period_budget" == refusal.value.param


def test_a_query_does_not_count_where_only_headers_do() -> None:
    assert ANONYMOUS == called(by=app(identity=Identity.HEADER), query=IN_QUERY).customer
