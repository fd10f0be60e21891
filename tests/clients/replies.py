"""What the scripted provider says: one answer a model name, in every shape that is known to trip.

Odd on purpose: numbers and escapes that a parser would respell, fields that nobody knows,
line ends of both kinds, frames that carry nothing. A client must not be able to tell whether
it heard them from the provider or through the gateway.
"""

import base64
import json
import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.support.rawupstream import Asked, answer, stream

USAGE = {"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17}
ODD = b'"odd":[1.0,1e2,12345678901234567890,"\\u0041\xe2\x80\xa8",{"a":null}]'
"""Nothing of it may be spelled anew on its way."""

FROM_PROVIDER = (
    "x-request-id: req_of_the_provider",
    "openai-processing-ms: 12",
    "openai-organization: org-of-the-account",
    "x-ratelimit-remaining-requests: 59",
    "x-ratelimit-reset-tokens: 6m0s",
)
DONE = b"data: [DONE]\n\n"
PROFILE = '{"name": "Ada", "age": 36}'
TEXT = "Größe 日本 🎉 ok"


def event(document: dict[str, object], *, named: bool = False) -> bytes:
    name = f"event: {document['type']}\n" if named else ""
    return f"{name}data: {json.dumps(document, ensure_ascii=False)}\n\n".encode()


def whole(model: str, message: dict[str, object], finish: str = "stop") -> bytes:
    document = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_764_000_000,
        "model": model,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": None, "refusal": None, **message},
                "logprobs": None,
                "finish_reason": finish,
            }
        ],
        "usage": {**USAGE, "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 0}},
        "service_tier": "default",
    }
    plain = json.dumps(document, ensure_ascii=False, indent=1).encode()
    return plain[:-2] + b",\n " + ODD + b"\n}\n"


def chunk(model: str, delta: dict[str, object] | None, **more: object) -> dict[str, object]:
    """A frame of a chat stream; without a delta it has no choice."""
    finish = more.pop("finish_reason", None)
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1_764_000_000,
        "model": model,
        "choices": [] if delta is None else [choice],
        **more,
    }


def said(model: str, asked: Asked, *deltas: dict[str, object], finish: str = "stop") -> list[bytes]:
    """A whole chat stream; its usage comes where it was asked for, as OpenAI has it."""
    frames = [event(chunk(model, {"role": "assistant", "content": ""}))]
    frames += [event(chunk(model, delta)) for delta in deltas]
    frames.append(event(chunk(model, {}, finish_reason=finish)))
    if asks(asked, "include_usage"):
        frames.append(event(chunk(model, None, usage=USAGE)))
    return [*frames, DONE]


def asks(asked: Asked, switch: str) -> bool:
    return re.search(rb'"%b"\s*:\s*true' % switch.encode(), asked.body) is not None


def texts(*pieces: str) -> list[dict[str, object]]:
    return [{"content": piece} for piece in pieces]


CALLS = [
    ("call_1", "weather", ['{"city":', '"Zürich"}']),
    ("call_2", "time", ['{"zone":', '"CET"}']),
]


def tool_deltas() -> list[dict[str, object]]:
    deltas: list[dict[str, object]] = []
    for index, (call_id, name, pieces) in enumerate(CALLS):
        opened = {"name": name, "arguments": ""}
        deltas.append(_called(index, {"id": call_id, "type": "function", "function": opened}))
        deltas += [_called(index, {"function": {"arguments": piece}}) for piece in pieces]
    return deltas


def _called(index: int, call: Mapping[str, object]) -> dict[str, object]:
    return {"tool_calls": [{"index": index, **call}]}


def tool_calls() -> list[dict[str, object]]:
    return [
        {"id": i, "type": "function", "function": {"name": name, "arguments": "".join(pieces)}}
        for i, name, pieces in CALLS
    ]


def a_profile(asked: Asked) -> tuple[dict[str, object], list[dict[str, object]], str]:
    """The same object, said as text or as the call of whatever tool was offered."""
    tool = re.search(rb'"type"\s*:\s*"function".*?"name"\s*:\s*"([^"]+)"', asked.body, re.DOTALL)
    if tool is None:
        return {"content": PROFILE}, texts(PROFILE[:9], PROFILE[9:]), "stop"
    name = tool[1].decode()
    function = {"name": name, "arguments": PROFILE}
    call = {"id": "call_1", "type": "function", "function": function}
    return {"tool_calls": [call]}, [_called(0, call)], "tool_calls"


