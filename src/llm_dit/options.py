"""Every option of a run with its bounds, default and help, and recipes, which record the options of a result.

The pipelines, the jobs, HTTP's schemas, the settings, the command line and `/config` use these definitions. `bounds`,
`choices` and `help_of` read an option's type.
"""

import functools
import io
import json
import math
import secrets
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from numbers import Integral, Real
from types import NoneType
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, TypedDict, get_args, get_origin, get_type_hints

from PIL import Image
from pydantic import AfterValidator, BaseModel, Field, JsonValue, ValidationError

from llm_dit.errors import InputError, InstructionError
from llm_dit.names import Language

if TYPE_CHECKING:
    from llm_dit.runs import PipelineStatus  # because a layer, which is part of it, has a recipe


EngineName = Literal["classical", "qwen", "remote"]
Photographs = Literal["things", "subject", "regions"]
"""What the layers of a photograph are."""

USUAL_LAYERS = 4
MAX_SEED = 2**53 - 1
"""The largest integer that every JSON reader keeps exact."""

Prompt = Annotated[str, Field(description="What the picture shows; if empty, Qwen-Image writes a description.")]
LayerNum = Annotated[int, Field(ge=1, le=10, description="Number of layers, without the composite.")]
Auto = Literal["auto"]
"""Instead of a number of layers: the engine chooses it."""
Resolution = Annotated[Literal[640, 1024], Field(description="The model works at about this many pixels, squared.")]
Steps = Annotated[int, Field(ge=1, le=100, description="Diffusion steps; ignored by the classical engine.")]
Guidance = Annotated[float, Field(ge=1, le=20, description="Guidance (CFG); ignored by the classical engine.")]
Speed = Annotated[
    Literal["exact", "fast", "turbo"],
    Field(
        description="For Qwen-Image: `exact`; `fast`, which computes less and changes the pictures; or `turbo`, a "
        "model distilled to a few steps."
    ),
]
Seed = Annotated[int, Field(ge=0, le=MAX_SEED, description="The same seed gives the same result; random by default.")]
NegativePrompt = Annotated[str, Field(description="What the result must not show; ignored by the classical engine.")]
Loras = Annotated[
    Sequence[str],
    Field(
        max_length=16,
        description="The active LoRAs, as `NAME` or `NAME:WEIGHT`, from those of the engine; all by default.",
    ),
]
CfgNormalize = Annotated[bool, Field(description="Prevent guidance from raising the contrast.")]
UseEnPrompt = Annotated[bool, Field(description="Write a missing prompt in English, otherwise in Chinese.")]
OutputSize = Annotated[
    Literal["model", "original"],
    Field(description="`model`: about resolution² pixels; `original`: the picture's size."),
]
LayerLanguage = Annotated[Language, Field(description="The language of the layer names.")]
Instruction = Annotated[str, Field(description="What to change, such as “make it blue and slightly darker”.")]
Shape = Annotated[
    Literal["keep", "new"],
    Field(description="`keep` keeps the layer's alpha byte for byte; `new` lets the edit change it."),
]
EditOutputSize = Annotated[
    Literal["layer", "model"],
    Field(description="`layer`: the layer's own size; `model`: about 1024² pixels."),
]

Context = Annotated[
    bool,
    Field(description="Show the model the layer over its surroundings, not on a plain ground; only the layer changes."),
]


@dataclass(frozen=True, kw_only=True)
class NamedBox:
    """A box (left, top, right, bottom) around a thing, in pixels of the picture, and the name of its layer.

    Without a name, the layer is named by its color and position. Raises `InputError` for a box without an area.
    """

    box: tuple[float, float, float, float]
    name: str = ""

    def __post_init__(self) -> None:
        left, top, right, bottom = self.box
        # Written so that NaN fails too.
        if not (left < right and top < bottom and all(map(math.isfinite, self.box))):
            raise InputError("A box is left, top, right and bottom, in pixels and in this order.", param="regions")

    def scaled(self, across: float, down: float) -> "NamedBox":
        """Return the box in a picture that is scaled by these factors."""
        left, top, right, bottom = self.box
        return replace(self, box=(left * across, top * down, right * across, bottom * down))


class SamplingArguments(TypedDict, total=False):
    num_inference_steps: int | None
    cfg_scale: float | None
    speed: Speed | None
    seed: int | None
    negative_prompt: str
    loras: Sequence[str] | None


class DecomposeArguments(SamplingArguments, total=False):
    """`DecomposeOptions` as arguments of `decompose`, beside the prompt."""

    layer_num: int | Auto
    resolution: Resolution
    cfg_normalize: bool
    use_en_prompt: bool
    output_size: OutputSize
    language: Language


class EditArguments(SamplingArguments, total=False):
    """`EditOptions` as arguments of `edit_layer`, beside the instruction."""

    shape: Shape
    output_size: EditOutputSize
    context: Context


@dataclass(frozen=True, kw_only=True)
class SamplingOptions:
    """The options of both kinds of runs; None means the model's own default, a random seed, and all LoRAs.

    `speed` None is the speed with which the pipeline was loaded; steps and guidance None are the model's at that speed.
    """

    num_inference_steps: Steps | None = None
    cfg_scale: Guidance | None = None
    speed: Speed | None = None
    seed: Seed | None = None
    negative_prompt: NegativePrompt = " "
    loras: Loras | None = None

    def __post_init__(self) -> None:
        """Raise `InputError` for the first option that is out of bounds."""
        for name, option in options_of(type(self)).items():
            _check(name, getattr(self, name), option)

    def arguments(self) -> dict[str, Any]:
        """Return the options as arguments of a pipeline's method."""
        return {name: getattr(self, name) for name in options_of(type(self))}


