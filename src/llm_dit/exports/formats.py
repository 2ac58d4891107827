"""The export formats of a stack, by name; flat pictures, bundles, OpenRaster and SVG are written here."""

import base64
import io
import json
import math
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Annotated, Literal, get_args
from xml.etree.ElementTree import Element, tostring
from xml.sax.saxutils import escape, quoteattr

import numpy as np
from PIL import Image
from pydantic import BaseModel, Field, ValidationError

from llm_dit.classical.seeing.networks import TEXT_LINES, TEXT_WORDS, is_set_up
from llm_dit.color import BlendMode, Rgba
from llm_dit.errors import InputError
from llm_dit.images import encode_png, write_png
from llm_dit.layer import NO_GROUPS, Group, Groups, KeptLayer, Layer, group_steps, kept_fields, plain
from llm_dit.layers import Painting, over_white
from llm_dit.names import file_stem, holdable
from llm_dit.options import with_recipe

ExportName = Literal["zip", "psd", "ora", "svg", "pptx", "png", "webp", "avif", "jpeg"]
TextForm = Literal["picture", "editable", "both"]
"""How a presentation has lines of type: as pictures, as text, or as text with hidden pictures."""
EXPORT_NAMES: tuple[ExportName, ...] = get_args(ExportName)
"""In the order of the page."""


@dataclass(frozen=True, kw_only=True)
class ExportFormat:
    """A format's suffix and media type; `layered` ones keep the layers."""

    media_type: str
    suffix: str
    layered: bool


OPEN_RASTER = "image/openraster"
EXPORT_FORMATS: Mapping[ExportName, ExportFormat] = {
    "zip": ExportFormat(media_type="application/zip", suffix=".zip", layered=True),
    "psd": ExportFormat(media_type="image/vnd.adobe.photoshop", suffix=".psd", layered=True),
    "ora": ExportFormat(media_type=OPEN_RASTER, suffix=".ora", layered=True),
    "svg": ExportFormat(media_type="image/svg+xml", suffix=".svg", layered=True),
    "pptx": ExportFormat(
        media_type="application/vnd.openxmlformats-officedocument.presentationml.presentation",
        suffix=".pptx",
        layered=True,
    ),
    "png": ExportFormat(media_type="image/png", suffix=".png", layered=False),
    "webp": ExportFormat(media_type="image/webp", suffix=".webp", layered=False),
    "avif": ExportFormat(media_type="image/avif", suffix=".avif", layered=False),
    "jpeg": ExportFormat(media_type="image/jpeg", suffix=".jpg", layered=False),
}


SUFFIXES = ", ".join(format.suffix for format in EXPORT_FORMATS.values())


def export_name(file: Path) -> ExportName:
    """Return the format by a file's suffix; raises an `InputError` that lists the suffixes."""
    suffix = ".jpg" if file.suffix.lower() == ".jpeg" else file.suffix.lower()
    for name, format in EXPORT_FORMATS.items():
        if format.suffix == suffix:
            return name
    raise InputError(f"The file's suffix stands for no format: end its name with {SUFFIXES}.", param="output")


def export(
    layers: Iterable[Layer],
    name: ExportName,
    *,
    width: int,
    height: int,
    background: Rgba | None = None,
    groups: Groups = NO_GROUPS,
    title: str = "",
    text: TextForm = "picture",
) -> bytes:
    """Return the file that `write_export` writes."""
    file = io.BytesIO()
    write_export(
        layers,
        name,
        file,
        width=width,
        height=height,
        background=background,
        groups=groups,
        title=title,
        text=text,
    )
    return file.getvalue()


def write_export(
    layers: Iterable[Layer],
    name: ExportName,
    target: IO[bytes],
    *,
    width: int,
    height: int,
    background: Rgba | None = None,
    groups: Groups = NO_GROUPS,
    title: str = "",
    text: TextForm = "picture",
) -> None:
    """Write a stack, bottom first, on a canvas of `width` × `height` pixels into an empty, seekable file.

    `layers` may be a generator that decodes each on demand: at most one is in memory. `groups` has the appearance of
    groups, by label; `background` lies below flat pictures; `title` is a presentation's title, and `text` its form of
    lines of type. Raises `InputError` if the format does not support a canvas of that size, or text.
    """
    _check_text(name, text)
    match name:
        case "zip":
            export_zip(layers, target, width=width, height=height, groups=groups)
        case "ora":
            export_ora(layers, target, width=width, height=height, groups=groups)
        case "psd":
            from llm_dit.exports.psd import export_psd  # importing its library takes a quarter of a second

            export_psd(layers, target, width=width, height=height, groups=groups)
        case "pptx":
            from llm_dit.exports.pptx import export_pptx  # likewise

            export_pptx(layers, target, width=width, height=height, groups=groups, title=title, text=text)
        case "svg":
            export_svg(layers, target, width=width, height=height, groups=groups, title=title)
        case _:
            export_flat(layers, target, name, width=width, height=height, background=background, groups=groups)