def chat(model: str, asked: Asked) -> bytes:
    streams = asks(asked, "stream")
    if model in STREAMS and streams:
        return stream(*STREAMS[model](model, asked), headers=FROM_PROVIDER)
    message: dict[str, object] = {"content": TEXT}
    deltas, finish = texts("Größe ", "日本 🎉", " ok"), "stop"
    if model == "tools":
        message, deltas, finish = {"tool_calls": tool_calls()}, tool_deltas(), "tool_calls"
    elif model == "profile":
        message, deltas, finish = a_profile(asked)
    elif model == "thinks":
        message = {"content": "42", "reasoning_content": "Let me see."}
        deltas = [{"reasoning_content": "Let me "}, {"reasoning_content": "see."}, *texts("42")]
    if streams:
        return stream(*said(model, asked, *deltas, finish=finish), headers=FROM_PROVIDER)
    return answer(whole(model, message, finish), *FROM_PROVIDER)


def _azure(model: str, asked: Asked) -> list[bytes]:
    filtered = {"choices": [], "created": 0, "id": "", "model": "", "object": ""}
    first = event({**filtered, "prompt_filter_results": [{"prompt_index": 0}]})
    return [first, *said(model, asked, *texts("a", "b"))]


def _comments(model: str, asked: Asked) -> list[bytes]:
    """As OpenRouter does it, though not before usage: the comment would be there without it."""
    comment = b": OPENROUTER PROCESSING\n\n"
    frames = said(model, asked, *texts("a", "b"))
    counts = b'"choices": []'
    return [comment] * 20 + [frame if counts in frame else comment + frame for frame in frames]


def _counted(model: str, _: Asked) -> list[bytes]:
    """Gemini and vLLM count in every frame, and then there is no other usage."""
    frames = [
        event(chunk(model, {"content": "x"}, usage=USAGE | {"completion_tokens": n}))
        for n in range(1, 6)
    ]
    return [*frames, event(chunk(model, {}, finish_reason="stop", usage=USAGE)), DONE]


def _groq(model: str, _: Asked) -> list[bytes]:
    last = chunk(model, {}, finish_reason="stop", x_groq={"id": "req_1", "usage": USAGE})
    return [event(chunk(model, {"content": "x"})), event(last), DONE]


def _crlf(model: str, asked: Asked) -> list[bytes]:
    return [frame.replace(b"\n", b"\r\n") for frame in said(model, asked, *texts("日", "🎉"))]


def _bytewise(model: str, asked: Asked) -> list[bytes]:
    """Cut in the middle of everything: characters, line ends, frames."""
    body = b"".join(_crlf(model, asked))
    return [body[i : i + 3] for i in range(0, len(body), 3)]


def _error_frame(model: str, _: Asked) -> list[bytes]:
    error = {"message": "The server had an error", "type": "server_error", "code": "boom"}
    return [event(chunk(model, {"content": "x"})), event({"error": {**error, "param": None}}), DONE]


STREAMS: dict[str, Callable[[str, Asked], list[bytes]]] = {
    "azure": _azure,
    "comments": _comments,
    "counted": _counted,
    "groq": _groq,
    "crlf": _crlf,
    "bytewise": _bytewise,
    "error-frame": _error_frame,
}


def completions(model: str, asked: Asked) -> bytes:
    def document(text: str, finish: str | None) -> dict[str, object]:
        choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": finish}
        return {
            "id": "cmpl-1",
            "object": "text_completion",
            "created": 1_764_000_000,
            "model": model,
            "choices": [choice],
        }

    if not asks(asked, "stream"):
        return answer(json.dumps({**document(TEXT, "stop"), "usage": USAGE}).encode())
    frames = [event(document("Größe ", None)), event(document("日本", "stop"))]
    if asks(asked, "include_usage"):
        frames.append(event({**document("", None), "choices": [], "usage": USAGE}))
    return stream(*frames, DONE)


def embeddings(model: str, asked: Asked) -> bytes:
    values = [0.1, -2.5, 3e-8, 0.0]
    vector: object = values
    if re.search(rb'"encoding_format"\s*:\s*"base64"', asked.body):
        vector = base64.b64encode(struct.pack("<4f", *values)).decode()
    data = [{"object": "embedding", "index": i, "embedding": vector} for i in range(2)]
    usage = {"prompt_tokens": 9, "total_tokens": 9}
    document = {"object": "list", "data": data, "model": model, "usage": usage}
    return answer(json.dumps(document).encode(), *FROM_PROVIDER)


