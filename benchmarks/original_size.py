"""How well layers of a model's size are brought to a picture's own, on scenes whose layers are known.

A scene is drawn at full size: a textured or photographic ground, things with drawings in them, hairs, a glow, a
see-through pane, type. Its layers are shrunk to about 640² pixels as the model's are, blurred, shifted, tinted and made
noisy as an autoencoder does, then brought back by `llm_dit.full_size`, by bicubic enlargement alone, and by that with
what is missing to the picture put into the bottom layer.

Run as `python -m benchmarks.original_size --first 7000 --scenes 12`; writes benchmarks/out/original_size.json.
`--cost` measures one picture of 12 megapixels with five layers.
"""

import argparse
import resource
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from llm_dit.alpha import spread
from llm_dit.full_size import restore
from llm_dit.runs import model_size
from tests.kit.report import write_report
from tests.kit.scenes import textures
from tests.kit.scenes.outlines import Mask, blob, box, fill, join, lettering, oval, soften, star, stroke

Pixels = NDArray[np.uint8]
Layers = Sequence[Pixels]
Figures = dict[str, float]
MOVED = 20
"""Pixels to the right and down."""
KINDS = ("thing", "hairs", "glow", "pane", "type")


def draw(seed: int, width: int | None = None) -> list[Pixels]:
    """Return the true RGBA layers of a scene, bottom first: a ground and three or four of the kinds."""
    rng = np.random.default_rng([17, seed])
    width = width or int(rng.choice([2000, 2400, 2800, 4000], p=[0.4, 0.3, 0.2, 0.1]))
    size = (width, round(width * float(rng.choice([0.62, 0.75, 1.0]))))
    first, second = rng.uniform(20, 235, (2, 3)).astype(np.float32)
    choices = (*textures.GROUNDS, lambda size, _, first, second: textures.linear(size, 1.0, first, second))
    ground = choices[seed % len(choices)](size, rng, first, second)
    layers = [_layer(ground + rng.normal(0, 1.5, ground.shape), np.ones(size[::-1]))]
    for kind in rng.permutation(KINDS)[: int(rng.integers(3, 5))]:
        alpha = _shape(str(kind), size, rng)
        layers.append(_layer(_paint(str(kind), size, alpha, rng), alpha))
    return layers


def _shape(kind: str, size: tuple[int, int], rng: np.random.Generator) -> Mask:
    unit = min(size)
    centre = (float(rng.uniform(0.25, 0.75) * size[0]), float(rng.uniform(0.25, 0.75) * size[1]))
    radius = float(rng.uniform(0.1, 0.25) * unit)
    if kind == "thing":
        outlines = (
            oval(centre, radius, radius * 0.7, 1.0),
            star(centre, radius, 0.5 * radius, 6),
            blob(centre, radius, rng),
        )
        return fill(size, outlines[int(rng.integers(3))])
    if kind == "hairs":
        turns = rng.uniform(0, 2 * np.pi, 60)
        reach = rng.uniform(1.1, 1.7, 60) * radius
        away = np.stack([np.cos(turns), np.sin(turns)], -1)
        bend = away[:, ::-1] * [-1, 1] * rng.uniform(-0.3, 0.3, (60, 1))
        steps = np.linspace(0.6, 1, 12)[:, None]
        paths = [
            np.array(centre) + far * (steps * one + steps**2 * side)
            for one, side, far in zip(away, bend, reach, strict=True)
        ]
        return join(fill(size, blob(centre, radius, rng)), stroke(size, float(rng.uniform(1.2, 4)), *paths))
    if kind == "glow":
        return soften(fill(size, oval(centre, radius, 0.8 * radius)), float(rng.uniform(0.02, 0.06) * unit)) * 0.8
    if kind == "pane":
        outline = box(centre, 2.4 * radius, 1.6 * radius, 0.2 * radius, float(rng.uniform(0, 1)))
        return fill(size, outline) * float(rng.uniform(0.35, 0.7))
    return lettering(size, "Summer sale\n50 % off", centre, 0.8 * radius, 4 * radius, float(rng.choice([0, 0.04])))


