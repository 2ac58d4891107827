"""The detail of a layer that is finer than the model's resolution, given back to the edited layer."""

from collections.abc import Iterator

import cv2
import numpy as np
from PIL import Image

from llm_dit.editing.planes import Plane, as_float

LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def enlarge_with_detail(edited: Plane, shown: Plane, piece: Image.Image) -> Image.Image:
    """Return the edited colours at the size of `piece`, the RGBA layer that was reduced for the model, as RGB.

    `edited` and `shown` (height, width, 3), 0–1, are the colours that came back and those that were given. What the
    reduction took from the piece is added as far as the finest detail the model could see came back, measured by the
    local regression of the guided filter (He, Sun and Tang, ECCV 2010) and applied as in joint upsampling (Kopf et
    al., SIGGRAPH 2007): unchanged pictures become themselves again, and where the model painted something new no
    trace of the old shows through.
    """
    fine = _lost_detail(shown, piece)
    guide = _band(shown @ LUMA)
    power = cv2.blur(guide**2, (9, 9)) + 1e-5
    channels = []
    for channel in _channels(edited):
        gain = (cv2.blur(guide * _band(channel), (9, 9)) / power).clip(0, 1.5)
        large = _resize(channel, piece.size) + fine * _resize(gain, piece.size)
        channels.append(np.rint(large.clip(0, 1) * 255).astype(np.uint8))
    return Image.fromarray(np.stack(channels, -1))


def _lost_detail(shown: Plane, piece: Image.Image) -> Plane:
    """Return the luminance of the piece less that of what was shown of it; nothing where the piece is transparent."""
    luminance = as_float(piece.convert("RGB").convert("L"))
    visible = np.asarray(piece.getchannel("A")) >= 128
    return np.where(visible, luminance - _resize(shown @ LUMA, piece.size), 0)


def _channels(picture: Plane) -> Iterator[Plane]:
    return (np.ascontiguousarray(picture[..., index]) for index in range(picture.shape[-1]))


def _band(plane: Plane) -> Plane:
    """Return the finest detail of a plane that outlives an autoencoder."""
    return cv2.GaussianBlur(plane, (0, 0), 0.8) - cv2.GaussianBlur(plane, (0, 0), 3.0)


def _resize(plane: Plane, size: tuple[int, int]) -> Plane:
    return np.asarray(Image.fromarray(plane.astype(np.float32)).resize(size, Image.Resampling.BICUBIC))
