"""The models of requests. Only this module maps HTTP's names to Python's."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Self

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    Field,
    PlainValidator,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    WrapValidator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from llm_dit.decoding.opening import FORMAT_NAMES
from llm_dit.errors import InputError
from llm_dit.exports.formats import ExportName, TextForm
from llm_dit.layer import MAX_LAYERS, Group, KeptLayer, Layer, Offset, Placing
from llm_dit.names import MAX_NAME, shortened
from llm_dit.options import (
    QWEN_IMAGE,
    SAMPLING,
    CfgNormalize,
    Context,
    DecomposeOptions,
    EditOptions,
    EditOutputSize,
    EngineName,
    Guidance,
    Instruction,
    LayerLanguage,
    LayerNum,
    Loras,
    NamedBox,
    NegativePrompt,
    OutputSize,
    Prompt,
    Recipe,
    Resolution,
    Seed,
    Shape,
    Speed,
    Steps,
    UseEnPrompt,
    bounds,
    chosen_seed,
    help_of,
    http_name,
    options_of,
)
from llm_dit.runs import region_box
from llm_dit.surroundings import NO_CONTEXT, NO_SURROUNDINGS
from server.engines import Engine
from server.jobs.inputs import DecomposeInput, EditLayerInput, JobInput
from server.pool.tasks import GivenLayer, GivenPicture, Hints, KeptPicture
from server.projects.projects import ADDRESS, DocumentText, ProjectDraft
from web.bodies.large_json import LongText
from web.errors import HEX_COLOR, IMAGE_ADDRESS, NOT_BLANK
from web.images import Picture, sample_data_url

EXAMPLE_IMAGE = EXAMPLE_MASK = sample_data_url()


def _or_long(value: object, short: ValidatorFunctionWrapHandler) -> object:
    return value if isinstance(value, LongText) else short(value)


# Long strings arrive as `LongText`, which only `Picture` accepts.
ImageField = Annotated[
    str,
    Field(
        min_length=1,
        description=f"A {FORMAT_NAMES} picture as base64 or as a data URL, or `/api/images/{{sha256}}.png` of one "
        "on this server.",
        examples=[EXAMPLE_IMAGE],
    ),
    WrapValidator(_or_long),
]


def _or_auto(value: object, number: ValidatorFunctionWrapHandler) -> object:
    return value if value == "auto" else number(value)


# "auto" is checked apart from the number, so that an error is about the number alone.
LayerCount = Annotated[
    LayerNum,
    WrapValidator(_or_auto),
    Field(description=f"{help_of(LayerNum)} `auto`: the engine chooses the number."),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": bounds(LayerNum)[0], "maximum": bounds(LayerNum)[1]},
                {"type": "string", "const": "auto"},
            ]
        }
    ),
]
Fit = Annotated[
    bool,
    Field(description="Scale a picture down to the limits if it exceeds them, and report it in `scaled_from`."),
]
MAX_REFERENCES = 10
"""The most that any edit model accepts; each engine checks its own limit."""
MAX_TEXT = 4000
"""Most characters of one text; each engine checks its own limit."""
Name = Annotated[str, AfterValidator(shortened), Field(description=f"Shortened to {MAX_NAME} characters.")]
Side = Annotated[int, Field(ge=1, le=32768, description="Pixels.")]
Background = Annotated[
    str,
    Field(
        pattern=HEX_COLOR,
        description="Color #rrggbb or #rrggbbaa below the layers of a flat picture; white by default for JPEG.",
    ),
]


class RequestBody(BaseModel, extra="forbid", strict=True, frozen=True, allow_inf_nan=False):
    """Refuses unknown fields, numbers in quotes, NaN and infinity."""


class JobRequest(RequestBody, frozen=True):
    """A request for a run; missing fields get the engine's defaults."""

    job: ClassVar[type[DecomposeInput] | type[EditLayerInput]]
    image: ImageField
    steps: Steps = QWEN_IMAGE.num_inference_steps
    cfg_scale: Guidance = QWEN_IMAGE.cfg_scale
    speed: Speed = QWEN_IMAGE.speed
    seed: Seed | None = None
    negative_prompt: Annotated[NegativePrompt, Field(max_length=MAX_TEXT)] = DecomposeOptions.negative_prompt
    loras: Loras | None = None
    fit: Fit = False
    engine: Annotated[
        EngineName | None,
        Field(description="Default: the service's own; `classical` beside Qwen-Image runs while that loads or works."),
    ] = None

    @property
    def others(self) -> list[Picture]:
        """The pictures besides the image."""
        return []

    def to_input(self, image: KeptPicture, others: Sequence[KeptPicture], engine: Engine, *, beside: bool) -> JobInput:
        """Return the job for the stored `image` and `others` on an engine, which may be the one `beside` the service's
        own. Missing fields get the engine's defaults, a missing seed a random one."""
        defaults = engine.defaults_of_run(self.job.kind, self.loras)
        options = {name: getattr(self, http_name(name)) for name in options_of(self.job)}
        given = {name: value if http_name(name) in self.model_fields_set else None for name, value in options.items()}
        filled = SAMPLING if self.job is EditLayerInput else defaults._fields
        options |= defaults.fill({name: given[name] for name in filled})
        options["seed"] = chosen_seed(self.seed)
        own = engine.name if beside else None
        return self.job(image=image.sha256, scaled_from=image.scaled_from, engine=own, **options)


