"""Layers for formats in which a layer is a rectangle of pixels, without scale or mirroring."""

from llm_dit.layer import Layer


def plain(layer: Layer, width: int, height: int) -> Layer:
    """Return a layer, a hidden one too, baked into pixels and cropped to what it shows.

    What lies off the canvas stays, so that it can be moved back; a scaled layer is cut to the canvas, as it may be of
    any size.
    """
    return layer.baked(layer.box if layer.scale == 1.0 else (0, 0, width, height))
