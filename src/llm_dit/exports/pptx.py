"""Exports a stack as a presentation of one slide, one picture per layer, for PowerPoint, Keynote and Impress.

Names, nested groups, order, positions, opacity and visibility stay. Slides have no blend modes: such a layer gets the
colors that it has over the layers below, and its description says so. A group with its own opacity or blend mode is one
picture. Scale, rotation and mirroring are baked into pixels. Lines of type become text on request.

The library keeps all pictures in memory. So it gets a one-pixel placeholder for each; the pictures wait in a temporary
file and replace the placeholders when the archive is written.
"""

import io
import math
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import groupby
from typing import IO, TYPE_CHECKING, Any

from PIL import Image
from pptx import Presentation
from pptx.dml.color import RGBColor
from pptx.enum.text import MSO_AUTO_SIZE, PP_ALIGN
from pptx.oxml.ns import qn
from pptx.util import Emu, Pt

from llm_dit.images import encode_png, write_png
from llm_dit.layer import NO_GROUPS, SEPARATOR, Groups, Layer, group_steps, groups_around, plain, shows
from llm_dit.layers import Painting, blended
from llm_dit.names import holdable

if TYPE_CHECKING:
    from llm_dit.exports.formats import TextForm
    from llm_dit.exports.typesetting import TypeLine

EMU_PER_PIXEL = 9525.0
"""At 96 pixels per inch."""
MIN_SLIDE, MAX_SLIDE = 914_400, 51_206_400
"""PowerPoint's limits for a side: 1 to 56 inches, in EMU."""
BLANK_LAYOUT = 6
ALIGNMENTS = {"left": PP_ALIGN.LEFT, "center": PP_ALIGN.CENTER, "right": PP_ALIGN.RIGHT}
ASCENT, LINE = 1.0, 1.2
"""A text line's ascent and height, relative to the font size; slides have the same for all fonts."""
BEARING, ROOM = 0.05, 0.2
"""The space before a line's first letter, and the box's extra width on each side, for letters that lean out."""


@dataclass(frozen=True, kw_only=True)
class _Slide:
    """A slide with the canvas's aspect ratio, within PowerPoint's limits."""

    width: int
    height: int
    unit: float
    """EMU per pixel."""

    @classmethod
    def of(cls, width: int, height: int) -> "_Slide":
        unit = min(max(EMU_PER_PIXEL, MIN_SLIDE / min(width, height)), MAX_SLIDE / max(width, height))
        return cls(width=max(MIN_SLIDE, round(width * unit)), height=max(MIN_SLIDE, round(height * unit)), unit=unit)

    def box(self, *places: float) -> tuple[Emu, ...]:
        """Return left, top, width and height in EMU, from pixels."""
        return tuple(Emu(round(pixels * self.unit)) for pixels in places)


class _Pictures:
    """Pictures as PNG in a temporary file, by the name of their part in the archive."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._places: dict[str, tuple[int, int]] = {}

    def add_to(self, shapes: Any, layer: Layer, box: tuple[Emu, ...]) -> Any:
        """Add a placeholder to `shapes` that will show the layer's picture, and return it."""
        start = self._file.tell()
        write_png(layer.image, self._file)
        number = len(self._places)
        # Unique, because equal pictures would share one part.
        dot = Image.new("RGB", (1, 1), (number & 255, number >> 8 & 255, number >> 16 & 255))
        picture = shapes.add_picture(io.BytesIO(encode_png(dot)), *box)
        part = picture.part.related_part(picture._element.blip_rId)
        self._places[str(part.partname).lstrip("/")] = (start, self._file.tell() - start)
        return picture

    def write_into(self, presentation: Any, target: IO[bytes]) -> None:
        """Write the archive, with the pictures instead of the placeholders."""
        with tempfile.TemporaryFile() as sketch:
            presentation.save(sketch)
            with zipfile.ZipFile(sketch) as source, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
                for member in source.infolist():
                    self._copy(source, member, archive)

    def _copy(self, source: zipfile.ZipFile, member: zipfile.ZipInfo, archive: zipfile.ZipFile) -> None:
        if member.filename not in self._places:
            archive.writestr(member, source.read(member), zipfile.ZIP_DEFLATED)
            return
        start, left = self._places[member.filename]
        self._file.seek(start)
        with archive.open(zipfile.ZipInfo(member.filename, member.date_time), "w") as file:
            while left > 0:
                piece = self._file.read(min(left, 1 << 20))
                file.write(piece)
                left -= len(piece)


def export_pptx(
    layers: Iterable[Layer],
    target: IO[bytes],
    *,
    width: int,
    height: int,
    groups: Groups = NO_GROUPS,
    title: str = "",
    text: "TextForm" = "picture",
) -> None:
    """Write the presentation; hidden layers are included, hidden in the selection pane.

    Lines of type become text if they are legible and separate; that needs the networks of the built-in engine.
    """
    presentation = Presentation()
    # Remove the library template's own author.
    about = presentation.core_properties
    about.title, about.author, about.last_modified_by, about.comments = holdable(title)[:255], "", "", ""
    about.created = about.modified = datetime.now(UTC)
    slide = _Slide.of(width, height)
    presentation.slide_width, presentation.slide_height = Emu(slide.width), Emu(slide.height)
    inside: list[Any] = [presentation.slides.add_slide(presentation.slide_layouts[BLANK_LAYOUT]).shapes]
    with tempfile.TemporaryFile() as file, Painting(width, height) as below:
        pictures = _Pictures(file)
        for closed, opened, layer in group_steps(_painted(_merged(layers, groups, width, height), below), groups):
            del inside[len(inside) - closed :]
            for name, _ in opened:
                folder = inside[-1].add_group_shape()
                folder.name = holdable(name)
                inside.append(folder.shapes)
            _add(inside[-1], layer, slide, pictures, text)
        pictures.write_into(presentation, target)


