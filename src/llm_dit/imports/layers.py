"""Opens all layered files, whose content determines the format. Bundles and OpenRaster are read here."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Annotated, Any, Protocol, cast

from lxml import etree  # pyright: ignore[reportAttributeAccessIssue]
from pydantic import AliasChoices, BaseModel, BeforeValidator, Field, ValidationError
from pydantic_core import from_json

from llm_dit.color import BLEND_MODES, BlendMode
from llm_dit.errors import LayerFileError
from llm_dit.exports.formats import MANIFEST_NAME, Manifest, ManifestLayer, is_newer
from llm_dit.imports.layer_file import (
    Archive,
    FileKind,
    FileLimits,
    Folder,
    LayerFile,
    Nesting,
    check_sizes,
    decoded,
    grouped,
    picture_size,
    warn,
)
from llm_dit.layer import PASS_THROUGH, Group, KeptLayer, Layer, Offset, kept_fields
from llm_dit.names import shortened

PSD_SIGNATURE, ZIP_SIGNATURE = b"8BPS", b"PK"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
START_BYTES = 4096
"""Bytes that identify a file; an SVG may begin with comments of the program that wrote it."""
NOT_ONE = (
    "This is not a layered file: open a project file, a ZIP of layers, an OpenRaster file (ORA), a Photoshop file "
    "(PSD) or a drawing (SVG)."
)


def kind_of(file: IO[bytes]) -> FileKind | None:
    """Return a layered file's kind by its content, None for anything else.

    Raises `InputError` for an archive that is damaged or has no layers.
    """
    file.seek(0)
    start = file.read(START_BYTES)
    signature = start[:4]
    if signature == PSD_SIGNATURE:
        return "psd"
    if b"<svg" in start and start.removeprefix(BYTE_ORDER_MARK).lstrip().startswith(b"<"):
        return "svg"
    if not signature.startswith(ZIP_SIGNATURE):
        return None
    archive = Archive(file)
    if PROJECT_NAME in archive:
        return "project"
    if "stack.xml" in archive:
        return "ora"
    if _bundle_prefix(archive) is None:
        raise LayerFileError(NOT_ONE)
    return "zip"


def read_layers(source: IO[bytes] | Path, limits: FileLimits | None = None) -> LayerFile:
    """Return the stack of a project file, a ZIP of layers, an ORA, a PSD, an SVG, or a folder as `decompose` writes.

    The file stays open while layers are read. Raises `InputError`, also while layers are read.
    """
    limits = limits or FileLimits()
    if isinstance(source, Path):
        return read_bundle(FolderMembers(source), limits)
    kind = kind_of(source)
    if kind == "psd":
        from llm_dit.imports.psd import read_psd

        return read_psd(source, limits)
    if kind == "svg":
        from llm_dit.imports.svg import read_svg

        return read_svg(source, limits)
    if kind is None:
        raise LayerFileError(NOT_ONE)
    archive = Archive(source)
    if kind == "project":
        return read_project_layers(archive, limits)
    if kind == "ora":
        return read_ora(archive, limits)
    return read_bundle(archive, limits, _bundle_prefix(archive) or "")


def _bundle_prefix(archive: Archive) -> str | None:
    """Return the prefix of a bundle's file names: the folder's name if a folder was zipped."""
    found = [name.removesuffix(MANIFEST_NAME) for name in archive.names if name.endswith(MANIFEST_NAME)]
    folders = [prefix for prefix in found if prefix.count("/") <= 1 and (not prefix or prefix.endswith("/"))]
    return min(folders, key=len) if folders else None


# The bundles of `exports/formats.py`: a ZIP, a folder, or a zipped folder.

MAX_MANIFEST_BYTES = 1_000_000
NOT_A_BUNDLE = "This is not a layer bundle: expected a manifest.json beside the layers, as `llm-dit decompose` writes."
NEWER = "A newer version of llm-dit wrote this layer bundle: open it with that version."
DAMAGED = "This layer bundle lacks a picture or has a damaged one: export it again."


class Members(Protocol):
    """Named files, each read whole up to a size; raises `InputError` if one is larger or missing."""

    def read(self, name: str, most: int) -> bytes: ...


class FolderMembers:
    """The files of a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, name: str, most: int) -> bytes:
        try:
            with (self._folder / name).open("rb") as file:
                content = file.read(most + 1)
        except OSError:
            raise LayerFileError(NOT_A_BUNDLE if name == MANIFEST_NAME else DAMAGED) from None
        if len(content) > most:
            raise LayerFileError(DAMAGED)
        return content


