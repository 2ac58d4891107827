"""A stack of layers as an Adobe Photoshop document, which Photoshop, GIMP, Krita and Photopea open.

Names, groups, order, offsets, opacity, visibility and all blend modes stay; scale and mirroring are baked into pixels.
"""

import io
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image
from psd_tools import PSDImage
from psd_tools.api.layers import GroupMixin
from psd_tools.constants import BlendMode as PsdBlendMode
from psd_tools.constants import Compression

from llm_dit.blending import BlendMode
from llm_dit.errors import InputError
from llm_dit.exports.plain import group_runs, plain_layers
from llm_dit.exports.text import holdable
from llm_dit.layer import Layer
from llm_dit.layers import composite

MAX_SIDE = 30_000
"""Pixels; the format's own bound."""
MAX_NAME = 255

BLENDS: Mapping[BlendMode, PsdBlendMode] = {
    "normal": PsdBlendMode.NORMAL,
    "multiply": PsdBlendMode.MULTIPLY,
    "screen": PsdBlendMode.SCREEN,
    "overlay": PsdBlendMode.OVERLAY,
    "darken": PsdBlendMode.DARKEN,
    "lighten": PsdBlendMode.LIGHTEN,
    "color-dodge": PsdBlendMode.COLOR_DODGE,
    "color-burn": PsdBlendMode.COLOR_BURN,
    "hard-light": PsdBlendMode.HARD_LIGHT,
    "soft-light": PsdBlendMode.SOFT_LIGHT,
    "difference": PsdBlendMode.DIFFERENCE,
    "exclusion": PsdBlendMode.EXCLUSION,
    "hue": PsdBlendMode.HUE,
    "saturation": PsdBlendMode.SATURATION,
    "color": PsdBlendMode.COLOR,
    "luminosity": PsdBlendMode.LUMINOSITY,
}


def export_psd(layers: Sequence[Layer], *, width: int, height: int) -> bytes:
    """Return the document; raises `InputError` when the canvas is larger than the format allows."""
    if max(width, height) > MAX_SIDE:
        raise InputError(f"A PSD has at most {MAX_SIDE} pixels a side: scale the layers down.", param="format")
    document = PSDImage.new("RGBA", (width, height))
    for group, members in group_runs(layers):
        parent = document
        if group:
            parent = document.create_group(blend_mode=PsdBlendMode.PASS_THROUGH)
            parent.name = _name(group)
        for layer in plain_layers(members, width, height):
            _add(parent, layer)
    _set_merged(document, composite(layers, width, height))
    buffer = io.BytesIO()
    document._record.write(buffer)  # `save` would draw the merged image again, without the alpha
    return buffer.getvalue()


def _add(parent: GroupMixin, layer: Layer) -> None:
    added = parent.create_pixel_layer(
        layer.image,
        top=layer.y,
        left=layer.x,
        opacity=round(layer.opacity * 255),
        blend_mode=BLENDS[layer.blend],
    )
    # Given at creation, a name outside of MacRoman cannot be saved; given afterwards, it is written as Unicode.
    added.name = _name(layer.name)
    added.visible = layer.visible


def _set_merged(document: PSDImage, merged: Image.Image) -> None:
    """Store the picture that programs show which do not read layers: colours over white, as Photoshop has them."""
    pixels = np.asarray(merged, np.float32)
    alpha = pixels[..., 3:] / 255.0
    over_white = np.rint(pixels[..., :3] * alpha + 255.0 * (1.0 - alpha)).astype(np.uint8)
    planes = [over_white[..., channel].tobytes() for channel in range(3)] + [merged.getchannel("A").tobytes()]
    record = document._record
    record.image_data.compression = Compression.RLE
    record.image_data.set_data(planes, record.header)
    info = record.layer_and_mask_information.layer_info
    assert info is not None
    info.layer_count = -abs(info.layer_count)  # negative: the fourth channel is the merged picture's transparency


def _name(name: str) -> str:
    return holdable(name)[:MAX_NAME]