def _paint(kind: str, size: tuple[int, int], alpha: Mask, rng: np.random.Generator) -> textures.Fill:
    """Return the colors: plain ones, gradients, or for a thing a drawing with parts, lines and grain."""
    first, second, third = rng.uniform(0, 255, (3, 3)).astype(np.float32)
    if kind in {"glow", "pane", "type"}:
        return np.array(textures.linear(size, 0.5, first, first * 0.8 + second * 0.2))
    colors = np.array(textures.linear(size, float(rng.uniform(0, 6)), first, second))
    rows, columns = np.nonzero(alpha > 0.5)
    spots = rng.integers(0, len(rows), 14)
    reach = 0.1 * (np.ptp(rows) + np.ptp(columns))
    for spot in spots.tolist():
        centre = (float(columns[spot]), float(rows[spot]))
        part = fill(size, oval(centre, float(rng.uniform(0.1, 0.6) * reach), float(rng.uniform(0.1, 0.5) * reach), 1.0))
        colors += part[..., None] * (rng.uniform(0, 255, 3).astype(np.float32) - colors) * np.float32(0.9)
        path = np.array([centre, (centre[0] + rng.uniform(-reach, reach), centre[1] + rng.uniform(-reach, reach))])
        colors += stroke(size, float(rng.uniform(2, 8)), path)[..., None] * (third - colors)
    return colors + rng.normal(0, 2, (*size[::-1], 1)).astype(np.float32)


def _layer(colors: NDArray[np.floating], alpha: NDArray[np.floating]) -> Pixels:
    return np.rint(np.dstack([colors, alpha * 255]).clip(0, 255)).astype(np.uint8)