def _with_inside(box: list[float]) -> list[float]:
    """Refuse a box without an area."""
    NamedBox(box=(box[0], box[1], box[2], box[3]))
    return box


class NamedRegion(RequestBody, frozen=True):
    """A box around a thing, and the name of its layer; by default its color and position."""

    box: Annotated[
        list[float],
        Field(min_length=4, max_length=4, description="Left, top, right and bottom, in pixels of the image."),
        AfterValidator(_with_inside),
    ]
    name: Name = ""

    def scaled(self, across: float, down: float) -> NamedBox:
        left, top, right, bottom = self.box
        return NamedBox(box=(left, top, right, bottom), name=self.name).scaled(across, down)


class DecomposeRequest(
    JobRequest,
    frozen=True,
    json_schema_extra={"examples": [{"image": EXAMPLE_IMAGE, "layer_num": 3, "steps": 20, "seed": 42}]},
):
    job = DecomposeInput
    prompt: Annotated[Prompt, Field(max_length=MAX_TEXT)] = DecomposeOptions.prompt
    layer_num: LayerCount = QWEN_IMAGE.layer_num
    resolution: Resolution = DecomposeOptions.resolution
    cfg_normalize: CfgNormalize = DecomposeOptions.cfg_normalize
    use_en_prompt: UseEnPrompt = DecomposeOptions.use_en_prompt
    output_size: OutputSize = DecomposeOptions.output_size
    language: LayerLanguage = DecomposeOptions.language
    regions: Annotated[
        list[NamedRegion],
        Field(
            max_length=bounds(LayerNum)[1] - 1,
            description="Things that become layers of their own, on top; classical engine only.",
        ),
    ] = []

    def to_input(self, image: KeptPicture, others: Sequence[KeptPicture], engine: Engine, *, beside: bool) -> JobInput:
        """Also scale the boxes, if the picture was scaled down."""
        job_input = super().to_input(image, others, engine, beside=beside)
        width, height = image.scaled_from or (image.width, image.height)
        regions = tuple(each.scaled(image.width / width, image.height / height) for each in self.regions)
        return replace(job_input, regions=regions)


class RegionOfLayer(RequestBody, frozen=True):
    """Where a layer may change: a box or a mask. Every byte outside stays the same."""

    box: Annotated[
        list[float] | None,
        Field(min_length=4, max_length=4, description="Left, top, right and bottom, in pixels of the layer."),
    ] = None
    mask: Annotated[
        ImageField | None,
        Field(
            description="A picture of the layer's size: white may change, black may not, gray changes in part. If it "
            "has any transparency, its alpha counts instead."
        ),
    ] = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.box is None) == (self.mask is None):
            raise PydanticCustomError("region", "Input should have either a box or a mask")
        return self

    def within(self, image: KeptPicture, mask: KeptPicture | None) -> tuple[int, int, int, int] | str:
        """Return the box in pixels of the stored layer, or the mask's SHA-256; raises `InputError`."""
        if mask is not None:
            if (mask.width, mask.height) != (image.width, image.height):
                raise InputError(
                    f"The mask must have the layer's size, {image.width}×{image.height} pixels; it has "
                    f"{mask.width}×{mask.height}.",
                    param="region.mask",
                )
            return mask.sha256
        return region_box(self.box, (image.width, image.height), image.scaled_from)


GroupLabel = Annotated[
    Name,
    Field(description="Consecutive layers with the same group form one; a path nests groups, `Figure / Shadows`."),
]


