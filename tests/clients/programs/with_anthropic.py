"""Anthropic's SDK: `/v1/messages`, named by header, since its own fields are strict."""

from functools import cache

from anthropic import Anthropic, AsyncAnthropic
from both import collect, main, told

SCENARIOS, scenario = collect()
HELLO = {"max_tokens": 100, "messages": [{"role": "user", "content": "Größe 日本 🎉?"}]}


@cache
def client(url, token, cls=Anthropic, *, max_retries=0):
    return cls(base_url=url, api_key=token, max_retries=max_retries, timeout=20)


def paid(customer):
    return {"customer_params": {"customer_identifier": customer}}


@scenario("messages: create")
def _(url, token, customer):
    return client(url, token).messages.create(model="m", extra_body=paid(customer), **HELLO)


@scenario("messages: create, async")
async def _(url, token, customer):
    it = client(url, token, AsyncAnthropic)
    return await it.messages.create(model="m", extra_body=paid(customer), **HELLO)


@scenario("messages: raw response")
def _(url, token, customer):
    raw = client(url, token).messages.with_raw_response.create(
        model="m", extra_body=paid(customer), **HELLO
    )
    return [raw.status_code, told(raw.headers), raw.parse()]


@scenario("messages: stream")
def _(url, token, customer):
    it = client(url, token)
    return list(it.messages.create(model="m", stream=True, extra_body=paid(customer), **HELLO))


@scenario("messages: stream helper, async")
async def _(url, token, customer):
    it = client(url, token, AsyncAnthropic)
    async with it.messages.stream(model="m", extra_body=paid(customer), **HELLO) as stream:
        pieces = [text async for text in stream.text_stream]
        return [pieces, await stream.get_final_message()]


@scenario("messages: retried")
def _(url, token, customer):
    it = client(url, token, max_retries=2)
    return it.messages.create(model="busy-once", extra_body=paid(customer), **HELLO)


for status in (400, 401, 402, 404, 413, 429, 500, 529):

    @scenario(f"error {status}: create")
    def _(url, token, customer, status=status):
        it = client(url, token)
        return it.messages.create(model=f"status-{status}", extra_body=paid(customer), **HELLO)


@scenario("error cut: stream")
def _(url, token, customer):
    it = client(url, token)
    return list(it.messages.create(model="cut", stream=True, extra_body=paid(customer), **HELLO))


main(SCENARIOS)
