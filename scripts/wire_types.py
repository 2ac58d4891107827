"""Write what the HTTP API sends and takes as TypeScript types, `types/wire.d.ts`, from the OpenAPI document.

`python scripts/wire_types.py` writes the file; with `--check` it only says whether the file is what would be written.
Well-kept generators of such types need the JavaScript API of the TypeScript compiler, which version 7 no longer has.
"""

import json
import sys
from pathlib import Path
from typing import Any

from llm_dit.options import QWEN_IMAGE
from server.settings import Settings
from web.routes.pages import describe
from web.server import create_app

Schema = dict[str, Any]

ROOT = Path(__file__).parents[1]
FILE = ROOT / "types" / "wire.d.ts"
HEAD = """\
// Made of the OpenAPI document by scripts/wire_types.py (`make types`): change the models in web/, never this file.
declare namespace Wire {
"""
PLAIN = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}


def main() -> None:
    written = wire_types(describe(create_app(Settings(engine="classical")), QWEN_IMAGE))
    if "--check" not in sys.argv[1:]:
        FILE.write_text(written, encoding="utf-8")
    elif not FILE.exists() or FILE.read_text(encoding="utf-8") != written:
        sys.exit("types/wire.d.ts is not what the API is now: run `make types` and commit what it writes.")


def wire_types(document: Schema) -> str:
    """Return a declaration of every schema of an OpenAPI document."""
    schemas = document["components"]["schemas"]
    return HEAD + "\n".join(_declaration(name, schemas[name]) for name in sorted(schemas)) + "}\n"


def _declaration(name: str, schema: Schema) -> str:
    if "properties" not in schema:
        return f"  type {name} = {type_of(schema)};\n"
    required = schema.get("required", ())
    fields = [
        f"    {key}{'' if key in required else '?'}: {type_of(field)};\n" for key, field in schema["properties"].items()
    ]
    return f"  interface {name} {{\n{''.join(fields)}  }}\n"


def type_of(schema: Schema) -> str:
    """Return a schema as a TypeScript type; raises `KeyError` for a kind that the API does not use so far."""
    if "$ref" in schema:
        return schema["$ref"].rpartition("/")[2]
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return " | ".join(json.dumps(value) for value in schema["enum"])
    if "anyOf" in schema:
        return " | ".join(dict.fromkeys(type_of(each) for each in schema["anyOf"]))
    kind = schema.get("type")
    if kind == "array":
        if "prefixItems" in schema:
            return f"[{', '.join(type_of(each) for each in schema['prefixItems'])}]"
        item = type_of(schema["items"])
        return f"({item})[]" if " | " in item else f"{item}[]"
    if kind == "object":
        values = schema.get("additionalProperties", True)
        return f"Record<string, {type_of(values) if isinstance(values, dict) else 'any'}>"
    return "any" if kind is None else PLAIN[kind]


if __name__ == "__main__":
    main()
