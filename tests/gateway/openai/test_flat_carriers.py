"""Our fields in queries: found however they are spelt, and nothing else is touched."""

from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import InvalidCall
from gateway.openai.carriers import ABSENT, NO_CUSTOMER_FIELDS
from gateway.openai.flat_carriers import OURS, from_query

ACME = {"customer_identifier": "acme"}


@pytest.mark.parametrize(
    ("query", "field", "value"),
    [
        (b"customer_identifier=acme", "customer_identifier", "acme"),
        (b"customer_params%5Bcustomer_identifier%5D=acme", "customer_params", ACME),
        (b"customer_params[customer_identifier]=acme", "customer_params", ACME),
        (b"customer_params.customer_identifier=acme", "customer_params", ACME),
        (b"customer%5Fparams[customer_identifier]=ac%6de", "customer_params", ACME),
        (b"customer_params=%7B%22customer_identifier%22:%22acme%22%7D", "customer_params", ACME),
        (
            b'customer_params={"customer_identifier":99999999999999999999}',
            "customer_params",
            {"customer_identifier": 99999999999999999999},
        ),
        (
            b"customer_params[metadata][plan]=pro+1&customer_params[metadata][of]=%C3%A9",
            "customer_params",
            {"metadata": {"plan": "pro 1", "of": "é"}},
        ),
        (b"customer_params[rate_limit]=60", "customer_params", {"rate_limit": 60}),
        (b"customer_params[rate_limit]=6e1", "customer_params", {"rate_limit": "6e1"}),
        (b"customer_params[period_budget]=0.50", "customer_params", {"period_budget": "0.50"}),
        (b"customer_params=nobody", "customer_params", "nobody"),
        (b"customer_params={", "customer_params", "{"),
        (b"customer_identifier=1", "customer_identifier", "1"),
        (b"customer_identifier=", "customer_identifier", ""),
        (b"customer_identifier", "customer_identifier", ""),
        (b"disable_log=true", "disable_log", True),
        (b"thread_identifier=t", "thread_identifier", "t"),
    ],
)
def test_a_field_in_every_spelling(query, field, value):
    taken = from_query(query)

    assert (value, b"") == (getattr(taken.fields, field), taken.rest)


@pytest.mark.parametrize(
    "query",
    [
        b"",
        b"api-version=2026-06-01",
        b"a=1&&b=2&=&;",
        b"user=acme&safety_identifier=x",
        b"customer_paramsx=1&xcustomer_params[a]=1",
        b"Customer_Identifier=1",
        b"[customer_identifier]=1&customer_params]=1&customer_params[=1",
        b"%FF%00=%",
    ],
)
def test_what_is_not_ours_stays_as_it_is(query):
    taken = from_query(query)

    assert (NO_CUSTOMER_FIELDS, query) == (taken.fields, taken.rest)


def test_only_ours_go():
    """The first, one in the middle and the last; the rest keeps its escapes and its order."""
    query = b"customer_identifier=a&x=%41+%zz&customer_params[name]=n&y&x=2&disable_log=false"

    assert b"x=%41+%zz&y&x=2" == from_query(query).rest


@pytest.mark.parametrize(
    "query",
    [
        b"customer_identifier=a&customer_identifier=a",
        b"customer_params[name]=n&customer_params.name=n",
        b'customer_params[name]=n&customer_params={"name":"n"}',
        b'customer_params={"metadata":{"a":"1"}}&customer_params[metadata][a]=1',
    ],
)
def test_the_same_said_twice_is_said_once(query):
    assert b"" == from_query(query).rest


@pytest.mark.parametrize(
    ("query", "code", "param"),
    [
        (
            b"customer_identifier=a&customer_identifier=b",
            "customer_conflict",
            "customer_identifier",
        ),
        (
            b"customer_params[customer_identifier]=a&customer_params.customer_identifier=b",
            "customer_conflict",
            "customer_params.customer_identifier",
        ),
        (
            b'customer_params[customer_identifier]=a&customer_params={"customer_identifier":"b"}',
            "customer_conflict",
            "customer_params.customer_identifier",
        ),
        (
            b"customer_params[period_budget]=1&customer_params[period_budget]=2",
            "duplicate_field",
            "customer_params.period_budget",
        ),
        (b"customer_params=x&customer_params[name]=n", "duplicate_field", "customer_params.name"),
        (b"customer_params[name]=n&customer_params=x", "duplicate_field", "customer_params"),
        (
            b"customer_params[name]=n&customer_params[name][x]=n",
            "duplicate_field",
            "customer_params.name.x",
        ),
        (b"customer_identifier=%FF", "invalid_customer", "customer_identifier"),
    ],
)
def test_what_cannot_be_meant_is_refused(query, code, param):
    """Neither the first nor the last is taken: another reader would take the other."""
    with pytest.raises(InvalidCall) as refused:
        from_query(query)

    assert (code, param) == (refused.value.code, refused.value.param)


@given(
    identifier=st.text(st.characters(exclude_categories=["Cs"])),
    others=st.lists(st.binary(max_size=12).filter(lambda b: b"&" not in b), max_size=5),
    at=st.integers(0, 5),
    escape=st.sampled_from([quote, quote_plus]),
)
def test_an_identifier_survives_its_way_and_all_else_too(identifier, others, at, escape):
    pair = f"customer_params%5Bcustomer_identifier%5D={escape(identifier, safe='')}".encode()
    others = [other for other in others if from_query(other).rest == other]
    pairs = [*others[:at], pair, *others[at:]]

    taken = from_query(b"&".join(pairs))

    assert {"customer_identifier": identifier} == taken.fields.customer_params
    assert b"&".join(others) == taken.rest
    assert ABSENT is taken.fields.customer_identifier


def test_openais_own_fields_are_not_ours():
    assert not {"user", "safety_identifier"} & OURS
