"""A stack of layers as a presentation of one slide, a picture a layer, which PowerPoint, Keynote and Impress open.

Names, nested groups, order, places, opacity and visibility stay. Slides know no blend modes: the colors of such a
layer are painted as they look over what lies below it, and its description says so. A group that fades or blends as a
whole is one picture. Scale, rotation and mirroring are baked into pixels.

The library keeps all pictures in memory. It gets a dot for each; the pictures wait in a temporary file and take the
dots' places as the archive is written.
"""

import io
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import groupby
from typing import IO, Any

from PIL import Image
from pptx import Presentation
from pptx.oxml.ns import qn
from pptx.shapes.picture import Picture
from pptx.util import Emu

from llm_dit.images import encode_png, write_png
from llm_dit.layer import NO_GROUPS, SEPARATOR, Groups, Layer, group_steps, groups_around, plain, shows
from llm_dit.layers import Painting, blended
from llm_dit.names import holdable

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


class _Pictures:
    """Pictures as PNG in a temporary file, by the name of the part of the archive that each is to be."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._places: dict[str, tuple[int, int]] = {}

    def add_to(self, shapes: Any, layer: Layer, box: tuple[Emu, ...]) -> Picture:
        """Return a picture in `shapes` that will show the layer's."""
        start = self._file.tell()
        write_png(layer.image, self._file)
        number = len(self._places)
        # Equal pictures would share one part.
        dot = Image.new("RGB", (1, 1), (number & 255, number >> 8 & 255, number >> 16 & 255))
        picture = shapes.add_picture(io.BytesIO(encode_png(dot)), *box)
        part = picture.part.related_part(picture._element.blip_rId)
        self._places[str(part.partname).lstrip("/")] = (start, self._file.tell() - start)
        return picture

    def write_into(self, presentation: Any, target: IO[bytes]) -> None:
        """Write the archive with the pictures in their places."""
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
) -> None:
    """Write the presentation; hidden layers are in it, hidden in the selection pane."""
    presentation = Presentation()
    # What the library's template says of its own maker is nobody's business here.
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
            box = tuple(map(slide.length, (layer.x, layer.y, layer.width, layer.height)))
            _describe(pictures.add_to(inside[-1], layer, box), layer)
        pictures.write_into(presentation, target)


def _merged(layers: Iterable[Layer], groups: Groups, width: int, height: int) -> Iterator[Layer]:
    """Yield one layer in the place of each group that blends as a whole; what is in hidden groups is hidden."""
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
    """Yield plain layers which look under "over" as they would blended; such a layer is cut to the canvas."""
    for layer in layers:
        if layer.blend == "normal":
            yield plain(layer, below.width, below.height)
        else:
            below.flatten()
            part = layer.baked((0, 0, below.width, below.height))
            yield replace(part, image=blended(part.image, below.part(part.box), layer.blend))
        below.add(layer)


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
