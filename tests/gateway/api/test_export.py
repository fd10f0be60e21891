"""Exports: every line, in order, with amounts that add up exactly; safe to open."""

import csv
import io
from decimal import Decimal

import orjson
import pytest

from gateway.event import Kind, Source
from gateway.reports.csv_text import csv_text
from gateway.reports.export import COLUMNS, FOCUS_COLUMNS
from gateway.store.archive import archive as archives
from pricing.usage import Usage

from .conftest import usage

pytestmark = pytest.mark.anyio

PATH = "/api/export/usage"


@pytest.fixture
async def spent(api) -> int:
    """Several batches of usage; pico-USD."""
    total = 0
    for index in range(7):
        cost = 10**11 + index
        total += cost
        await api.call(
            ["acme", "=cmd()"][index % 2],
            model="small",
            provider="lab",
            cost_pico=cost,
            charge_pico=2 * cost,
            usage=Usage(input_tokens=index),
            source=Source.REPORTED,
            metadata={"tag": "ü"},
        )
    await api.report(usage(model="unheard-of"))
    await api.flush()
    return total


@pytest.fixture(autouse=True)
def small_batches(monkeypatch) -> None:
    monkeypatch.setattr(archives, "EXPORTED_AT_ONCE", 3)


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


async def test_csv_has_every_call_and_exact_amounts(api, spent) -> None:
    """Each line once, the sum is the sum; what has no price is empty, not zero."""
    response = await api.get(PATH)

    lines = table(response.text)
    assert "text/csv; charset=utf-8" == response.headers["content-type"]
    assert list(COLUMNS) == list(lines[0])
    assert 8 == len({line["unique_id"] for line in lines}) == len(lines)
    amounts = [Decimal(line["cost_usd"]) for line in lines if line["cost_usd"]]
    assert Decimal(spent) / 10**12 == sum(amounts)
    assert 7 == len(amounts)
    assert {"acme", "'=cmd()"} == {line["customer_identifier"] for line in lines}


async def test_jsonl_has_the_metadata(api, spent) -> None:
    """An object a line; amounts are exact strings."""
    response = await api.get(PATH, format="jsonl")

    lines = [orjson.loads(line) for line in response.text.splitlines()]
    assert {"tag": "ü"} == lines[0]["metadata"]
    assert spent == sum(int(Decimal(line["cost_usd"]) * 10**12) for line in lines[:7])
    assert "=cmd()" in {line["customer_identifier"] for line in lines}
    assert lines[7]["cost_usd"] is None


async def test_focus_has_its_columns(api, spent) -> None:
    """Amounts are never null there, and corrections say so."""
    first = await api.call("acme", model="small", cost_pico=5, charge_pico=5)
    await api.call("acme", kind=Kind.SETTLE, model="small")
    await api.flush()
    response = await api.get(PATH, format="focus")

    lines = table(response.text)
    assert list(FOCUS_COLUMNS) == list(lines[0])
    assert all(line["BilledCost"] and line["BillingCurrency"] == "USD" for line in lines)
    assert Decimal(spent + 5) / 10**12 == sum(Decimal(line["BilledCost"]) for line in lines)
    line = next(line for line in lines if line["ResourceId"] == first)
    assert ("Usage", "", "Tokens") == (
        line["ChargeCategory"],
        line["ChargeClass"],
        line["ConsumedUnit"],
    )
    assert line["BillingPeriodStart"].endswith("-01T00:00:00Z")


async def test_filters_narrow_it(api, spent) -> None:
    for query, count in [
        ({"customer_identifier": "acme"}, 5),
        ({"model": "unheard-of"}, 1),
        ({"app": "other"}, 0),
        ({"to": "2020-01-01"}, 0),
    ]:
        assert count == len(table((await api.get(PATH, **query)).text)), query


async def test_a_format_that_is_none_is_refused(api) -> None:
    response = await api.get(PATH, format="xlsx")

    assert (422, ["format"]) == (response.status_code, list(response.json()["errors"]))


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_no_cell_is_a_formula(start) -> None:
    """A spreadsheet shows it as it is; numbers stay numbers."""
    text = csv_text([[f"{start}1+1", Decimal("-1E-12"), -1, None, True]])

    assert [f"'{start}1+1", "-0.000000000001", "-1", "", "true"] == next(
        csv.reader(io.StringIO(text, newline=""))
    )
