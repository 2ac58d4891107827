"""Layers that somebody has asked for by a box and a name: they come off a picture before the rest is taken apart."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from llm_dit.classical.cutting import cut_out
from llm_dit.classical.layering.regions import Mask, Report, box_of
from llm_dit.classical.peeling import Seen, find_lines, peel
from llm_dit.classical.selecting import select
from llm_dit.errors import InputError
from llm_dit.layer import Layer
from llm_dit.options import NamedBox

WITHIN = 0.8
"""The share of a line of text within a box from which the line belongs to it."""
FILLED = 0.5
"""The share of a box that lines of text take from which they are what is meant."""
Named = tuple[Image.Image, str]


def lift_named(
    picture: Image.Image, regions: Sequence[NamedBox], seed: int, report: Report
) -> tuple[list[Named], Image.Image]:
    """Return a layer and its name for each of `regions`, bottom first, and what is left of an RGBA `picture`.

    All have the picture's size. What is in a box is text where lines of text fill it, else what `select` finds by the
    box. Text comes off first, then things, the smallest first: a hat lies above the head that it is on, and the head
    goes on behind it. Raises `InputError` where there is nothing in a box.
    """
    pixels = np.asarray(picture)
    opaque = bool((pixels[..., 3] == 255).all())
    lines = [mask for mask, _ in find_lines(pixels[..., :3], report)] if opaque else []
    texts: list[tuple[Mask, str]] = []
    things: list[tuple[Mask, str]] = []
    for number, region in enumerate(regions, 1):
        report("segmenting")
        text = _text_in(region, lines)
        if text is not None:
            texts.append((text, region.name))
        else:
            things.append((_thing_in(picture, region, number), region.name))
    things.sort(key=lambda each: int(each[0].sum()))
    if not opaque:
        return _cut(picture, things, report)
    names = [name for _, name in reversed(texts + things)]
    lifted, rest = peel(pixels[..., :3], Seen(texts, [mask for mask, _ in things]), len(regions), seed, report)
    layers = [Image.fromarray(layer, "RGBA") for layer in lifted]
    return list(zip(layers, names, strict=True)), Image.fromarray(rest, "RGB").convert("RGBA")


def _text_in(region: NamedBox, lines: Sequence[Mask]) -> Mask | None:
    """Return the lines of text that are what a box is around, None where it is around something else."""
    left, top, right, bottom = (max(0, round(value)) for value in region.box)
    window = slice(top, bottom), slice(left, right)
    inside = [line for line in lines if line[window].sum() >= WITHIN * line.sum()]
    if not inside:
        return None
    text = np.logical_or.reduce(inside)
    x0, y0, x1, y1 = box_of(text)
    fills = (x1 - x0) * (y1 - y0) >= FILLED * (right - left) * (bottom - top)
    return text if fills else None


def _thing_in(picture: Image.Image, region: NamedBox, number: int) -> Mask:
    mask = np.asarray(select(picture, box=region.box)) > 127
    if not mask.any():
        what = f"The box of “{region.name}”" if region.name else f"Box {number}"
        raise InputError(f"{what} has no thing in it: draw it around one.", param="regions")
    return mask


def _cut(picture: Image.Image, things: Sequence[tuple[Mask, str]], report: Report) -> tuple[list[Named], Image.Image]:
    """Cut things from a picture with clear parts, which go on behind them as far as they reach around them."""
    lifted: list[Named] = []
    for mask, name in things:
        report("filling")
        below, above = cut_out([Layer(image=picture)], *picture.size, Image.fromarray(np.uint8(255) * mask, "L"))
        lifted.append((above.image, name))
        picture = below.image
    return lifted[::-1], picture
