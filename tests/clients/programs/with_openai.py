"""openai-python, of whichever version runs this: sync, async, helpers, every surface."""

from functools import cache

from both import collect, main, told
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

SCENARIOS, scenario = collect()
HELLO = [{"role": "user", "content": "Größe 日本 🎉 \u2028?"}]
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": name,
            "strict": True,
            "parameters": {
                "type": "object",
                "properties": {field: {"type": "string"}},
                "required": [field],
                "additionalProperties": False,
            },
        },
    }
    for name, field in (("weather", "city"), ("time", "zone"))
]


class Profile(BaseModel):
    name: str
    age: int


@cache
def client(url, token, cls=OpenAI, *, max_retries=0):
    """Nothing but `base_url` tells the two ways apart."""
    return cls(base_url=f"{url}/v1", api_key=token, max_retries=max_retries, timeout=20)


def paid(customer):
    return {"customer_params": {"customer_identifier": customer}}


def chats(name, model, **fields):
    """The same chat, plain and streamed, from both clients."""

    def whole(url, token, customer):
        it = client(url, token)
        return it.chat.completions.create(
            model=model, messages=HELLO, extra_body=paid(customer), **fields
        )

    def streamed(url, token, customer):
        it = client(url, token)
        return list(
            it.chat.completions.create(
                model=model, messages=HELLO, stream=True, extra_body=paid(customer), **fields
            )
        )

    async def whole_async(url, token, customer):
        it = client(url, token, AsyncOpenAI)
        return await it.chat.completions.create(
            model=model, messages=HELLO, extra_body=paid(customer), **fields
        )

    async def streamed_async(url, token, customer):
        it = client(url, token, AsyncOpenAI)
        stream = await it.chat.completions.create(
            model=model, messages=HELLO, stream=True, extra_body=paid(customer), **fields
        )
        return [chunk async for chunk in stream]

    scenario(f"{name}: create")(whole)
    scenario(f"{name}: create, async")(whole_async)
    scenario(f"{name}: stream")(streamed)
    scenario(f"{name}: stream, async")(streamed_async)


chats("chat", "chat")
chats("chat tools", "tools", tools=TOOLS)


def streams(model, **fields):
    def streamed(url, token, customer):
        it = client(url, token)
        return list(it.chat.completions.create(model=model, messages=HELLO, stream=True, **fields))

    return streamed


COUNTS = {"stream_options": {"include_usage": True}}
scenario("chat asking for usage: stream")(streams("chat", **COUNTS))
for odd in ("azure", "comments", "counted", "groq", "crlf", "bytewise", "thinks"):
    scenario(f"chat {odd}: stream")(streams(odd))
for broken in ("error-frame", "cut"):
    scenario(f"error {broken}: stream")(streams(broken))


@scenario("chat: parse")
def _(url, token, customer):
    it = client(url, token)
    return it.chat.completions.parse(
        model="profile", messages=HELLO, response_format=Profile, extra_body=paid(customer)
    )


@scenario("chat: stream helper")
def _(url, token, customer):
    it = client(url, token)
    with (
        it.chat.completions.stream(
            model="profile", messages=HELLO, response_format=Profile, extra_body=paid(customer)
        ) as stream,
    ):
        kinds = [event.type for event in stream]
        return [kinds, stream.get_final_completion()]


@scenario("chat tools: stream helper, async")
async def _(url, token, customer):
    it = client(url, token, AsyncOpenAI)
    async with (
        it.chat.completions.stream(
            model="tools", messages=HELLO, tools=TOOLS, extra_body=paid(customer)
        ) as stream,
    ):
        kinds = [event.type async for event in stream]
        return [kinds, await stream.get_final_completion()]


@scenario("chat: raw response")
def _(url, token, customer):
    it = client(url, token)
    raw = it.chat.completions.with_raw_response.create(
        model="chat", messages=HELLO, extra_body=paid(customer)
    )
    return [raw.status_code, told(raw.headers), raw.content]


@scenario("chat: retried")
def _(url, token, customer):
    it = client(url, token, max_retries=2)
    return it.chat.completions.create(model="busy-once", messages=HELLO, extra_body=paid(customer))