def text_forms() -> tuple[TextForm, ...]:
    """Return the available forms of lines of type: text only if the networks that read it are installed."""
    return get_args(TextForm) if is_set_up(TEXT_LINES, TEXT_WORDS) else ("picture",)


def _check_text(name: ExportName, text: TextForm) -> None:
    if text != "picture" and name != "pptx":
        raise InputError("Only presentations (pptx) can contain editable text.", param="text")
    if text not in text_forms():
        raise InputError("The networks that read text are not installed: run `llm-dit models fetch`.", param="text")


# A stack as one flat picture.

FlatFormat = Literal["png", "jpeg", "webp", "avif"]

MAX_SIDES: Mapping[FlatFormat, int] = {"png": 2**31 - 1, "jpeg": 65_500, "webp": 16_383, "avif": 16_384}
"""Pixels; the formats' own limits, for JPEG its library's."""

LARGE_PIXELS = 8_000_000


def export_flat(
    layers: Iterable[Layer],
    target: IO[bytes],
    format: FlatFormat,
    *,
    width: int,
    height: int,
    background: Rgba | None = None,
    groups: Groups = NO_GROUPS,
) -> None:
    """Write the picture; a JPEG has no transparency, and is on white if `background` is transparent.

    PNG and WebP are lossless, AVIF and JPEG have high quality without color subsampling. Raises `InputError` if the
    canvas is larger than the format allows.
    """
    if max(width, height) > MAX_SIDES[format]:
        raise InputError(
            f"A picture of this format has at most {MAX_SIDES[format]} pixels a side: scale the layers down, or take "
            "PNG.",
            param="format",
        )
    with Painting(width, height, background, groups=groups) as painting:
        for layer in layers:
            painting.add(layer)
        if format == "png":
            write_png(painting.picture(), target)
        elif format == "webp":
            # The lossless encoder's effort: high effort takes 30 bytes of memory per pixel, low effort 20.
            effort = (0, 0) if width * height > LARGE_PIXELS else (50, 2)
            painting.picture().save(target, "WEBP", lossless=True, quality=effort[0], method=effort[1])
        elif format == "avif":
            painting.picture().save(target, "AVIF", quality=90, subsampling="4:4:4")
        else:
            _over_white(painting).save(target, "JPEG", quality=92, subsampling=0)


def _over_white(painting: Painting) -> Image.Image:
    pixels = np.empty((painting.height, painting.width, 3), np.uint8)
    for rows, band in painting.bands():
        pixels[rows] = over_white(band)
    return Image.fromarray(pixels, "RGB")


# Bundles, llm-dit's own format: a stack of layers as PNG files, in a folder or an archive.
#
# A bundle is `composite.png`, one PNG per layer, and `manifest.json`. `llm-dit decompose` writes one as a folder,
# `export_zip` one as an archive; `imports/layers.py` reads both.
#
# The manifest is `{"format": "llm-dit-layers", "version": 1, "width", "height", "layers": [{"file", "name", "opacity",
# "visible", "x", "y", "blend", "scale", "stretch", "rotation", "flip_x", "flip_y", "group", "recipe"}, …], "groups":
# {"Figure / Shadows": {"opacity", "visible", "blend"}}}`, bottom to top, and may carry more keys, such as the seed.
# Missing keys of a layer or a group have their defaults, so that older manifests remain readable.


MANIFEST_NAME = "manifest.json"
COMPOSITE_NAME = "composite.png"


class ManifestLayer(KeptLayer, frozen=True):
    """One layer of a manifest; see `Layer` for units."""

    file: Annotated[str, Field(pattern=r"^[^/\\]+\.png$")]


