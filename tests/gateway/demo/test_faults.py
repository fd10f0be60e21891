"""Misbehaviour on request: what a gateway has to survive can be ordered."""

import time
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI

from gateway.demo.faults import NONE, Faults, UnknownFault, parse, wanted


def chat(client: OpenAI, message: str, **more):
    return client.chat.completions.create(
        model="demo-small", messages=[{"role": "user", "content": message}], **more
    )


def raw_stream(upstream, message: str, fault: str | None = None) -> tuple[bytes, bool]:
    """Return the bytes of a stream, and whether it ended properly."""
    body = {
        "model": "demo-small",
        "messages": [{"role": "user", "content": message}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    headers = {"authorization": "Bearer k"} | ({"x-demo-fault": fault} if fault else {})
    got = bytearray()
    with httpx.stream(
        "POST", f"{upstream.url}/chat/completions", json=body, headers=headers
    ) as answer:
        try:
            for chunk in answer.iter_raw():
                got += chunk
        except httpx.RemoteProtocolError:
            return bytes(got), False
    return bytes(got), True


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, openai.BadRequestError),
        (404, openai.NotFoundError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
        (503, openai.InternalServerError),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_status(client: OpenAI, status: int, error: type[Exception], stream: bool) -> None:
    """Any error status, in OpenAI's shape, with the headers that belong to it."""
    with pytest.raises(error) as caught:
        chat(client, f"!status {status}", stream=stream)

    exc = caught.value
    assert isinstance(exc, openai.APIStatusError)
    assert status == exc.status_code
    assert exc.request_id
    assert exc.request_id.startswith("req_")
    assert ("retry-after" in exc.response.headers) is (status == 429 or status >= 500)
    assert "x-ratelimit-remaining-requests" in exc.response.headers


def test_the_header_does_what_the_message_does(client: OpenAI) -> None:
    """Both carriers; the header wins over an ordinary message."""
    with pytest.raises(openai.InternalServerError):
        chat(client, "Hello", extra_headers={"x-demo-fault": "status 503"})


def test_embeddings_can_fail_too(client: OpenAI) -> None:
    """The first input takes the place of the user message."""
    with pytest.raises(openai.InternalServerError):
        client.embeddings.create(model="demo-embedding", input="!status 500")


def test_an_unknown_fault_names_those_that_exist(client: OpenAI) -> None:
    """A typo in the header would otherwise look like a gateway that survives all."""
    with pytest.raises(openai.BadRequestError, match="no-done"):
        chat(client, "Hello", extra_headers={"x-demo-fault": "statsu 500"})


def test_stall_comes_before_the_head(client: OpenAI) -> None:
    """Nothing arrives until the stall is over: a client's first-byte timeout strikes."""
    with pytest.raises(openai.APITimeoutError):
        chat(client, "!stall 5", stream=True, timeout=0.2)


def test_stall_stream_comes_after_the_first_content(client: OpenAI) -> None:
    """The head and a piece arrive, then silence."""
    got: list[Any] = []
    stream = chat(client, "!stall-stream 5", stream=True, timeout=0.3)
    with pytest.raises(Exception, match="timed out"):  # of whichever transport the client uses
        got.extend(stream)

    assert ["", "You"] == [c.choices[0].delta.content for c in got]


@pytest.mark.parametrize("frames", [0, 1, 3])
def test_cut_breaks_the_connection_mid_stream(upstream, frames: int) -> None:
    """After the role frame and N content frames; no clean end, no ``[DONE]``."""
    got, clean = raw_stream(upstream, f"!cut {frames}")

    assert not clean
    assert 1 + frames == got.count(b"data: ")
    assert b"[DONE]" not in got
    assert not upstream.seen[-1].completed


def test_cut_breaks_a_body_half_way(client: OpenAI) -> None:
    """A whole answer can break as well: fewer bytes than its length says."""
    with pytest.raises(openai.APIConnectionError):
        chat(client, "!cut")


def test_no_done_ends_cleanly(upstream) -> None:
    """All frames, usage too, only the last line is missing."""
    got, clean = raw_stream(upstream, "!no-done")

    assert clean
    assert b'"prompt_tokens"' in got
    assert b"[DONE]" not in got


def test_no_usage(client: OpenAI, upstream) -> None:
    """Neither in a body nor in a stream, though it was asked for."""
    assert chat(client, "!no-usage").usage is None

    got, clean = raw_stream(upstream, "!no-usage")
    assert clean
    assert b'"prompt_tokens"' not in got
    assert got.endswith(b"data: [DONE]\n\n")


def test_error_frame(client: OpenAI) -> None:
    """A provider that fails mid-stream says so in a frame; openai-python raises it."""
    with pytest.raises(openai.APIError, match="had an error"):
        list(chat(client, "!error-frame 2", stream=True))


def test_no_stream_options(client: OpenAI) -> None:
    """Old providers refuse the field: a 400 that names it, and only when it is there."""
    with pytest.raises(openai.BadRequestError) as caught:
        chat(
            client,
            "!no-stream-options",
            stream=True,
            stream_options={"include_usage": True},
        )

    assert "stream_options" == caught.value.param
    assert list(chat(client, "!no-stream-options", stream=True))


@pytest.mark.parametrize("message", ["!stall 20", "!stall-stream 20"])
@pytest.mark.parametrize("stream", [False, True])
def test_it_notices_that_the_client_left(
    client: OpenAI, upstream, message: str, stream: bool
) -> None:
    """Within a moment, in every phase: a gateway that keeps its upstream call open shows here."""
    with pytest.raises(Exception, match="timed out"):
        list(chat(client, message, stream=stream, timeout=0.1))

    seen = upstream.seen[-1]
    deadline = time.monotonic() + 5
    while seen.disconnected_after_s is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert seen.disconnected_after_s is not None
    assert seen.disconnected_after_s < 2
    assert not seen.completed


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", NONE),
        ("status 500", Faults(status=500)),
        ("stall 0.5; status 503", Faults(stall_s=0.5, status=503)),
        ("cut", Faults(cut_after=1)),
        ("cut 0;", Faults(cut_after=0)),
        ("no-done;no-usage", Faults(done=False, usage=False)),
    ],
)
def test_the_list_is_read(text: str, expected: Faults) -> None:
    """One fault or several, separated by semicolons."""
    assert expected == parse(text)


@pytest.mark.parametrize(
    "text", ["status", "status 200", "status x", "stall 601", "stall nan", "cut 1 2", "explode"]
)
def test_nonsense_is_refused(text: str) -> None:
    """What cannot be done is not silently left undone."""
    with pytest.raises(UnknownFault):
        parse(text)


@pytest.mark.parametrize("message", ["", "Hello", "!", "!important: read this", "status 500"])
def test_ordinary_messages_stay_ordinary(message: str) -> None:
    """Only a known word after an exclamation mark is a fault."""
    assert NONE == wanted(None, message)