def _merged(layers: Iterable[Layer], groups: Groups, width: int, height: int) -> Iterator[Layer]:
    """Yield the layers, with one layer for each group that blends as a whole; layers in hidden groups are hidden."""
    for label, members in groupby(layers, lambda layer: _whole(layer, groups)):
        if label is None:
            yield from (replace(layer, visible=shows(layer, groups)) for layer in members)
            continue
        group = groups[label]
        inner = {each: group for each, group in groups.items() if each.startswith(label + SEPARATOR)}
        with Painting(width, height, groups=inner) as painting:
            for layer in members:
                painting.add(layer)
            image = painting.picture()
        around, _, name = label.rpartition(SEPARATOR)
        visible = group.visible and all(outer.visible for _, outer in groups_around(around, groups))
        yield Layer(image=image, name=name, opacity=group.opacity, blend=group.mode, visible=visible, group=around)


def _whole(layer: Layer, groups: Groups) -> str | None:
    """Return the label of the outermost group around a layer that blends as a whole."""
    around = groups_around(layer.group, groups)
    return next((label for label, group in around if not group.passes_through), None)


def _painted(layers: Iterable[Layer], below: Painting) -> Iterator[Layer]:
    """Yield layers in normal mode that look as they do in their own mode; such a layer is cropped to the canvas."""
    for layer in layers:
        if layer.blend == "normal":
            yield plain(layer, below.width, below.height)
        else:
            below.flatten()
            part = layer.baked((0, 0, below.width, below.height))
            yield replace(part, image=blended(part.image, below.part(part.box), layer.blend))
        below.add(layer)


def _add(shapes: Any, layer: Layer, slide: _Slide, pictures: _Pictures, text: "TextForm") -> None:
    """Add a layer to the slide, as a picture, as lines of text, or as a group of both."""
    lines: list[TypeLine] = []
    rest: Image.Image | None = layer.image
    # Text cannot be blended; the picture of such a layer has the blended colors.
    if text != "picture" and layer.blend == "normal":
        from llm_dit.exports.typesetting import read_type  # it imports OpenCV

        lines, rest = read_type(layer.image, layer.name, (slide.width / slide.unit) / 2 - layer.x)
    if not lines:
        _add_picture(shapes, layer, slide, pictures)
        return
    if len(lines) + (rest is not None) + (text == "both") > 1:
        folder = shapes.add_group_shape()
        folder.name = holdable(layer.name)
        shapes = folder.shapes
    if text == "both":
        _add_picture(shapes, replace(layer, visible=False), slide, pictures)
    if rest is not None:
        _add_picture(shapes, replace(layer, image=rest), slide, pictures)
    for line in lines:
        _add_text(shapes, line, layer, slide)


def _add_picture(shapes: Any, layer: Layer, slide: _Slide, pictures: _Pictures) -> None:
    picture = pictures.add_to(shapes, layer, slide.box(layer.x, layer.y, layer.width, layer.height))
    note = "" if layer.blend == "normal" else f" (blend mode {layer.blend}, merged with the layers below)"
    _describe(picture, layer.name, note, layer)
    if layer.opacity < 1.0:
        _fade(picture._element.find(f".//{qn('a:blip')}"), "a:alphaModFix", "amt", layer.opacity)


def _add_text(shapes: Any, line: "TypeLine", layer: Layer, slide: _Slide) -> None:
    """Add a line at its letters' position; the box fits them, so that any alignment keeps the position."""
    width, height = line.width + 2 * (BEARING + ROOM) * line.size, LINE * line.size
    turn = math.radians(line.angle)
    # Boxes rotate about their center, the line about its start.
    along, down = line.width / 2, height / 2 - ASCENT * line.size
    x = layer.x + line.left + along * math.cos(turn) - down * math.sin(turn)
    y = layer.y + line.baseline + along * math.sin(turn) + down * math.cos(turn)
    shape = shapes.add_textbox(*slide.box(x - width / 2, y - height / 2, width, height))
    shape.rotation = line.angle
    frame = shape.text_frame
    frame.word_wrap, frame.auto_size = False, MSO_AUTO_SIZE.NONE
    (inset,) = slide.box(ROOM * line.size)
    frame.margin_left, frame.margin_top, frame.margin_right, frame.margin_bottom = inset, Emu(0), inset, Emu(0)
    (paragraph,) = frame.paragraphs
    paragraph.alignment, paragraph.line_spacing = ALIGNMENTS[line.align], 1.0
    paragraph.space_before = paragraph.space_after = Pt(0)
    run = paragraph.add_run()
    run.text = holdable(line.words)
    size = line.size * slide.unit / Pt(1)
    font = run.font
    font.name, font.bold, font.italic = "Times New Roman" if line.serifs else "Arial", line.bold, line.italic
    font.size, font.color.rgb = Pt(min(max(size, 1), 4000)), RGBColor(*line.color)
    run._r.get_or_add_rPr().set("spc", str(round(100 * line.spacing * slide.unit / Pt(1))))
    if line.opacity * layer.opacity < 1.0:
        _fade(run._r.find(f".//{qn('a:srgbClr')}"), "a:alpha", "val", line.opacity * layer.opacity)
    _describe(shape, line.words, "", layer)


def _describe(shape: Any, name: str, note: str, layer: Layer) -> None:
    shape.name = holdable(name)
    properties = shape._element._nvXxPr.cNvPr
    properties.set("descr", holdable(name) + note)
    if not layer.visible:
        properties.set("hidden", "1")


def _fade(element: Any, tag: str, key: str, opacity: float) -> None:
    element.append(element.makeelement(qn(tag), {key: str(round(opacity * 100_000))}))
