"""One pair of `alpha_edits`: a layer, an edit whose truth is known, ours and two other ways, and their errors.

The other ways:

- raw: the layer's RGB as it is, alpha ignored; the old alpha resized (LANCZOS) to the result (llm-dit-experiments);
- green: the layer over (30, 215, 96) (Qwen-Image-Layered's tool/edit_rgba_image.py); the old alpha likewise, and
  nothing of the green taken out again.

Where an edit changes the shape, the second is also keyed by its distance from the green.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from unittest.mock import patch

import cv2
import numpy as np
from PIL import Image

from llm_dit.alpha import to_image
from llm_dit.editing import prepare, prepare_context
from llm_dit.editing.registration import Motion
from llm_dit.surroundings import Surroundings
from tests.kit.edits.simulated_editor import MODEL_AREA, render, render_reshaped
from tests.kit.edits.simulated_edits import EDITS, GROUNDS, Edit, Ground, draw_edit, true_colors
from tests.kit.edits.simulated_layers import LONGEST_PX, SHAPES, Plane, Subject, draw_scenery, draw_subject, reshape
from tests.kit.edits.simulated_shapes import KINDS
from tests.kit.pictures import flatten

GREEN = (30, 215, 96)
SHIFT_PX, ZOOM_PERCENT = 0.5, 0.2


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One pair: errors in levels of 255 by way, and how far the measured motion is from the true one.

    `unaligned` is ours without registration, `identity` the error of an edit that changes nothing at all and
    `identity_shift_px` what was undone there. `redrawn` says that the stand-in moved the outline, so that the object
    itself is larger or smaller than the true zoom says.
    """

    kind: str
    ground: str
    edit: str
    moved: bool
    redrawn: bool
    ours: float
    raw: float
    green: float
    unaligned: float
    identity: float
    identity_shift_px: float
    registered: bool
    shift_error_px: float
    zoom_error_percent: float

    @property
    def is_found(self) -> bool:
        return self.registered and self.shift_error_px <= SHIFT_PX and self.zoom_error_percent <= ZOOM_PERCENT


