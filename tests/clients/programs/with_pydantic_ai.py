"""pydantic-ai: agents over chat completions and over the Responses API."""

from both import collect, main
from pydantic import BaseModel
from pydantic_ai import Agent, PromptedOutput
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider

SCENARIOS, scenario = collect()


class Profile(BaseModel):
    name: str
    age: int


def agent(url, token, customer, model="chat", cls=OpenAIChatModel, **options):
    provider = OpenAIProvider(base_url=f"{url}/v1", api_key=token)
    settings = {"extra_body": {"customer_params": {"customer_identifier": customer}}}
    return Agent(cls(model, provider=provider), model_settings=settings, **options)


def told(run):
    usage = run.usage
    return [run.output, repr(usage() if callable(usage) else usage)]


@scenario("chat: run")
async def _(*target):
    return told(await agent(*target).run("Hi"))


@scenario("chat: run, typed by tool")
async def _(*target):
    return told(await agent(*target, "profile", output_type=Profile).run("Hi"))


@scenario("chat: run, typed by prompt")
async def _(*target):
    typed = agent(*target, "profile", output_type=PromptedOutput(Profile))
    return told(await typed.run("Hi"))


@scenario("chat: stream")
async def _(*target):
    async with agent(*target).run_stream("Hi") as run:
        pieces = [text async for text in run.stream_text(delta=True, debounce_by=None)]
        usage = run.usage
        return [pieces, repr(usage() if callable(usage) else usage)]


@scenario("responses: run")
async def _(*target):
    return told(await agent(*target, cls=OpenAIResponsesModel).run("Hi"))


@scenario("responses: stream")
async def _(*target):
    async with agent(*target, cls=OpenAIResponsesModel).run_stream("Hi") as run:
        return [text async for text in run.stream_text(delta=True, debounce_by=None)]


for status in (400, 402, 429):

    @scenario(f"error {status}: run")
    async def _(*target, status=status):
        return told(await agent(*target, f"status-{status}").run("Hi"))


@scenario("error cut: stream")
async def _(*target):
    async with agent(*target, "cut").run_stream("Hi") as run:
        return [text async for text in run.stream_text(delta=True, debounce_by=None)]


main(SCENARIOS)
