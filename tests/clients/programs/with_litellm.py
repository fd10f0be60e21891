"""litellm as a client: its `openai` provider, over openai-python 2.x."""

import litellm
from both import collect, main

SCENARIOS, scenario = collect()
HELLO = [{"role": "user", "content": "Größe 日本 🎉?"}]
litellm.suppress_debug_info = True
litellm.telemetry = False


def options(url, token, customer, model="chat"):
    return {
        "model": f"openai/{model}",
        "api_base": f"{url}/v1",
        "api_key": token,
        "max_retries": 0,
        "extra_body": {"customer_params": {"customer_identifier": customer}},
    }


def said(answer):
    """Without what litellm makes up for each call."""
    document = answer.model_dump(mode="json", warnings=False)
    return {name: value for name, value in document.items() if name not in {"id", "created"}}


@scenario("chat: completion")
def _(*target):
    return said(litellm.completion(messages=HELLO, **options(*target)))


@scenario("chat: completion, async")
async def _(*target):
    return said(await litellm.acompletion(messages=HELLO, **options(*target)))


@scenario("chat: stream")
def _(*target):
    return [
        said(chunk) for chunk in litellm.completion(messages=HELLO, stream=True, **options(*target))
    ]


@scenario("chat: tools")
def _(*target):
    function = {"name": "weather", "parameters": {"type": "object", "properties": {}}}
    tools = [{"type": "function", "function": function}]
    return said(litellm.completion(messages=HELLO, tools=tools, **options(*target, "tools")))


@scenario("embeddings: create")
def _(*target):
    return said(litellm.embedding(input=["a", "b"], **options(*target)))


for status in (400, 402, 429, 503):

    @scenario(f"error {status}: completion")
    def _(*target, status=status):
        return litellm.completion(messages=HELLO, **options(*target, f"status-{status}"))


@scenario("error cut: stream")
def _(*target):
    return list(litellm.completion(messages=HELLO, stream=True, **options(*target, "cut")))


main(SCENARIOS)
