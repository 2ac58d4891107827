"""What OpenAI's API for editing pictures holds, and how its fields become those of this service's own requests."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar

from fastapi.exceptions import RequestValidationError
from pydantic import AliasChoices, BaseModel, BeforeValidator, Field, ValidationError

from llm_dit.errors import InputError
from llm_dit.options import EngineName
from web.errors import SIZE
from web.schemas import MAX_TEXT, DecomposeRequest, EditLayerRequest

Model = TypeVar("Model", bound=BaseModel)

LAYERED = "qwen-image-layered"
MODELS: Mapping[str, EngineName] = {LAYERED: "qwen", "qwen-image-edit": "qwen", "classical": "classical"}
"""What this service calls its models; by any other name a client gets the service's own engine."""
IGNORED = frozenset({"quality", "input_fidelity", "moderation", "user", "safety_identifier", "style"})
"""Fields of OpenAI's API that change no result of this service."""
REFUSED = frozenset({"markup", "frame_count", "frame_duration_ms", "svg", "complexity"})
"""Fields of OpenAI's API that ask for another kind of result."""
_NAMES = {"layer_num": "layers", "instruction": "prompt"}
"""What OpenAI's clients call fields of this service."""


def _without_short_name(format: object) -> object:
    return "jpeg" if format == "jpg" else format


class EditForm(BaseModel, extra="ignore", frozen=True):
    """The texts of a form; `DecomposeRequest` and `EditLayerRequest` say what values the options of a run may have."""

    prompt: Annotated[str, Field(max_length=MAX_TEXT)] = ""
    model: str = ""
    n: Annotated[int, Field(ge=1, le=10)] = 1
    size: Annotated[str, Field(pattern=SIZE)] = "auto"
    response_format: Literal["b64_json", "url"] = "b64_json"
    output_format: Annotated[Literal["png", "webp", "jpeg"], BeforeValidator(_without_short_name)] = "png"
    background: Literal["auto", "transparent", "opaque"] = "auto"
    stream: bool = False
    partial_images: Annotated[int, Field(ge=0, le=3)] = 0
    layers: Annotated[int | None, Field(validation_alias=AliasChoices("layers", "num_layers"))] = None
    num_frames: int = 1
    seed: int | None = None
    steps: Annotated[int | None, Field(validation_alias=AliasChoices("num_inference_steps", "steps"))] = None
    cfg_scale: Annotated[
        float | None, Field(validation_alias=AliasChoices("true_cfg_scale", "cfg_scale", "guidance_scale"))
    ] = None
    negative_prompt: str | None = None
    resolution: int | None = None
    shape: str | None = None
    speed: str | None = None

    @property
    def layer_num(self) -> int | None:
        """How many layers are wanted; None for an edit."""
        if self.layers is None and self.num_frames > 1:
            return self.num_frames
        return self.layers

    @property
    def decomposes(self) -> bool:
        return self.layer_num is not None or self.model == LAYERED

    @property
    def pixels(self) -> tuple[int, int] | None:
        """The size that is wanted; None for the picture's own."""
        if self.size == "auto":
            return None
        width, height = self.size.split("x")
        return int(width), int(height)

    def bodies(
        self, pictures: Sequence[str], mask: str | None
    ) -> Sequence[DecomposeRequest] | Sequence[EditLayerRequest]:
        """Return the requests for pictures and a mask that this service holds, one a run; raises `InputError`."""
        given = self.model_dump(include={"seed", "steps", "cfg_scale", "negative_prompt", "speed"}, exclude_none=True)
        given["engine"] = MODELS.get(self.model)
        if not self.decomposes:
            given |= {"image": pictures[0], "references": list(pictures[1:]), "instruction": self.prompt}
            if self.shape is not None:
                given["shape"] = self.shape
            if mask is not None:
                given["region"] = {"mask": mask}
            seeds = [{} if self.seed is None else {"seed": self.seed + turn} for turn in range(self.n)]
            return [validated(EditLayerRequest, given | seed) for seed in seeds]
        for name, one in (("image", len(pictures) == 1), ("mask", mask is None), ("n", self.n == 1)):
            if not one:
                raise InputError("Layers are made of one picture, once and without a mask.", param=name)
        given |= {"image": pictures[0], "prompt": self.prompt, "output_size": "original"}
        if self.layer_num is not None:
            given["layer_num"] = self.layer_num
        if self.resolution is not None:
            given |= {"resolution": self.resolution, "output_size": "model"}
        return [validated(DecomposeRequest, given)]


def validated(model: type[Model], fields: Mapping[str, Any]) -> Model:
    """Return the model of the fields; raises `RequestValidationError`, which names them as OpenAI's clients do."""
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        problems = [
            {**each, "loc": ("body", *(_NAMES.get(str(part), part) for part in each["loc"]))} for each in error.errors()
        ]
        raise RequestValidationError(problems) from None


def read_texts(texts: Mapping[str, str]) -> tuple[EditForm, list[str]]:
    """Return the texts of a form, and a sentence about those that are not used.

    Raises `InputError` and `RequestValidationError`. Clients send fields that they leave empty.
    """
    given = {name: text for name, text in texts.items() if text.strip()}
    for name in REFUSED & given.keys():
        raise InputError(f"This service does not know {name}: leave it out.", param=name)
    form = validated(EditForm, given)
    aliases = (field.validation_alias for field in EditForm.model_fields.values())
    names = {str(name) for alias in aliases if isinstance(alias, AliasChoices) for name in alias.choices}
    unknown = sorted(given.keys() - names - EditForm.model_fields.keys() - IGNORED)
    return form, [f"Fields that this service does not know were ignored: {', '.join(unknown)}."] if unknown else []


# What answers hold.


def _is_none(value: object) -> bool:
    return value is None


class ImageData(BaseModel):
    b64_json: str | None = Field(default=None, exclude_if=_is_none, description="The file in base64.")
    url: str | None = Field(default=None, exclude_if=_is_none, description="Where the file is, with `url`.")


class ImageLayer(BaseModel):
    index: int = Field(description="1 is the bottom layer.")
    name: str
    width: int
    height: int
    coverage: float = Field(description="Mean alpha, 0–1.")


class Usage(BaseModel):
    """This service counts no tokens; some clients want the numbers."""

    input_tokens: int = 0
    output_tokens: int = 0
    total_tokens: int = 0
    input_tokens_details: dict[str, int] = {"text_tokens": 0, "image_tokens": 0}


class ImagesResponse(BaseModel):
    created: int = Field(description="Seconds since 1970.")
    data: list[ImageData] = Field(description="The edited picture, `n` of them, or the layers, bottom first.")
    background: Literal["transparent", "opaque"]
    output_format: str
    size: str = Field(description="`WIDTHxHEIGHT` of the first picture.")
    quality: str = "high"
    usage: Usage = Usage()
    layers: list[ImageLayer] = Field(description="What the layers are called, in the order of `data`; none of an edit.")
    seed: int = Field(description="Of the first run; each further one has the next seed.")
    engine: str
    generation_time: float = Field(description="Seconds, of all runs together.")
    warnings: list[str] = Field(description="What a person should know, fields that were ignored among it.")


class ModelResponse(BaseModel):
    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = "llm-dit"


class ModelsResponse(BaseModel):
    object: Literal["list"] = "list"
    data: list[ModelResponse]
