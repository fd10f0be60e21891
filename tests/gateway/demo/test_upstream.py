"""The demo upstream, as OpenAI's own client sees it."""

import asyncio
import time
from typing import Any

import httpx
import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from gateway.demo.upstream import Pace, build_upstream
from tests.support.servers import serve

HELLO: Any = [{"role": "user", "content": "Hello, I am caller 17"}]
LONG_SYSTEM: Any = {"role": "system", "content": "You count things. " * 400}


def test_an_answer_names_its_caller(client: OpenAI) -> None:
    """The last user message is echoed, so that a mixed-up answer is seen at once."""
    answer = client.chat.completions.create(model="demo-small", messages=HELLO)

    text = answer.choices[0].message.content
    assert text is not None
    assert text.startswith("You said: Hello, I am caller 17")
    assert "stop" == answer.choices[0].finish_reason
    assert answer.id.startswith("chatcmpl-")
    assert "default" == answer.service_tier
    assert answer.system_fingerprint


def test_the_same_request_gets_the_same_answer(client: OpenAI) -> None:
    """Answers and usage depend on the request only; ids do not repeat."""
    one, two = (client.chat.completions.create(model="demo-large", messages=HELLO) for _ in "12")

    assert one.choices == two.choices
    assert one.usage == two.usage
    assert one.id != two.id


