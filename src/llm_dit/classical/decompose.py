"""Decomposing a picture into layers with image processing and, if they are installed, small networks."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from llm_dit.classical.layering.find import (
    Found,
    complete,
    fills_frame,
    find_groups,
    find_surfaces,
    is_scene,
    stack_order,
    sweep,
    thin_out,
)
from llm_dit.classical.layering.paint import Halo, Plan, matte, paint, settle_alpha, settle_colors, tidy
from llm_dit.classical.layering.regions import Bytes, Floats, Labels, Report, Sketch, boxes, depth, draw_sketch
from llm_dit.classical.layering.separate import allot, separate, show_each, with_pieces
from llm_dit.classical.layering.soft import find_halo
from llm_dit.classical.layering.surfaces import is_flat
from llm_dit.classical.peeling import NOTHING, Seen, called, lift_named, look, matches, peel
from llm_dit.names import VOCABULARIES, Language
from llm_dit.options import NamedBox
from llm_dit.runs import Progress, ProgressCallback

EVEN = 0.2
"""The noise of a background, in levels, below which it is of one paint."""


def decompose_image(
    image: Image.Image,
    layer_num: int,
    seed: int,
    language: Language,
    progress: ProgressCallback | None = None,
    *,
    regions: Sequence[NamedBox] = (),
) -> tuple[list[Image.Image], list[str]]:
    """Return `layer_num` RGBA layers of the image's size, bottom to top, and their names.

    `image` is RGBA. The content of `regions`, fewer than layers, is removed first and lies on top under the given
    names. Parts separated by transparency are separate things; a thing with more than one layer is decomposed by
    segmentation, grouping, stacking order, matting, filling and an exact last step; the methods are cited where they
    are used. The composite of the layers differs from `image` by at most 1 of 255 levels; where it is transparent,
    every layer is, and an opaque image has an opaque bottom layer. The names are in `language`; a bottom layer that
    fills most of the picture is "Background". `progress` is called before and after each step and may raise `Canceled`.
    """
    report = Steps(progress, 12 + 2 * layer_num)
    report("starting")
    lifted, rest = lift_named(image, regions, seed, report) if regions else ([], image)
    layers, seen = _take_all_apart(np.asarray(rest.convert("RGBA")), layer_num - len(lifted), seed, report)
    known = called(seen, list(layers[..., 3] > 127), VOCABULARIES[language]) if seen.anything else {}
    if lifted:
        known |= {number: name for number, (_, name) in enumerate(lifted, len(layers)) if name}
        layers = np.concatenate([layers, np.stack([np.asarray(layer) for layer, _ in lifted])])
        settle_colors(layers, np.asarray(image.convert("RGBA")))
    report.end("composing")
    names = layer_names(*_samples(layers), language, known)
    return [Image.fromarray(layer, "RGBA") for layer in layers], names


def _take_all_apart(picture: Bytes, layer_num: int, seed: int, report: "Steps") -> tuple[Bytes, Seen]:
    """Return `layer_num` layers of a picture, and what the networks saw in it: nothing if it has several things,
    because each is processed in its own frame."""
    things = separate(picture, layer_num)
    shares = _shares(things, picture, layer_num, seed, report)
    layers = np.zeros((layer_num, *picture.shape), np.uint8)
    seen = NOTHING
    bottom = 0
    for thing, (share, box) in enumerate(zip(shares, boxes(things, len(shares)).astype(int).tolist(), strict=True)):
        left, top, right, low = box
        window = (slice(top, low), slice(left, right))
        piece = np.where((things[window] == thing)[..., None], picture[window], 0).astype(np.uint8)
        report.span(share / layer_num, 8 + 3 * share)
        layers[(slice(bottom, bottom + share), *window)], seen = take_apart(piece, share, seed, report)
        bottom += share
    return layers, seen if len(shares) == 1 else NOTHING


def _shares(things: Labels, picture: Bytes, layer_num: int, seed: int, report: Report) -> list[int]:
    """Return the number of layers for each thing."""
    count = int(things.max()) + 1
    if count == 1 or count == layer_num:
        return [layer_num // count] * count
    sketch = draw_sketch(picture)
    height, width = sketch.visible.shape
    small = cv2.resize(things.astype(np.int16), (width, height), interpolation=cv2.INTER_NEAREST).reshape(height, width)
    sizes = np.bincount(things[things >= 0])
    opaque = np.bincount(things[(things >= 0) & (picture[..., 3] == 255)], minlength=count)
    return allot(small.astype(np.int32), find_surfaces(sketch, seed, report)[0], sizes, opaque, layer_num)


def take_apart(picture: Bytes, layer_num: int, seed: int, report: Report, *, see: bool = True) -> tuple[Bytes, Seen]:
    """Return `layer_num` layers (n, height, width, 4), bottom first, of a picture of one thing and its background, and
    what the networks saw in it.

    If `see`, text and whole things are removed first from a picture of many parts, if grouping would cut through them.
    """
    layers = np.zeros((layer_num, *picture.shape), np.uint8)
    if layer_num == 1:
        layers[0] = picture
        layers[0][picture[..., 3] == 0] = 0
        return layers, NOTHING
    sketch = draw_sketch(picture)
    surfaces = find_surfaces(sketch, seed, report)
    many, unknown = is_scene(surfaces[0], sketch, layer_num)
    opaque = bool((picture[..., 3] == 255).all())
    view = look(picture[..., :3], report, layer_num - 1 if many else 0, deep=unknown) if see and opaque else NOTHING
    if view.anything and many and unknown:
        return _peel(picture, view, layer_num, seed, report), view
    found = find_groups(sketch, layer_num, surfaces, report)
    found = replace(found, groups=sweep(found.groups, sketch))
    # Soft things on a known background were already found; a single line of text stands out from them. Several lines
    # would take all layers of a picture of few parts, and on an even background color finds small letters best.
    several = len(view.lines) != 1 and (found.soft is not None or not many)
    even = not many and found.ground is not None and found.ground.known and found.ground.noise < EVEN
    if view.anything and not several and not even and not matches(view, found.groups, many=many):
        return _peel(picture, view, layer_num, seed, report), view
    if found.ground is not None and found.ground.known:
        found = replace(found, groups=thin_out(found.groups, found.ground, sketch))
    order = stack_order(found.groups)
    report("ordering")
    rank = np.full(len(order) + 1, -1, np.int32)
    rank[order] = np.arange(len(order))
    found = replace(found, groups=rank[found.groups])
    report("ordering")
    if order[0] != 0:
        found = replace(found, ground=None, soft=None)
    halo = None if found.ground is None or len(order) == 1 else find_halo(found.groups, found.ground, sketch)
    seen = _lay(layers[: len(order)], picture, found, sketch, halo, report)
    settle_colors(layers[: len(order)], picture)
    layers[layers[..., 3] == 0] = 0
    with_pieces(layers, seen, len(order))
    show_each(layers, picture, seen)
    report("composing")
    return layers, view


def _peel(picture: Bytes, seen: Seen, layer_num: int, seed: int, report: Report) -> Bytes:
    """Return the layers of an opaque picture, with what is `seen` lifted off as layers of its own."""
    lifted, rest = peel(picture[..., :3], seen, layer_num - 1, seed, report)
    ground = np.dstack([rest, picture[..., 3]])
    below, _ = take_apart(ground, layer_num - len(lifted), seed, report, see=False)
    layers = np.concatenate([below, np.stack(lifted)])
    settle_colors(layers, picture)
    return layers


def _lay(layers: Bytes, picture: Bytes, found: Found, sketch: Sketch, around: Halo | None, report: Report) -> Labels:
    """Fill `layers` (count, height, width, 4) from `found`, whose groups are the layers visible at each sketch pixel.

    Returns the visible layer at each pixel of the picture, −1 where it is transparent.
    """
    count, seen, fit = len(layers), found.groups, found.ground
    height, width = picture.shape[:2]
    framed = fills_frame(seen)
    # The outline of a texture, or on an unknown background, says too little about hidden parts.
    known = fit is None or fit.known
    whole = [
        _enlarge(
            seen >= 0
            if framed and number == 0
            else complete(seen == number, seen > number, outlined=known and is_flat(seen == number, sketch)),
            width,
            height,
        )
        for number in range(count)
    ]
    rank = _enlarge(seen, width, height)
    report("ordering")
    rgb = picture[..., :3].astype(np.float32)
    traces = np.full(rank.shape, -1, np.int32)
    plan = Plan(rgb=rgb, clean=rgb.copy(), traces=traces, rank=rank, whole=whole, scale=sketch.scale)
    halo = None if around is None else _enlarge_halo(around, width, height)
    soft = None if found.soft is None else found.soft.enlarged(width, height)
    distance = depth(rank)
    below = np.zeros_like(plan.rgb)
    field = None
    if fit is not None and fit.covers and (fit.noise < 4 or soft is not None):
        field = cv2.resize(fit.field, (width, height), interpolation=cv2.INTER_LINEAR)
    for number in range(count):
        tidy(plan, number, None if number else field)
        report("filling")
        if soft is not None:
            traces[soft.thing >= 0] = -1
        colors = paint(plan, number, distance, below) if number or field is None else field.copy()
        tidied = (plan.traces >= 0) & (rank == number)
        colors[tidied] = plan.clean[tidied]
        report("filling")
        alpha = whole[0].astype(np.float32)
        if number:
            alpha, colors = matte(plan, number, colors, below, halo)
            if soft is not None:
                soft.lay(number, plan, below, alpha, colors)
        layers[number, ..., :3] = np.rint(colors.clip(0, 255))
        layers[number, ..., 3] = np.rint(alpha * 255)
        below += (colors - below) * alpha[..., None]
        report("matting")
    rank = np.where(picture[..., 3] > 0, np.maximum(rank, 0), -1)
    if (picture[..., 3] < 255).any():
        settle_alpha(layers[..., 3], picture[..., 3], np.maximum(rank, 0))
    return rank


def _enlarge_halo(halo: Halo, width: int, height: int) -> Halo:
    return Halo(
        alpha=cv2.resize(halo.alpha, (width, height), interpolation=cv2.INTER_LINEAR),
        dark=cv2.resize(halo.dark, (width, height), interpolation=cv2.INTER_LINEAR),
        owner=_enlarge(halo.owner, width, height),
        soft=halo.soft,
        lights=halo.lights,
    )


def _enlarge(values: NDArray, width: int, height: int) -> NDArray:
    """Return masks or labels at the picture's size with smooth outlines, without steps from the sketch's pixels."""
    if values.shape == (height, width):
        return values
    if values.dtype == np.bool_:
        return cv2.resize(values.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR) > 0.5
    result, best = np.full((height, width), values.flat[0], values.dtype), np.zeros((height, width), np.float32)
    for value in np.unique(values).tolist():
        share = cv2.resize((values == value).astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
        more = share > best
        result[more], best[more] = value, share[more]
    return result


class Steps:
    """Reports progress in `total` steps; a part of the work may use smaller ones."""

    def __init__(self, progress: ProgressCallback | None, total: int) -> None:
        self.progress, self.total = progress, total
        self.done, self.pace = 0.0, 1.0

    def __call__(self, phase: str) -> None:
        """Report that a step is done and `phase` continues; the last step is left to `end`."""
        self._say(phase, min(int(self.done), self.total - 1))
        self.done += self.pace

    def span(self, share: float, steps: int) -> None:
        """Let the next `steps` make up `share` (0–1) of the work on all things."""
        self.pace = share * (self.total - 4) / steps

    def end(self, phase: str) -> None:
        """Report that everything is done."""
        self._say(phase, self.total)

    def _say(self, phase: str, step: int) -> None:
        if self.progress is not None:
            self.progress(Progress(phase=phase, step=step, total=self.total))


# Names of layers, by color and position.

HUES = (
    (15, "Red"), (42, "Orange"), (68, "Yellow"), (165, "Green"), (200, "Turquoise"),
    (255, "Blue"), (290, "Purple"), (345, "Pink"), (361, "Red"),
)  # fmt: skip

FILLS = 0.5
"""The mean alpha from which the lowest layer is the background."""


def layer_names(
    colors: list[Floats], alphas: list[Floats], language: Language, known: Mapping[int, str] | None = None
) -> list[str]:
    """Return a distinct name for each layer, such as "Blue, top left".

    The lowest is "Background", unless it is transparent in most of the picture. `known` has names, by layer number,
    that replace those by color and position. `colors` are (n, 3) RGB 0–255 samples of each layer, `alphas` (height,
    width) small copies of its alpha, 0–1.
    """
    vocabulary = VOCABULARIES[language]
    names = [vocabulary.word("Background")] if alphas[0].mean() > FILLS else []
    for sample, alpha in list(zip(colors, alphas, strict=True))[len(names) :]:
        name = (known or {}).get(len(names)) or vocabulary.describe(color_name(sample), place_name(alpha))
        number, unique = 2, name
        while unique in names:
            unique, number = f"{name} {number}", number + 1
        names.append(unique)
    return names


def color_name(sample: Floats) -> str:
    """Return the English name of the most frequent color of a sample."""
    bins = (sample // 43).astype(int) @ np.array([36, 6, 1])
    common = sample[bins == np.bincount(bins).argmax()].mean(axis=0)
    hue, lightness, saturation = cv2.cvtColor(
        np.asarray(common, np.float32).reshape(1, 1, 3) / np.float32(255), cv2.COLOR_RGB2HLS
    )[0, 0]
    chroma = (1 - abs(2 * lightness - 1)) * saturation
    if lightness > 0.93 or (lightness > 0.85 and chroma < 0.12):
        return "White"
    if lightness < 0.09:
        return "Black"
    if chroma < 0.1:
        return "Dark gray" if lightness < 0.35 else "Light gray" if lightness > 0.68 else "Gray"
    name = next(name for limit, name in HUES if hue < limit)
    if name in ("Orange", "Red", "Yellow") and lightness < 0.38 and chroma < 0.6:
        return "Brown"
    if lightness < 0.25:
        return f"Dark {name.lower()}"
    return f"Light {name.lower()}" if lightness > 0.75 else name


def place_name(alpha: Floats) -> str:
    """Return the position of most of a layer: "center", "top left", "bottom", … or "throughout"."""
    height, width = alpha.shape
    total = float(alpha.sum()) + 1e-9
    x = float((alpha.sum(axis=0) * (np.arange(width) + 0.5)).sum()) / total / width
    y = float((alpha.sum(axis=1) * (np.arange(height) + 0.5)).sum()) / total / height
    columns, rows = np.flatnonzero(alpha.max(axis=0) > 0.3), np.flatnonzero(alpha.max(axis=1) > 0.3)
    if len(columns) > 0.8 * width and len(rows) > 0.8 * height:
        return "throughout"
    down = "top" if y < 0.37 else "bottom" if y > 0.63 else ""
    across = "left" if x < 0.37 else "right" if x > 0.63 else ""
    return " ".join(word for word in (down, across) if word) or "center"


def _samples(layers: Bytes) -> tuple[list[Floats], list[Floats]]:
    colors, alphas = [], []
    for layer in layers:
        opaque = layer[layer[..., 3] >= max(1, int(layer[..., 3].max()) // 2)]
        colors.append(opaque[:: max(1, len(opaque) // 40_000), :3].astype(np.float32))
        step = max(1, round((layer.shape[0] * layer.shape[1] / 40_000) ** 0.5))
        small = layer[::step, ::step]
        alphas.append(small[..., 3].astype(np.float32) / 255)
    return colors, alphas