def degrade(layer: Pixels, size: tuple[int, int], rng: np.random.Generator) -> Pixels:
    """Return a layer as the model would give it at its size: soft, a little displaced and tinted, noisy."""
    whole, much = (layer[..., 3] == 255).all(), float(rng.uniform(0.6, 1.6))
    alpha = layer[..., 3].astype(np.float32) / 255
    small = [cv2.resize(layer[..., band] * alpha, size, interpolation=cv2.INTER_AREA) for band in range(3)]
    planes = np.dstack([*small, cv2.resize(alpha, size, interpolation=cv2.INTER_AREA)])
    planes = cv2.GaussianBlur(planes, (0, 0), 0.7 * much)
    y, x = np.mgrid[: size[1], : size[0]].astype(np.float32)
    dx, dy = (0.3 * much * _smooth(size, 24, rng) for _ in range(2))
    planes = cv2.remap(planes, x + dx, y + dy, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    opacity = planes[..., 3].clip(0, 1)
    colors = planes[..., :3] / np.maximum(opacity, 1e-3)[..., None]
    # What hardly shows is made up: some of what is beside it, some of gray.
    seen = np.minimum(opacity * 8, 1)[..., None]
    colors = seen * colors + (1 - seen) * (0.7 * spread(colors, opacity * (opacity > 0.1)) + 0.3 * 128)
    tint = np.dstack([much * (2.5 * _smooth(size, 40, rng) + 2.0 * _smooth(size, 1.2, rng)) for _ in range(3)])
    ringing = 0.15 * (colors - cv2.GaussianBlur(colors, (0, 0), 2.0))
    if not whole:
        uneven = 0.006 * _smooth(size, 1.2, rng) + 0.03 * _smooth(size, 1.5, rng) * 4 * opacity * (1 - opacity)
        opacity = opacity + much * uneven
    return _layer(colors + tint + ringing, opacity)


def _smooth(size: tuple[int, int], sigma: float, rng: np.random.Generator) -> Mask:
    """Return smooth noise of standard deviation 1."""
    noise = cv2.GaussianBlur(rng.normal(0, 1, size[::-1]).astype(np.float32), (0, 0), sigma)
    return noise / noise.std()


def bicubic(_: Pixels, small: Layers, size: tuple[int, int]) -> Layers:
    """Return the layers enlarged, and nothing more."""
    made: list[Pixels] = []
    for layer in small:
        planes = layer.astype(np.float32)
        planes[..., :3] *= planes[..., 3:] / 255
        planes = cv2.resize(planes, size, interpolation=cv2.INTER_CUBIC)
        planes[..., :3] /= np.maximum(planes[..., 3:] / 255, 1e-3)
        made.append(np.rint(planes.clip(0, 255)).astype(np.uint8))
    return made


def into_bottom(picture: Pixels, small: Layers, size: tuple[int, int]) -> Layers:
    """Return the layers enlarged, and what is missing to the picture in the bottom one."""
    made = list(bicubic(picture, small, size))
    through = np.prod([1 - layer[..., 3].astype(np.float32) / 255 for layer in made[1:]], axis=0)[..., None]
    missing = picture.astype(np.float32) - composite(made)
    made[0] = made[0].copy()
    made[0][..., :3] = np.rint((made[0][..., :3] + missing / np.maximum(through, 0.02)).clip(0, 255))
    return made


def ours(picture: Pixels, small: Layers, size: tuple[int, int]) -> Layers:
    layers = [Image.fromarray(layer, "RGBA") for layer in small]
    return [np.asarray(layer) for layer in restore(Image.fromarray(picture, "RGB"), layers)]


METHODS: Mapping[str, Callable[[Pixels, Layers, tuple[int, int]], Layers]] = {
    "ours": ours,
    "bicubic": bicubic,
    "into the bottom": into_bottom,
}


def composite(layers: Layers) -> NDArray[np.float32]:
    """Return what opaque layers show, 0–255."""
    picture = layers[0][..., :3].astype(np.float32)
    for layer in layers[1:]:
        picture += (layer[..., :3] - picture) * (layer[..., 3:].astype(np.float32) / 255)
    return picture


def examine(truth: Layers, picture: Pixels, made: Layers) -> Figures:
    """Return the figures of a scene: alpha in 1/255, colors in levels, ghosts as shares of what is hidden."""
    sums: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
    sums["off"].append((float(((composite(made) - picture) ** 2).mean()), 1.0))
    through = np.ones(picture.shape[:2], np.float32)
    for number in range(len(truth) - 1, -1, -1):
        own, other = truth[number], made[number]
        alpha, found = own[..., 3].astype(np.float32) / 255, other[..., 3].astype(np.float32) / 255
        error = np.abs(own[..., :3].astype(np.float32) - other[..., :3]).mean(-1)
        _add(sums, "color seen", error, alpha * through * (alpha * through > 0.05) * (found > 0))
        _add(sums, "color hidden", error, (alpha > 0.5) * (through < 0.02) * (found > 0))
        if number:
            _add(sums, "alpha", np.abs(alpha - found) * 255, through > 0.5)
            _without(sums, truth, made, number, alpha * through)
        through *= 1 - alpha
    return {
        name: sum(one for one, _ in values) / max(sum(two for _, two in values), 1e-9) for name, values in sums.items()
    }


def _without(
    sums: defaultdict[str, list[tuple[float, float]]], truth: Layers, made: Layers, number: int, seen: Mask
) -> None:
    """Add what the picture is off with one layer hidden, and moved."""
    place = np.asarray(cv2.dilate((seen > 0.01).astype(np.uint8), np.ones((25, 25), np.uint8)), np.uint8)
    rows, columns = np.nonzero(place.any(1))[0], np.nonzero(place.any(0))[0]
    if not len(rows):
        return
    window = (slice(max(rows[0] - 40, 0), rows[-1] + 40), slice(max(columns[0] - 40, 0), columns[-1] + 40))
    true, ours_ = [layer[window] for layer in truth], [layer[window] for layer in made]
    place, seen = place[window], seen[window]
    hidden = composite([*true[:number], *true[number + 1 :]])
    error = composite([*ours_[:number], *ours_[number + 1 :]]) - hidden
    _add(sums, "hidden", np.abs(error).mean(-1), place)
    _add(sums, "hidden, edges", np.abs(error).mean(-1), place * (seen < 0.98))
    # A ghost: the layer's fine detail, over what is smooth, that is still there without it. 1 is all of it.
    smooth = cv2.GaussianBlur(hidden, (0, 0), 6)
    own = true[number][..., :3].astype(np.float32)
    fine = [values - cv2.GaussianBlur(values, (0, 0), 6) for values in (error, seen[..., None] * (own - smooth))]
    sums["ghost"].append(
        (float((fine[0] * fine[1] * place[..., None]).sum()), float((fine[1] ** 2 * place[..., None]).sum()))
    )
    moved = [composite(_moved(layers, number)) for layers in (true, ours_)]
    both = np.maximum(place, _shift(place))
    _add(sums, "moved", np.abs(moved[0] - moved[1]).mean(-1), both)


def _moved(layers: Layers, number: int) -> Layers:
    return [_shift(layer) if index == number else layer for index, layer in enumerate(layers)]


def _shift(values: Pixels) -> Pixels:
    moved = np.zeros_like(values)
    moved[MOVED:, MOVED:] = values[:-MOVED, :-MOVED]
    return moved


def _add(sums: defaultdict[str, list[tuple[float, float]]], name: str, values: Mask, weight: NDArray[Any]) -> None:
    sums[name].append((float((values * weight).sum(dtype=np.float64)), float(weight.sum(dtype=np.float64))))


def run(seed: int, width: int | None, area: int) -> dict[str, Figures]:
    """Return the figures of every method on one scene."""
    truth = draw(seed, width)
    picture = np.rint(composite(truth)).astype(np.uint8)
    size = (picture.shape[1], picture.shape[0])
    rng = np.random.default_rng([18, seed])
    small = [degrade(layer, model_size(size, area), rng) for layer in truth]
    figures: dict[str, Figures] = {}
    for name, method in METHODS.items():
        started = time.process_time()
        made = method(picture, small, size)
        seconds = time.process_time() - started
        figures[name] = examine(truth, picture, made)
        figures[name]["psnr"] = 10 * np.log10(255**2 / max(figures[name].pop("off"), 1e-9))
        figures[name]["processor_s"] = seconds
    return figures


def cost() -> Figures:
    """Return the seconds and the memory of one picture of 12 megapixels with five layers."""
    truth = draw(3, 4000)
    truth = [np.ascontiguousarray(layer[:3000]) for layer in ([*truth, *truth[1:]][:5])]
    truth = [np.asarray(cv2.resize(layer, (4000, 3000)), np.uint8) for layer in truth]
    picture = np.rint(composite(truth)).astype(np.uint8)
    rng = np.random.default_rng(0)
    small = [degrade(layer, model_size((4000, 3000), 640), rng) for layer in truth]
    given = Image.fromarray(picture, "RGB"), [Image.fromarray(layer, "RGBA") for layer in small]
    del truth, picture, small
    cpu, wall = time.process_time(), time.perf_counter()
    restore(*given)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"processor_s": time.process_time() - cpu, "s": time.perf_counter() - wall, "peak_mb": peak}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--first", type=int, default=7000)
    parser.add_argument("--scenes", type=int, default=12)
    parser.add_argument("--width", type=int, help="of all scenes; drawn by default, 2000 to 4000")
    parser.add_argument("--area", type=int, default=640, help="the model's, squared")
    parser.add_argument("--cost", action="store_true")
    given = parser.parse_args()
    if given.cost:
        print(cost())
        return
    scenes = {seed: run(seed, given.width, given.area) for seed in range(given.first, given.first + given.scenes)}
    names = list(dict.fromkeys(name for figures in scenes.values() for name in figures["ours"]))
    means = {
        method: {name: float(np.mean([scene[method].get(name, np.nan) for scene in scenes.values()])) for name in names}
        for method in METHODS
    }
    print(f"{'':<18}" + "".join(f"{name:>15}" for name in names))
    for method, figures in means.items():
        print(f"{method:<18}" + "".join(f"{figures[name]:>15.3f}" for name in names))
    worst = {
        "psnr": min(scene["ours"]["psnr"] for scene in scenes.values()),
        "alpha": max(scene["ours"]["alpha"] / scene["bicubic"]["alpha"] for scene in scenes.values()),
        "color seen": max(scene["ours"]["color seen"] for scene in scenes.values()),
    }
    print(
        "worst of ours: " + ", ".join(f"{name} {value:.3f}" for name, value in worst.items()) + " (alpha by bicubic's)"
    )
    for seed, scene in scenes.items():
        print(seed, {n: (round(scene["ours"].get(n, -1), 2), round(scene["bicubic"].get(n, -1), 2)) for n in names})
    write_report(Path(__file__).parent / "out/original_size.json", {"means": means, "worst": worst, "scenes": scenes})


if __name__ == "__main__":
    main()