@dataclass(frozen=True, kw_only=True)
class ShapeOutcome:
    """One pair of an edit that changes the shape; errors in levels of 255."""

    kind: str
    change: str
    ours: float
    green_old_alpha: float
    green_keyed: float
    derived: bool


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How large pairs are: the model's area, its largest shift, and the range of a layer's longer side in pixels."""

    area: int = MODEL_AREA
    max_shift_px: float = 12.0
    longest_px: tuple[int, int] = LONGEST_PX


FULL = Scale()


def measure_pair(index: int, scale: Scale = FULL) -> Outcome:
    """Measure pair `index`; three of four are shifted and zoomed."""
    cv2.setNumThreads(1)
    kind, ground = KINDS[index % len(KINDS)], GROUNDS[index // len(KINDS) % len(GROUNDS)]
    name = EDITS[(index * 5 + index // len(KINDS)) % len(EDITS)]
    moved = index // (len(KINDS) * len(GROUNDS)) % 4 != 3
    subject = draw_subject(kind, 1000 + index, scale.longest_px)
    edit = draw_edit(name, ground, 5000 + index, moved=moved, max_shift_px=scale.max_shift_px)
    truth = true_colors(subject, edit)
    near = where_it_shows(subject.alpha)

    def error(image: Image.Image, colors: Plane = truth) -> float:
        return float(composite_error(image, colors, subject.alpha)[near].mean())

    canvas = prepare(subject.layer, shape="keep", target_area=scale.area)
    edited = render(canvas.image, canvas.crop.box, subject, edit, scale.area)
    result, same = canvas.finish(edited), canvas.finish(canvas.image)
    with patch("llm_dit.editing.canvas.measure_motion", return_value=Motion()):
        unaligned = canvas.finish(edited)
    raw, green = _other_ways(subject, edit, scale)
    return Outcome(
        kind=kind,
        ground=ground,
        edit=name,
        moved=moved,
        redrawn=edit.outline_px != 0,
        ours=error(result.image),
        raw=error(raw),
        green=error(green),
        unaligned=error(unaligned.image),
        identity=error(same.image, subject.colors),
        identity_shift_px=max(map(abs, same.shift_px)),
        registered=result.registered,
        shift_error_px=max(abs(a - b) for a, b in zip(result.shift_px, edit.shift, strict=True)),
        zoom_error_percent=abs(result.zoom - edit.zoom) * 100,
    )


def measure_shape_pair(index: int, scale: Scale = FULL) -> ShapeOutcome:
    """Measure pair `index` of the edits that change the shape, on a ground that is kept or graded."""
    cv2.setNumThreads(1)
    kind, change = KINDS[index % len(KINDS)], SHAPES[index // len(KINDS) % len(SHAPES)]
    ground = GROUNDS[index // (len(KINDS) * len(SHAPES)) % 2]
    edit = draw_edit(EDITS[index % len(EDITS)], ground, 9000 + index, max_shift_px=scale.max_shift_px)
    subject = draw_subject(kind, 3000 + index, scale.longest_px)
    reshaped = reshape(subject, change, index)
    truth = true_colors(subject, edit)
    near = where_it_shows(np.maximum(subject.alpha, reshaped.alpha))

    def error(image: Image.Image) -> float:
        return float(composite_error(image, truth, reshaped.alpha)[near].mean())

    canvas = prepare(subject.layer, shape="new", target_area=scale.area)
    result = canvas.finish(render_reshaped(canvas.image, canvas.crop.box, subject, reshaped, edit, scale.area))
    whole = (0, 0, *subject.layer.size)
    green = render_reshaped(flatten(subject.layer, GREEN), whole, subject, reshaped, edit, scale.area)
    return ShapeOutcome(
        kind=kind,
        change=change,
        ours=error(result.image),
        green_old_alpha=error(with_alpha(green, subject.layer.getchannel("A"), subject)),
        green_keyed=error(with_alpha(green, key_naively(green), subject)),
        derived=result.alpha_derived,
    )


@dataclass(frozen=True, kw_only=True)
class ContextOutcome:
    """One pair of an edit over surroundings; errors in levels of 255. `pasted` is the answer under the old alpha."""

    kind: str
    ground: str
    ours: float
    pasted: float


def measure_context_pair(index: int, scale: Scale = FULL, grounds: Sequence[Ground] = GROUNDS[:2]) -> ContextOutcome:
    """Measure pair `index` of the edits of a layer that is shown over scenery, which is kept or graded."""
    cv2.setNumThreads(1)
    kind, ground = KINDS[index % len(KINDS)], grounds[index // len(KINDS) % len(grounds)]
    subject = draw_subject(kind, 1000 + index, scale.longest_px)
    name = EDITS[(index * 5 + index // len(KINDS)) % len(EDITS)]
    edit = draw_edit(name, ground, 5000 + index, moved=index % 4 != 3, max_shift_px=scale.max_shift_px)
    width, height = subject.layer.size
    box = (-width // 3, -height // 3, width + width // 3, height + height // 3)
    scenery = draw_scenery(np.random.default_rng(index), box[2] - box[0], box[3] - box[1])
    canvas = prepare_context(
        subject.layer, Surroundings(image=to_image(scenery), box=box), shape="keep", target_area=scale.area
    )
    answer = render(canvas.image, canvas.crop.box, subject, edit, scale.area)
    pasted = canvas.crop.paste(subject.layer, answer.resize(canvas.crop.box_size).convert("RGBA"))
    pasted.putalpha(subject.layer.getchannel("A"))
    truth, near = true_colors(subject, edit), where_it_shows(subject.alpha)
    ours, naive = (
        float(composite_error(image, truth, subject.alpha)[near].mean())
        for image in (canvas.finish(answer).image, pasted)
    )
    return ContextOutcome(kind=kind, ground=ground, ours=ours, pasted=naive)


def _other_ways(subject: Subject, edit: Edit, scale: Scale) -> list[Image.Image]:
    """Return the results of the raw and of the green way, at the layer's size."""
    whole = (0, 0, *subject.layer.size)
    shown = (subject.layer.convert("RGB"), flatten(subject.layer, GREEN))
    alpha = subject.layer.getchannel("A")
    return [with_alpha(render(picture, whole, subject, edit, scale.area), alpha, subject) for picture in shown]


def with_alpha(edited: Image.Image, alpha: Image.Image, subject: Subject) -> Image.Image:
    """Return the edited picture with the alpha resized to it, at the layer's size for comparison."""
    rgba = edited.convert("RGBA")
    rgba.putalpha(alpha.resize(edited.size, Image.Resampling.LANCZOS))
    return rgba.resize(subject.layer.size, Image.Resampling.LANCZOS)


def key_naively(edited: Image.Image) -> Image.Image:
    """Return an alpha that goes from 0 to 1 between 30 and 90 levels from the green."""
    distance = np.linalg.norm(np.asarray(edited, np.float32) - np.array(GREEN, np.float32), axis=-1)
    return Image.fromarray(((distance - 30) / 60 * 255).clip(0, 255).astype(np.uint8))


def composite_error(image: Image.Image, colors: Plane, alpha: Plane) -> Plane:
    """Return the mean difference over black, white and green and over channels (height, width), in levels of 255."""
    values = np.asarray(image, np.float32) / np.float32(255)
    over_black = values[..., :3] * values[..., 3:] - colors * alpha[..., None]
    more_ground = alpha - values[..., 3]
    over_white = np.abs(over_black + more_ground[..., None])
    over_green = np.abs(over_black)
    total = over_green.sum(-1) * 2 + over_white.sum(-1) - over_green[..., 1] + over_white[..., 1]
    return total * np.float32(255 / 9)


def where_it_shows(alpha: Plane) -> Plane:
    """Return where a layer is to be seen, and two pixels around."""
    return cv2.dilate(alpha, np.ones((5, 5), np.uint8)) > 0
