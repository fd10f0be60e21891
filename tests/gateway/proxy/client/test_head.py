"""The bytes of a request's head; nothing can break out of its line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import GatewayError, InvalidCall
from gateway.proxy.client import Sent
from gateway.proxy.client.head import HeadWriter
from tests.support.calling import client_of
from tests.support.hostile import answering, hostile, whole

WRITER = HeadWriter(b"api.example.com")


def test_the_head_of_a_post():
    headers = [(b"accept", b"*/*"), (b"x", b""), (b"x", b"\xe9")]

    assert (
        b"POST /v1/x?a=b HTTP/1.1\r\nhost: api.example.com\r\n"
        b"accept: */*\r\nx: \r\nx: \xe9\r\ncontent-length: 12\r\n\r\n"
    ) == WRITER.write("POST", b"/v1/x?a=b", headers, 12)


@pytest.mark.parametrize(
    ("method", "length", "expected"),
    [("GET", 0, b""), ("HEAD", 0, b""), ("POST", 0, b"content-length: 0\r\n")],
)
def test_a_length_where_a_body_may_be(method, length, expected):
    head = WRITER.write(method, b"/", [], length)

    assert b"%b / HTTP/1.1\r\nhost: api.example.com\r\n%b\r\n" % (method.encode(), expected) == head


SPLITTERS = [b"\r", b"\n", b"\0", b"\r\n", b"\r\nx: y", b"\n\n", b"a\r\n\r\nGET / HTTP/1.1"]


@pytest.mark.parametrize("splitter", SPLITTERS)
@pytest.mark.parametrize("place", ["name", "value", "target"])
@pytest.mark.parametrize("around", [(b"", b""), (b"a", b""), (b"", b"a"), (b"a", b"a")])
def test_splitters_are_refused(splitter, place, around):
    text = around[0] + splitter + around[1]
    name = text if place == "name" else b"x"
    value = text if place == "value" else b"y"
    target = b"/" + text if place == "target" else b"/"

    with pytest.raises(InvalidCall) as caught:
        WRITER.write("POST", target, [(name, value)], 0)

    assert "GET" not in str(caught.value)


@pytest.mark.parametrize(
    "name", [b"", b" ", b"a b", b"a:", b":a", b"a\xe9", b"(a)", b"a\t", b"a\x7f"]
)
def test_names_that_are_none(name):
    with pytest.raises(InvalidCall):
        WRITER.write("POST", b"/", [(name, b"y")], 0)


@pytest.mark.parametrize("target", [b"", b"*", b"x", b"http://a/", b"/a b", b"/\xe9", b"/a\x7f"])
def test_targets_that_are_none(target):
    with pytest.raises(InvalidCall):
        WRITER.write("POST", target, [], 0)


@pytest.mark.parametrize("name", [b"host", b"Content-Length", b"transfer-encoding", b"Connection"])
def test_the_framing_is_the_clients(name):
    """Also the second time."""
    for _ in range(2):
        with pytest.raises(InvalidCall):
            WRITER.write("POST", b"/", [(name, b"1")], 0)


@given(st.lists(st.tuples(st.binary(max_size=4), st.binary(max_size=4)), max_size=4))
def test_a_head_has_the_lines_it_was_given(headers):
    """Whatever bytes come: one line a header, or a refusal."""
    try:
        head = HeadWriter(b"h").write("POST", b"/", headers, 3)
    except GatewayError:
        return
    lines = [b"POST / HTTP/1.1", b"host: h", *(n + b": " + v for n, v in headers)]

    assert [*lines, b"content-length: 3", b"", b""] == head.split(b"\r\n")


@pytest.mark.anyio
async def test_nothing_is_sent_of_a_refused_call():
    async with hostile(answering(whole(b"hi"))) as server, client_of(server) as client:
        sent = Sent()
        with pytest.raises(InvalidCall):
            await client.exchange("POST", b"/", [(b"x", b"a\r\nb")], b"", sent)

        assert not sent.maybe
        assert (0, 0) == (client.active, server.connections)