class PlacedLayer(RequestBody, Placing, frozen=True):
    """A layer of a stack, with its position and appearance."""

    image: ImageField
    x: Offset = Layer.x
    y: Offset = Layer.y
    group: GroupLabel = Layer.group

    def given(self, picture: GivenPicture) -> GivenLayer:
        return GivenLayer(picture=picture, placing={name: value for name, value in self if name != "image"})


class StackRequest(RequestBody, frozen=True):
    """A stack of layers, bottom first; without width and height the canvas contains all of them."""

    layers: Annotated[Sequence[PlacedLayer], Field(min_length=1, max_length=MAX_LAYERS)]
    width: Side | None = None
    height: Side | None = None
    groups: Annotated[
        dict[Name, Group],
        Field(max_length=MAX_LAYERS, description="The appearance of groups, by their labels; others pass through."),
    ] = {}

    def pictures_under(self, param: str) -> list[Picture]:
        """Return the layers' pictures, each with the field that names it, after the name of the stack's own."""
        return [Picture(layer.image, f"{param}layers.{index}.image") for index, layer in enumerate(self.layers)]


class StackOfLayer(StackRequest, frozen=True):
    """A stack, and which of its layers is meant."""

    index: Annotated[int, Field(ge=0, lt=MAX_LAYERS, description="The layer's place in the stack, 0 at the bottom.")]


class EditLayerRequest(
    JobRequest,
    frozen=True,
    json_schema_extra={"examples": [{"image": EXAMPLE_IMAGE, "instruction": "Change the color to blue", "seed": 42}]},
):
    job = EditLayerInput
    image: Annotated[
        ImageField,
        Field(validation_alias=AliasChoices("image", "layer_image"), description="The layer; also as `layer_image`."),
    ]
    instruction: Annotated[
        Instruction,
        Field(min_length=1, max_length=MAX_TEXT, pattern=NOT_BLANK, examples=["Change the color to blue"]),
    ]
    shape: Shape = EditOptions.shape
    output_size: EditOutputSize = EditOptions.output_size
    region: RegionOfLayer | None = None
    context: Context = EditOptions.context
    surroundings: Annotated[
        StackOfLayer | None, Field(description="The stack that the layer is of; with `context` alone.")
    ] = None
    references: Annotated[
        list[ImageField],
        Field(
            max_length=MAX_REFERENCES,
            description="Pictures for the model to take something from. The instruction calls the layer “Picture 1” "
            "and these “Picture 2” and so on. `/config` has the engine's limit.",
        ),
    ] = []

    @model_validator(mode="after")
    def _has_surroundings(self) -> Self:
        if self.context != (self.surroundings is not None):
            raise InputError(NO_SURROUNDINGS if self.context else NO_CONTEXT, param="surroundings")
        return self

    @property
    def others(self) -> list[Picture]:
        """The references, and the mask if there is one."""
        pictures = [Picture(source, f"references.{index}") for index, source in enumerate(self.references)]
        return [*pictures, Picture(self.region.mask, "region.mask")] if self.region and self.region.mask else pictures

    def to_input(self, image: KeptPicture, others: Sequence[KeptPicture], engine: Engine, *, beside: bool) -> JobInput:
        """Also add the region and the references."""
        job_input = super().to_input(image, others, engine, beside=beside)
        references, masks = others[: len(self.references)], others[len(self.references) :]
        return replace(
            job_input,
            region=self.region and self.region.within(image, masks[0] if masks else None),
            references=tuple(picture.sha256 for picture in references),
        )


class NamedLayer(PlacedLayer, KeptLayer, frozen=True):
    """A layer of a file, with its name and group."""

    name: Name = Layer.name
    group: GroupLabel = Layer.group
    recipe: Annotated[Recipe | None, Field(description="How its picture was made, as in a result.")] = Layer.recipe


class CompositeRequest(
    StackRequest,
    frozen=True,
    json_schema_extra={
        "examples": [
            {
                "layers": [
                    {"image": EXAMPLE_IMAGE},
                    {"image": EXAMPLE_IMAGE, "opacity": 0.5, "blend": "multiply", "scale": 2.0, "flip_x": True},
                ]
            }
        ]
    },
):
    """A stack of layers, bottom first; without width and height the canvas contains all of them."""

    background: Background | None = None


