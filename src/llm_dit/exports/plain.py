"""Stacks for formats in which a layer is a rectangle of pixels, without scale or mirroring."""

from collections.abc import Iterable, Iterator
from itertools import groupby

from llm_dit.layer import Layer


def plain_layers(layers: Iterable[Layer], width: int, height: int) -> Iterator[Layer]:
    """Yield the layers, hidden ones too, baked into pixels and cropped to what they show.

    What lies off the canvas stays, so that it can be moved back; a scaled layer is cut to the canvas, as it may be
    of any size.
    """
    for layer in layers:
        yield layer.baked(layer.box if layer.scale == 1.0 else (0, 0, width, height))


def group_runs(layers: Iterable[Layer]) -> Iterator[tuple[str, list[Layer]]]:
    """Yield the name of each group with its layers; layers outside of groups come under the name ""."""
    for group, members in groupby(layers, key=lambda layer: layer.group):
        yield group, list(members)
