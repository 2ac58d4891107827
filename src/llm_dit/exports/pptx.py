"""A stack of layers as a presentation of one slide, a picture a layer, which PowerPoint, Keynote and Impress open.

Names, groups, order, places, opacity and visibility stay. Slides know no blend modes: the colours of such a layer are
painted as they look over what lies below it, and its description says so. Scale and mirroring are baked into pixels.
"""

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from pptx import Presentation
from pptx.oxml.ns import qn
from pptx.shapes.picture import Picture
from pptx.util import Emu

from llm_dit.compositing import blended
from llm_dit.exports.plain import group_runs, plain_layers
from llm_dit.exports.text import holdable
from llm_dit.layer import Layer
from llm_dit.layers import composite
from llm_dit.png import encode_png

EMU_PER_PIXEL = 9525.0
"""At 96 pixels an inch."""
MIN_SLIDE, MAX_SLIDE = 914_400, 51_206_400
"""What PowerPoint takes for a side: 1 to 56 inches, in EMU."""
BLANK_LAYOUT = 6


@dataclass(frozen=True, kw_only=True)
class _Slide:
    """A slide of the canvas's aspect, as far as PowerPoint's bounds allow one."""

    width: int
    height: int
    unit: float
    """EMU a pixel."""

    @classmethod
    def of(cls, width: int, height: int) -> "_Slide":
        unit = min(max(EMU_PER_PIXEL, MIN_SLIDE / min(width, height)), MAX_SLIDE / max(width, height))
        return cls(width=max(MIN_SLIDE, round(width * unit)), height=max(MIN_SLIDE, round(height * unit)), unit=unit)

    def length(self, pixels: int) -> Emu:
        return Emu(round(pixels * self.unit))


def export_pptx(layers: Sequence[Layer], *, width: int, height: int, title: str = "") -> bytes:
    """Return the presentation; hidden layers are in it, hidden in the selection pane."""
    presentation = Presentation()
    # What the library's template says of its own maker is nobody's business here.
    about = presentation.core_properties
    about.title, about.author, about.last_modified_by, about.comments = holdable(title)[:255], "", "", ""
    about.created = about.modified = datetime.now(UTC)
    slide = _Slide.of(width, height)
    presentation.slide_width, presentation.slide_height = Emu(slide.width), Emu(slide.height)
    shapes = presentation.slides.add_slide(presentation.slide_layouts[BLANK_LAYOUT]).shapes
    for group, members in group_runs(_painted(layers, width, height)):
        parent = shapes
        if group:
            folder = shapes.add_group_shape()
            folder.name, parent = holdable(group), folder.shapes
        for layer in members:
            content = io.BytesIO(encode_png(layer.image))
            box = (layer.x, layer.y, layer.width, layer.height)
            _describe(parent.add_picture(content, *map(slide.length, box)), layer)
    buffer = io.BytesIO()
    presentation.save(buffer)
    return buffer.getvalue()


def _painted(layers: Iterable[Layer], width: int, height: int) -> Iterator[Layer]:
    """Yield plain layers which look under "over" as they would blended; such a layer is cut to the canvas."""
    below: list[Layer] = []
    for layer, plain in zip(layers, plain_layers(layers, width, height), strict=True):
        if layer.blend == "normal":
            yield plain
        else:
            below = [Layer(image=composite(below, width, height))]
            part = layer.baked((0, 0, width, height))
            yield replace(part, image=blended(part.image, below[0].image.crop(part.box), layer.blend))
        if layer.visible:
            below.append(layer)


def _describe(picture: Picture, layer: Layer) -> None:
    name = holdable(layer.name)
    picture.name = name
    properties = picture._element._nvXxPr.cNvPr
    note = "" if layer.blend == "normal" else f" (blend mode {layer.blend}, painted in over what lies below)"
    properties.set("descr", name + note)
    if not layer.visible:
        properties.set("hidden", "1")
    if layer.opacity < 1.0:
        blip = picture._element.find(f".//{qn('a:blip')}")
        blip.append(blip.makeelement(qn("a:alphaModFix"), {"amt": str(round(layer.opacity * 100_000))}))
