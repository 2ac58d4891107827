"""Edits within a region: a picture, a thing in it, where the edit may change it, and what comes of that.

The stand-in for the model is that of `alpha_pairs`; here it also tints all that it makes, by a gain of up to 5 % and an
offset of up to 0.02 of each channel. It edits a thing of the picture or all that it sees. Beside ours stand two other
ways: pasting what the model made where the mask is, and Poisson blending (Pérez et al., 2003; `cv2.seamlessClone`).

The seam is looked for in rings of pixels around the region's border. Of each, the mean step from pixel to pixel is
compared to that of the picture as it was and of what the model made of it: where the seam is no steeper than these are
in the same place, nothing of it is to be seen. A ring counts at least `USUAL`, the mean of all steps around.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from llm_dit.editing import prepare
from llm_dit.editing.region import Region, read_region
from tests.kit.edits.simulated_editor import render
from tests.kit.edits.simulated_edits import EDITS, Edit, draw_edit, true_colors
from tests.kit.edits.simulated_layers import Plane, Subject, draw_scenery, draw_subject
from tests.kit.edits.simulated_shapes import KINDS

Way = Literal["ours", "pasted", "poisson"]
REGIONS = ("box", "lasso", "brush", "thing", "specks")
MAX_GAIN, MAX_OFFSET = 0.05, 0.02
WAYS: tuple[Way, ...] = ("ours", "pasted", "poisson")
RINGS = 40
STEEPER = 1.05
"""A ratio beyond this is a seam."""


@dataclass(frozen=True, kw_only=True)
class RegionOutcome:
    """One pair: whether all bytes outside are those of before, and by way the seam's ratio and what is inside.

    `error` is the mean difference from the true edit, `kept` how much there is of what the model changed, 0–1.
    """

    region: str
    edits_all: bool
    edit: str
    outside_same: bool
    seam: dict[Way, float]
    error: dict[Way, float]
    kept: dict[Way, float]


def draw_region(rng: np.random.Generator, kind: str, thing: Plane) -> NDArray[np.uint8]:
    """Return a mask (height, width) of one of `REGIONS`, about `thing` or anywhere; one of three is soft."""
    height, width = thing.shape
    mask = np.zeros((height, width), np.uint8)
    side = min(width, height)
    middle = rng.uniform(0.2, 0.8, 2) * (width, height)
    half = rng.uniform(0.1, 0.35, 2) * side
    if kind == "box":
        low, high = np.rint(middle - half).astype(int), np.rint(middle + half).astype(int)
        cv2.rectangle(mask, low.tolist(), high.tolist(), 255, -1)
    elif kind == "lasso":
        angle = np.sort(rng.uniform(0, 2 * np.pi, 9))
        points = middle + np.stack([np.cos(angle), np.sin(angle)], -1) * half * rng.uniform(0.6, 1.4, (9, 1))
        cv2.fillPoly(mask, [np.rint(points).astype(np.int32)], 255)
    elif kind == "brush":
        line = np.rint(middle + np.cumsum(rng.normal(0, side / 10, (8, 2)), 0)).astype(np.int32)
        cv2.polylines(mask, [line], False, 255, max(int(side * rng.uniform(0.03, 0.15)), 2))
    elif kind == "thing":
        reach = 2 * int(side * rng.uniform(0, 0.05)) + 1
        mask = cv2.dilate(
            np.rint(thing * 255).astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach,) * 2)
        )
    else:
        mask = np.where(rng.random((height, width)) < 0.002, 255, 0).astype(np.uint8)
        mask = cv2.dilate(mask, np.ones((3, 3), np.uint8))
    if rng.random() < 1 / 3:
        mask = cv2.GaussianBlur(mask, (0, 0), rng.uniform(0.5, side / 30))
    if not mask.any():
        mask[height // 2, width // 2] = 255
    return np.asarray(mask, np.uint8)


def measure_region_pair(index: int, area: int = 640 * 640, longest_px: tuple[int, int] = (200, 800)) -> RegionOutcome:
    """Measure pair `index`, which seeds all of it."""
    cv2.setNumThreads(1)
    rng = np.random.default_rng(index)
    kind = REGIONS[index % len(REGIONS)]
    edits_all = index // len(REGIONS) % 2 == 1
    subject = draw_picture(rng, index, longest_px)
    edit = draw_edit(EDITS[index % len(EDITS)], "kept", index, moved=index % 4 != 3)
    mask = draw_region(rng, kind, subject.alpha)
    region = read_region(Image.fromarray(mask), subject.layer, "keep")
    if region is None:
        mask[0, 0] = 0
        region = Region(mask)
    seen = replace(subject, alpha=np.ones_like(subject.alpha)) if edits_all else subject
    canvas = prepare(subject.layer, shape="keep", region=region.box, target_area=area)
    made = render(canvas.image, canvas.crop.box, seen, edit, area)
    whole = canvas.finish(_tinted(made, rng)).image
    ours = region.put_in(subject.layer, region.settle(subject.layer, whole, canvas.crop.box))
    changed = _true(subject, seen, edit)
    ways: dict[Way, Image.Image] = {
        "ours": ours,
        "pasted": Image.composite(whole, subject.layer, Image.fromarray(mask)),
        "poisson": _poisson(subject.layer, whole, mask),
    }
    outside = mask == 0
    return RegionOutcome(
        region=kind,
        edits_all=edits_all,
        edit=edit.name,
        outside_same=np.array_equal(np.asarray(ours)[outside], np.asarray(subject.layer)[outside]),
        seam={way: seam_ratio(subject.layer, whole, image, mask) for way, image in ways.items()},
        error={way: _error(image, changed, mask) for way, image in ways.items()},
        kept={way: _kept(subject.layer, whole, image, mask) for way, image in ways.items()},
    )


def draw_picture(rng: np.random.Generator, index: int, longest_px: tuple[int, int]) -> Subject:
    """Return an opaque picture with a thing in it: `alpha` is that of the thing, the layer has none."""
    thing = draw_subject(KINDS[index % len(KINDS)], index, longest_px)
    height, width = thing.alpha.shape
    scenery = cv2.GaussianBlur(draw_scenery(rng, width, height), (0, 0), rng.uniform(0.5, 2))
    cover = thing.alpha[..., None]
    colors = (thing.colors * cover + scenery * (1 - cover)).astype(np.float32)
    pixels = np.rint(colors.clip(0, 1) * 255).astype(np.uint8)
    return replace(thing, colors=pixels.astype(np.float32) / 255, layer=Image.fromarray(pixels).convert("RGBA"))


def seam_ratio(before: Image.Image, made: Image.Image, joined: Image.Image, mask: NDArray[np.uint8]) -> float:
    """Return how steep the steepest ring around the border is, as a share of the pictures' own steps there."""
    inside = (mask > 0).astype(np.uint8)
    signed = cv2.distanceTransform(inside, cv2.DIST_L2, 5) - cv2.distanceTransform(1 - inside, cv2.DIST_L2, 5)
    own = np.maximum(_steps(before), _steps(made))
    near = np.abs(signed) <= RINGS
    usual, worst = max(float(own[near].mean()), 1.0), 0.0
    found = _steps(joined)
    for ring in range(-1, RINGS):
        here = (signed > ring - 0.5) & (signed <= ring + 0.5) if ring > 0 else (signed > -1.5) & (signed <= 0.5)
        if here.sum() >= 20:
            worst = max(worst, float(found[here].mean()) / max(float(own[here].mean()), usual))
    return round(worst, 3)


