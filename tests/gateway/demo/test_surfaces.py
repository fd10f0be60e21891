"""The routes beside chats: the same answers and counts, in each one's own form."""

import json
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI

HELLO = "Hello, I am caller 17"


def of_chat(client: OpenAI, **fields: Any) -> Any:
    messages: Any = [{"role": "user", "content": HELLO}]
    return client.chat.completions.create(model="demo-small", messages=messages, **fields)


def post(client: OpenAI, **fields: Any) -> httpx.Response:
    """A call to ``messages``; there is no client of Anthropic's here."""
    body = {
        "model": "demo-small",
        "max_tokens": 500,
        "messages": [{"role": "user", "content": HELLO}],
        **fields,
    }
    url = f"{str(client.base_url).rstrip('/')}/messages"
    return httpx.post(url, json=body, headers={"x-api-key": "any"}, trust_env=False)


def test_completions(client: OpenAI) -> None:
    """As many as there are prompts, times ``n``; counted as chats of one message are."""
    one = client.completions.create(model="demo-small", prompt=HELLO)
    chat = of_chat(client)
    assert (chat.choices[0].message.content, chat.usage) == (one.choices[0].text, one.usage)
    assert one.id.startswith("cmpl-")

    many = client.completions.create(model="demo-small", prompt=[HELLO, "x"], n=2)
    assert [0, 1, 2, 3] == [choice.index for choice in many.choices]
    tokens = client.completions.create(model="demo-small", prompt=[1, 2, 3], max_tokens=4)
    assert ("length", 4) == (tokens.choices[0].finish_reason, tokens.usage.completion_tokens)  # type: ignore[union-attr]


@pytest.mark.parametrize("asks", [False, True])
def test_completions_in_a_stream(client: OpenAI, asks: bool) -> None:
    options: Any = {"stream_options": {"include_usage": True}} if asks else {}
    frames = list(
        client.completions.create(model="demo-small", prompt=HELLO, stream=True, **options)
    )

    text = "".join(choice.text for frame in frames for choice in frame.choices)
    whole = client.completions.create(model="demo-small", prompt=HELLO)
    assert whole.choices[0].text == text
    assert (whole.usage if asks else None) == frames[-1].usage


def test_responses(client: OpenAI) -> None:
    made = client.responses.create(model="demo-small", input=HELLO, max_output_tokens=400)

    chat = of_chat(client)
    assert ("completed", chat.choices[0].message.content) == (made.status, made.output_text)
    assert made.usage is not None
    assert (chat.usage.prompt_tokens, chat.usage.completion_tokens) == (
        made.usage.input_tokens,
        made.usage.output_tokens,
    )
    assert made == client.responses.retrieve(made.id)
    client.responses.delete(made.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(made.id)


def test_responses_that_are_cut(client: OpenAI) -> None:
    items: Any = [{"role": "user", "content": [{"type": "input_text", "text": HELLO}]}]
    made = client.responses.create(model="demo-small", input=items, max_output_tokens=5)

    assert made.incomplete_details is not None
    assert ("incomplete", "max_output_tokens") == (made.status, made.incomplete_details.reason)


def test_responses_in_a_stream(client: OpenAI) -> None:
    """Its last event is the whole response, with its usage."""
    events = list(client.responses.create(model="demo-small", input=HELLO, stream=True))

    assert ["response.created", "response.completed"] == [events[0].type, events[-1].type]
    text = "".join(e.delta for e in events if e.type == "response.output_text.delta")
    last: Any = events[-1]
    assert last.response.output_text == text
    assert last.response.usage.output_tokens > 0


def test_responses_in_the_background(client: OpenAI) -> None:
    queued = client.responses.create(model="demo-small", input=HELLO, background=True)
    made = client.responses.retrieve(queued.id)

    assert ("queued", None) == (queued.status, queued.usage)
    assert ("completed", True) == (made.status, made.usage is not None)


def test_messages(client: OpenAI) -> None:
    made = post(client).json()

    chat = of_chat(client)
    assert [{"type": "text", "text": chat.choices[0].message.content}] == made["content"]
    assert ("end_turn", chat.usage.completion_tokens) == (
        made["stop_reason"],
        made["usage"]["output_tokens"],
    )
    assert chat.usage.prompt_tokens == made["usage"]["input_tokens"]


def test_messages_read_their_cache_beside_the_input(client: OpenAI) -> None:
    usage = post(client, system="You count things. " * 400).json()["usage"]

    assert usage["cache_read_input_tokens"] == 1_792
    assert 0 < usage["input_tokens"] < 128


def test_messages_in_a_stream(client: OpenAI) -> None:
    frames = post(client, stream=True).text.split("\n\n")[:-1]
    events = [json.loads(frame.partition("data: ")[2]) for frame in frames]

    assert ["message_start", "message_stop"] == [events[0]["type"], events[-1]["type"]]
    text = "".join(e["delta"].get("text", "") for e in events if "delta" in e)
    assert post(client).json()["content"][0]["text"] == text


def test_messages_refuse_in_anthropics_form(client: OpenAI) -> None:
    for field, value in (("max_tokens", None), ("customer_params", {}), ("messages", [])):
        refused = post(client, **{field: value})
        assert (400, "error") == (refused.status_code, refused.json()["type"])
        assert refused.json()["error"]["message"]


@pytest.mark.parametrize("stream", [False, True])
def test_faults_strike_here_too(client: OpenAI, stream: bool) -> None:
    for path, body in (
        ("completions", {"prompt": "!status 503"}),
        ("responses", {"input": "!status 503"}),
        ("messages", {"messages": [{"role": "user", "content": "!status 503"}], "max_tokens": 9}),
    ):
        got = httpx.post(
            f"{client.base_url}{path}",
            json={"model": "demo-small", "stream": stream, **body},
            headers={"authorization": "Bearer any"},
            trust_env=False,
        )
        assert 503 == got.status_code


@pytest.mark.parametrize(
    ("path", "body", "sign"),
    [
        ("completions", {"prompt": "x"}, "server_error"),
        ("responses", {"input": "x"}, "response.failed"),
        ("messages", {"messages": [{"role": "user", "content": "x"}], "max_tokens": 90}, '"error"'),
    ],
)
def test_streams_fail_as_their_provider_says_it(
    client: OpenAI, path: str, body: Any, sign: str
) -> None:
    def ask(fault: str) -> str:
        with httpx.stream(
            "POST",
            f"{client.base_url}{path}",
            json={"model": "demo-small", "stream": True, **body},
            headers={"authorization": "Bearer any", "x-demo-fault": fault},
            trust_env=False,
        ) as answer:
            return "".join(answer.iter_text())

    assert sign in ask("error-frame 2")
    with pytest.raises(httpx.RemoteProtocolError):
        ask("cut 2")
