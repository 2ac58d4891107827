"""Reading the layers that a project file shows: what the page shows now, without its history."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, cast

from pydantic import AliasChoices, BaseModel, Field, ValidationError
from pydantic_core import from_json

from llm_dit.blending import BlendMode
from llm_dit.errors import LayerFileError
from llm_dit.file_names import shortened
from llm_dit.imports.archive import Archive
from llm_dit.imports.layer_file import FileLimits, LayerFile, check_sizes
from llm_dit.imports.pictures import decoded, picture_size
from llm_dit.layer import MAX_SCALE, MIN_SCALE, Layer

PROJECT_NAME = "project.json"
MAX_PROJECT_BYTES = 8_000_000
NO_LAYERS = "This project file has no layers yet: open it in the page."

Fields = Mapping[str, Any]


class ProjectLayer(BaseModel, frozen=True):
    """A layer as the page keeps it, or as requests have it."""

    image: Annotated[str, Field(pattern=r"^/api/images/[0-9a-f]{64}\.png$")]
    name: str = ""
    opacity: Annotated[float, Field(ge=0, le=1)] = 1.0
    visible: bool = True
    x: Annotated[float, Field(ge=-32768, le=32768)] = 0
    y: Annotated[float, Field(ge=-32768, le=32768)] = 0
    blend: BlendMode = "normal"
    scale: Annotated[float, Field(ge=MIN_SCALE, le=MAX_SCALE)] = 1.0
    flip_x: Annotated[bool, Field(validation_alias=AliasChoices("flipX", "flip_x"))] = False
    flip_y: Annotated[bool, Field(validation_alias=AliasChoices("flipY", "flip_y"))] = False
    group: str = ""

    @property
    def member(self) -> str:
        return "images/" + self.image.rpartition("/")[2]


class Shown(BaseModel, frozen=True):
    width: Annotated[int, Field(ge=1)]
    height: Annotated[int, Field(ge=1)]
    layers: list[ProjectLayer]


def read_project_layers(archive: Archive, limits: FileLimits) -> LayerFile:
    """Return the stack that a project file shows; raises `LayerFileError` when it has none."""
    try:
        about: Fields = from_json(archive.read(PROJECT_NAME, MAX_PROJECT_BYTES), allow_inf_nan=False)
        shown = Shown.model_validate(_shown(about["document"]))
    except (ValidationError, ValueError, LookupError, TypeError, AttributeError):
        raise LayerFileError(NO_LAYERS) from None

    def content(layer: ProjectLayer) -> bytes:
        return archive.read(layer.member, limits.image_bytes)

    sizes = [picture_size(content(layer), limits.image) for layer in shown.layers[: limits.layers + 1]]
    check_sizes(sizes, (shown.width, shown.height), limits)

    def layers() -> Iterator[Layer]:
        for layer in shown.layers:
            fields = layer.model_dump(exclude={"image"})
            fields |= {"x": round(layer.x), "y": round(layer.y), "name": shortened(layer.name)}
            yield Layer(image=decoded(content(layer), limits.image), **fields)

    return LayerFile(kind="project", width=shown.width, height=shown.height, layers=layers())


def _shown(document: Fields) -> Fields:
    """Return the part of a document that is current; the page writes each layer once, into a table."""
    at_hand = cast(Fields, document.get("doc", document))
    table = document.get("table", [])
    layers = [table[each] if isinstance(each, int) else each for each in at_hand["layers"]]
    return {"width": at_hand["width"], "height": at_hand["height"], "layers": layers}
