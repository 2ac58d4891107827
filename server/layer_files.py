"""Files of layers that come in: their layers, put into the store."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from llm_dit.blending import BlendMode
from llm_dit.imports.layer_file import FileKind, FileLimits
from llm_dit.imports.layers import read_layers
from llm_dit.layer import Layer
from llm_dit.layers import coverage
from llm_dit.png import encode_png
from server.store import ImageStore


@dataclass(frozen=True, kw_only=True)
class KeptLayer:
    """A layer whose picture the store holds; see `Layer` for units, and `coverage` is its mean alpha, 0–1."""

    sha256: str
    width: int
    height: int
    coverage: float
    name: str
    opacity: float
    visible: bool
    x: int
    y: int
    blend: BlendMode
    scale: float
    flip_x: bool
    flip_y: bool
    group: str


@dataclass(frozen=True, kw_only=True)
class KeptStack:
    """The layers of a file, bottom first, on a canvas in pixels, and what did not come along, in sentences."""

    kind: FileKind
    width: int
    height: int
    layers: list[KeptLayer]
    warnings: list[str]


def keep_layers(file: Path, data_dir: Path, limits: FileLimits) -> KeptStack:
    """Put the layers of a file into the store in `data_dir`, one at a time; raises `InputError`, `DiskFullError`."""
    store = ImageStore(data_dir)
    with file.open("rb") as content:
        read = read_layers(content, limits)
        layers = [_keep(layer, store) for layer in read.layers]
    return KeptStack(kind=read.kind, width=read.width, height=read.height, layers=layers, warnings=read.warnings)


def _keep(layer: Layer, store: ImageStore) -> KeptLayer:
    placing = {field.name: getattr(layer, field.name) for field in dataclasses.fields(layer) if field.name != "image"}
    return KeptLayer(
        sha256=store.put(encode_png(layer.image)),
        width=layer.image.width,
        height=layer.image.height,
        coverage=round(coverage(layer.image), 4),
        **placing,
    )
