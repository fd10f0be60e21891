"""langchain-openai: chat, tools, structured output, embeddings, the Responses API."""

from both import collect, main
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel

SCENARIOS, scenario = collect()
HELLO = [("human", "Größe 日本 🎉?")]


class Profile(BaseModel):
    """Who it is."""

    name: str
    age: int


def weather(city: str) -> str:
    """Say what the weather is."""
    return city


def paid(customer):
    return {"customer_params": {"customer_identifier": customer}}


def chat(url, token, customer, model="chat", **options):
    return ChatOpenAI(
        model=model,
        base_url=f"{url}/v1",
        api_key=token,
        max_retries=0,
        extra_body=paid(customer),
        **options,
    )


def said(message):
    """A message without the run's own id."""
    return {**message.model_dump(mode="json"), "id": None}


@scenario("chat: invoke")
def _(*target):
    return said(chat(*target).invoke(HELLO))


@scenario("chat: invoke, async")
async def _(*target):
    return said(await chat(*target).ainvoke(HELLO))


@scenario("chat: stream")
def _(*target):
    return [said(piece) for piece in chat(*target).stream(HELLO)]


@scenario("chat: stream with usage, async")
async def _(*target):
    return [said(piece) async for piece in chat(*target, stream_usage=True).astream(HELLO)]


@scenario("chat: tools")
def _(*target):
    return said(chat(*target, "tools").bind_tools([weather]).invoke(HELLO))


@scenario("chat: tools, streamed")
def _(*target):
    bound = chat(*target, "tools").bind_tools([weather])
    return [said(piece) for piece in bound.stream(HELLO)]


@scenario("chat: structured output")
def _(*target):
    return chat(*target, "profile").with_structured_output(Profile).invoke(HELLO)


@scenario("chat: structured output by tool")
def _(*target):
    asking = chat(*target, "profile").with_structured_output(Profile, method="function_calling")
    return asking.invoke(HELLO)


@scenario("responses: invoke")
def _(*target):
    return said(chat(*target, use_responses_api=True).invoke(HELLO))


@scenario("responses: stream")
def _(*target):
    return [said(piece) for piece in chat(*target, use_responses_api=True).stream(HELLO)]


@scenario("embeddings: documents")
def _(url, token, customer):
    embedding = OpenAIEmbeddings(
        model="m",
        base_url=f"{url}/v1",
        api_key=token,
        check_embedding_ctx_length=False,
        model_kwargs={"extra_body": paid(customer)},
    )
    return embedding.embed_documents(["a", "b"])


for status in (400, 402, 429, 503):

    @scenario(f"error {status}: invoke")
    def _(*target, status=status):
        return chat(*target, f"status-{status}").invoke(HELLO)


@scenario("error cut: stream")
def _(*target):
    return list(chat(*target, "cut").stream(HELLO))


main(SCENARIOS)
