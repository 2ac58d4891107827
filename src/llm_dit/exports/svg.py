"""Exports a stack as an SVG, for browsers, Inkscape, Illustrator and Figma: one group per layer.

https://www.w3.org/TR/SVG2/ and https://www.w3.org/TR/compositing-1/. Names, nested groups, order, positions, opacity,
visibility and blend modes stay; scale, rotation and mirroring are baked into pixels. Names are in Inkscape's label
and, as in Illustrator, in `id`.
"""

import base64
import io
from collections.abc import Iterable
from typing import IO
from xml.sax.saxutils import escape, quoteattr

from llm_dit.color import BlendMode
from llm_dit.images import write_png
from llm_dit.layer import NO_GROUPS, Group, Groups, Layer, group_steps, plain
from llm_dit.names import holdable

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