def test_usage_follows_the_documented_rule(client: OpenAI) -> None:
    """ceil(bytes / 4) a text and 3 a message: a test can count by hand."""
    answer = client.chat.completions.create(model="demo-small", messages=HELLO)

    assert answer.usage is not None
    assert 6 + 3 == answer.usage.prompt_tokens
    text = answer.choices[0].message.content or ""
    assert -(-len(text.encode()) // 4) == answer.usage.completion_tokens
    assert answer.usage.prompt_tokens + answer.usage.completion_tokens == answer.usage.total_tokens


def test_a_long_system_prompt_is_cached(client: OpenAI) -> None:
    """Cached tokens are part of the prompt's, in steps of 128."""
    answer = client.chat.completions.create(model="demo-small", messages=[LONG_SYSTEM, *HELLO])

    assert answer.usage is not None
    assert answer.usage.prompt_tokens_details is not None
    system_tokens = 400 * 18 // 4 + 3
    assert system_tokens + 9 == answer.usage.prompt_tokens
    assert system_tokens // 128 * 128 == answer.usage.prompt_tokens_details.cached_tokens


def test_reasoning_is_inside_the_completion(client: OpenAI) -> None:
    """As OpenAI reports it: hidden tokens are a part of ``completion_tokens``."""
    answer = client.chat.completions.create(model="demo-reasoning", messages=HELLO)

    assert answer.usage is not None
    assert answer.usage.completion_tokens_details is not None
    reasoning = answer.usage.completion_tokens_details.reasoning_tokens
    text = answer.choices[0].message.content or ""
    assert reasoning
    assert reasoning + -(-len(text.encode()) // 4) == answer.usage.completion_tokens


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
@pytest.mark.parametrize("model", ["demo-small", "demo-reasoning"])
@pytest.mark.parametrize("limit", [1, 5, 40])
def test_the_limit_is_kept_to_the_token(client: OpenAI, field: str, model: str, limit: int) -> None:
    """A cut answer has exactly the tokens allowed, reasoning included, and says ``length``."""
    messages = [{"role": "user", "content": "日本語 🙂 " * 20}]
    body: Any = {"model": model, "messages": messages, field: limit}

    answer = client.chat.completions.create(**body)

    assert answer.usage is not None
    assert limit == answer.usage.completion_tokens
    assert "length" == answer.choices[0].finish_reason


def test_n_answers_differ_and_all_count(client: OpenAI) -> None:
    """Each of n choices is an answer of its own, and the usage is their sum."""
    answer = client.chat.completions.create(model="demo-small", messages=HELLO, n=3)

    texts = [choice.message.content or "" for choice in answer.choices]
    assert [0, 1, 2] == [choice.index for choice in answer.choices]
    assert 3 == len(set(texts))
    assert answer.usage is not None
    assert sum(-(-len(t.encode()) // 4) for t in texts) == answer.usage.completion_tokens


def test_a_stream_says_what_the_whole_answer_says(client: OpenAI) -> None:
    """Pieces joined are the text; the usage comes in a frame of its own, only when asked for."""
    whole = client.chat.completions.create(model="demo-small", messages=HELLO)

    chunks = list(
        client.chat.completions.create(
            model="demo-small",
            messages=HELLO,
            stream=True,
            stream_options={"include_usage": True},
        )
    )

    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert whole.choices[0].message.content == text
    assert [] == chunks[-1].choices
    assert whole.usage == chunks[-1].usage
    assert {None} == {c.usage for c in chunks[:-1]}
    assert all('"usage":null' in c.model_dump_json() for c in chunks[:-1])
    assert "stop" == chunks[-2].choices[0].finish_reason


def test_a_stream_without_the_wish_has_no_usage(client: OpenAI) -> None:
    """Not even ``"usage": null``: that is the sign that it was asked for."""
    chunks = list(client.chat.completions.create(model="demo-small", messages=HELLO, stream=True))

    assert all(c.choices for c in chunks)
    assert all("usage" not in c.model_fields_set for c in chunks)


def test_a_stream_of_n_choices(client: OpenAI) -> None:
    """Every choice has its role, its text and its end."""
    chunks = client.chat.completions.create(
        model="demo-small", messages=HELLO, n=2, stream=True, max_tokens=4
    )

    choices = [c.choices[0] for c in chunks]
    for index in (0, 1):
        own = [c for c in choices if c.index == index]
        assert "assistant" == own[0].delta.role
        assert "You said: Hello," == "".join(c.delta.content or "" for c in own).strip()[:16]
        assert "length" == own[-1].finish_reason


def test_the_async_client_reads_it_too(upstream) -> None:
    """Many at once, stream and not: each gets its own answer."""

    async def call(client: AsyncOpenAI, number: int) -> str:
        messages: Any = [{"role": "user", "content": f"caller {number};"}]
        if number % 2:
            answer = await client.chat.completions.create(model="demo-small", messages=messages)
            return answer.choices[0].message.content or ""
        stream = await client.chat.completions.create(
            model="demo-small", messages=messages, stream=True
        )
        return "".join([c.choices[0].delta.content or "" async for c in stream])

    async def main() -> list[str]:
        async with AsyncOpenAI(base_url=upstream.url, api_key="k", max_retries=0) as client:
            return await asyncio.gather(*(call(client, number) for number in range(20)))

    for number, text in enumerate(asyncio.run(main())):
        assert text.startswith(f"You said: caller {number};")


def test_embeddings_both_ways_are_the_same(client: OpenAI) -> None:
    """One unit vector an input; base64 (the client's default) and float agree."""
    packed = client.embeddings.create(model="demo-embedding", input=["one", "two"])
    plain = client.embeddings.create(
        model="demo-embedding", input=["one", "two"], encoding_format="float"
    )

    assert 2 == len(packed.data) == len(plain.data)
    for a, b in zip(packed.data, plain.data, strict=True):
        assert b.embedding == pytest.approx(a.embedding, rel=1e-6)
        assert 1.0 == pytest.approx(sum(x * x for x in b.embedding))
    assert packed.data[0].embedding != packed.data[1].embedding
    assert 2 == packed.usage.prompt_tokens == packed.usage.total_tokens


def test_embeddings_of_tokens_and_dimensions(client: OpenAI) -> None:
    """Arrays of tokens, as langchain sends them; ``dimensions`` is honoured."""
    answer = client.embeddings.create(model="demo-embedding", input=[[1, 2, 3], [4]], dimensions=32)

    assert [32, 32] == [len(one.embedding) for one in answer.data]
    assert 4 == answer.usage.prompt_tokens


def test_models(client: OpenAI) -> None:
    """The list and the single model agree; an unknown one is 404."""
    names = [model.id for model in client.models.list()]

    assert [
        "demo-small",
        "demo-large",
        "demo-reasoning",
        "demo-embedding",
        "demo-unpriced",
    ] == names
    assert "demo-large" == client.models.retrieve("demo-large").id
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-0")


@pytest.mark.parametrize(("model", "reasons"), [("gpt-4o-mini", False), ("o3", True)])
def test_plays_the_models_of_openai(client: OpenAI, model, reasons) -> None:
    """An application comes with its own model names, and needs no others."""
    answer = client.chat.completions.create(model=model, messages=HELLO)

    assert answer.usage is not None
    assert answer.usage.completion_tokens_details is not None
    assert model == answer.model
    assert reasons == bool(answer.usage.completion_tokens_details.reasoning_tokens)


@pytest.mark.parametrize(
    ("change", "status", "param", "code"),
    [
        ({"model": "gpt-0"}, 404, "model", "model_not_found"),
        ({"model": "demo-embedding"}, 404, "model", None),
        ({"model": None}, 400, "model", None),
        ({"messages": []}, 400, "messages", None),
        ({"messages": [{"content": "x"}]}, 400, "messages.[0]", None),
        ({"max_tokens": 0}, 400, "max_tokens", None),
        ({"max_tokens": True}, 400, "max_tokens", None),
        ({"n": 1_000}, 400, "n", None),
        ({"stream_options": {"include_usage": True}}, 400, "stream_options", None),
        (
            {"extra_body": {"customer_params": {"customer_identifier": "x"}}},
            400,
            "customer_params",
            "unknown_parameter",
        ),
    ],
)
def test_faulty_requests_are_refused_as_openai_does(
    client: OpenAI, change, status, param, code
) -> None:
    """Above all a field that the gateway should have cut out."""
    with pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(**{"model": "demo-small", "messages": HELLO} | change)

    assert status == caught.value.status_code
    assert param == caught.value.param
    assert code == caught.value.code


@pytest.mark.parametrize(
    ("content", "status"),
    [(b"{", 400), (b"[]", 400), (b"", 400), (b'{"model": "\\ud800"}', 400), (b"\xff", 400)],
)
def test_broken_json_is_a_400(client: OpenAI, content: bytes, status: int) -> None:
    """Whatever arrives, the answer is an error object."""
    with pytest.raises(openai.BadRequestError) as caught:
        client.post("/chat/completions", cast_to=object, content=content)

    assert status == caught.value.status_code
    assert isinstance(caught.value.body, dict)


def test_no_key_no_answer(upstream) -> None:
    """Any key will do, but there has to be one."""
    for headers in ({}, {"authorization": "Bearer"}, {"authorization": "Basic abc"}):
        answer = httpx.get(f"{upstream.url}/models", headers=headers)

        assert 401 == answer.status_code
        assert "invalid_api_key" == answer.json()["error"]["code"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nope", 404), ("GET", "/chat/completions", 405), ("GET", "/models/", 404)],
)
def test_unknown_routes_answer_in_shape(upstream, method: str, path: str, status: int) -> None:
    """Never a redirect, never plain text."""
    answer = httpx.request(method, f"{upstream.url}{path}", headers={"authorization": "Bearer k"})

    assert status == answer.status_code
    assert answer.json()["error"]["message"]


def test_it_records_what_it_was_sent(client: OpenAI, upstream) -> None:
    """The raw bytes, the headers and the path: what a gateway's tests look at."""
    client.chat.completions.create(model="demo-small", messages=HELLO, extra_headers={"x-own": "1"})

    seen = upstream.seen[-1]
    assert ("POST", "/v1/chat/completions") == (seen.method, seen.path)
    assert seen.body.startswith(b"{")
    assert "1" == seen.headers["x-own"]
    assert "Bearer anything" == seen.headers["authorization"]
    assert 200 == seen.status
    assert seen.completed


def test_pace_is_kept() -> None:
    """With a pace the first token and each further one take their time."""
    pace = Pace(first_token_ms=40, token_ms=4)
    with (
        serve(build_upstream(pace=pace)) as url,
        OpenAI(base_url=f"{url}/v1", api_key="k", max_retries=0) as client,
    ):
        started = time.monotonic()
        stream = client.chat.completions.create(model="demo-small", messages=HELLO, stream=True)
        times = [time.monotonic() - started for _ in stream]

    frames = len(times)
    assert 0.020 <= times[0]
    assert times[0] + (frames - 3) * 0.002 <= times[-1]
