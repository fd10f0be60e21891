"""The API described: ``/openapi.json`` for programs, ``/docs`` for people. No script, no outside.

Both are open: they say what every gateway of this version says, and nothing of this one.
"""

from collections.abc import Callable, Iterator
from html import escape
from importlib import resources
from string import Template
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from gateway.api.answers import answer
from gateway.api.endpoint import Endpoint, Handler
from gateway.api.openapi import document
from gateway.api.openapi.operations import ALSO

Json = dict[str, Any]

_TYPE: Final = "type"
_POLICY: Final = (
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_HEADERS: Final = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}


class Reference:
    def __init__(self) -> None:
        pages = resources.files("gateway.api") / "pages"
        page = Template((pages / "docs.html").read_text("utf-8"))
        described = document()
        self._page = page.substitute(
            version=escape(described["info"]["version"]),
            contents="\n".join(_contents(described)),
            operations="\n".join(_sections(described)),
            schemas="\n".join(_schemas(described)),
            also="\n".join(
                f"<tr><td><code>{escape(path)}</code></td><td>{escape(what)}</td></tr>"
                for path, what in ALSO.items()
            ),
        )
        self._style = (pages / "docs.css").read_bytes()

    def routes(self, guarded: Callable[[Handler], Handler]) -> list[Endpoint]:
        return [
            Endpoint("/openapi.json", {"GET": guarded(self.document)}),
            Endpoint("/docs", {"GET": guarded(self.page)}),
            Endpoint("/docs.css", {"GET": guarded(self.style)}),
        ]

    async def document(self, _: Request) -> Response:
        return answer(document())

    async def page(self, _: Request) -> Response:
        return Response(self._page, media_type="text/html", headers=_HEADERS)

    async def style(self, _: Request) -> Response:
        return Response(self._style, media_type="text/css", headers=_HEADERS)


def _operations(described: Json) -> Iterator[tuple[str, str, str, Json]]:
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            yield operation["tags"][0], method.upper(), path, operation


def _tags(described: Json) -> list[str]:
    return list(dict.fromkeys(tag for tag, *_ in _operations(described)))


def _contents(described: Json) -> Iterator[str]:
    for tag in _tags(described):
        yield f'<li><a href="#{_anchor(tag)}">{escape(tag)}</a></li>'


def _sections(described: Json) -> Iterator[str]:
    for section in _tags(described):
        yield f'<section id="{_anchor(section)}"><h2>{escape(section)}</h2>'
        for tag, method, path, operation in _operations(described):
            if tag == section:
                yield from _operation(method, path, operation)
        yield "</section>"


def _operation(method: str, path: str, operation: Json) -> Iterator[str]:
    name = operation["operationId"]
    yield f'<article id="{name}"><h3><span class="{method.lower()}">{method}</span> '
    yield f"<code>{escape(path)}</code></h3><p>{escape(operation['summary'])}</p><dl>"
    for what, text in (
        ("Key", _key(operation)),
        ("Query", ", ".join(f"<code>{escape(n)}</code>" for n in _in_query(operation))),
        ("Body", _link(operation.get("requestBody", {}))),
    ):
        if text:
            yield f"<dt>{what}</dt><dd>{text}</dd>"
    for status, response in operation["responses"].items():
        if status < "300":
            yield f"<dt>{status}</dt><dd>{_link(response) or escape(response['description'])}</dd>"
    refusals = [status for status in operation["responses"] if status >= "300"]
    yield f"<dt>Refused</dt><dd>{', '.join(refusals)}</dd></dl></article>"


def _key(operation: Json) -> str:
    names = [name for one in operation["security"] for name in one]
    return {"adminKey": "the admin key", "appToken": "an app's token"}.get("".join(names), "none")


def _in_query(operation: Json) -> list[str]:
    return [p["name"] for p in operation.get("parameters", []) if p["in"] == "query"]


def _link(holder: Json) -> str:
    for content in holder.get("content", {}).values():
        name = content["schema"].get("$ref", "").rpartition("/")[2]
        if name:
            return f'<a href="#schema-{name}">{name}</a>'
    return ""


def _schemas(described: Json) -> Iterator[str]:
    for name, schema in described["components"]["schemas"].items():
        yield f'<article id="schema-{name}"><h3>{name}</h3>'
        if properties := schema.get("properties"):
            required = schema.get("required", [])
            yield "<table><tr><th>Field</th><th>Type</th><th></th></tr>"
            for field, of in properties.items():
                needed = "required" if field in required else ""
                yield f"<tr><td><code>{escape(field)}</code></td><td>{_type(of)}</td>"
                yield f"<td>{needed} {escape(of.get('description', ''))}</td></tr>"
            yield "</table>"
        else:
            yield f"<p>{_type(schema)} {escape(schema.get('description', ''))}</p>"
        yield "</article>"


def _type(schema: Json) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f'<a href="#schema-{name}">{name}</a>'
    if "anyOf" in schema:
        return " or ".join(_type(one) for one in schema["anyOf"])
    if "const" in schema or "enum" in schema:
        known = schema.get("enum", [schema.get("const")])
        return " | ".join(f"<code>{escape(str(one))}</code>" for one in known)
    kind = schema.get(_TYPE, "any")
    if kind == "array":
        return f"list of {_type(schema['items'])}"
    named = " or ".join(kind) if isinstance(kind, list) else kind
    return f"{named} ({schema['format']})" if "format" in schema else str(named)


def _anchor(tag: str) -> str:
    return tag.lower().replace(" ", "-")
