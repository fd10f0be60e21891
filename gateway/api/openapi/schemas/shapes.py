"""The words that schemas are made of."""

from collections.abc import Mapping
from typing import Any, Final

from gateway.customers import fields

Schema = dict[str, Any]

TEXT: Final[Schema] = {"type": "string"}
FLAG: Final[Schema] = {"type": "boolean"}
WHOLE: Final[Schema] = {"type": "integer"}
NUMBER: Final[Schema] = {"type": "number"}
OBJECT: Final[Schema] = {"type": "object"}
TIME: Final[Schema] = {"type": "string", "format": "date-time"}
DAY: Final[Schema] = {"type": "string", "format": "date"}
USD: Final[Schema] = {
    "type": "string",
    "pattern": r"^-?\d+(\.\d{1,12})?$",
    "description": "USD, exact, as a decimal string.",
}
IDENTIFIER: Final[Schema] = {
    "type": "string",
    "minLength": 1,
    "maxLength": fields.TEXT_CHARACTERS_MAX,
    "description": "A customer, as the application calls it. Not starting with '~', no JSON.",
}


def maybe(schema: Schema) -> Schema:
    """Or null."""
    if "type" in schema and isinstance(schema["type"], str):
        return {**schema, "type": [schema["type"], "null"]}
    return {"anyOf": [schema, {"type": "null"}]}


def several(schema: Schema) -> Schema:
    return {"type": "array", "items": schema}


def whole(properties: Mapping[str, Schema], *, optional: tuple[str, ...] = ()) -> Schema:
    """An object that has all of these, and nothing else."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }


def some(properties: Mapping[str, Schema], *, required: tuple[str, ...] = ()) -> Schema:
    """An object that may have these, and nothing else."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(required),
        "additionalProperties": False,
    }


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def page(of: str) -> Schema:
    """A list in pages, as Keywords AI has them."""
    return whole(
        {
            "count": WHOLE,
            "count_exact": {**FLAG, "description": "Only where it is false: count is a floor."},
            "next": maybe(TEXT),
            "previous": maybe(TEXT),
            "results": several(ref(of)),
        },
        optional=("count_exact",),
    )


def named(table: Mapping[str, Schema], names: tuple[str, ...]) -> Mapping[str, Schema]:
    """`table`, which has to describe exactly these."""
    assert set(table) == set(names), f"described are {sorted(table)}, there are {sorted(names)}"
    return table