@dataclass(frozen=True, kw_only=True)
class DecomposeOptions(SamplingOptions):
    """The options of a decomposition."""

    prompt: Prompt = ""
    layer_num: LayerNum | Auto = USUAL_LAYERS
    resolution: Resolution = 640
    cfg_normalize: CfgNormalize = True
    use_en_prompt: UseEnPrompt = True
    output_size: OutputSize = "model"
    language: LayerLanguage = "en"


@dataclass(frozen=True, kw_only=True)
class EditOptions(SamplingOptions):
    """The options of an edit."""

    instruction: Instruction
    shape: Shape = "keep"
    output_size: EditOutputSize = "layer"
    context: Context = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.instruction.strip():
            raise InstructionError("The instruction is empty: say what to change, such as “make it blue”.")


class RunDefaults(NamedTuple):
    """The defaults of a run: a model's own steps and guidance, and the settings of an engine."""

    num_inference_steps: int
    cfg_scale: float
    layer_num: int = USUAL_LAYERS
    resolution: Resolution = DecomposeOptions.resolution
    speed: Literal["exact", "fast", "turbo"] = "exact"
    output_size: Literal["model", "original"] = DecomposeOptions.output_size

    def fill(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return `given` with these in place of None; turbo's steps and guidance stay None: its LoRA sets them."""
        filled = {name: getattr(self, name) if value is None else value for name, value in given.items()}
        if filled.get("speed") == "turbo":
            filled |= {name: given[name] for name in ("num_inference_steps", "cfg_scale")}
        return filled


SAMPLING = ("num_inference_steps", "cfg_scale", "speed")
"""Those of `RunDefaults` that an edit has."""
QWEN_IMAGE = RunDefaults(num_inference_steps=50, cfg_scale=4.0)
"""The defaults of Qwen-Image-Layered and every Qwen-Image-Edit; the classical engine ignores the first two."""


@functools.cache
def options_of(kind: type) -> Mapping[str, Any]:
    """Return the type of each field that is one of the options above."""
    hints = get_type_hints(kind, include_extras=True)
    return {name: hint for name, hint in hints.items() if get_origin(_given(hint)) is Annotated}


def bounds(option: Any) -> tuple[Any, Any]:
    """Return the smallest and the largest value of a numeric option."""
    low, high = _given(option).__metadata__[0].metadata
    return low.ge, high.le


def choices(option: Any) -> tuple[Any, ...]:
    """Return the values of an option that is a choice, otherwise ()."""
    kind = _given(option).__origin__
    return get_args(kind) if get_origin(kind) is Literal else ()


def help_of(option: Any) -> str:
    """Return the help of an option, a sentence with its bounds or numeric choices."""
    description: str = _given(option).__metadata__[0].description
    if _given(option).__origin__ in {int, float}:
        return f"{description[:-1]} ({'–'.join(map(str, bounds(option)))})."
    numbers = [str(value) for value in choices(option) if isinstance(value, int)]
    return f"{description[:-1]} ({' or '.join(numbers)})." if numbers else description


HTTP_NAMES = {"layer_image": "image", "num_inference_steps": "steps"}
"""HTTP's names of arguments that have another name in Python."""


def http_name(argument: str) -> str:
    """Return HTTP's name of an argument of a pipeline."""
    return HTTP_NAMES.get(argument, argument)


def chosen_seed(seed: int | None) -> int:
    """Return `seed`, or a random one for None."""
    return secrets.randbelow(2**32) if seed is None else seed


def _given(hint: Any) -> Any:
    """Return an option's own type, without alternatives such as None."""
    if get_origin(hint) is Annotated:
        return hint
    return next((each for each in get_args(hint) if get_origin(each) is Annotated), hint)


def _check(name: str, value: object, hint: Any) -> None:
    option = _given(hint)
    kind = option.__origin__
    others = () if option is hint else get_args(hint)
    if (value is None and NoneType in others) or (value == "auto" and Auto in others):
        return
    if kind in {int, float}:
        low, high = bounds(option)
        # Written so that NaN fails too.
        if not isinstance(value, Integral if kind is int else Real) or not low <= float(value) <= high:
            word = "" if isinstance(value, Integral) else "a whole number " if kind is int else "a number "
            raise InputError(f"{name} must be {word}from {low} to {high}.", param=name)
    elif kind is bool and not isinstance(value, bool):
        raise InputError(f"{name} must be true or false.", param=name)
    elif (allowed := choices(option)) and value not in allowed:
        raise InputError(f"{name} must be {' or '.join(map(str, allowed))}.", param=name)
    elif kind is str and not isinstance(value, str):
        raise InputError(f"{name} must be text.", param=name)
    elif get_origin(kind) is Sequence and not _is_texts(value):
        raise InputError(f"{name} must be a list of texts.", param=name)


def _is_texts(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str) and all(isinstance(each, str) for each in value)


# Recipes, which say how to repeat a result, in responses, manifests, projects and PNG files.

PNG_KEY = "llm-dit"
"""The keyword of a PNG text chunk with a recipe as JSON."""
MAX_RECIPE_BYTES = 32_768
NO_RECIPE = (
    "The file has no recipe: use a PNG that llm-dit wrote after an edit, or the manifest.json of a decomposition."
)


class Source(NamedTuple):
    """A model: its hub id or its folder's name, and its commit on the hub; "" without one."""

    name: str
    revision: str = ""


def _bounded(options: dict[str, JsonValue]) -> dict[str, JsonValue]:
    if len(json.dumps(options)) > MAX_RECIPE_BYTES:
        raise ValueError(f"a recipe has at most {MAX_RECIPE_BYTES} bytes")
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
        raise InputError(NO_RECIPE, param="like") from None


def _text_of(png: bytes) -> str:
    with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
        return str(image.info[PNG_KEY])
