"""What requests hold. Here, and nowhere else, HTTP's names become Python's."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AliasChoices, BaseModel, Field, ValidatorFunctionWrapHandler, WrapValidator

from llm_dit.blending import BlendMode
from llm_dit.decoding.formats import FORMAT_NAMES
from llm_dit.exports.formats import ExportName
from llm_dit.file_names import MAX_NAME, shortened
from llm_dit.layer import MAX_LAYERS, MAX_SCALE, MIN_SCALE
from llm_dit.naming import Language
from llm_dit.pipelines.base import MAX_SEED, chosen_seed
from server.inputs import DecomposeInput, EditLayerInput
from server.intake import GivenPicture, KeptPicture
from server.settings import QwenImageSettings
from server.stacks import GivenLayer
from web.errors import HEX_COLOR, NOT_BLANK
from web.images import Picture, sample_data_url
from web.sieve import LongText

DEFAULTS = QwenImageSettings()
CONFIGURED = {
    "layer_num": "layer_num",
    "resolution": "resolution",
    "steps": "num_inference_steps",
    "cfg_scale": "cfg_scale",
}
"""The fields for which the configuration has what a request that leaves them out gets, with its names for them."""
EXAMPLE_IMAGE = sample_data_url()


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
Steps = Annotated[int, Field(ge=1, le=100, description="Diffusion steps; the classical engine has none.")]
CfgScale = Annotated[float, Field(ge=1, le=20, description="Classifier-free guidance; the classical engine has none.")]
Seed = Annotated[
    int | None, Field(ge=0, le=MAX_SEED, description="The same seed gives the same result; null picks one.")
]
Fit = Annotated[
    bool,
    Field(description="Scale a picture that is beyond the limits down to them, and say so in `scaled_from`."),
]
Text = Annotated[str, Field(max_length=4000)]
Opacity = Annotated[float, Field(ge=0, le=1)]
Offset = Annotated[int, Field(ge=-32768, le=32768, description="Pixels from the canvas's top left corner.")]
Scale = Annotated[float, Field(ge=MIN_SCALE, le=MAX_SCALE, description="Size about the layer's top left corner.")]
Blend = Annotated[BlendMode, Field(description="How the colors meet those below, as in CSS's mix-blend-mode.")]
Flip = Annotated[bool, Field(description="Mirrored within the layer's own box.")]
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
    """A request for a run; what it leaves out is what the configuration says."""

    def configured(self, field: str, defaults: QwenImageSettings) -> Any:
        """Return the value of one of the fields of CONFIGURED."""
        return getattr(self, field) if field in self.model_fields_set else getattr(defaults, CONFIGURED[field])


class DecomposeRequest(
    JobRequest,
    frozen=True,
    json_schema_extra={"examples": [{"image": EXAMPLE_IMAGE, "layer_num": 3, "steps": 20, "seed": 42}]},
):
    image: ImageField
    prompt: Annotated[Text, Field(description="What the image shows; left empty, Qwen writes one.")] = ""
    layer_num: Annotated[int, Field(ge=1, le=10, description="Layers, the composite not counted.")] = DEFAULTS.layer_num
    resolution: Literal[640, 1024] = DEFAULTS.resolution
    steps: Steps = DEFAULTS.num_inference_steps
    cfg_scale: CfgScale = DEFAULTS.cfg_scale
    seed: Seed = None
    negative_prompt: Text = " "
    cfg_normalize: bool = True
    use_en_prompt: bool = True
    output_size: Annotated[
        Literal["model", "original"],
        Field(description="`model`: about resolution² pixels; `original`: the image's size."),
    ] = "model"
    fit: Fit = False
    language: Annotated[Language, Field(description="The language that the layers are named in.")] = "en"

    def to_input(self, image: KeptPicture, defaults: QwenImageSettings) -> DecomposeInput:
        """Return the job for the stored `image`; what the request left out is what the configuration says."""
        return DecomposeInput(
            image=image.sha256,
            scaled_from=image.scaled_from,
            prompt=self.prompt,
            layer_num=self.configured("layer_num", defaults),
            resolution=self.configured("resolution", defaults),
            num_inference_steps=self.configured("steps", defaults),
            cfg_scale=self.configured("cfg_scale", defaults),
            seed=chosen_seed(self.seed),
            negative_prompt=self.negative_prompt,
            cfg_normalize=self.cfg_normalize,
            use_en_prompt=self.use_en_prompt,
            output_size=self.output_size,
            language=self.language,
        )


class EditLayerRequest(
    JobRequest,
    frozen=True,
    json_schema_extra={"examples": [{"image": EXAMPLE_IMAGE, "instruction": "Change the color to blue", "seed": 42}]},
):
    image: Annotated[
        ImageField,
        Field(validation_alias=AliasChoices("image", "layer_image"), description="The layer; also as `layer_image`."),
    ]
    instruction: Annotated[
        str, Field(min_length=1, max_length=4000, pattern=NOT_BLANK, examples=["Change the color to blue"])
    ]
    steps: Steps = DEFAULTS.num_inference_steps
    cfg_scale: CfgScale = DEFAULTS.cfg_scale
    seed: Seed = None
    negative_prompt: Text = " "
    shape: Annotated[
        Literal["keep", "new"], Field(description="`keep` gives the layer its alpha back, byte for byte.")
    ] = "keep"
    output_size: Literal["layer", "model"] = "layer"
    fit: Fit = False

    def to_input(self, image: KeptPicture, defaults: QwenImageSettings) -> EditLayerInput:
        """Return the job for the stored `image`; what the request left out is what the configuration says."""
        return EditLayerInput(
            image=image.sha256,
            scaled_from=image.scaled_from,
            instruction=self.instruction,
            num_inference_steps=self.configured("steps", defaults),
            cfg_scale=self.configured("cfg_scale", defaults),
            seed=chosen_seed(self.seed),
            negative_prompt=self.negative_prompt,
            shape=self.shape,
            output_size=self.output_size,
        )


class PlacedLayer(RequestBody, frozen=True):
    """A layer of a stack: where it lies, and how it shows."""

    image: ImageField
    opacity: Opacity = 1.0
    visible: bool = True
    x: Offset = 0
    y: Offset = 0
    blend: Blend = "normal"
    scale: Scale = 1.0
    flip_x: Flip = False
    flip_y: Flip = False

    def given(self, picture: GivenPicture) -> GivenLayer:
        return GivenLayer(picture=picture, placing=self.model_dump(exclude={"image"}))


class NamedLayer(PlacedLayer, frozen=True):
    """A layer that a file keeps under its name, and in its group."""

    name: Name = ""
    group: Annotated[Name, Field(description="Consecutive layers of the same group form one; a label only.")] = ""


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
