"""instructor: typed answers by tool, by JSON schema, and in pieces."""

import instructor
from both import collect, main
from openai import OpenAI
from pydantic import BaseModel

SCENARIOS, scenario = collect()
HELLO = [{"role": "user", "content": "Who?"}]


class Profile(BaseModel):
    name: str
    age: int


def client(url, token, mode):
    it = OpenAI(base_url=f"{url}/v1", api_key=token, max_retries=0, timeout=20)
    return instructor.from_openai(it, mode=mode)


def typed(url, token, customer, mode, model="profile"):
    return client(url, token, mode).chat.completions.create(
        model=model,
        messages=HELLO,
        response_model=Profile,
        max_retries=0,
        extra_body={"customer_params": {"customer_identifier": customer}},
    )


@scenario("chat: by tool")
def _(*target):
    return typed(*target, instructor.Mode.TOOLS)


@scenario("chat: by JSON")
def _(*target):
    return typed(*target, instructor.Mode.JSON)


@scenario("chat: by JSON schema")
def _(*target):
    return typed(*target, instructor.Mode.JSON_SCHEMA)


@scenario("chat: in pieces")
def _(url, token, customer):
    it = client(url, token, instructor.Mode.TOOLS)
    return list(
        it.chat.completions.create_partial(
            model="profile",
            messages=HELLO,
            response_model=Profile,
            extra_body={"customer_params": {"customer_identifier": customer}},
        )
    )


for status in (402, 429):

    @scenario(f"error {status}: by tool")
    def _(*target, status=status):
        return typed(*target, instructor.Mode.TOOLS, f"status-{status}")


main(SCENARIOS)
