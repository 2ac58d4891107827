"""What requests hold. Here, and nowhere else, HTTP's names become Python's."""

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
from llm_dit.recipe import Recipe
from llm_dit.runs import region_box
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


# What is long is a `LongText` and no string, which only `Picture` takes.
ImageField = Annotated[
    str,
    Field(
        min_length=1,
        description=f"A {FORMAT_NAMES} picture as base64 or as a data URL, or `/api/images/{{sha256}}.png` of one "
        "held here.",
        examples=[EXAMPLE_IMAGE],
    ),
    WrapValidator(_or_long),
]


def _or_auto(value: object, number: ValidatorFunctionWrapHandler) -> object:
    return value if value == "auto" else number(value)


# A number has its own checks beside "auto", so that an error speaks of the number alone.
LayerCount = Annotated[
    LayerNum,
    WrapValidator(_or_auto),
    Field(description=f"{help_of(LayerNum)} `auto`: as many as the engine finds something for."),
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
    Field(description="Scale a picture that is beyond the limits down to them, and say so in `scaled_from`."),
]
MAX_REFERENCES = 10
"""As many as any edit model takes; each engine says by itself how many that is."""
MAX_TEXT = 4000
"""Characters of one text; each engine says by itself what is too long for it."""
Name = Annotated[
    str, AfterValidator(shortened), Field(description=f"One longer than {MAX_NAME} characters is shortened to that.")
]
Side = Annotated[int, Field(ge=1, le=32768, description="Pixels.")]
Background = Annotated[
    str,
    Field(
        pattern=HEX_COLOR,
        description="#rrggbb or #rrggbbaa below all layers of a flat picture; JPEG's default is white.",
    ),
]


class RequestBody(BaseModel, extra="forbid", strict=True, frozen=True, allow_inf_nan=False):
    """A field that is not known, a number in quotes, NaN and infinity are refused."""


class JobRequest(RequestBody, frozen=True):
    """A request for a run; what it leaves out is what the engine has by default."""

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
        Field(
            description="Default: the service's own; `classical` beside Qwen-Image answers while that loads or works."
        ),
    ] = None

    @property
    def others(self) -> list[Picture]:
        """The pictures that come beside the image."""
        return []

    def to_input(self, image: KeptPicture, others: Sequence[KeptPicture], engine: Engine, *, beside: bool) -> JobInput:
        """Return the job for the stored `image` and `others` on an engine, which may be the one `beside` the service's
        own; what is left out is the engine's default, and the seed is drawn."""
        defaults = engine.defaults_of_run(self.job.kind, self.loras)
        options = {name: getattr(self, http_name(name)) for name in options_of(self.job)}
        given = {name: value if http_name(name) in self.model_fields_set else None for name, value in options.items()}
        filled = SAMPLING if self.job is EditLayerInput else defaults._fields
        options |= defaults.fill({name: given[name] for name in filled})
        options["seed"] = chosen_seed(self.seed)
        own = engine.name if beside else None
        return self.job(image=image.sha256, scaled_from=image.scaled_from, engine=own, **options)


def _with_inside(box: list[float]) -> list[float]:
    """Refuse a box that has nothing in it."""
    NamedBox(box=(box[0], box[1], box[2], box[3]))
    return box


class NamedRegion(RequestBody, frozen=True):
    """A box around a thing, and what the thing's layer is called; without a name, by its color and place."""

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
            description="Things that are to be layers of their own, the topmost; of the classical engine alone.",
        ),
    ] = []

    def to_input(self, image: KeptPicture, others: Sequence[KeptPicture], engine: Engine, *, beside: bool) -> JobInput:
        """As of every run; boxes around what is in a picture that was scaled down are scaled with it."""
        job_input = super().to_input(image, others, engine, beside=beside)
        width, height = image.scaled_from or (image.width, image.height)
        regions = tuple(each.scaled(image.width / width, image.height / height) for each in self.regions)
        return replace(job_input, regions=regions)


class RegionOfLayer(RequestBody, frozen=True):
    """Where a layer may change: a box or a mask. Elsewhere it stays as it is, byte for byte."""

    box: Annotated[
        list[float] | None,
        Field(min_length=4, max_length=4, description="Left, top, right and bottom, in pixels of the layer."),
    ] = None
    mask: Annotated[
        ImageField | None,
        Field(
            description="A picture of the layer's size: white may change, black may not, gray in part; of one that is "
            "transparent anywhere, the alpha says where."
        ),
    ] = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.box is None) == (self.mask is None):
            raise PydanticCustomError("region", "Input should have either a box or a mask")
        return self

    def within(self, image: KeptPicture, mask: KeptPicture | None) -> tuple[int, int, int, int] | str:
        """Return the box in pixels of the layer as it is stored, or the mask's name; raises `InputError`."""
        if mask is not None:
            if (mask.width, mask.height) != (image.width, image.height):
                raise InputError(
                    f"The mask must have the layer's size, {image.width}×{image.height} pixels, and has "
                    f"{mask.width}×{mask.height}.",
                    param="region.mask",
                )
            return mask.sha256
        return region_box(self.box, (image.width, image.height), image.scaled_from)


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

    references: Annotated[
        list[ImageField],
        Field(
            max_length=MAX_REFERENCES,
            description="Pictures to take something from; the instruction calls the layer “Picture 1” and them "
            "“Picture 2” and so on. `/config` says how many the engine takes.",
        ),
    ] = []

    @property
    def others(self) -> list[Picture]:
        """The references, and the mask if there is one."""
        pictures = [Picture(source, f"references.{index}") for index, source in enumerate(self.references)]
        return [*pictures, Picture(self.region.mask, "region.mask")] if self.region and self.region.mask else pictures

    def to_input(self, image: KeptPicture, others: Sequence[KeptPicture], engine: Engine, *, beside: bool) -> JobInput:
        """As of every run, with the region and the references."""
        job_input = super().to_input(image, others, engine, beside=beside)
        references, masks = others[: len(self.references)], others[len(self.references) :]
        return replace(
            job_input,
            region=self.region and self.region.within(image, masks[0] if masks else None),
            references=tuple(picture.sha256 for picture in references),
        )


