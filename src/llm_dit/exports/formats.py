"""The formats that a stack can be exported to, by name."""

import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import IO, Literal, get_args

from llm_dit.color import Rgba
from llm_dit.exports.archives import MEDIA_TYPE as OPEN_RASTER
from llm_dit.exports.archives import export_ora, export_zip
from llm_dit.exports.flat import export_flat
from llm_dit.layer import Layer

ExportName = Literal["zip", "psd", "ora", "pptx", "png", "webp", "jpeg"]
EXPORT_NAMES: tuple[ExportName, ...] = get_args(ExportName)
"""In the order in which the page offers them."""


@dataclass(frozen=True, kw_only=True)
class ExportFormat:
    """How files of a format are called and labelled; `layered` ones keep the layers."""

    media_type: str
    suffix: str
    layered: bool


EXPORT_FORMATS: Mapping[ExportName, ExportFormat] = {
    "zip": ExportFormat(media_type="application/zip", suffix=".zip", layered=True),
    "psd": ExportFormat(media_type="image/vnd.adobe.photoshop", suffix=".psd", layered=True),
    "ora": ExportFormat(media_type=OPEN_RASTER, suffix=".ora", layered=True),
    "pptx": ExportFormat(
        media_type="application/vnd.openxmlformats-officedocument.presentationml.presentation",
        suffix=".pptx",
        layered=True,
    ),
    "png": ExportFormat(media_type="image/png", suffix=".png", layered=False),
    "webp": ExportFormat(media_type="image/webp", suffix=".webp", layered=False),
    "jpeg": ExportFormat(media_type="image/jpeg", suffix=".jpg", layered=False),
}


def export(
    layers: Iterable[Layer],
    name: ExportName,
    *,
    width: int,
    height: int,
    background: Rgba | None = None,
    title: str = "",
) -> bytes:
    """Return the file that `write_export` writes."""
    file = io.BytesIO()
    write_export(layers, name, file, width=width, height=height, background=background, title=title)
    return file.getvalue()


def write_export(
    layers: Iterable[Layer],
    name: ExportName,
    target: IO[bytes],
    *,
    width: int,
    height: int,
    background: Rgba | None = None,
    title: str = "",
) -> None:
    """Write a stack, bottom first, on a canvas of `width` × `height` pixels into an empty file that can seek.

    `layers` may be a generator that decodes each as it comes to it: no more than one is held. `background` lies below
    flat pictures, `title` is what a presentation says of itself. Raises `InputError` when the format does not hold a
    canvas of that size.
    """
    match name:
        case "zip":
            export_zip(layers, target, width=width, height=height)
        case "ora":
            export_ora(layers, target, width=width, height=height)
        case "psd":
            from llm_dit.exports.psd import export_psd  # its library takes a quarter of a second to import

            export_psd(layers, target, width=width, height=height)
        case "pptx":
            from llm_dit.exports.pptx import export_pptx  # likewise

            export_pptx(layers, target, width=width, height=height, title=title)
        case _:
            export_flat(layers, target, name, width=width, height=height, background=background)
