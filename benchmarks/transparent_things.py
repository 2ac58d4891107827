"""Take random pictures of separate things on nothing apart: is each thing whole, and is nothing where nothing was?

`python -m benchmarks.transparent_things --seed 0`. Each picture holds 2 to 8 things that do not touch: shapes, rings,
letters, logos of several parts, textures, small and large, sharp, blurred or with a feathered shadow, some of one
color. As many layers are asked for as there are things, then fewer, where whole things must stay together, and more,
where each thing must still be whole in one layer. Every fifth picture is taken apart at the model's size, too.
"""

# pyright: reportOperatorIssue=false

import argparse
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from llm_dit.alpha import resize_layer
from llm_dit.layers import Layer, composite
from llm_dit.options import OutputSize
from llm_dit.pipelines.classical import ClassicalPipeline
from tests.kit.report import write_report
from tests.kit.scenes import textures
from tests.kit.scenes.matching import soft_iou
from tests.kit.scenes.outlines import Mask, Size, blob, box, cut, fill, join, lettering, oval, polygon, soften, star

WHOLE = 0.95
"""The soft IoU with one layer from which a thing is whole."""
TOGETHER = 0.99
"""The share of a thing in one layer from which it stays together when layers are short."""
MODEL_EVERY = 5
KINDS = ("oval", "box", "star", "polygon", "blob", "ring", "letter", "logo")


