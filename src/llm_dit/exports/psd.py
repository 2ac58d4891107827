"""Exports a stack as an Adobe Photoshop document, for Photoshop, GIMP, Krita and Photopea.

https://www.adobe.com/devnet-apps/photoshop/fileformatashtml/. Names, nested groups, order, offsets, opacity,
visibility and all blend modes stay; scale and mirroring are baked into pixels. Channels are compressed one at a time,
and wait in a temporary file, because the records come first and contain the channels' lengths.
"""

import shutil
import struct
import tempfile
from collections.abc import Iterable
from typing import IO

import numpy as np
from PIL import Image
from psd_tools.compression import compress
from psd_tools.constants import BlendMode as PsdBlendMode
from psd_tools.constants import ChannelID, ColorMode, Compression, SectionDivider, Tag
from psd_tools.psd.header import FileHeader
from psd_tools.psd.layer_and_mask import ChannelInfo, LayerFlags, LayerRecord
from psd_tools.psd.tagged_blocks import TaggedBlocks

from llm_dit.errors import InputError
from llm_dit.imports.psd import BLENDS
from llm_dit.layer import NO_GROUPS, Group, Groups, Layer, group_steps, plain
from llm_dit.layers import Painting, over_white
from llm_dit.names import holdable

MAX_SIDE = 30_000
"""Pixels; the format's own limit."""
MAX_BYTES = 2**31 - 1
"""The largest PSD that programs open."""
MAX_NAME = 255
CHANNELS = (ChannelID.TRANSPARENCY_MASK, ChannelID.CHANNEL_0, ChannelID.CHANNEL_1, ChannelID.CHANNEL_2)
BANDS = ("A", "R", "G", "B")
TOO_LARGE = f"A PSD has at most {MAX_SIDE} pixels a side and 2 GB: scale the layers down, or use OpenRaster or ZIP."

KEYS = {mode: key for key, mode in BLENDS.items()}


def export_psd(
    layers: Iterable[Layer], target: IO[bytes], *, width: int, height: int, groups: Groups = NO_GROUPS
) -> None:
    """Write the document; raises `InputError` if it is larger than the format allows."""
    if max(width, height) > MAX_SIDE:
        raise InputError(TOO_LARGE, param="format")
    with tempfile.TemporaryFile() as channels, Painting(width, height, groups=groups) as painting:
        records = _records(layers, channels, painting, groups)
        FileHeader(channels=4, height=height, width=width, depth=8, color_mode=ColorMode.RGB).write(target)
        target.write(struct.pack(">II", 0, 0))  # no palette, no resources
        _write_layers(records, channels, target)
        _write_merged(painting, target)


def _records(layers: Iterable[Layer], channels: IO[bytes], painting: Painting, groups: Groups) -> list[LayerRecord]:
    """Write the channels of all layers and return their records, bottom first."""
    records: list[LayerRecord] = []
    inside: list[tuple[str, Group]] = []
    for closed, opened, layer in group_steps(layers, groups):
        records += [_group(*inside.pop(), channels) for _ in range(closed)]
        for one in opened:
            inside.append(one)
            records.append(_divider(channels))
        painting.add(layer)
        records.append(_layer(plain(layer, painting.width, painting.height), channels))
        if channels.tell() > MAX_BYTES:
            raise InputError(TOO_LARGE, param="format")
    return records + [_group(*one, channels) for one in reversed(inside)]


def _layer(layer: Layer, channels: IO[bytes]) -> LayerRecord:
    lengths = [_write_channel(layer.image.getchannel(band), channels) for band in BANDS]
    return _record(
        layer.name,
        lengths,
        left=layer.x,
        top=layer.y,
        right=layer.x + layer.width,
        bottom=layer.y + layer.height,
        opacity=round(layer.opacity * 255),
        blend_mode=PsdBlendMode(KEYS[layer.blend]),
        flags=LayerFlags(visible=layer.visible),
    )


def _group(name: str, group: Group, channels: IO[bytes]) -> LayerRecord:
    mode = PsdBlendMode.PASS_THROUGH if group.passes_through else PsdBlendMode(KEYS[group.mode])
    record = _record(
        name,
        _no_channels(channels),
        opacity=round(group.opacity * 255),
        blend_mode=mode,
        flags=LayerFlags(visible=group.visible),
    )
    record.tagged_blocks.set_data(Tag.SECTION_DIVIDER_SETTING, kind=SectionDivider.OPEN_FOLDER, blend_mode=mode)
    return record


def _divider(channels: IO[bytes]) -> LayerRecord:
    """Return the record below the layers of a group."""
    record = _record("</Layer group>", _no_channels(channels))
    record.tagged_blocks.set_data(Tag.SECTION_DIVIDER_SETTING, SectionDivider.BOUNDING_SECTION_DIVIDER)
    return record


def _record(name: str, lengths: list[int], **about: object) -> LayerRecord:
    name = holdable(name)[:MAX_NAME]
    infos = [ChannelInfo(id=channel, length=length) for channel, length in zip(CHANNELS, lengths, strict=True)]
    # Old readers support only the name in Mac Roman.
    plain_name = name.encode("mac_roman", "replace").decode("mac_roman")
    record = LayerRecord(channel_info=infos, name=plain_name, tagged_blocks=TaggedBlocks(), **about)  # type: ignore[arg-type]
    record.tagged_blocks.set_data(Tag.UNICODE_LAYER_NAME, name)
    return record


def _write_channel(plane: Image.Image, channels: IO[bytes]) -> int:
    content = compress(plane.tobytes(), Compression.RLE, plane.width, plane.height, 8)
    channels.write(struct.pack(">H", Compression.RLE))
    channels.write(content)
    return 2 + len(content)


def _no_channels(channels: IO[bytes]) -> list[int]:
    for _ in CHANNELS:
        channels.write(struct.pack(">H", Compression.RAW))
    return [2] * len(CHANNELS)


def _write_layers(records: list[LayerRecord], channels: IO[bytes], target: IO[bytes]) -> None:
    start = target.tell()
    # Negative: the fourth channel of the merged picture is its transparency.
    target.write(struct.pack(">IIh", 0, 0, -len(records)))
    for record in records:
        record.write(target)
    channels.seek(0)
    shutil.copyfileobj(channels, target, 1 << 20)
    target.write(b"\0" * (-(target.tell() - start - 8) % 4))
    layers_end = target.tell()
    target.write(struct.pack(">I", 0))  # no global layer mask
    end = target.tell()
    target.seek(start)
    target.write(struct.pack(">II", end - start - 4, layers_end - start - 8))
    target.seek(end)


def _write_merged(painting: Painting, target: IO[bytes]) -> None:
    """Write the merged picture for programs that do not read layers: colors over white, as in Photoshop."""
    planes = np.empty((4, painting.height, painting.width), np.uint8)
    for rows, band in painting.bands():
        planes[:3, rows] = over_white(band).transpose(2, 0, 1)
        planes[3, rows] = band[..., 3]
    counts_bytes = 2 * painting.height
    target.write(struct.pack(">H", Compression.RLE))
    # The lengths of all rows of all channels precede the data.
    start = target.tell()
    target.write(b"\0" * counts_bytes * len(planes))
    counts: list[bytes] = []
    for plane in planes:
        content = compress(plane.tobytes(), Compression.RLE, painting.width, painting.height, 8)
        counts.append(content[:counts_bytes])
        target.write(memoryview(content)[counts_bytes:])
    end = target.tell()
    target.seek(start)
    target.write(b"".join(counts))
    target.seek(end)
