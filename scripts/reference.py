"""The reference pages of the documentation's site, generated from the code that they describe."""

import json
from collections.abc import Mapping
from typing import Any

import typer

import llm_dit
from cli.commands import app as command_line
from server.settings import SETTINGS_FILE, Settings
from web.server import create_app

GENERATED = "This page is generated from the code of this version."
METHODS = ("get", "post", "put", "delete")
BODIES = {"application/json": "JSON", "multipart/form-data": "a form"}


def pages() -> dict[str, str]:
    """Return Markdown by file name."""
    return {"http.md": http(), "python.md": python(), "cli.md": commands(), "settings.md": settings()}


def settings() -> str:
    file = SETTINGS_FILE.read_text(encoding="utf-8")
    return f"# Settings\n\n{GENERATED} `llm-dit config` prints it.\n\n```toml\n{file}```\n"


def python() -> str:
    """Return the page of the public names; mkdocstrings fills in what the docstrings say."""
    names = "\n\n".join(f"::: llm_dit.{name}" for name in llm_dit.__all__)
    return f"# Python\n\n{GENERATED} Every name is imported from `llm_dit`. [Examples](../clients.md)\n\n{names}\n"


# The command line.


def commands() -> str:
    group: Any = typer.main.get_command(command_line)
    top = group.make_context("llm-dit", [], resilient_parsing=True)
    sections = [
        f"# Command line\n\n{GENERATED} `llm-dit COMMAND --help` prints the same. [Examples](../command_line.md)",
        *(_command(name, command, top) for name, command in group.commands.items() if not command.hidden),
        f"## Exit codes\n\n{str(group.epilog).partition(': ')[2]}",
    ]
    return "\n\n".join(sections) + "\n"


def _command(name: str, command: Any, top: Any) -> str:
    context = command.make_context(name, [], parent=top, resilient_parsing=True)
    usage = " ".join(["llm-dit", name, *command.collect_usage_pieces(context)])
    rows = "".join(_option(each) for each in command.params if each.help)
    text = f"## llm-dit {name}\n\n{command.help}\n\n```text\n{usage}\n```"
    return f"{text}\n\n| Option | Default | Meaning |\n|---|---|---|\n{rows}" if rows else text


def _option(parameter: Any) -> str:
    """Return the row of an option or an argument."""
    argument = parameter.param_type_name == "argument"
    names = [parameter.metavar or parameter.name.upper()] if argument else parameter.opts
    value = "" if argument or parameter.metavar is None else f" {parameter.metavar}"
    shown = ", ".join(f"`{_cell(name + value)}`" for name in names)
    usual = "" if parameter.default in (None, False) else f"`{parameter.default}`"
    return f"| {shown} | {'required' if parameter.required else usual} | {_cell(parameter.help)} |\n"


# HTTP.


def http() -> str:
    document = create_app(Settings()).openapi()
    routes: dict[str, list[str]] = {}
    for path, ways in document["paths"].items():
        for method in METHODS:
            if method in ways:
                routes.setdefault(ways[method]["tags"][0], []).append(_route(method, path, ways[method]))
    sections = [
        f"# HTTP\n\n{GENERATED} A running service has the same on `/docs` and, for programs, on `/api/openapi.json`. "
        "[Guide with examples](../http.md) · [error codes](../troubleshooting.md)"
    ]
    for tag, texts in routes.items():
        sections += [f"## {tag}", *texts]
    schemas = document["components"]["schemas"]
    sections += ["## Objects", *(_schema(name, schema) for name, schema in sorted(schemas.items()))]
    return "\n\n".join(sections) + "\n"


def _route(method: str, path: str, route: Mapping[str, Any]) -> str:
    lines = [f"### `{method.upper()} {path}`", route.get("description", route["summary"])]
    if parameters := route.get("parameters"):
        rows = [
            f"| `{each['name']}` | {each['in']} | {_type(each['schema'])} | {_cell(each.get('description', ''))} |\n"
            for each in parameters
        ]
        lines.append(f"| Parameter | In | Type | Meaning |\n|---|---|---|---|\n{''.join(rows)}")
    if content := route.get("requestBody", {}).get("content"):
        kinds = [
            f"{BODIES[kind]}, {_type(body['schema'])}" if kind in BODIES else f"`{kind}`"
            for kind, body in content.items()
        ]
        lines.append(f"**Body:** {'; '.join(kinds)}.")
    rows = [
        f"| {status} | {_answer(answer)} | {_cell(answer['description'])} |\n"
        for status, answer in route["responses"].items()
    ]
    lines.append(f"| Status | Answer | When |\n|---|---|---|\n{''.join(rows)}")
    return "\n\n".join(lines)


def _answer(answer: Mapping[str, Any]) -> str:
    parts = [
        _type(body["schema"]) if body.get("schema", {}).get("$ref") else f"`{kind}`"
        for kind, body in answer.get("content", {}).items()
    ]
    return ", ".join(parts)


def _schema(name: str, schema: Mapping[str, Any]) -> str:
    lines = [f"### {name}"]
    if about := schema.get("description"):
        lines.append(about)
    if fields := schema.get("properties"):
        required = schema.get("required", [])
        rows = [
            f"| `{field}` | {_type(about)} | {_default(about, field in required)} | {_meaning(about)} |\n"
            for field, about in fields.items()
        ]
        lines.append(f"| Field | Type | Default | Meaning |\n|---|---|---|---|\n{''.join(rows)}")
    elif "type" in schema or "anyOf" in schema:
        lines.append(_type(schema))
    return "\n\n".join(lines)


def _default(about: Mapping[str, Any], required: bool) -> str:
    if required or "default" not in about:
        return "required" if required else ""
    return f"`{_cell(json.dumps(about['default'], ensure_ascii=False))}`"


def _meaning(about: Mapping[str, Any]) -> str:
    """Return the description of a field, or that of its only choice besides null."""
    within = [each["description"] for each in about.get("anyOf", []) if "description" in each]
    return _cell(about.get("description") or " ".join(within))


def _type(schema: Mapping[str, Any]) -> str:
    """Return a type in words, with links to objects."""
    if reference := schema.get("$ref"):
        name = reference.rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if choices := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(dict.fromkeys(_type(choice) for choice in choices))
    if "const" in schema or "enum" in schema:
        values = schema.get("enum") or [schema["const"]]
        return ", ".join(f"`{json.dumps(value)}`" for value in values)
    kind = schema.get("type", "any")
    if kind == "array":
        return f"list of {_type(schema.get('items', {}))}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), Mapping):
        return f"object of {_type(schema['additionalProperties'])}"
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f"{kind}, {low:g}–{high:.16g}"
    return str(kind)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
