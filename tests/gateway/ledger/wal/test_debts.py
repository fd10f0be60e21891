"""Debts: for each point at which a process can die, what its log says is owed."""

import orjson
import pytest

from gateway.event import Kind, Source, Status, decode
from gateway.ledger.wal.debts import Debts
from gateway.ledger.wal.records import (
    Confirmed,
    Ending,
    Intent,
    KnownProfile,
    SoFar,
    StoreIdentity,
    read,
)

ID = "fbx_" + "0" * 32
OPENING = orjson.dumps({"v": 1, "app": "my-app", "model": "m", "at_ms": 7})

intent = Intent(request_id=ID, customer="acme", number=5, window_ids="1 2 3 4 0", opening=OPENING)
sent = SoFar(
    request_id=ID,
    charge_pico=10,
    cost_pico=9,
    hold_pico=100,
    markup_ppm=0,
    input_tokens=3,
    output_tokens=0,
)
progress = SoFar(
    request_id=ID,
    charge_pico=2**62,
    cost_pico=2**61,
    hold_pico=2**62,
    markup_ppm=5,
    input_tokens=3,
    output_tokens=4,
    price_id="p",
)
final = Ending(
    request_id=ID,
    customer="acme",
    verb="settle",
    number=5,
    window_ids="1 2 3 4 0",
    charge_pico=33,
    cost_pico=30,
    details=b'{"v":1,"at_ms":7}',
)
released = Ending(
    request_id=ID,
    customer="acme",
    verb="release",
    kind=Kind.REFUSE,
    number=0,
    window_ids="1 2 3 4 0",
    charge_pico=0,
    cost_pico=0,
    details=b'{"v":1,"at_ms":7}',
    change={"email": "a@b.c", "period_budget": 5, "metadata": {"x": 1}},
)
profile = KnownProfile("acme", 5, {"identifier": "acme", "period_budget": "7"})


@pytest.mark.parametrize(
    "record",
    [intent, sent, progress, final, released, Confirmed(ID), profile, StoreIdentity("a b")],
)
def test_every_record_reads_back(record):
    assert record == read(record.payload())


@pytest.mark.parametrize("payload", [b"", b"[]", b"{}", b"null", b'["z",1]', b'["i"]', b'["f",1]'])
def test_what_is_not_known_is_skipped(payload):
    """A newer version's records, and nonsense."""
    assert read(payload) is None


@pytest.mark.parametrize(
    ("records", "owed"),
    [
        ([], []),
        ([intent], [("release", 0)]),
        ([intent, intent], [("release", 0)]),
        ([intent, sent], [("settle", 10)]),
        ([intent, sent, progress], [("settle", 2**62)]),
        ([intent, sent, final], [("settle", 33)]),
        ([intent, released], [("release", 0)]),
        ([intent, Confirmed(ID)], []),
        ([intent, Confirmed(ID), intent], [("release", 0)]),
        ([intent, Confirmed(ID), intent, sent], [("settle", 10)]),
        ([intent, Confirmed(ID), intent, sent, final, Confirmed(ID)], []),
        ([intent, sent, final, Confirmed(ID)], []),
        ([sent], []),
        ([final], [("settle", 33)]),
    ],
)
def test_what_is_owed(records, owed):
    debts = Debts()
    debts.add(records)
    assert owed == [(e.verb, e.charge_pico) for e in debts.unpaid()]


def test_the_end_of_a_call_that_nobody_saw_is_flagged():
    """An estimate says that it is one, and why."""
    debts = Debts()
    debts.add([intent, progress])
    (ending,) = debts.unpaid()
    event = decode(
        [
            *(b"k", b"settle"),
            *(b"id", ID.encode()),
            *(b"n", b"5"),
            *(b"a", b"1"),
            *(b"c", b"1"),
            *(b"e", ending.details),
        ]
    )
    assert (Status.ERROR, "gateway_died", Source.ESTIMATED) == (
        event.status,
        event.error_code,
        event.source,
    )
    assert ("my-app", "m", 3, 4, "p", 5) == (
        event.app,
        event.model,
        event.usage.input_tokens,
        event.usage.output_tokens,
        event.price_id,
        event.markup_ppm,
    )
