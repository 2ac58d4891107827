"""Vector masks of Photoshop files, which also give fills their shape: Bézier paths, drawn by resvg."""

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from llm_dit.layer import Box

INVERTED, DISABLED = 1, 4
CLOSED, CLOSED_KNOTS, OPEN, OPEN_KNOTS = 0, (1, 2), 3, (4, 5)
"""Kinds of the 26-byte records: the start of a path with its number of knots, or a knot."""
EXCLUDE, COMBINE, SUBTRACT, INTERSECT = range(4)
"""A shape's operation on those before it; a path with any other number continues the previous shape."""
MOST_SHAPES = 200
RECORD = 26
UNIT = 1 << 24
"""Coordinates are in this fraction of the canvas's sides."""


@dataclass(frozen=True, kw_only=True)
class Paths:
    """A vector mask: `shapes`, each an operation and an SVG path, applied to nothing, or if `full` to everything."""

    shapes: list[tuple[int, str]]
    full: bool
    inverted: bool

    def drawn(self, box: Box) -> NDArray[np.uint8]:
        """Return the mask (height, width) on a `box` of the canvas, 0–255."""
        mask = np.full((box[3] - box[1], box[2] - box[0]), 255.0 if self.full else 0.0, np.float32)
        for operation, outline in self.shapes:
            shape = _drawn(outline, box)
            both = mask * shape / 255
            if operation == EXCLUDE:
                mask = mask + shape - 2 * both
            elif operation == SUBTRACT:
                mask = mask - both
            elif operation == INTERSECT:
                mask = both
            else:
                mask = mask + shape - both
        return np.rint(255 - mask if self.inverted else mask).astype(np.uint8)


def read_paths(block: bytes, width: int, height: int) -> Paths | None:
    """Return the mask in a layer's block, for a canvas of that size; None if it masks nothing.

    A block that is truncated or has more than `MOST_SHAPES` shapes masks nothing.
    """
    if len(block) < 8 or int.from_bytes(block[4:8], "big") & DISABLED:
        return None
    shapes: list[tuple[int, str]] = []
    knots: list[tuple[float, ...]] = []
    left = 0
    for selector, content in _records(block[8:]):
        if selector in (CLOSED, OPEN):
            left, operation = struct.unpack(">Hh", content[:4])
            knots = []
            if operation in range(4) or not shapes:
                shapes.append((operation if operation in range(4) else COMBINE, ""))
        elif selector in (*CLOSED_KNOTS, *OPEN_KNOTS) and left > 0 and shapes:
            sides = (height, width) * 3
            knots.append(
                tuple(place / UNIT * side for place, side in zip(struct.unpack(">6i", content), sides, strict=True))
            )
            left -= 1
            if left == 0:
                operation, outline = shapes[-1]
                shapes[-1] = (operation, outline + _outline(knots))
    if not shapes or left > 0 or len(shapes) > MOST_SHAPES:
        return None
    # A first shape that subtracts or intersects starts from everything.
    full = shapes[0][0] in (SUBTRACT, INTERSECT)
    return Paths(shapes=shapes, full=full, inverted=bool(block[7] & INVERTED))


def _records(content: bytes) -> Iterator[tuple[int, bytes]]:
    for start in range(0, len(content) - RECORD + 1, RECORD):
        yield int.from_bytes(content[start : start + 2], "big"), content[start + 2 : start + RECORD]


def _outline(knots: list[tuple[float, ...]]) -> str:
    """Return the path of knots, each with incoming control point, anchor and outgoing control point, y before x."""
    (_, _, y, x, _, _), *_ = knots
    steps = [f"M{x:.3f} {y:.3f}"]
    for (_, _, _, _, out_y, out_x), (in_y, in_x, y, x, _, _) in zip(knots, [*knots[1:], knots[0]], strict=True):
        steps.append(f"C{out_x:.3f} {out_y:.3f} {in_x:.3f} {in_y:.3f} {x:.3f} {y:.3f}")
    return "".join(steps) + "Z"


def _drawn(outline: str, box: Box) -> NDArray[np.float32]:
    import resvg_py

    width, height = box[2] - box[0], box[3] - box[1]
    drawing = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="{box[0]} {box[1]} {width} {height}"><path fill-rule="evenodd" d="{outline}"/></svg>'
    )
    picture = Image.open(io.BytesIO(bytes(resvg_py.svg_to_bytes(svg_string=drawing))))
    return np.asarray(picture.convert("RGBA").getchannel("A"), np.float32)
