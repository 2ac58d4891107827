"""How a layer is shown to an image model: on which ground, how large, and how strong."""

import cv2
import numpy as np
from PIL import Image

from llm_dit.alpha import bleed
from llm_dit.editing.canvas import EditCanvas
from llm_dit.editing.crop import VISIBLE_ALPHA, crop_to_content, is_larger, whole_layer
from llm_dit.editing.matte import choose_matte
from llm_dit.editing.planes import Plane, as_float, to_image
from llm_dit.options import EditOutputSize, Shape

# A new shape needs room to grow into.
MARGINS: dict[Shape, float] = {"keep": 0.08, "new": 0.25}
# How far, of at most 442, a neutral ground must be from the layer's colors: to see the shape by, or to key by.
ENOUGH: dict[Shape, float] = {"keep": 70.0, "new": 130.0}
# The layer is shown this much larger all around, so that a model's blur mixes the ground into nothing that is kept.
GROW_PX = 3
# As if the layer lay on itself this often: a glow gets an outline by which to measure a shift, and hardly any ground
# shows through it that would have to be taken out again.
TIMES = 32


def prepare(
    layer: Image.Image,
    *,
    shape: Shape,
    output_size: EditOutputSize = "layer",
    target_area: int = 1024 * 1024,
    multiple: int = 32,
) -> EditCanvas:
    """Make an RGBA layer into a picture of about `target_area` pixels whose sides are multiples of `multiple`.

    The picture shows the layer's content with a margin, enlarged to the whole area, or with `output_size="model"` all
    of the layer. The layer lies on a ground that stands apart from it. What is under full transparency is never
    shown. For `shape="keep"` it is shown stronger than it is, since the original alpha is put back (see `GROW_PX`,
    `TIMES`); for "new" exactly as it is, so that alpha can be read from the answer.
    """
    layer = layer.convert("RGBA")
    if output_size == "model":
        crop = whole_layer(layer, target_area, multiple)
    else:
        crop = crop_to_content(layer, MARGINS[shape], target_area, multiple)
    piece = _without_specks(crop.cut(layer))
    matte = choose_matte(piece, ENOUGH[shape])
    colors, alpha = _resize(piece, crop.size)
    coverage = _strengthen(alpha) if shape == "keep" else alpha
    ground = np.array(matte, np.float32) / np.float32(255)
    return EditCanvas(
        image=to_image(colors * coverage[..., None] + ground * (1 - coverage[..., None])),
        layer=layer,
        crop=crop,
        shape=shape,
        output_size=output_size,
        matte=matte,
        colors=colors,
        alpha=alpha,
        coverage=coverage,
    )


def _without_specks(piece: Image.Image) -> Image.Image:
    """Return the piece without what is too faint to be seen, whose colors are arbitrary."""
    cleared = piece.copy()
    cleared.putalpha(piece.getchannel("A").point([0] * VISIBLE_ALPHA + list(range(VISIBLE_ALPHA, 256))))
    return cleared


def _resize(piece: Image.Image, size: tuple[int, int]) -> tuple[Plane, Plane]:
    """Return straight colors, bled under transparency, and alpha, both at `size` and 0–1."""
    if is_larger(piece.size, size):
        piece = piece.resize(size, Image.Resampling.LANCZOS)  # Pillow weights the colors by alpha
    filled = bleed(piece)
    colors = as_float(filled.convert("RGB").resize(size, Image.Resampling.LANCZOS))
    alpha = as_float(filled.getchannel("A").resize(size, Image.Resampling.LANCZOS))
    return colors, alpha


def _strengthen(alpha: Plane) -> Plane:
    """Return the coverage of a layer grown by `GROW_PX` and laid `TIMES` over itself."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * GROW_PX + 1, 2 * GROW_PX + 1))
    grown = np.maximum(cv2.GaussianBlur(cv2.dilate(alpha, kernel), (0, 0), 0.8), alpha)
    return 1 - (1 - grown) ** TIMES
