"""Taking a picture apart into layers without any learned model."""

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from llm_dit.classical.exact import settle_alpha, settle_colours
from llm_dit.classical.find import Report, find_groups
from llm_dit.classical.ground import Ground
from llm_dit.classical.halos import find_halo
from llm_dit.classical.matte import Halo, Plan, matte, paint
from llm_dit.classical.names import layer_names
from llm_dit.classical.order import complete, stack_order
from llm_dit.classical.regions import depth
from llm_dit.classical.ringing import tidy
from llm_dit.classical.segment import Floats, Labels, Sketch
from llm_dit.classical.split import split_to, tell_apart
from llm_dit.naming import Language
from llm_dit.pipelines.base import Progress, ProgressCallback

SKETCH_PIXELS = 300_000
"""Decisions on a large picture are made on a copy of this many pixels."""
SMALL_PIXELS = 450_000
"""A picture of at most this many is decided on as it is: its thin strokes would not survive being made smaller."""

Bytes = NDArray[np.uint8]


def decompose_image(
    image: Image.Image, layer_num: int, seed: int, language: Language, progress: ProgressCallback | None = None
) -> tuple[list[Image.Image], list[str]]:
    """Return `layer_num` RGBA layers of the image's size, bottom to top, and their names, the first "Background".

    `image` is RGBA. Segmentation, grouping, stacking order, matting, filling and an exact last step; the methods are
    cited where they are used. The composite of the layers differs from `image` by at most 1 of 255 levels, and an
    opaque image has an opaque bottom layer. The names are in `language`. `progress` is called before and after each
    step and may raise `Canceled`.
    """
    picture = np.asarray(image.convert("RGBA"))
    report = _reporter(progress, 10 + 2 * layer_num)
    report("starting")
    sketch, fit = draw_sketch(picture), None
    if layer_num == 1 or not sketch.visible.any():
        groups = np.where(sketch.visible, 0, -1).astype(np.int32)
    else:
        groups, fit = find_groups(sketch, layer_num, seed, report)
    groups = split_to(groups, layer_num)
    order = stack_order(groups)
    report("ordering")
    rank = np.full(len(order) + 1, -1, np.int32)
    rank[order] = np.arange(len(order))
    seen = rank[groups]
    report("ordering")
    halo = None if fit is None or len(order) == 1 else find_halo(seen, fit, sketch)
    layers = np.zeros((layer_num, *picture.shape), np.uint8)
    _lay(layers[: len(order)], picture, seen, sketch.scale, halo, fit, report)
    return _finish(layers, picture, language, report)


def draw_sketch(picture: Bytes) -> Sketch:
    """Return the small copy of `picture` (height, width, 4) to decide on."""
    height, width = picture.shape[:2]
    scale = 1.0 if height * width <= SMALL_PIXELS else (SKETCH_PIXELS / (height * width)) ** 0.5
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    alpha = picture[..., 3:].astype(np.float32) / 255
    values = np.dstack([picture[..., :3] * (alpha / 255), alpha]).astype(np.float32)
    values = cv2.resize(values, size, interpolation=cv2.INTER_AREA).reshape(size[1], size[0], 4)
    share = values[..., 3:]
    rgb = np.divide(values[..., :3], share, out=np.zeros_like(values[..., :3]), where=share > 0)
    lab = cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB).reshape(size[1], size[0], 3)
    return Sketch(rgb=rgb * 255, lab=lab, visible=share[..., 0] > min(0.02, float(share.max()) / 2), scale=scale)


def _lay(
    layers: Bytes, picture: Bytes, seen: Labels, scale: float, found: Halo | None, fit: Ground | None, report: Report
) -> None:
    """Fill `layers` (count, height, width, 4) for `seen`, the number of the layer seen at each sketch pixel."""
    count = len(layers)
    height, width = picture.shape[:2]
    whole = [
        _enlarge(complete(seen == number, seen > number) if number else seen >= 0, width, height)
        for number in range(count)
    ]
    rank = _enlarge(seen.astype(np.int16), width, height).astype(np.int32)
    report("ordering")
    rgb = picture[..., :3].astype(np.float32)
    traces = np.full(rank.shape, -1, np.int32)
    plan = Plan(rgb=rgb, clean=rgb.copy(), traces=traces, rank=rank, whole=whole, scale=scale)
    halo = None if found is None else _enlarge_halo(found, width, height)
    distance = depth(rank)
    below = np.zeros_like(plan.rgb)
    field = None
    if fit is not None and fit.noise < 4 and fit.covers:
        field = cv2.resize(fit.field, (width, height), interpolation=cv2.INTER_LINEAR)
    for number in range(count):
        tidy(plan, number, None if number else field)
        colours = paint(plan, number, distance) if number or field is None else field.copy()
        tidied = (plan.traces >= 0) & (rank == number)
        colours[tidied] = plan.clean[tidied]
        report("filling")
        alpha = whole[0].astype(np.float32)
        if number:
            alpha, colours = matte(plan, number, colours, below, halo)
        layers[number, ..., :3] = np.rint(colours.clip(0, 255))
        layers[number, ..., 3] = np.rint(alpha * 255)
        below += (colours - below) * alpha[..., None]
        report("matting")
    if (picture[..., 3] < 255).any():
        settle_alpha(layers[..., 3], picture[..., 3], np.maximum(rank, 0))


def _finish(layers: Bytes, picture: Bytes, language: Language, report: Report) -> tuple[list[Image.Image], list[str]]:
    settle_colours(layers, picture)
    report("composing")
    layers[layers[..., 3] == 0] = 0
    tell_apart(layers, picture)
    names = layer_names(*_samples(layers), language)
    return [Image.fromarray(layer, "RGBA") for layer in layers], names


def _samples(layers: Bytes) -> tuple[list[Floats], list[Floats]]:
    colours, alphas = [], []
    for layer in layers:
        opaque = layer[layer[..., 3] >= max(1, int(layer[..., 3].max()) // 2)]
        colours.append(opaque[:: max(1, len(opaque) // 40_000), :3].astype(np.float32))
        step = max(1, round((layer.shape[0] * layer.shape[1] / 40_000) ** 0.5))
        small = layer[::step, ::step]
        alphas.append(small[..., 3].astype(np.float32) / 255)
    return colours, alphas


def _enlarge_halo(halo: Halo, width: int, height: int) -> Halo:
    return Halo(
        alpha=cv2.resize(halo.alpha, (width, height), interpolation=cv2.INTER_LINEAR),
        dark=cv2.resize(halo.dark, (width, height), interpolation=cv2.INTER_LINEAR),
        owner=_enlarge(halo.owner.astype(np.int16), width, height).astype(np.int32),
        soft=halo.soft,
        lights=halo.lights,
    )


def _enlarge(values: NDArray, width: int, height: int) -> NDArray:
    """Return masks or labels at the picture's size."""
    kind = np.uint8 if values.dtype == np.bool_ else values.dtype
    wide = cv2.resize(values.astype(kind), (width, height), interpolation=cv2.INTER_NEAREST)
    return wide > 0 if values.dtype == np.bool_ else wide


def _reporter(progress: ProgressCallback | None, total: int) -> Report:
    step = -1

    def report(phase: str) -> None:
        nonlocal step
        step = min(step + 1, total)
        if progress is not None:
            progress(Progress(phase=phase, step=step, total=total))

    return report