class ExportRequest(
    CompositeRequest,
    frozen=True,
    json_schema_extra={
        "examples": [
            {
                "format": "psd",
                "name": "Poster",
                "layers": [
                    {"image": EXAMPLE_IMAGE, "name": "Ground"},
                    {"image": EXAMPLE_IMAGE, "name": "Shadow", "group": "Figure", "blend": "multiply"},
                ],
            }
        ]
    },
):
    """A stack with names, to be written as a file."""

    layers: Annotated[Sequence[NamedLayer], Field(min_length=1, max_length=MAX_LAYERS)]
    format: ExportName
    name: Annotated[Name, Field(description="The file's name, without its suffix.")] = ""
    text: Annotated[
        TextForm,
        Field(description="How a presentation contains lines of text: as pictures, text, or text and hidden pictures."),
    ] = "picture"


Place = Annotated[list[float], Field(min_length=2, max_length=2, description="x and y in pixels of the canvas.")]
MAX_PLACES = 1000


class SelectRequest(
    CompositeRequest,
    frozen=True,
    json_schema_extra={"examples": [{"layers": [{"image": EXAMPLE_IMAGE}], "points": [[1, 1]]}]},
):
    """A stack and hints of what to select, in pixels from the canvas's top left corner."""

    points: Annotated[list[Place], Field(max_length=MAX_PLACES, description="Points on the thing.")] = []
    without: Annotated[list[Place], Field(max_length=MAX_PLACES, description="Points that are not on the thing.")] = []
    box: Annotated[
        list[float] | None,
        Field(min_length=4, max_length=4, description="Left, top, right and bottom around the thing."),
    ] = None
    line: Annotated[
        list[Place],
        Field(max_length=MAX_PLACES, description="A rough line: around the thing if its ends meet, otherwise on it."),
    ] = []

    @property
    def hints(self) -> Hints:
        left, top, right, bottom = self.box or (0.0,) * 4
        return Hints(
            points=[(x, y) for x, y in self.points],
            without=[(x, y) for x, y in self.without],
            box=(left, top, right, bottom) if self.box else None,
            line=[(x, y) for x, y in self.line],
        )


class SelectLayerRequest(
    CompositeRequest,
    frozen=True,
    json_schema_extra={"examples": [{"layers": [{"image": EXAMPLE_IMAGE}], "mask": EXAMPLE_MASK, "name": "Sun"}]},
):
    """A stack, and the mask of the part that becomes a layer of its own."""

    layers: Annotated[Sequence[NamedLayer], Field(min_length=1, max_length=MAX_LAYERS)]
    mask: Annotated[ImageField, Field(description="A picture of the canvas's size: white is the thing, black is not.")]
    name: Annotated[Name, Field(description="The name of the new layer.")] = ""


class HarmonizeRequest(
    StackOfLayer,
    frozen=True,
    json_schema_extra={"examples": [{"layers": [{"image": EXAMPLE_IMAGE}, {"image": EXAMPLE_IMAGE}], "index": 1}]},
):
    """A stack, and the layer that gets the color and light of what is around it."""

    shadow: Annotated[bool, Field(description="Also make a layer with its shadow, to lie right below it.")] = False
    name: Annotated[Name, Field(description="The name of the shadow.")] = "Shadow"


ProjectName = Annotated[Name, Field(pattern=NOT_BLANK)]
ImageAddress = Annotated[str, Field(pattern=IMAGE_ADDRESS, description="`/api/images/{sha256}.png`")]


def _document(value: object) -> DocumentText:
    """Accept the `DocumentText` that `DocumentRequest` made of an object."""
    if not isinstance(value, DocumentText):
        raise PydanticCustomError("dict_type", "Input should be an object")
    return value


DocumentField = Annotated[
    Any,
    PlainValidator(_document),
    WithJsonSchema({"additionalProperties": True, "type": "object"}),
    Field(description="The page's state, at most 4 MB; every `/api/images/{sha256}.png` in it stays on the server."),
]


class NewProject(
    RequestBody, frozen=True, json_schema_extra={"examples": [{"name": "Poster", "document": {"layers": []}}]}
):
    name: ProjectName
    document: DocumentField
    thumbnail: ImageAddress | None = None

    def to_draft(self) -> ProjectDraft:
        picture = ADDRESS.fullmatch(self.thumbnail) if self.thumbnail else None
        return ProjectDraft(name=self.name, document=self.document, thumbnail=picture[1] if picture else None)


class SavedProject(
    NewProject,
    frozen=True,
    json_schema_extra={"examples": [{"name": "Poster", "document": {"layers": []}, "version": 1}]},
):
    version: Annotated[int, Field(ge=1, le=2**53 - 1, description="The version on which this save builds.")]


class Copy(RequestBody, frozen=True, json_schema_extra={"examples": [{"name": "Poster, second try"}]}):
    name: ProjectName
