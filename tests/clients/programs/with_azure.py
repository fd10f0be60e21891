"""openai-python at Azure: both of its surfaces, sync, async, streams, files.

The older surface has the deployment in the path and the version in the query, and wants
the key in ``api-key``; the newer one is called as OpenAI's own.
"""

from functools import cache

from both import collect, main, told
from openai import AsyncAzureOpenAI, AsyncOpenAI, AzureOpenAI, OpenAI

SCENARIOS, scenario = collect()
HELLO = [{"role": "user", "content": "Größe 日本 🎉"}]
SOUND = ("a b.wav", bytes(range(256)) * 99, "audio/wav")


@cache
def dated(url, token, cls=AzureOpenAI, **options):
    settings = {"api_version": "2024-10-21", "max_retries": 0, "timeout": 20}
    return cls(azure_endpoint=url, api_key=token, **settings, **options)


@cache
def newer(url, token, cls=OpenAI):
    version = {"api-version": "preview"}
    base = f"{url}/openai/v1/"
    return cls(base_url=base, api_key=token, default_query=version, max_retries=0, timeout=20)


def paid(customer):
    return {"extra_body": {"customer_params": {"customer_identifier": customer}}}


def chats(name, client, asynchronous, prefix):
    """Chats of every kind, from both clients of a surface."""

    def chat(it, model, customer, **fields):
        return it.chat.completions.create(
            model=prefix + model, messages=HELLO, **fields, **paid(customer)
        )

    for model in ("chat", "tools"):

        def whole(url, token, customer, model=model):
            return chat(client(url, token), model, customer)

        async def whole_async(url, token, customer, model=model):
            return await chat(client(url, token, asynchronous), model, customer)

        scenario(f"{name} {model}: create")(whole)
        scenario(f"{name} {model}: create, async")(whole_async)

    for model, fields in (
        ("chat", {}),
        ("azure", {}),
        ("azure", {"stream_options": {"include_usage": True}}),
    ):
        asking = " asking for usage" if fields else ""

        def streamed(url, token, customer, model=model, fields=fields):
            return list(chat(client(url, token), model, customer, stream=True, **fields))

        async def streamed_async(url, token, customer, model=model, fields=fields):
            it = client(url, token, asynchronous)
            stream = await chat(it, model, customer, stream=True, **fields)
            return [chunk async for chunk in stream]

        scenario(f"{name} {model}{asking}: stream")(streamed)
        scenario(f"{name} {model}{asking}: stream, async")(streamed_async)

    def refused(url, token, customer):
        return chat(client(url, token), "status-429", customer)

    def broken(url, token, customer):
        return list(chat(client(url, token), "cut", customer, stream=True))

    scenario(f"error {name} 429: create")(refused)
    scenario(f"error {name} cut: stream")(broken)


def others(name, client, prefix):
    """The other routes that Azure's deployments have."""

    @scenario(f"{name} completions")
    def _(url, token, customer):
        it = client(url, token)
        return it.completions.create(model=f"{prefix}m", prompt="Hi", **paid(customer))

    @scenario(f"{name} embeddings")
    def _(url, token, customer):
        it = client(url, token)
        return it.embeddings.create(model=f"{prefix}m", input=["a", "b"], **paid(customer))

    @scenario(f"{name} responses")
    def _(url, token, customer):
        it = client(url, token)
        return it.responses.create(model=f"{prefix}m", input="Hi", **paid(customer))

    @scenario(f"{name} responses: stream")
    def _(url, token, customer):
        it = client(url, token)
        asked = it.responses.create(model=f"{prefix}m", input="Hi", stream=True, **paid(customer))
        return list(asked)

    @scenario(f"{name} speech")
    def _(url, token, customer):
        it = client(url, token)
        said = it.audio.speech.create(
            model=f"{prefix}uncounted", voice="alloy", input="Hello", **paid(customer)
        )
        return said.content

    @scenario(f"{name} transcription")
    def _(url, token, customer):
        it = client(url, token)
        return it.audio.transcriptions.create(model=f"{prefix}m", file=SOUND, **paid(customer))

    @scenario(f"{name} images")
    def _(url, token, customer):
        it = client(url, token)
        return it.images.generate(model=f"{prefix}m", prompt="A cat", **paid(customer))


chats("dated", dated, AsyncAzureOpenAI, "dated-")
chats("v1", newer, AsyncOpenAI, "v1-")
others("dated", dated, "dated-")
others("v1", newer, "v1-")


@scenario("dated: a deployment of the client's own")
def _(url, token, customer):
    """The body names another model, which does not count."""
    it = dated(url, token, azure_deployment="dated-chat")
    return it.chat.completions.create(model="gpt-4o", messages=HELLO, **paid(customer))


@scenario("dated: raw response")
def _(url, token, customer):
    raw = dated(url, token).chat.completions.with_raw_response.create(
        model="dated-chat", messages=HELLO, **paid(customer)
    )
    return [raw.status_code, told(raw.headers), raw.content]


main(SCENARIOS)
