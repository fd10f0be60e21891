from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.event import Kind, Source, Status, UsageEvent, decode, details_of
from pricing.usage import Usage

amounts = st.integers(1 - 2**63, 2**63 - 1)
counts = st.integers(0, 10**12)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
events = st.builds(
    UsageEvent,
    request_id=texts,
    kind=st.sampled_from(sorted(set(Kind) - {Kind.ORPHAN})),
    at_ms=counts,
    customer_number=counts,
    charge_pico=amounts,
    cost_pico=amounts,
    app=texts,
    group=st.none() | texts,
    unpriced=st.booleans(),
    markup_ppm=counts,
    hold_pico=counts,
    model=texts,
    served_model=st.none() | texts,
    usage=st.builds(
        Usage,
        input_tokens=counts,
        audio_out_tokens=counts,
        fees=st.lists(st.tuples(texts, counts), max_size=2).map(tuple),
    ),
    scope=st.none() | texts,
    reported_cost_pico=st.none() | counts,
    raw_usage=st.none() | texts,
    source=st.none() | st.sampled_from(Source),
    status=st.sampled_from(Status),
    status_code=st.integers(0, 599),
    stream=st.booleans(),
    latency_ms=st.none() | counts,
    metadata=st.none() | st.dictionaries(texts, texts | st.integers(-5, 5) | st.none(), max_size=3),
)


def entry(event: UsageEvent, **fields: bytes) -> list[bytes]:
    written = {
        b"k": event.kind.encode(),
        b"id": event.request_id.encode(),
        b"n": b"%d" % event.customer_number,
        b"a": b"%d" % event.charge_pico,
        b"c": b"%d" % event.cost_pico,
        b"e": event.details(),
    }
    written |= {name.encode(): value for name, value in fields.items()}
    return [part for pair in written.items() for part in pair]


CALL = UsageEvent(request_id="r", kind=Kind.SETTLE, at_ms=1)


@given(events)
def test_reads_what_was_written(event) -> None:
    """An event comes out of the stream as it went in."""
    assert event == decode(entry(event))


def test_the_script_decides_how_an_orphan_looks() -> None:
    """Details written at the hold say "ok"; posted as an orphan the call is unresolved."""
    read = decode(entry(CALL, k=b"orphan", a=b"900"))

    assert (Kind.ORPHAN, 900) == (read.kind, read.charge_pico)
    assert (Status.UNRESOLVED, Source.MISSING) == (read.status, read.source)
    assert (True, 900) == (read.failed, read.unresolved_pico)


def test_passes_over_what_a_later_version_wrote() -> None:
    """Two versions run side by side: unknown fields are no error."""
    e = b'{"v":9,"at_ms":1,"novel":[1],"usage":{"input_tokens":3,"novel_tokens":4}}'

    assert 3 == decode(entry(CALL, e=e)).usage.total


def test_what_is_null_has_its_default() -> None:
    """As what is absent; an event is too dear to be passed over for that."""
    usage = '{"input_tokens":null,"output_tokens":2}'
    e = f'{{"at_ms":1,"model":null,"latency_ms":null,"usage":{usage}}}'.encode()
    expected = UsageEvent(request_id="r", kind=Kind.SETTLE, at_ms=1, usage=Usage(output_tokens=2))

    assert expected == decode(entry(CALL, e=e))


def test_the_order_of_its_fields_says_nothing() -> None:
    """An entry is read by names, its own order being only the fast way."""
    ours = entry(CALL, novel=b"?")
    pairs = list(zip(ours[::2], ours[1::2], strict=True))

    assert CALL == decode([part for pair in reversed(pairs) for part in pair])
    assert CALL == decode(dict(pairs))


@pytest.mark.parametrize(
    "fields",
    [
        {"k": b"novel"},
        {"n": b"x"},
        {"a": b"1.5"},
        {"a": str(2**63).encode()},
        {"id": b"\xff"},
        {"e": b""},
        {"e": b"[]"},
        {"e": b"{}"},
        {"e": b'{"at_ms":-1}'},
        {"e": b'{"at_ms":1e30}'},
        {"e": b'{"at_ms":"1"}'},
        {"e": b'{"at_ms":1,"latency_ms":"1"}'},
        {"e": b'{"at_ms":1,"latency_ms":true}'},
        {"e": b'{"at_ms":1,"status":"novel"}'},
        {"e": b'{"at_ms":1,"status":{}}'},
        {"e": b'{"at_ms":1,"model":7}'},
        {"e": b'{"at_ms":1,"metadata":[]}'},
        {"e": b'{"at_ms":1,"usage":[]}'},
        {"e": b'{"at_ms":1,"usage":{"input_tokens":-1}}'},
        {"e": b'{"at_ms":1,"usage":{"input_tokens":1.5}}'},
        {"e": b'{"at_ms":1,"usage":{"input_tokens":9000000000000000000}}'},
        {"e": b'{"at_ms":1,"model":"\\ud800"}'},
        {"e": b'{"at_ms":1,"usage":{"fees":[["page"]]}}'},
        {"e": b'{"at_ms":null}'},
        {"e": b'{"at_ms":1.0}'},
        {"e": b'{"at_ms":1,"hold_pico":9223372036854775808}'},
        {"e": b'{"at_ms":1,"hold_pico":99999999999999999999999}'},
        {"e": b'{"at_ms":1,"metadata":{"x":1e999}}'},
        {"e": b'{"at_ms":1,"metadata":{"x":' + b"[" * 99_999 + b"]" * 99_999 + b"}}"},
        {"o": b"x"},
        {"o": str(2**63).encode()},
    ],
)
def test_refuses_what_is_no_event(fields) -> None:
    """Foreign entries are a ValueError, never a wrong type further down."""
    with pytest.raises(ValueError, match=r".+"):
        decode(entry(CALL, **fields))


def test_refuses_entries_without_our_fields() -> None:
    """Anything may be in a stream."""
    with pytest.raises(ValueError, match="not a usage event"):
        decode([b"hello", b"world"])


def test_the_details_of_some_fields_are_those_of_the_event() -> None:
    """What a hold writes for the worst case reads back as the event it stands for."""
    known: dict[str, Any] = {
        "request_id": "fbx_1",
        "at_ms": 7,
        "app": "a",
        "stream": True,
        "metadata": None,
    }
    event = UsageEvent(kind=Kind.ORPHAN, **known)

    assert orjson.loads(event.details()) == orjson.loads(details_of(known))