class Manifest(BaseModel, frozen=True, extra="allow"):
    """The order and placement of a bundle's layers, bottom to top, on a canvas of `width` × `height` pixels."""

    format: Literal["llm-dit-layers"] = "llm-dit-layers"
    version: Literal[1] = 1
    width: Annotated[int, Field(ge=1)]
    height: Annotated[int, Field(ge=1)]
    layers: list[ManifestLayer]
    groups: dict[str, Group] = {}


def is_newer(version: object) -> bool:
    """Whether a manifest's `version` is newer than the supported one."""
    return isinstance(version, int) and version > 1


def write_bundle(
    layers: Iterable[Layer],
    create: Callable[[str], IO[bytes]],
    *,
    width: int,
    height: int,
    groups: Groups = NO_GROUPS,
    about: Mapping[str, object] | None = None,
) -> None:
    """Write the files of a bundle, each to the file that `create` opens for its name.

    `about` has additional keys of the manifest.
    """
    entries: list[ManifestLayer] = []
    with Painting(width, height, groups=groups) as painting:
        for number, layer in enumerate(layers, start=1):
            name = f"{number:02d}-{file_stem(layer.name, 'layer')}.png"
            painting.add(layer)
            with create(name) as file:
                png = encode_png(layer.image.convert("RGBA"))
                file.write(png if layer.recipe is None else with_recipe(png, layer.recipe))
            entries.append(ManifestLayer(file=name, **kept_fields(layer)))
        with create(COMPOSITE_NAME) as file:
            write_png(painting.picture(), file)
    manifest = {
        **(about or {}),
        **Manifest(width=width, height=height, layers=entries, groups=dict(groups)).model_dump(),
    }
    with create(MANIFEST_NAME) as file:
        file.write((json.dumps(manifest, ensure_ascii=False, indent=2) + "\n").encode())


def remove_bundle(folder: Path) -> None:
    """Delete the files in the manifest of the bundle in `folder`, so that another one can replace it.

    Other files in the folder stay; without a readable manifest nothing is deleted.
    """
    try:
        manifest = Manifest.model_validate_json((folder / MANIFEST_NAME).read_bytes())
    except (OSError, ValidationError):
        return
    for name in (COMPOSITE_NAME, *(entry.file for entry in manifest.layers), MANIFEST_NAME):
        (folder / name).unlink(missing_ok=True)


def export_zip(
    layers: Iterable[Layer],
    target: IO[bytes],
    *,
    width: int,
    height: int,
    groups: Groups = NO_GROUPS,
    about: Mapping[str, object] | None = None,
) -> None:
    """Write the archive. Its members carry a fixed date, so that equal layers give equal bytes."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:  # PNG does not compress again

        def create(name: str) -> IO[bytes]:
            return archive.open(zipfile.ZipInfo(name), "w")

        write_bundle(layers, create, width=width, height=height, groups=groups, about=about)


# OpenRaster, which Krita, GIMP and MyPaint open.
#
# A ZIP archive by https://www.freedesktop.org/specifications/openraster/: `mimetype` first, one PNG per layer,
# `stack.xml`, the merged picture and a thumbnail. Names, nested groups, order, offsets, opacity, visibility and blend
# modes stay; scale and mirroring are baked into pixels.

THUMBNAIL_SIDE = 256
# The specification has no exclusion; Krita reads its own name, and other programs show that layer as normal.
OPERATORS: Mapping[BlendMode, str] = {"normal": "svg:src-over", "exclusion": "krita:exclusion"}


def export_ora(
    layers: Iterable[Layer], target: IO[bytes], *, width: int, height: int, groups: Groups = NO_GROUPS
) -> None:
    """Write the archive. Its members carry a fixed date, so that equal layers give equal bytes."""
    image = Element("image", version="0.0.5", w=str(width), h=str(height))
    # PNG does not compress again.
    with (
        zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive,
        Painting(width, height, groups=groups) as painting,
    ):
        archive.writestr(zipfile.ZipInfo("mimetype"), OPEN_RASTER)
        stack = _write_layers(archive, layers, painting, groups)
        image.append(stack)
        archive.writestr(zipfile.ZipInfo("stack.xml"), tostring(image, encoding="UTF-8", xml_declaration=True))
        merged = painting.picture()
        with archive.open(zipfile.ZipInfo("mergedimage.png"), "w") as file:
            write_png(merged, file)
        merged.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
        with archive.open(zipfile.ZipInfo("Thumbnails/thumbnail.png"), "w") as file:
            write_png(merged, file)


def _write_layers(archive: zipfile.ZipFile, layers: Iterable[Layer], painting: Painting, groups: Groups) -> Element:
    """Write one PNG per layer, paint it, and return the layers' XML, the top one first."""
    inside = [Element("stack")]
    for number, (closed, opened, layer) in enumerate(group_steps(layers, groups), start=1):
        del inside[len(inside) - closed :]
        for name, group in opened:
            # "auto": the layers blend with the layers below the group.
            isolation = "auto" if group.passes_through else "isolate"
            stack = Element("stack", {"name": holdable(name), "isolation": isolation, **_shown(group, group.mode)})
            inside[-1].insert(0, stack)
            inside.append(stack)
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
            **_shown(layer, layer.blend),
        },
    )


