"""How far an edited picture is shifted and zoomed against the one that was given, whatever happened to its colours."""

import numpy as np

from llm_dit.editing.blur import measure_blur
from llm_dit.editing.levels import Level, make_level
from llm_dit.editing.motion import Motion
from llm_dit.editing.planes import Plane
from llm_dit.editing.refining import refine

SIDES = (128, 256, 512, 1024)
# Resampling costs more than undoing less than this would gain.
MIN_MOVE_PX = 0.25


def measure_motion(given: Plane, edited: Plane, weight: Plane) -> Motion:
    """Measure shift and zoom of `edited` against `given`, both (height, width, 3) in 0–1.

    `weight` (height, width), 0–1, says how much each place of the given picture is to be believed. A search over blur,
    and over zoom by correlation of edge fields, on a small picture is refined from coarse to fine by least squares
    with robust weights (`refine`).
    """
    blur_px, start = measure_blur(given, edited, weight)
    made = (make_level(given, edited, weight, side, blur_px) for side in SIDES)
    levels = [level for level in made if len(level.places)]
    if not levels:
        return Motion()
    # A picture of sharp edges is measured best at its finest, one of glows and shadows where noise is averaged out.
    motions = [refine(levels[0], start)]
    for level in levels[1:]:
        motions.append(refine(level, motions[-1]))
    index = min(range(len(levels)), key=lambda at: motions[at].error_px / max(motions[at].correlation, 0.01) ** 2)
    return _if_better(levels[index], motions[index], float(np.hypot(*given.shape[:2])) / 2)


def _if_better(level: Level, motion: Motion, radius: float) -> Motion:
    """Return the motion, or none where it is too small to be told from none, or makes the edges agree less."""
    still = Motion(correlation=level.correlation(Motion()), error_px=motion.error_px)
    moves = float(np.hypot(*motion.shift)) + abs(motion.zoom - 1) * radius
    sure = moves > max(MIN_MOVE_PX, 3 * motion.error_px) and motion.correlation > still.correlation
    return motion if sure else still
