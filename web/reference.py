"""The description of the API as people read it: one entry for each operation, with its fields."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from web.openapi import Json, content_of, resolve


@dataclass(frozen=True, kw_only=True)
class Field:
    name: str
    type: str
    default: str
    description: str


@dataclass(frozen=True, kw_only=True)
class Operation:
    method: str
    path: str
    description: str
    fields: list[Field]
    sample: str
    answers: list[tuple[str, str]]


def operations(document: Json) -> Iterator[tuple[str, list[Operation]]]:
    """Yield the operations of an OpenAPI document by their tag, in the document's order."""
    groups: dict[str, list[Operation]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            groups.setdefault(operation["tags"][0], []).append(_operation(document, path, method, operation))
    yield from groups.items()


def _operation(document: Json, path: str, method: str, operation: Json) -> Operation:
    schema = content_of(operation).get("application/json", {}).get("schema", {})
    return Operation(
        method=method.upper(),
        path=path,
        description=operation.get("description", ""),
        fields=list(_fields(document, resolve(document, schema))),
        sample=operation["x-codeSamples"][0]["source"],
        answers=[(status, answer["description"]) for status, answer in operation["responses"].items()],
    )


def _fields(document: Json, schema: Json, prefix: str = "") -> Iterator[Field]:
    """Yield the fields of an object, first those that must be given, and below a list the fields of its items."""
    needed = schema.get("required", ())
    for name, field in sorted(schema.get("properties", {}).items(), key=lambda item: item[0] not in needed):
        yield Field(
            name=prefix + name,
            type=_type(field),
            default="required" if name in needed else json.dumps(field.get("default"), ensure_ascii=False),
            description=field.get("description", ""),
        )
        if "items" in field:
            yield from _fields(document, resolve(document, field["items"]), f"{prefix}{name}[].")


def _type(schema: Json) -> str:
    """Return the type of a value and its bounds in a few characters, such as `integer 1–10`."""
    if "anyOf" in schema:
        return " or ".join(_type(choice) for choice in schema["anyOf"])
    if "enum" in schema:
        return " or ".join(json.dumps(value) for value in schema["enum"])
    name: str = schema.get("const") or schema.get("type", "object")
    if "minimum" in schema and "maximum" in schema:
        return f"{name} {schema['minimum']:.0f} to {schema['maximum']:.0f}"
    return f"{name}, at most {schema['maxLength']} characters" if "maxLength" in schema else name