def _shown(one: Layer | Group, mode: BlendMode) -> dict[str, str]:
    return {
        # Rounded up, because Krita truncates 255 times the value: 0.917647 would give 233 instead of 234.
        "opacity": f"{math.ceil(one.opacity * 1e7) / 1e7:.7g}",
        "visibility": "visible" if one.visible else "hidden",
        "composite-op": OPERATORS.get(mode, f"svg:{mode}"),
    }


# SVG, for browsers, Inkscape, Illustrator and Figma: one group per layer.
#
# https://www.w3.org/TR/SVG2/ and https://www.w3.org/TR/compositing-1/. Names, nested groups, order, positions, opacity,
# visibility and blend modes stay; scale, rotation and mirroring are baked into pixels. Names are in Inkscape's label
# and, as in Illustrator, in `id`.

HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<svg xmlns="http://www.w3.org/2000/svg" xmlns:inkscape="http://www.inkscape.org/namespaces/inkscape" '
    'xmlns:xlink="http://www.w3.org/1999/xlink" '
    'width="{width}" height="{height}" viewBox="0 0 {width} {height}">\n'
)
PIECE_BYTES = 3 << 18
"""Bytes of a PNG that are encoded as base64 at a time; a multiple of three, so that the pieces can be joined."""


def export_svg(
    layers: Iterable[Layer],
    target: IO[bytes],
    *,
    width: int,
    height: int,
    groups: Groups = NO_GROUPS,
    title: str = "",
) -> None:
    """Write the drawing; its unit is a pixel of the canvas."""
    names = _Names()

    def write(text: str) -> None:
        target.write(text.encode())

    write(HEAD.format(width=width, height=height))
    if title:
        write(f"<title>{escape(holdable(title))}</title>\n")
    depth = 0
    for closed, begun, layer in group_steps(layers, groups):
        write("</g>\n" * closed)
        depth += len(begun) - closed
        for name, group in begun:
            isolation = "" if group.passes_through else "isolation:isolate;"
            write(f"<g {names.of(name)} {_style(group, group.mode, isolation)}>\n")
        pixels = plain(layer, width, height)
        write(f"<g {names.of(layer.name)} {_style(layer, layer.blend)}>")
        place = f'x="{pixels.x}" y="{pixels.y}" width="{pixels.width}" height="{pixels.height}"'
        write(f'<image {place} xlink:href="data:image/png;base64,')
        _write_picture(pixels, target)
        write('"/></g>\n')
    write("</g>\n" * depth + "</svg>\n")


class _Names:
    """Labels, and unique ids."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def of(self, name: str) -> str:
        name = holdable(name)
        stem = free = "_".join(name.split()) or "layer"
        count = 2
        while free in self._taken:
            free = f"{stem}-{count}"
            count += 1
        self._taken.add(free)
        return f'id={quoteattr(free)} inkscape:groupmode="layer" inkscape:label={quoteattr(name)}'


def _style(one: Layer | Group, mode: BlendMode, more: str = "") -> str:
    faded = "" if one.opacity == 1 else f"opacity:{one.opacity:.6g};"
    blended = "" if mode == "normal" else f"mix-blend-mode:{mode};"
    return f'style="{"" if one.visible else "display:none;"}{faded}{blended}{more}"'


def _write_picture(layer: Layer, target: IO[bytes]) -> None:
    png = io.BytesIO()
    write_png(layer.image, png)
    content = png.getbuffer()
    for start in range(0, len(content), PIECE_BYTES):
        target.write(base64.b64encode(content[start : start + PIECE_BYTES]))
