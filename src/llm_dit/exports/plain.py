"""Layers for formats in which a layer is a rectangle of pixels, without scale or mirroring."""

import re

from llm_dit.layer import Layer


def plain(layer: Layer, width: int, height: int) -> Layer:
    """Return a layer, a hidden one too, baked into pixels and cropped to what it shows.

    What lies off the canvas stays, so that it can be moved back; a scaled layer is cut to the canvas, as it may be of
    any size.
    """
    return layer.baked(layer.box if layer.scale == 1.0 else (0, 0, width, height))


# Names of layers and groups as other programs can hold them.


_UNHOLDABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def holdable(name: str) -> str:
    """Return a name with what no XML file may hold, such as control characters, replaced by the sign U+FFFD."""
    return _UNHOLDABLE.sub("\ufffd", name)