def responses(model: str, asked: Asked) -> bytes:
    usage = {
        "input_tokens": 12,
        "input_tokens_details": {"cached_tokens": 4},
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 2},
        "total_tokens": 17,
    }
    done = {"type": "output_text", "text": TEXT, "annotations": []}
    item = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed"}

    def document(status: str, **more: object) -> dict[str, object]:
        return {
            "id": "resp_1",
            "object": "response",
            "created_at": 1_764_000_000,
            "status": status,
            "error": None,
            "incomplete_details": None,
            "instructions": None,
            "metadata": {},
            "model": model,
            "output": [],
            "parallel_tool_calls": True,
            "temperature": 1.0,
            "tool_choice": "auto",
            "tools": [],
            "top_p": 1.0,
            **more,
        }

    complete = document("completed", output=[{**item, "content": [done]}], usage=usage)
    if not asks(asked, "stream"):
        return answer(json.dumps(complete, ensure_ascii=False).encode(), *FROM_PROVIDER)
    started = document("in_progress", usage=None)
    part = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    events: list[dict[str, object]] = [
        {"type": "response.created", "response": started},
        {"type": "response.in_progress", "response": started},
        {
            "type": "response.output_item.added",
            "output_index": 0,
            "item": {**item, "status": "in_progress", "content": []},
        },
        {"type": "response.content_part.added", **part, "part": {**done, "text": ""}},
        *(
            {"type": "response.output_text.delta", **part, "delta": piece, "logprobs": []}
            for piece in ("Größe ", "日本 🎉", " ok")
        ),
        {"type": "response.output_text.done", **part, "text": TEXT, "logprobs": []},
        {"type": "response.content_part.done", **part, "part": done},
        {
            "type": "response.output_item.done",
            "output_index": 0,
            "item": {**item, "content": [done]},
        },
        {"type": "response.completed", "response": complete},
    ]
    numbered = [{**each, "sequence_number": number} for number, each in enumerate(events)]
    return stream(*(event(each, named=True) for each in numbered), headers=FROM_PROVIDER)