def read_bundle(members: Members, limits: FileLimits, prefix: str = "") -> LayerFile:
    """Return the stack of a bundle whose files' names begin with `prefix`; raises `InputError` if it is invalid."""
    try:
        manifest = Manifest.model_validate_json(members.read(prefix + MANIFEST_NAME, MAX_MANIFEST_BYTES))
    except ValidationError as error:
        newer = any(problem["loc"] == ("version",) and is_newer(problem["input"]) for problem in error.errors())
        raise LayerFileError(NEWER if newer else NOT_A_BUNDLE) from None

    def content(entry: ManifestLayer) -> bytes:
        return members.read(prefix + entry.file, limits.image_bytes)

    sizes = [picture_size(content(entry), limits.image) for entry in manifest.layers[: limits.layers + 1]]
    check_sizes(sizes, (manifest.width, manifest.height), limits)

    def layers() -> Iterator[Layer]:
        for entry in manifest.layers:
            yield Layer(image=decoded(content(entry), limits.image), **kept_fields(entry))

    return LayerFile(
        kind="zip",
        width=manifest.width,
        height=manifest.height,
        layers=layers(),
        groups=manifest.groups,
        about=manifest.model_extra or {},
    )


# Reading the current layers of a project file, without its history.

PROJECT_NAME = "project.json"
MAX_PROJECT_BYTES = 8_000_000
NO_LAYERS = "This project file has no layers yet: open it in the page."

Fields = Mapping[str, Any]


def _whole(value: object) -> object:
    return round(value) if isinstance(value, float) and math.isfinite(value) else value


class ProjectLayer(KeptLayer, frozen=True):
    """A layer as the page stores it, or as in requests; `x` and `y` may be fractional."""

    image: Annotated[str, Field(pattern=r"^/api/images/[0-9a-f]{64}\.png$")]
    x: Annotated[Offset, BeforeValidator(_whole)] = Layer.x
    y: Annotated[Offset, BeforeValidator(_whole)] = Layer.y
    flip_x: Annotated[bool, Field(validation_alias=AliasChoices("flipX", "flip_x"))] = Layer.flip_x
    flip_y: Annotated[bool, Field(validation_alias=AliasChoices("flipY", "flip_y"))] = Layer.flip_y

    @property
    def member(self) -> str:
        return "images/" + self.image.rpartition("/")[2]


class Shown(BaseModel, frozen=True):
    width: Annotated[int, Field(ge=1)]
    height: Annotated[int, Field(ge=1)]
    layers: list[ProjectLayer]
    groups: dict[str, Group] = {}


def read_project_layers(archive: Archive, limits: FileLimits) -> LayerFile:
    """Return the current stack of a project file; raises `LayerFileError` if it has none."""
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
            fields: dict[str, Any] = {**kept_fields(layer), "name": shortened(layer.name)}
            yield Layer(image=decoded(content(layer), limits.image), **fields)

    return LayerFile(kind="project", width=shown.width, height=shown.height, layers=layers(), groups=shown.groups)


def _shown(document: Fields) -> Fields:
    """Return the current state of a document; the page writes each layer once, into a table."""
    at_hand = cast(Fields, document.get("doc", document))
    table = document.get("table", [])
    layers = [table[each] if isinstance(each, int) else each for each in at_hand["layers"]]
    return {
        "width": at_hand["width"],
        "height": at_hand["height"],
        "layers": layers,
        "groups": at_hand.get("groups", {}),
    }


# OpenRaster, as Krita, GIMP, MyPaint and `exports/formats.py` write it.
#
# https://www.openraster.org/baseline/layer-stack-spec.html. Nested stacks become nested groups.


