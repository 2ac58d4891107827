"""A new alpha from an edited picture, by the colour of the ground it stands on."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from llm_dit.alpha import Colour, bleed
from llm_dit.editing.matte import measure_plate, take_out
from llm_dit.editing.planes import Plane, as_float, join

# How far, in RGB of 0–1, a pixel of the ground may be from the ground's colour: for light on it, then for noise.
UNEVEN = 0.25
NOISE = 0.06
# With less of the ground left than this the model has painted a scene, and nothing can be keyed.
MIN_GROUND = 0.4


@dataclass(frozen=True, kw_only=True)
class Key:
    """What was derived: alpha and straight colours (0–1), and how far alpha is from the old one (0 same, 1 new)."""

    alpha: Plane
    colours: Plane
    changed: Plane


def derive_key(edited: Plane, alpha: Plane, matte: Colour) -> Key | None:
    """Return the object in `edited` (height, width, 3), which was shown with `alpha` (height, width) on `matte`.

    Blue-screen matting with one known ground has no unique answer (Smith and Blinn, "Blue Screen Matting", SIGGRAPH
    1996, section 3), so two things are added to I = αF + (1 − α)B: B is measured around the object, and F is that of
    the nearest pixels which are surely object. α is then how far I has gone from B to F. Where this agrees with the old
    alpha, the old alpha stays: it is exact, and it knows of glow and glass. None when the ground is lost.
    """
    ground = _find_ground(edited, alpha, matte)
    if ground is None:
        return None
    plate = measure_plate(edited, ground, matte)
    nearest = _nearest_object_colours(edited, alpha, plate)
    way = nearest - plate
    gone = ((edited - plate) * way).sum(-1) / np.maximum((way**2).sum(-1), NOISE**2)
    keyed = ((gone - 0.03) / 0.94).clip(0, 1)
    keyed = np.where(cv2.blur(np.linalg.norm(edited - plate, axis=-1), (3, 3)) < NOISE / 2, 0, keyed)
    apart = cv2.GaussianBlur(np.abs(keyed - alpha), (0, 0), 2.0)
    changed = cv2.dilate(((apart - 0.05) / 0.07).clip(0, 1), np.ones((5, 5), np.uint8))
    new = alpha * (1 - changed) + keyed * changed
    return Key(alpha=new, colours=take_out(edited, new, plate), changed=changed)


def _find_ground(edited: Plane, alpha: Plane, matte: Colour) -> NDArray[np.bool_] | None:
    """Return where the ground is plainly to be seen, or None when too little of it is left."""
    around = cv2.dilate(alpha, np.ones((9, 9), np.uint8)) < 1 / 255
    if not around.any():
        return None
    usual = np.median(edited[around], axis=0)
    rough = around & (np.linalg.norm(edited - usual, axis=-1) < UNEVEN)
    if rough.sum() < MIN_GROUND * around.sum():
        return None
    # Wide means follow the light on the ground and not what stands on it.
    plate = cv2.GaussianBlur(measure_plate(edited, rough, matte), (0, 0), 12)
    even = cv2.blur(np.linalg.norm(edited - plate, axis=-1), (5, 5)) < NOISE
    clear = cv2.erode((even & (np.linalg.norm(edited - usual, axis=-1) < UNEVEN)).astype(np.uint8), np.ones((7, 7)))
    # What was faint already looks even too, and is not ground.
    ground = clear.astype(bool) & around
    return ground if ground.sum() >= MIN_GROUND * around.sum() else None


def _nearest_object_colours(edited: Plane, alpha: Plane, plate: Plane) -> Plane:
    """Return for each pixel the colour of what is surely object near it.

    Surely object is what stands out from the ground as far as the farthest pixel around it does, for its old alpha
    if it had one.
    """
    distance = np.linalg.norm(edited - plate, axis=-1)
    farthest = cv2.dilate(cv2.blur(distance, (3, 3)), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (15, 15)))
    inside = cv2.erode(((distance > NOISE) & (distance > 0.5 * farthest)).astype(np.uint8), np.ones((5, 5), np.uint8))
    seen_before = (alpha > 0.05) & (distance > 0.6 * alpha * farthest) & (distance > NOISE / 2)
    solid = np.where(alpha > 0.05, seen_before * alpha, inside * (distance > NOISE))
    kept = take_out(edited, alpha, plate)
    colours = np.where((alpha > 0.05)[..., None], kept, edited)
    mean = cv2.GaussianBlur(colours * (solid**2)[..., None], (0, 0), 2.5)
    weight = cv2.GaussianBlur(solid**2, (0, 0), 2.5)[..., None]
    known = (weight[..., 0] > 0.02).astype(np.float32)
    return as_float(bleed(join(mean / np.maximum(weight, 1e-4), known)).convert("RGB"))
