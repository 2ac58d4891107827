"""Finding writing among the pieces of a picture."""

import numpy as np
from numpy.typing import NDArray

from llm_dit.classical.regions import Regions
from llm_dit.classical.segment import Floats, Labels
from llm_dit.classical.surfaces import PAINT, gap_from

LEAST = 4
"""Strokes of one width from which they are taken as writing."""


def find_lettering(regions: Regions) -> Labels:
    """Return for each piece the number of the writing that it is a letter of, −1 for none; piece 0 is the ground.

    Letters are strokes of one paint and one width, of like size and close together (Epshtein et al., "Detecting text
    in natural scenes with stroke width transform", CVPR 2010), and most of their outline lies on the ground.
    """
    side = (regions.box[:, 2:] - regions.box[:, :2]).max(axis=-1)
    strokes = is_stroke(regions)
    on_ground = regions.shared[0] / (regions.shared.sum(axis=-1) + 1e-6)
    free = (regions.area < 0.02 * regions.labels.size) & (regions.area > 12) & (regions.rim == 0)
    free[0] = False
    number, result = 0, np.full(regions.count, -1, np.int32)
    for first in np.argsort(-regions.area * (free & strokes), kind="stable")[: (free & strokes).sum()].tolist():
        if free[first]:
            line = _line_from(first, free, regions, side)
            weight = regions.area[line] / regions.area[line].sum()
            if len(line) >= LEAST and weight @ strokes[line] > 0.6 and weight @ on_ground[line] > 0.5:
                result[line] = number
                number += 1
    _add_companions(result, regions, side, on_ground)
    return result


def _add_companions(letters: Labels, regions: Regions, side: Floats, on_ground: Floats) -> None:
    """Give stops, dots and letters that are a little apart to the writing that they stand beside, in place."""
    for one in np.flatnonzero((letters < 0) & (on_ground > 0.5) & (regions.rim == 0)).tolist():
        fits = (letters >= 0) & (gap_from(regions.box, one) < 1.5 * side) & (side > 0.7 * side[one])
        fits &= np.linalg.norm(regions.mean - regions.mean[one], axis=-1) < 4 * PAINT
        fits &= regions.thick > 0.5 * regions.thick[one]
        if fits.any():
            letters[one] = letters[fits.argmax()]


def is_stroke(regions: Regions) -> NDArray[np.bool_]:
    """Return which pieces are long for their width."""
    return 3.2 * regions.thick**2 < 0.45 * regions.area


def _line_from(first: int, free: NDArray[np.bool_], regions: Regions, side: Floats) -> list[int]:
    """Return `first`, the pieces of its kind close to it, those close to these and so on, taken out of `free`."""
    members = [first]
    free[first] = False
    alike = np.linalg.norm(regions.mean - regions.mean[first], axis=-1) < 2 * PAINT
    for size, most in ((regions.thick, 2), (side, 4)):
        alike &= (size < most * size[first]) & (size[first] < most * size)
    # The list grows while it is walked.
    for one in members:
        near = np.flatnonzero(free & alike & (gap_from(regions.box, one) < np.maximum(side, side[one]))).tolist()
        free[near] = False
        members += near
    return members
