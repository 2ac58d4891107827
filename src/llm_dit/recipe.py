"""Recipes, which say how to repeat a result, in responses, manifests, projects and PNG files."""

import io
import json
import struct
import zlib
from collections.abc import Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from PIL import Image
from pydantic import AfterValidator, BaseModel, Field, JsonValue, ValidationError

from llm_dit.errors import InputError
from llm_dit.options import SamplingOptions, options_of

if TYPE_CHECKING:
    from llm_dit.runs import PipelineStatus  # because a layer, which is part of it, has a recipe

PNG_KEY = "llm-dit"
"""The keyword of a PNG text chunk with a recipe as JSON."""
MAX_BYTES = 32_768
NO_RECIPE = "has no recipe: use a PNG that llm-dit wrote after an edit, or the manifest.json of a decomposition"


class Source(NamedTuple):
    """A model: its hub id or its folder's name, and its commit on the hub; "" without one."""

    name: str
    revision: str = ""


def _bounded(options: dict[str, JsonValue]) -> dict[str, JsonValue]:
    if len(json.dumps(options)) > MAX_BYTES:
        raise ValueError(f"a recipe has at most {MAX_BYTES} bytes")
    return options


class Recipe(BaseModel, frozen=True):
    """The engine and the options of a run.

    `options` are the arguments of the pipeline's method by name, including the prompt or the instruction, without
    pictures. The seed is the one that was used. A region is a box, the file name of a mask, or the address of a mask on
    the service that ran it. `model` is a hub id or a folder's name, `revision` a commit on the hub; both are empty for
    the classical engine. `version` is that of llm-dit.
    """

    kind: Literal["decompose", "edit"]
    engine: Annotated[str, Field(max_length=40)]
    model: Annotated[str, Field(max_length=300)] = ""
    revision: Annotated[str, Field(max_length=100)] = ""
    version: Annotated[str, Field(max_length=40)] = ""
    options: Annotated[dict[str, JsonValue], AfterValidator(_bounded)] = {}


def recipe_of(
    kind: Literal["decompose", "edit"], engine: str, status: "PipelineStatus", options: Mapping[str, Any]
) -> Recipe:
    """Return the recipe of a run that has just ended, from the pipeline's status.

    `options` are the run's arguments without pictures; None means not set.
    """
    unused = set(options_of(SamplingOptions)) - {"seed"} if engine == "classical" else set[str]()
    name, revision = status.sources.get(kind) or Source("")
    used = {**options, "loras": status.forward.loras or None} if status.forward else options
    return Recipe(
        kind=kind,
        engine=engine,
        model=name,
        revision=revision,
        version=version("llm-dit"),
        options={name: _plain(value) for name, value in used.items() if value is not None and name not in unused},
    )


def _plain(value: Any) -> JsonValue:
    """Return a value as JSON represents it, without tuples."""
    return json.loads(json.dumps(value))


# Recipes in PNG files, as a text chunk.

SIGNATURE_AND_HEADER = 8 + 25
"""Bytes of a PNG file before the first optional chunk."""


def with_recipe(png: bytes, recipe: Recipe) -> bytes:
    """Return a PNG file with a recipe added; the picture's bytes do not change."""
    text = recipe.model_dump_json().encode()
    # Keyword, no compression, no language and no translated keyword: https://www.w3.org/TR/png-3/#11iTXt.
    content = b"iTXt" + PNG_KEY.encode() + b"\0\0\0\0\0" + text
    chunk = struct.pack(">I", len(content) - 4) + content + struct.pack(">I", zlib.crc32(content))
    return png[:SIGNATURE_AND_HEADER] + chunk + png[SIGNATURE_AND_HEADER:]


def read_recipe(content: bytes) -> Recipe:
    """Return the recipe in a PNG file or in a manifest; raises `InputError` if there is none."""
    try:
        is_manifest = content.lstrip()[:1] == b"{"
        found = json.loads(content)["layers"][0]["recipe"] if is_manifest else json.loads(_text_of(content))
        return Recipe.model_validate(found)
    except (LookupError, TypeError, ValueError, OSError, ValidationError):
        raise InputError(f"The file {NO_RECIPE}.", param="like") from None


def _text_of(png: bytes) -> str:
    with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
        return str(image.info[PNG_KEY])
