"""The document: operations and schemas put together."""

import re
from collections.abc import Mapping
from functools import cache
from http import HTTPStatus
from typing import Any, Final

from gateway.api.openapi.operations import OPERATIONS, Key, Operation
from gateway.api.openapi.schemas import SCHEMAS
from gateway.api.openapi.schemas.shapes import DAY, FLAG, TEXT, TIME, WHOLE, Schema, ref
from gateway.api.query import PAGE_MAX, PAGE_SIZE_MAX
from gateway.version import installed_version

Json = dict[str, Any]

_IN_PATH: Final = re.compile(r"\{(\w+)\}")
_ALWAYS: Final[Mapping[Key, tuple[int, ...]]] = {
    Key.ADMIN: (400, 401, 403, 421, 422, 503),
    Key.APP: (400, 401, 413, 415, 503),
    Key.NONE: (421,),
}
_PARAMETERS: Final[Mapping[str, Schema]] = {
    "page": {**WHOLE, "minimum": 1, "maximum": PAGE_MAX},
    "page_size": {**WHOLE, "minimum": 1, "maximum": PAGE_SIZE_MAX},
    "limit": {**WHOLE, "minimum": 1},
    "from": {"anyOf": [TIME, DAY], "description": "Inclusive."},
    "to": {"anyOf": [TIME, DAY], "description": "Exclusive."},
    "start_time": {"anyOf": [TIME, DAY]},
    "end_time": {"anyOf": [TIME, DAY]},
    "at": {"anyOf": [TIME, DAY]},
    "timezone": {**TEXT, "description": "An IANA zone, like Asia/Kolkata."},
    "granularity": {"enum": ["hour", "day", "month"]},
    "is_test": FLAG,
}
"""All others are text."""

_SECURITY: Final[Mapping[Key, list[Json]]] = {
    Key.ADMIN: [{"adminKey": []}],
    Key.APP: [{"appToken": []}],
    Key.NONE: [],
}


@cache
def document() -> Json:
    """The whole API as an OpenAPI 3.1 document."""
    paths: dict[str, Json] = {}
    for operation in OPERATIONS:
        paths.setdefault(f"{operation.path}", {})[operation.method.lower()] = _described(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Farebox",
            "version": installed_version(),
            "description": (
                "An OpenAI-compatible gateway that meters every customer and stops each at its "
                "budget. Every path may end with a slash. Calls are described by their providers."
            ),
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "paths": paths,
        "components": {
            "schemas": {
                **SCHEMAS,
                "Call": {"type": "object", "description": "As the provider documents it."},
                "Events": {"anyOf": [ref("Event"), ref("EventBatch")]},
                "EventAnswer": {"anyOf": [ref("EventReceipt"), ref("EventReceipts")]},
            },
            "securitySchemes": {
                "adminKey": {"type": "http", "scheme": "bearer", "description": "The admin key."},
                "appToken": {"type": "http", "scheme": "bearer", "description": "An app's token."},
            },
        },
    }


def _described(operation: Operation) -> Json:
    described: Json = {
        "operationId": _name(operation),
        "tags": [operation.tag],
        "summary": operation.says,
        "security": _SECURITY[operation.key],
        "responses": {str(operation.status): _answer(operation), **_refusals(operation)},
    }
    parameters = [_in_path(name) for name in _IN_PATH.findall(operation.path)]
    parameters += [_in_query(name) for name in operation.query]
    if parameters:
        described["parameters"] = parameters
    if operation.body:
        content = {"application/json": {"schema": ref(operation.body)}}
        described["requestBody"] = {"required": True, "content": content}
    return described


def _answer(operation: Operation) -> Json:
    found: Json = {"description": HTTPStatus(operation.status).phrase}
    if operation.answer:
        found["content"] = {m: {"schema": ref(operation.answer)} for m in operation.media}
    elif operation.status != HTTPStatus.NO_CONTENT:
        found["content"] = {m: {"schema": TEXT} for m in operation.media}
    return found


def _refusals(operation: Operation) -> Json:
    kind = "ManagementError" if operation.key is not Key.APP else "OpenAIError"
    of_body = (413, 415) if operation.body else ()
    return {
        str(status): {
            "description": HTTPStatus(status).phrase,
            "content": {"application/json": {"schema": _refusal(operation, status, kind)}},
        }
        for status in sorted({*_ALWAYS[operation.key], *of_body, *operation.refusals})
    }


def _refusal(operation: Operation, status: int, kind: str) -> Schema:
    if operation.path == "/readyz" and status == HTTPStatus.SERVICE_UNAVAILABLE:
        return ref("Health")
    if operation.path.startswith("/api/prices/") and status == HTTPStatus.NOT_FOUND:
        return ref("UnknownModel")
    return ref(kind)


def _in_path(name: str) -> Json:
    return {"name": name, "in": "path", "required": True, "schema": {**TEXT, "minLength": 1}}


def _in_query(name: str) -> Json:
    return {"name": name, "in": "query", "schema": _PARAMETERS.get(name, TEXT)}


def _name(operation: Operation) -> str:
    words = re.findall(r"\w+", operation.path.removeprefix("/api"))
    return "_".join([operation.method.lower(), *words])