STACK_NAME = "stack.xml"
MAX_STACK_BYTES = 1_000_000
MAX_OFFSET = 32_768
OPERATORS: dict[str, BlendMode] = {
    "svg:src-over": "normal",
    **{f"svg:{mode}": mode for mode in BLEND_MODES},
    # Krita's names of modes beyond the specification's; its second soft light is Photoshop's.
    "krita:exclusion": "exclusion",
    "krita:soft_light": "soft-light",
}
DAMAGED_ORA = "This OpenRaster file is damaged: save it again."
BLENDED = "“{name}” has an unknown blend mode and is shown as normal."
NO_PICTURE = "“{name}” is not stored as pixels and is left out."


def read_ora(archive: Archive, limits: FileLimits) -> LayerFile:
    """Return the stack of an OpenRaster file; raises `LayerFileError`."""
    image = _stack(archive.read(STACK_NAME, MAX_STACK_BYTES))
    root = image.find("stack")
    if image.tag != "image" or root is None:
        raise LayerFileError(DAMAGED_ORA)
    warnings: list[str] = []
    entries = [entry for entry in _entries(root, (), warnings) if _has_pixels(entry[0], archive, warnings)]
    entries.reverse()
    sizes = [
        picture_size(archive.read(layer.get("src"), limits.image_bytes), limits.image)
        for layer, _ in entries[: limits.layers + 1]
    ]
    width, height = _number(image, "w", 0), _number(image, "h", 0)
    check_sizes(sizes, (width, height), limits)
    labels, groups = grouped(path for _, path in entries)

    def layers() -> Iterator[Layer]:
        for (layer, _), label in zip(entries, labels, strict=True):
            yield Layer(
                image=decoded(archive.read(layer.get("src"), limits.image_bytes), limits.image),
                name=shortened(layer.get("name", "")),
                opacity=_opacity(layer),
                visible=_is_visible(layer),
                x=_number(layer, "x", 0),
                y=_number(layer, "y", 0),
                blend=_blend(layer, warnings),
                group=label,
            )

    return LayerFile(kind="ora", width=width, height=height, layers=layers(), groups=groups, warnings=warnings)


def _stack(content: bytes) -> Any:
    """Return the root of stack.xml; references are neither loaded nor expanded."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_pis=True)
    try:
        return etree.fromstring(content, parser)
    except (etree.XMLSyntaxError, ValueError):
        raise LayerFileError(DAMAGED_ORA) from None


def _entries(stack: Any, path: Nesting, warnings: list[str]) -> Iterator[tuple[Any, Nesting]]:
    """Yield the layers of a stack with their groups, the top one first."""
    for node in stack:
        if node.tag == "layer":
            yield node, path
        elif node.tag == "stack":
            mode = _blend(node, warnings)
            passes = mode == "normal" and node.get("isolation") == "auto"
            group = Group(opacity=_opacity(node), visible=_is_visible(node), blend=PASS_THROUGH if passes else mode)
            yield from _entries(node, (*path, Folder(name=node.get("name", ""), group=group)), warnings)


def _has_pixels(layer: Any, archive: Archive, warnings: list[str]) -> bool:
    if str(layer.get("src", "")).lower().endswith(".png") and layer.get("src") in archive:
        return True
    warn(warnings, NO_PICTURE.format(name=shortened(layer.get("name", ""))))
    return False


def _blend(layer: Any, warnings: list[str]) -> BlendMode:
    operator = layer.get("composite-op", "svg:src-over")
    if operator not in OPERATORS:
        warn(warnings, BLENDED.format(name=shortened(layer.get("name", ""))))
    return OPERATORS.get(operator, "normal")


def _opacity(node: Any) -> float:
    try:
        opacity = float(node.get("opacity", "1"))
    except ValueError:
        return 1.0
    return min(max(opacity, 0.0), 1.0) if math.isfinite(opacity) else 1.0


def _is_visible(node: Any) -> bool:
    return bool(node.get("visibility", "visible") != "hidden")


def _number(node: Any, name: str, default: int) -> int:
    """Return an attribute in whole pixels; some programs write a fraction."""
    try:
        value = float(node.get(name, default))
    except ValueError:
        return default
    return max(-MAX_OFFSET, min(MAX_OFFSET, round(value))) if math.isfinite(value) else default