def refused(model, *, stream):
    def call(url, token, customer):
        it = client(url, token)
        return it.chat.completions.create(
            model=model, messages=HELLO, stream=stream, extra_body=paid(customer)
        )

    return call


for status in (400, 401, 403, 404, 409, 413, 418, 422, 429, 451, 500, 503, 529, 599):
    scenario(f"error {status}: create")(refused(f"status-{status}", stream=False))
    scenario(f"error {status}: stream")(refused(f"status-{status}", stream=True))
scenario("error html: create")(refused("html", stream=False))


@scenario("completions: create")
def _(url, token, customer):
    it = client(url, token)
    return it.completions.create(model="m", prompt="Hi", extra_body=paid(customer))


@scenario("completions: stream")
def _(url, token, customer):
    it = client(url, token)
    return list(
        it.completions.create(model="m", prompt="Hi", stream=True, extra_body=paid(customer))
    )


@scenario("embeddings: base64")
def _(url, token, customer):
    it = client(url, token)
    return it.embeddings.create(model="m", input=["a", "b"], extra_body=paid(customer))


@scenario("embeddings: floats, async")
async def _(url, token, customer):
    it = client(url, token, AsyncOpenAI)
    return await it.embeddings.create(
        model="m", input=["a", "b"], encoding_format="float", extra_body=paid(customer)
    )


@scenario("responses: create")
def _(url, token, customer):
    it = client(url, token)
    return it.responses.create(model="m", input="Hi", extra_body=paid(customer))


@scenario("responses: stream")
def _(url, token, customer):
    it = client(url, token)
    return list(it.responses.create(model="m", input="Hi", stream=True, extra_body=paid(customer)))


@scenario("responses: stream helper, async")
async def _(url, token, customer):
    it = client(url, token, AsyncOpenAI)
    async with (
        it.responses.stream(model="m", input="Hi", extra_body=paid(customer)) as stream,
    ):
        kinds = [event.type async for event in stream]
        return [kinds, await stream.get_final_response()]


@scenario("audio: speech")
def _(url, token, customer):
    it = client(url, token)
    return it.audio.speech.create(
        model="uncounted", voice="alloy", input="Hello", extra_body=paid(customer)
    ).content


@scenario("audio: speech, streamed, async")
async def _(url, token, customer):
    it = client(url, token, AsyncOpenAI)
    async with (
        it.audio.speech.with_streaming_response.create(
            model="uncounted", voice="alloy", input="Hello", extra_body=paid(customer)
        ) as answered,
    ):
        return b"".join([piece async for piece in answered.iter_bytes(999)])


SOUND = ("a b.wav", bytes(range(256)) * 99, "audio/wav")


@scenario("audio: transcription")
def _(url, token, customer):
    it = client(url, token)
    return it.audio.transcriptions.create(model="m", file=SOUND, extra_body=paid(customer))


@scenario("audio: transcription as text, async")
async def _(url, token, customer):
    it = client(url, token, AsyncOpenAI)
    return await it.audio.transcriptions.create(
        model="uncounted", file=SOUND, response_format="text", extra_body=paid(customer)
    )


@scenario("audio: translation")
def _(url, token, customer):
    it = client(url, token)
    return it.audio.translations.create(model="m", file=SOUND, extra_body=paid(customer))


@scenario("images: generate")
def _(url, token, customer):
    it = client(url, token)
    return it.images.generate(model="m", prompt="A cat", extra_body=paid(customer))


@scenario("images: edit")
def _(url, token, customer):
    picture = ("cat.png", b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "image/png")
    it = client(url, token)
    return it.images.edit(
        model="m", image=[picture, picture], prompt="A hat", extra_body=paid(customer)
    )


@scenario("moderations: create")
def _(url, token, customer):
    it = client(url, token)
    return it.moderations.create(model="uncounted", input="Hi", extra_body=paid(customer))


@scenario("files: upload, list, read")
def _(url, token, customer):
    it = client(url, token)
    made = it.files.create(file=("a b.jsonl", bytes(range(256)), "text/plain"), purpose="batch")
    listed = list(it.files.list(limit=5, purpose="batch"))
    return [made, listed, it.files.content("file-1").content]


main(SCENARIOS)