GroupLabel = Annotated[
    Name,
    Field(description="Consecutive layers of the same group form one; nested ones as a path, `Figure / Shadows`."),
]


class PlacedLayer(RequestBody, Placing, frozen=True):
    """A layer of a stack: where it lies, and how it shows."""

    image: ImageField
    x: Offset = Layer.x
    y: Offset = Layer.y
    group: GroupLabel = Layer.group

    def given(self, picture: GivenPicture) -> GivenLayer:
        return GivenLayer(picture=picture, placing={name: value for name, value in self if name != "image"})


class NamedLayer(PlacedLayer, KeptLayer, frozen=True):
    """A layer that a file keeps under its name, and in its group."""

    name: Name = Layer.name
    group: GroupLabel = Layer.group
    recipe: Annotated[Recipe | None, Field(description="How its picture was made, as a run has told.")] = Layer.recipe


class CompositeRequest(
    RequestBody,
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
    """A stack of layers, bottom first; without width and height the canvas holds them all."""

    layers: Annotated[Sequence[PlacedLayer], Field(min_length=1, max_length=MAX_LAYERS)]
    width: Side | None = None
    height: Side | None = None
    background: Background | None = None
    groups: Annotated[
        dict[Name, Group],
        Field(max_length=MAX_LAYERS, description="How groups show, by their labels; what is not in it passes through."),
    ] = {}

    @property
    def pictures(self) -> list[Picture]:
        return [Picture(layer.image, f"layers.{index}.image") for index, layer in enumerate(self.layers)]


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
    """The same stack with names, as a file."""

    layers: Annotated[Sequence[NamedLayer], Field(min_length=1, max_length=MAX_LAYERS)]
    format: ExportName
    name: Annotated[Name, Field(description="What the file is called, without its suffix.")] = ""
    text: Annotated[
        TextForm,
        Field(description="What lines of type become in a presentation: pictures, text, or text and hidden pictures."),
    ] = "picture"


Place = Annotated[list[float], Field(min_length=2, max_length=2, description="x and y in pixels of the canvas.")]
MAX_PLACES = 1000


class SelectRequest(
    CompositeRequest,
    frozen=True,
    json_schema_extra={"examples": [{"layers": [{"image": EXAMPLE_IMAGE}], "points": [[1, 1]]}]},
):
    """A stack, and what in it is pointed at, in pixels from the canvas's top left corner."""

    points: Annotated[list[Place], Field(max_length=MAX_PLACES, description="Places on the thing.")] = []
    without: Annotated[list[Place], Field(max_length=MAX_PLACES, description="Places on what is not wanted.")] = []
    box: Annotated[
        list[float] | None, Field(min_length=4, max_length=4, description="Left, top, right and bottom around it.")
    ] = None
    line: Annotated[
        list[Place],
        Field(max_length=MAX_PLACES, description="A rough line: around the thing when its ends meet, else on it."),
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
    """A stack, and a mask of the part that is to be a layer of its own."""

    layers: Annotated[Sequence[NamedLayer], Field(min_length=1, max_length=MAX_LAYERS)]
    mask: Annotated[ImageField, Field(description="A picture of the canvas's size: white is the thing, black is not.")]
    name: Annotated[Name, Field(description="What the new layer is called.")] = ""


ProjectName = Annotated[Name, Field(pattern=NOT_BLANK)]
ImageAddress = Annotated[str, Field(pattern=IMAGE_ADDRESS, description="`/api/images/{sha256}.png`")]


def _document(value: object) -> DocumentText:
    """Take what `DocumentRequest` has made of an object."""
    if not isinstance(value, DocumentText):
        raise PydanticCustomError("dict_type", "Input should be an object")
    return value


DocumentField = Annotated[
    Any,
    PlainValidator(_document),
    WithJsonSchema({"additionalProperties": True, "type": "object"}),
    Field(description="What the page keeps, at most 4 MB; every `/api/images/{sha256}.png` in it stays."),
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
    version: Annotated[int, Field(ge=1, le=2**53 - 1, description="The version that this one builds on.")]


class Copy(RequestBody, frozen=True, json_schema_extra={"examples": [{"name": "Poster, second try"}]}):
    name: ProjectName