@dataclass(frozen=True, kw_only=True)
class Picture:
    """`things` (RGBA, of the picture's size) that do not touch, and the picture of all."""

    image: Image.Image
    things: list[Image.Image]


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What one decomposition gave: `whole` is the soft IoU, or the share when layers are short, of the worst thing."""

    seed: int
    things: int
    layers: int
    output_size: OutputSize
    whole: float
    touched: int
    empty: int
    difference: int
    stray: int

    @property
    def is_right(self) -> bool:
        """Whether all things are whole, no layer but theirs shows where they are, and nothing is where nothing was."""
        floor = TOGETHER if self.layers < self.things else WHOLE
        return self.whole >= floor and not (self.touched or self.empty or self.stray) and self.difference <= 1


def make_picture(seed: int, *, plain: bool = False) -> Picture:
    """Return a picture of separate things, when `plain` of one part and one color each.

    The same arguments give the same bytes.
    """
    rng = np.random.default_rng([12, seed])
    size = (int(rng.integers(300, 760)), int(rng.integers(300, 760)))
    wanted = int(rng.integers(2, 9))
    taken, things = np.zeros(size[::-1], np.uint8), list[Image.Image]()
    base = _color(rng)
    for _ in range(400):
        if len(things) == wanted:
            break
        radius = float(min(size) * rng.choice([0.03, 0.06, 0.1, 0.16, 0.24]) * rng.uniform(0.8, 1.2))
        centre = (float(rng.uniform(radius, size[0] - radius)), float(rng.uniform(radius, size[1] - radius)))
        kind = str(rng.choice(KINDS[:-1] if plain else KINDS))
        mask = _shape(kind, size, centre, radius, rng)
        blur = float(rng.choice([0, 0, 0.7, 0.03, 0.1, 0.2]))
        blur = blur if blur in (0, 0.7) else blur * radius
        mask = soften(mask, blur) if blur else mask
        color = base if rng.random() < 0.3 else _color(rng)
        thing = _painted(mask, color, size, rng, plain)
        alpha = np.asarray(thing.getchannel("A"))
        room = max(6.0, 0.25 * radius if kind == "logo" else 0.0)
        if alpha.max() < 200 or _cut_off(alpha) or (taken[alpha > 0]).any():
            continue
        away = 2 * round(room) + 1
        taken |= cv2.dilate((alpha > 0).astype(np.uint8), np.ones((away, away), np.uint8))
        things.append(thing)
    return Picture(image=composite([Layer(image=thing) for thing in things]), things=things)


def _shape(kind: str, size: Size, centre: tuple[float, float], radius: float, rng: np.random.Generator) -> Mask:
    turn = float(rng.uniform(0, 6.3))
    if kind == "oval":
        return fill(size, oval(centre, radius, radius * rng.uniform(0.4, 1), turn))
    if kind == "box":
        return fill(size, box(centre, 1.6 * radius, radius * rng.uniform(0.3, 1.6), radius * rng.uniform(0, 0.3), turn))
    if kind == "star":
        return fill(size, star(centre, radius, radius * rng.uniform(0.4, 0.7), int(rng.integers(4, 9)), turn))
    if kind == "polygon":
        return fill(size, polygon(centre, radius, int(rng.integers(3, 7)), turn))
    if kind == "blob":
        return fill(size, blob(centre, 0.8 * radius, rng))
    if kind == "letter":
        return lettering(size, str(rng.choice(list("ABDGHKOPQRSWXZ&8"))), centre, 2 * radius, 2 * radius, 0.03)
    ring = cut(fill(size, oval(centre, radius, radius)), fill(size, oval(centre, 0.7 * radius, 0.7 * radius)))
    return ring if kind == "ring" else join(ring, fill(size, star(centre, 0.5 * radius, 0.25 * radius, 5, turn)))


def _painted(mask: Mask, color: textures.Color, size: Size, rng: np.random.Generator, plain: bool) -> Image.Image:
    """Return a thing of one color, a gradient, two colors or a texture, now and then with a feathered shadow."""
    other = _color(rng)
    paints = (
        lambda: textures.flat(size, color),
        lambda: textures.linear(size, rng.uniform(0, 6.3), color, other),
        lambda: textures.landscape(size, rng, color, other),
        lambda: textures.OBJECTS[int(rng.integers(len(textures.OBJECTS)))](size, rng, color, other),
    )
    paint = paints[0 if plain else int(rng.choice(4, p=[0.5, 0.2, 0.1, 0.2]))]()
    alpha = mask
    if not plain and rng.random() < 0.2:
        reach = float(rng.uniform(2, 8))
        move = np.array([[1, 0, reach], [0, 1, reach]], np.float32)
        shadow = cv2.warpAffine(soften(mask, reach), move, size) * rng.uniform(0.3, 0.6)
        alpha = mask + shadow * (1 - mask)
        paint = paint * np.divide(mask, alpha, out=np.zeros_like(mask), where=alpha > 0)[..., None]
    values = np.rint(np.dstack([paint.clip(0, 255), alpha * 255])).astype(np.uint8)
    values[values[..., 3] == 0] = 0
    return Image.fromarray(values, "RGBA")


def _color(rng: np.random.Generator) -> textures.Color:
    return rng.uniform(0, 255, 3).astype(np.float32)


def _cut_off(alpha: NDArray[np.uint8]) -> bool:
    return bool(alpha[[0, -1]].any() or alpha[:, [0, -1]].any())


def examine(seed: int) -> Iterator[Trial]:
    """Take the picture of a seed apart into as many layers as it has things, fewer and more."""
    picture = make_picture(seed)
    count = len(picture.things)
    yield _trial(seed, picture, count, "original")
    if seed % MODEL_EVERY == 0:
        yield _trial(seed, picture, count, "model")
    if count > 2 and seed % 2:
        yield _trial(seed, picture, count - 1, "original")
    # Parts and colors of a thing may have the layers that are left.
    plain = make_picture(seed, plain=True)
    if seed % 2:
        yield _trial(seed, plain, len(plain.things) + 2, "original")


def _trial(seed: int, picture: Picture, layer_num: int, output_size: OutputSize) -> Trial:
    layers = ClassicalPipeline().decompose(picture.image, layer_num=layer_num, seed=seed, output_size=output_size)
    size = layers[0].size
    given = picture.image if size == picture.image.size else resize_layer(picture.image, size)
    things = [thing if thing.size == size else resize_layer(thing, size) for thing in picture.things]
    truth = [np.asarray(thing.getchannel("A"), np.float32) for thing in things]
    found = [np.asarray(layer.getchannel("A"), np.float32) for layer in layers[1:]]
    sums = np.array([[float(layer[own > 0].sum()) for own in truth] for layer in found])
    if layer_num < len(truth):
        whole = float((sums.max(axis=0) / [own.sum() for own in truth]).min())
        touched = 0
    else:
        whole = min(max(soft_iou(own, layer) for layer in found) for own in truth)
        # Resampling makes soft rims meet.
        touched = sum(int((row > 0).sum() > 1) for row in sums) if output_size == "original" else 0
    rebuilt, wanted = np.asarray(layers[0], int), np.asarray(given, int)
    shown = wanted[..., 3] > 0
    return Trial(
        seed=seed,
        things=len(truth),
        layers=layer_num,
        output_size=output_size,
        whole=whole,
        touched=touched,
        empty=sum(not layer.any() for layer in found),
        difference=int(max(np.abs(rebuilt - wanted)[shown].max(), np.abs(rebuilt - wanted)[..., 3].max())),
        stray=sum(int(layer[~shown].any()) for layer in found),
    )


def main() -> int:
    """Examine the pictures, print what is wrong and how much is right; return 1 when anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0, help="of the first picture; use one that nothing was tuned on")
    parser.add_argument("--pictures", type=int, default=100)
    parser.add_argument("--json", type=Path, default=Path("benchmarks/out/transparent_things.json"))
    arguments = parser.parse_args()
    trials: list[Trial] = []
    for seed in range(arguments.seed, arguments.seed + arguments.pictures):
        for trial in examine(seed):
            trials.append(trial)
            if not trial.is_right:
                print(trial, flush=True)
    wrong = sum(not trial.is_right for trial in trials)
    for name, group in (
        ("as many layers as things", [one for one in trials if one.layers == one.things]),
        ("fewer", [one for one in trials if one.layers < one.things]),
        ("more", [one for one in trials if one.layers > one.things]),
    ):
        if group:
            right, worst = sum(one.is_right for one in group), min(one.whole for one in group)
            print(f"{name:<26}{right} of {len(group)} right; worst thing {worst:.3f}")
    write_report(arguments.json, {"passed": not wrong, "trials": [asdict(one) for one in trials]})
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
