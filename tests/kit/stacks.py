"""Files of layers, read back whole."""

import io
from pathlib import Path

from llm_dit.imports.layer_file import LayerFile
from llm_dit.imports.layers import read_layers
from llm_dit.layer import Layer


def layer_file(source: bytes | io.BytesIO | Path) -> tuple[list[Layer], LayerFile]:
    """Return the layers of a file or of a folder, bottom first, and what else it says."""
    if isinstance(source, Path) and source.is_file():
        source = source.read_bytes()
    read = read_layers(io.BytesIO(source) if isinstance(source, bytes) else source)
    return list(read.layers), read


def layers_of(source: bytes | io.BytesIO | Path) -> list[Layer]:
    return layer_file(source)[0]