def _steps(image: Image.Image) -> Plane:
    """Return the largest step of any channel to the pixels beside, in levels (height, width)."""
    values = np.asarray(image, np.float32)
    down = np.abs(np.diff(values, axis=0, append=values[-1:])).max(-1)
    across = np.abs(np.diff(values, axis=1, append=values[:, -1:])).max(-1)
    return np.maximum(down, across)


def _tinted(made: Image.Image, rng: np.random.Generator) -> Image.Image:
    gain, offset = 1 + rng.uniform(-MAX_GAIN, MAX_GAIN, 3), rng.uniform(-MAX_OFFSET, MAX_OFFSET, 3)
    values = np.asarray(made, np.float32) / 255 * gain + offset
    return Image.fromarray(np.rint(values.clip(0, 1) * 255).astype(np.uint8))


def _true(subject: Subject, seen: Subject, edit: Edit) -> Plane:
    cover = seen.alpha[..., None]
    return subject.colors * (1 - cover) + true_colors(subject, edit) * cover


def _poisson(before: Image.Image, made: Image.Image, mask: NDArray[np.uint8]) -> Image.Image:
    room = 2
    old, new = (
        cv2.copyMakeBorder(np.asarray(image.convert("RGB")), room, room, room, room, cv2.BORDER_REPLICATE)
        for image in (before, made)
    )
    where = cv2.copyMakeBorder(np.where(mask > 0, 255, 0).astype(np.uint8), room, room, room, room, cv2.BORDER_CONSTANT)
    left, top, wide, high = cv2.boundingRect(where)
    merged = cv2.seamlessClone(new, old, where, (left + wide // 2, top + high // 2), cv2.NORMAL_CLONE)
    return Image.fromarray(merged[room:-room, room:-room]).convert("RGBA")


def _error(image: Image.Image, truth: Plane, mask: NDArray[np.uint8]) -> float:
    """Return the mean difference from the true edit inside, in levels of 255, each place counted by the mask."""
    off: Any = np.abs(np.asarray(image.convert("RGB"), np.float32) - truth * 255).mean(-1)
    return round(float(np.average(off, weights=mask)), 3)


def _kept(before: Image.Image, made: Image.Image, image: Image.Image, mask: NDArray[np.uint8]) -> float:
    """Return the share of the model's change, each place counted by the mask, that the result has (its projection)."""
    old, new, found = (np.asarray(each.convert("RGB"), np.float32) for each in (before, made, image))
    change = (new - old) * mask[..., None]
    return round(float((change * (found - old)).sum() / max(float((change * (new - old)).sum()), 1e-6)), 3)


def summarize_regions(outcomes: Sequence[RegionOutcome]) -> dict[str, Any]:
    """Return how often all outside was the same, and by what is edited and by way the seams and the error inside.

    Specks, of 3 pixels, are left out of the seams: they are nothing but border.
    """
    figures: dict[str, Any] = {"pairs": len(outcomes), "outside_same": sum(o.outside_same for o in outcomes)}
    for name, edits_all in (("thing", False), ("all", True)):
        chosen = [o for o in outcomes if o.edits_all == edits_all and o.region != "specks"]
        figures[name] = {way: _of_way(chosen, way) for way in WAYS}
    seams = [o.seam["ours"] for o in outcomes if o.region != "specks"]
    figures["steeper"] = round(float(np.mean([seam > STEEPER for seam in seams])), 3)
    return figures


def _of_way(outcomes: Sequence[RegionOutcome], way: Way) -> dict[str, float]:
    seams = [o.seam[way] for o in outcomes]
    median, p90, most = (round(float(value), 3) for value in np.quantile(seams, (0.5, 0.9, 1)))
    return {
        "seam_median": median,
        "seam_p90": p90,
        "seam_max": most,
        "steeper": round(float(np.mean([seam > STEEPER for seam in seams])), 3),
        "error": round(float(np.mean([o.error[way] for o in outcomes])), 3),
        "kept": round(float(np.mean([o.kept[way] for o in outcomes])), 3),
        "kept_p10": round(float(np.quantile([o.kept[way] for o in outcomes], 0.1)), 3),
    }