def messages(model: str, asked: Asked) -> bytes:
    """Anthropic's shape."""
    usage = {"input_tokens": 12, "cache_read_input_tokens": 3, "cache_creation_input_tokens": 0}
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": model}
    ended = {"stop_reason": "end_turn", "stop_sequence": None}
    own = ("request-id: req_1", "anthropic-ratelimit-requests-remaining: 5")
    if not asks(asked, "stream"):
        said_ = {"content": [{"type": "text", "text": TEXT}], **ended}
        document = {**head, **said_, "usage": {**usage, "output_tokens": 5}}
        return answer(json.dumps(document).encode(), *own)
    opened: dict[str, object] = {**head, "content": [], "stop_reason": None, "stop_sequence": None}
    events: list[dict[str, object]] = [
        {"type": "message_start", "message": {**opened, "usage": {**usage, "output_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "ping"},
        *(
            {
                "type": "content_block_delta",
                "index": 0,
                "delta": {"type": "text_delta", "text": piece},
            }
            for piece in ("Größe ", "日本 🎉")
        ),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": ended, "usage": {"output_tokens": 5}},
        {"type": "message_stop"},
    ]
    return stream(*(event(each, named=True) for each in events), headers=own)


SOUND = bytes(range(256)) * 300
"""Nothing that a text codec would leave alone."""


def speech(_: str, __: Asked) -> bytes:
    pieces = [SOUND[i : i + 4_001] for i in range(0, len(SOUND), 4_001)]
    head, body = stream(*pieces).split(b"\r\n\r\n", 1)
    return head.replace(b"text/event-stream", b"audio/mpeg") + b"\r\n\r\n" + body


def transcription(_: str, asked: Asked) -> bytes:
    if re.search(rb'name="response_format"\r\n\r\ntext', asked.body):
        return answer(f"{TEXT}\n".encode(), "content-type: text/plain; charset=utf-8")
    details = {"text_tokens": 0, "audio_tokens": 12}
    usage = {"type": "tokens", "input_tokens": 12, "output_tokens": 5, "total_tokens": 17}
    document = {"text": TEXT, "usage": {**usage, "input_token_details": details}}
    return answer(json.dumps(document).encode())


def images(_: str, __: Asked) -> bytes:
    details = {"text_tokens": 12, "image_tokens": 0}
    usage = {"input_tokens": 12, "output_tokens": 5, "total_tokens": 17}
    document = {
        "created": 1_764_000_000,
        "data": [{"b64_json": base64.b64encode(SOUND).decode()}],
        "usage": {**usage, "input_tokens_details": details},
    }
    return answer(json.dumps(document).encode())


def moderations(model: str, _: Asked) -> bytes:
    result = {"flagged": False, "categories": {}, "category_scores": {}}
    document = {"id": "modr-1", "model": model, "results": [result]}
    return answer(json.dumps(document).encode())


def rerank(model: str, _: Asked) -> bytes:
    results = [{"index": 1, "relevance_score": 0.98}, {"index": 0, "relevance_score": 1e-7}]
    document = {"id": "r", "model": model, "results": results, "usage": {"total_tokens": 9}}
    return answer(json.dumps(document).encode())


ROUTES: dict[str, Callable[[str, Asked], bytes]] = {
    "chat/completions": chat,
    "completions": completions,
    "embeddings": embeddings,
    "responses": responses,
    "messages": messages,
    "audio/speech": speech,
    "audio/transcriptions": transcription,
    "audio/translations": transcription,
    "images/generations": images,
    "images/edits": images,
    "images/variations": images,
    "moderations": moderations,
    "rerank": rerank,
}
FILE = {
    "id": "file-1",
    "object": "file",
    "bytes": 5,
    "created_at": 1_764_000_000,
    "filename": "a b.jsonl",
    "purpose": "batch",
    "status": "processed",
}
CATALOGUE = {"object": "list", "data": [{"id": "chat", "object": "model", "owned_by": "lab"}]}


DATED, V1 = "dated-", "v1-"
"""How the names of Azure's deployments begin, on its older and on its newer surface."""


@dataclass(frozen=True, slots=True)
class Call:
    """Which way a request came, and what it wants.

    Attributes:
        model: Of a deployment, without what its name begins with.
    """

    way: str
    route: str
    model: str


def called(asked: Asked) -> Call:
    path = asked.line.split(b" ")[1].partition(b"?")[0].decode()
    way, _, route = path.removeprefix("/").partition("/")
    for prefix in ("v1/", "openai/v1/", "openai/"):
        if route.startswith(prefix):
            route = route.removeprefix(prefix)
            break
    if route.startswith("deployments/"):
        _, name, route = route.split("/", 2)
        return Call(way, route, name.removeprefix(DATED))
    named = re.search(rb'"model"\s*:\s*"([^"]+)"', asked.body)
    named = named or re.search(rb'name="model"\r\n\r\n([^\r]+)', asked.body)
    return Call(way, route.rstrip("/"), named[1].decode().removeprefix(V1) if named else "")


def reply(call: Call, asked: Asked, earlier: int) -> bytes:
    """The answer to a request.

    Args:
        earlier: How often this was asked before, the same way.
    """
    if call.model.startswith("status-"):
        return refusal(int(call.model.removeprefix("status-")))
    if call.model == "busy-once" and earlier % 2 == 0:
        return refusal(503)
    if call.model == "html":
        page = b"<html><h1>502 Bad Gateway</h1>\xff</html>"
        return answer(page, "content-type: text/html", status="502 Bad Gateway")
    if call.model.startswith("cut"):
        return cut(call, asked)
    route = ROUTES.get(call.route)
    return route(call.model, asked) if route else stored(asked, call.route)


def stored(asked: Asked, route: str) -> bytes:
    """What passes unmetered: models and files."""
    if route == "models":
        return answer(json.dumps(CATALOGUE).encode())
    if route.endswith("/content"):
        return answer(SOUND, "content-type: application/octet-stream")
    listed = {"object": "list", "data": [FILE], "has_more": False}
    one = asked.line.startswith(b"POST") or route != "files"
    return answer(json.dumps(FILE if one else listed).encode(), *FROM_PROVIDER)


def cut(call: Call, asked: Asked) -> bytes:
    """Half an answer: the connection ends in the middle of it.

    Not announced: with ``connection: close`` Node takes even a broken answer for a whole one.
    """
    full = ROUTES[call.route](call.model, asked).replace(b"connection: close\r\n", b"")
    return full[: full.index(b"\r\n\r\n") + 300]


def refusal(status: int) -> bytes:
    """An error whose headers tell a client what to do."""
    error = {
        "message": f"No: {status} \u2028 \U0001f6d1",
        "type": "some_error",
        "param": "messages",
        "code": f"code_{status}",
    }
    body = json.dumps({"error": error, "more": 1}, indent=1).encode()
    own = ("retry-after-ms: 1", "retry-after: 1")
    return answer(body, *FROM_PROVIDER, *own, status=f"{status} Because")
