"""A stack of layers as PNG files, in a folder or an archive: llm-dit's own bundles, and OpenRaster.

A bundle is `composite.png`, a PNG for each layer, and `manifest.json`. `llm-dit decompose` writes one as a folder, and
`export_zip` as an archive; `imports/layers.py` reads both.

The manifest is `{"format": "llm-dit-layers", "version": 1, "width", "height", "layers": [{"file", "name", "opacity",
"visible", "x", "y", "blend", "scale", "flip_x", "flip_y", "group"}, …]}`, bottom to top, and may carry more keys, such
as the seed. What is left out of a layer has its default, so manifests written before a key was known read as well.
"""

import json
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import IO, Annotated, Literal
from xml.etree.ElementTree import Element, tostring

from pydantic import BaseModel, Field, ValidationError

from llm_dit.color import BlendMode
from llm_dit.images import write_png
from llm_dit.layer import KeptLayer, Layer, group_steps, kept_fields, plain
from llm_dit.layers import Painting
from llm_dit.names import file_stem, holdable

MANIFEST_NAME = "manifest.json"
COMPOSITE_NAME = "composite.png"


class ManifestLayer(KeptLayer, frozen=True):
    """One layer of a manifest; see `Layer` for units."""

    file: Annotated[str, Field(pattern=r"^[^/\\]+\.png$")]


class Manifest(BaseModel, frozen=True, extra="allow"):
    """The order and placing of a bundle's layers, bottom to top, on a canvas of `width` × `height` pixels."""

    format: Literal["llm-dit-layers"] = "llm-dit-layers"
    version: Literal[1] = 1
    width: Annotated[int, Field(ge=1)]
    height: Annotated[int, Field(ge=1)]
    layers: list[ManifestLayer]


def is_newer(version: object) -> bool:
    """Whether a manifest's `version` is one that is not known here yet."""
    return isinstance(version, int) and version > 1


def write_bundle(
    layers: Iterable[Layer],
    create: Callable[[str], IO[bytes]],
    *,
    width: int,
    height: int,
    about: Mapping[str, object] | None = None,
) -> None:
    """Write the files of a bundle, each into what `create` opens under its name.

    `about` goes into the manifest beside the layers.
    """
    entries: list[ManifestLayer] = []
    with Painting(width, height) as painting:
        for number, layer in enumerate(layers, start=1):
            name = f"{number:02d}-{file_stem(layer.name, 'layer')}.png"
            painting.add(layer)
            with create(name) as file:
                write_png(layer.image.convert("RGBA"), file)
            entries.append(ManifestLayer(file=name, **kept_fields(layer)))
        with create(COMPOSITE_NAME) as file:
            write_png(painting.picture(), file)
    manifest = {**(about or {}), **Manifest(width=width, height=height, layers=entries).model_dump()}
    with create(MANIFEST_NAME) as file:
        file.write((json.dumps(manifest, ensure_ascii=False, indent=2) + "\n").encode())


def remove_bundle(folder: Path) -> None:
    """Delete the files that the manifest of a bundle in `folder` names, so that another one can take its place.

    What else the folder holds stays; without a readable manifest nothing is deleted.
    """
    try:
        manifest = Manifest.model_validate_json((folder / MANIFEST_NAME).read_bytes())
    except (OSError, ValidationError):
        return
    for name in (COMPOSITE_NAME, *(entry.file for entry in manifest.layers), MANIFEST_NAME):
        (folder / name).unlink(missing_ok=True)


# A bundle in one file.


def export_zip(
    layers: Iterable[Layer], target: IO[bytes], *, width: int, height: int, about: Mapping[str, object] | None = None
) -> None:
    """Write the archive. Its members carry a fixed date, so that equal layers give equal bytes."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:  # PNG does not compress again

        def create(name: str) -> IO[bytes]:
            return archive.open(zipfile.ZipInfo(name), "w")

        write_bundle(layers, create, width=width, height=height, about=about)


# OpenRaster, which Krita, GIMP and MyPaint open.
#
# A ZIP archive by https://www.freedesktop.org/specifications/openraster/: `mimetype` first, a PNG a layer, `stack.xml`,
# the merged picture and a thumbnail. Names, nested groups, order, offsets, opacity, visibility and blend modes stay;
# scale and mirroring are baked into pixels.

MEDIA_TYPE = "image/openraster"
THUMBNAIL_SIDE = 256


def export_ora(layers: Iterable[Layer], target: IO[bytes], *, width: int, height: int) -> None:
    """Write the archive. Its members carry a fixed date, so that equal layers give equal bytes."""
    image = Element("image", version="0.0.5", w=str(width), h=str(height))
    # PNG does not compress again.
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive, Painting(width, height) as painting:
        archive.writestr(zipfile.ZipInfo("mimetype"), MEDIA_TYPE)
        stack = _write_layers(archive, layers, painting)
        image.append(stack)
        archive.writestr(zipfile.ZipInfo("stack.xml"), tostring(image, encoding="UTF-8", xml_declaration=True))
        merged = painting.picture()
        with archive.open(zipfile.ZipInfo("mergedimage.png"), "w") as file:
            write_png(merged, file)
        merged.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
        with archive.open(zipfile.ZipInfo("Thumbnails/thumbnail.png"), "w") as file:
            write_png(merged, file)


def _write_layers(archive: zipfile.ZipFile, layers: Iterable[Layer], painting: Painting) -> Element:
    """Write a PNG for each layer, paint it, and return their description, the top one first."""
    inside = [Element("stack")]
    for number, (closed, opened, layer) in enumerate(group_steps(layers), start=1):
        del inside[len(inside) - closed :]
        for name in opened:
            # "auto": a group of the normal mode is only a label, its layers blend with what lies below it.
            group = Element("stack", name=holdable(name), isolation="auto")
            inside[-1].insert(0, group)
            inside.append(group)
        painting.add(layer)
        pixels = plain(layer, painting.width, painting.height)
        file = f"data/layer{number:03d}.png"
        with archive.open(zipfile.ZipInfo(file), "w") as member:
            write_png(pixels.image, member)
        inside[-1].insert(0, _describe(pixels, file))
    return inside[0]


def _describe(layer: Layer, file: str) -> Element:
    return Element(
        "layer",
        {
            "name": holdable(layer.name),
            "src": file,
            "x": str(layer.x),
            "y": str(layer.y),
            "opacity": f"{layer.opacity:.6g}",
            "visibility": "visible" if layer.visible else "hidden",
            "composite-op": _operator(layer.blend),
        },
    )


def _operator(blend: BlendMode) -> str:
    return "svg:src-over" if blend == "normal" else f"svg:{blend}"
