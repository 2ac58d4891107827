"""What a layer shows in front of its background: by the network that sees it, or else by what stands out."""

import numpy as np
from numpy.typing import NDArray

from llm_dit.classical.effects.cutout import as_bytes, find_subject, refine
from llm_dit.classical.effects.oklab import Floats
from llm_dit.classical.effects.picture import Picture
from llm_dit.classical.seeing import subject as seeing
from llm_dit.classical.seeing.networks import SUBJECT, missing

_SURELY, _PERHAPS = 0.8, 0.2
# The least share that what is seen and its outline have in common.
_AGREE = 0.6


def subject_of(picture: Picture) -> Floats | None:
    """Return how far each pixel is of the subject, 0–1 (height, width), or None when nothing stands out clearly."""
    left, top, right, bottom = picture.box
    inside = np.s_[top:bottom, left:right]
    colors = as_bytes(picture.colors[inside])
    found = _by_standing_out(colors) if SUBJECT in missing() else _seen(colors)
    if found is None:
        return None
    matte = np.zeros_like(picture.alpha)
    matte[inside] = found
    return matte


def _by_standing_out(colors: NDArray[np.uint8]) -> Floats | None:
    found = find_subject(colors)
    return None if found is None else refine(found, colors)


def _seen(colors: NDArray[np.uint8]) -> Floats | None:
    """Return the subject of all of the picture. A single thing of many is not what has a background."""
    likely = seeing.saliency(colors)
    core = likely > _SURELY
    if core.sum() < seeing.SURE * (likely > _PERHAPS).sum() or not core.any():
        return None
    found = seeing.find_subject(colors)
    if found is None or not found.sure:
        return None
    outlined, whole = found.alpha > 0.5, likely > 0.5
    return found.alpha if (outlined & whole).sum() >= _AGREE * (outlined | whole).sum() else None
