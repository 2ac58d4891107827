"""Filters: blur, sharpen, simplify, pixelate, and looks such as greyscale, sepia, night, metal and film grain."""

from dataclasses import replace

import cv2
import numpy as np

from llm_dit.classical.effects.picture import (
    Floats,
    Picture,
    Scene,
    change_lab,
    color_to_oklab,
    from_oklab,
    quantile,
    sample_lab,
    smoothstep,
    soften,
    soften_visible,
    strips,
    to_oklab,
)
from llm_dit.classical.operations import Operation


def blur(picture: Picture, operation: Operation, scene: Scene) -> Picture:
    """Apply a Gaussian blur of `size` pixels, or of a share of the layer's extent."""
    sigma = operation.size or max(0.006 * picture.extent, 0.8) * operation.amount
    softened = soften(picture.alpha, sigma)
    for channel in range(3):
        plane = np.ascontiguousarray(picture.colors[..., channel])
        picture.colors[..., channel] = soften_visible(plane, picture.alpha, softened, sigma)
    return replace(picture, alpha=softened) if scene.shape == "new" else picture


def sharpen(picture: Picture, operation: Operation, scene: Scene) -> Picture:
    """Unsharp masking of lightness at two sizes; colors keep their hue and chroma."""
    lightness = np.empty_like(picture.alpha)
    for rows in strips(picture.alpha.shape[0]):
        lightness[rows] = to_oklab(picture.colors[rows])[..., 0]
    detail = np.zeros_like(lightness)
    for sigma, share in ((max(0.0008 * picture.extent, 0.8), 0.8), (max(0.003 * picture.extent, 1.6), 0.35)):
        softened = soften(picture.alpha, sigma)
        detail += share * (lightness - soften_visible(lightness, picture.alpha, softened, sigma))
    for rows in strips(picture.alpha.shape[0]):
        lab = to_oklab(picture.colors[rows])
        lab[..., 0] = np.clip(lab[..., 0] + operation.amount * detail[rows], 0.0, 1.0)
        picture.colors[rows] = from_oklab(lab)
    return picture


def simplify(picture: Picture, operation: Operation, scene: Scene) -> Picture:
    """Remove small details and keep large shapes, with their edges.

    Rolling guidance (Zhang et al., "Rolling Guidance Filter", ECCV 2014) by the domain transform (Gastal and
    Oliveira, "Domain Transform for Edge-Aware Image and Video Processing", SIGGRAPH 2011).
    """
    small = max(0.0022 * picture.extent, 0.8) * operation.amount
    guide = cv2.GaussianBlur(picture.colors, (0, 0), small, borderType=cv2.BORDER_REPLICATE)
    for _ in range(3):
        guide = cv2.ximgproc.dtFilter(guide, picture.colors, 5.0 * small, 0.16, mode=cv2.ximgproc.DTF_RF)
    return replace(picture, colors=guide)


def pixelate(picture: Picture, operation: Operation, scene: Scene) -> Picture:
    """Replace squares of `size` pixels, or of a share of the layer's extent, by their mean."""
    height, width = picture.alpha.shape
    side = round(operation.size or max(0.016 * picture.extent * operation.amount, 2.0))
    columns, rows = -(-width // side), -(-height // side)
    padding = (0, rows * side - height, 0, columns * side - width)

    def squares(plane: Floats) -> Floats:
        whole = cv2.copyMakeBorder(plane, *padding, cv2.BORDER_REPLICATE)
        small = cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA)
        large = cv2.resize(small, whole.shape[1::-1], interpolation=cv2.INTER_NEAREST)
        return np.asarray(large[:height, :width], np.float32)

    alpha = squares(picture.alpha)
    for channel in range(3):
        plane = np.ascontiguousarray(picture.colors[..., channel])
        picture.colors[..., channel] = np.divide(squares(plane * picture.alpha), alpha, out=plane, where=alpha > 1e-3)
    return replace(picture, alpha=alpha) if scene.shape == "new" else picture


# Ready-made looks.


_PLAIN_LEVELS = 5


def greyscale(picture: Picture, operation: Operation, scene: Scene) -> Picture:
    """Remove chroma and keep lightness."""
    keep = 1.0 - min(operation.amount, 1.0)

    def change(lab: Floats, rows: slice) -> Floats:
        lab[..., 1:] *= keep
        return lab

    return change_lab(picture, change)


def invert(picture: Picture, operation: Operation, scene: Scene) -> Picture:
    """Replace every channel by its complement, as in a photographic negative."""
    for rows in strips(picture.alpha.shape[0]):
        picture.colors[rows] = 1.0 - picture.colors[rows]
    return picture


def sepia(picture: Picture, operation: Operation, scene: Scene) -> Picture:
    """Tone in brown on cream paper."""
    amount = min(operation.amount, 1.5)

    def change(lab: Floats, rows: slice) -> Floats:
        light = 0.13 + 0.83 * lab[..., 0]
        strength = 0.55 + 1.6 * light * (1.0 - light)
        print_ = np.stack([light, 0.024 * strength, 0.056 * strength], axis=-1)
        return lab + amount * (print_ - lab)

    return change_lab(picture, change)


def vintage(picture: Picture, operation: Operation, scene: Scene) -> Picture:
    """Fade the blacks, mute and warm the colors, darken the corners and add grain."""
    amount = min(operation.amount, 1.6)

    def change(lab: Floats, rows: slice) -> Floats:
        light = 0.15 + 0.8 * lab[..., 0] + 0.1 * smoothstep(lab[..., 0], 0.2, 0.8) - 0.06
        faded = np.stack([light, 0.7 * lab[..., 1] + 0.008, 0.68 * lab[..., 2] + 0.018 + 0.03 * light], axis=-1)
        return lab + amount * (faded - lab)

    toned = change_lab(picture, change)
    return _grain(_vignette(toned, 0.12 * amount), 0.016 * amount, scene)


def night(picture: Picture, operation: Operation, scene: Scene) -> Picture:
    """Simulate moonlight: dark, blue and muted, with the brightest lights still on."""
    amount = min(operation.amount, 1.4)
    lab, weights = sample_lab(picture)
    bright = quantile(lab[:, 0, 0], weights, 0.97)

    def change(lab: Floats, rows: slice) -> Floats:
        light = lab[..., 0]
        lit = smoothstep(light, max(bright, 0.9), 1.02) * 0.35
        dark = light * (0.38 + 0.18 * light)
        moonlit = np.stack(
            [
                dark + lit * (light - dark),
                0.45 * lab[..., 1] - 0.012,
                0.4 * lab[..., 2] - 0.055 * smoothstep(light, 0.0, 0.4),
            ],
            axis=-1,
        )
        return lab + amount * (moonlit - lab)

    return change_lab(picture, change)


def metal(picture: Picture, operation: Operation, scene: Scene) -> Picture:
    """Simulate a metal of the operation's color: the layer's shading becomes reflections, with a sheen across."""
    assert operation.color
    amount = min(operation.amount, 1.0)
    lab, weights = sample_lab(picture)
    low, high = (quantile(lab[:, 0, 0], weights, share) for share in (0.04, 0.96))
    flat = 1.0 - float(smoothstep(np.array(high - low), 0.05, 0.35))
    middle, a, b = color_to_oklab(operation.color)
    height, width = picture.alpha.shape
    left, top, _, _ = picture.box
    across = (np.arange(width, dtype=np.float32) - left) / picture.extent
    down = (np.arange(height, dtype=np.float32) - top) / picture.extent

    def change(lab: Floats, rows: slice) -> Floats:
        own = np.clip((lab[..., 0] - low) / max(high - low, 0.05), 0.0, 1.0)
        sheen = 0.5 + 0.5 * np.sin(11.0 * (across[None, :] + down[rows, None]))
        tone = (0.75 - 0.5 * flat) * own + (0.25 + 0.5 * flat) * sheen
        light = middle + 0.26 * (tone - 0.5) * 2.0
        # Metal is most saturated in its midtones and pale in highlights.
        rich = 1.0 - 0.7 * smoothstep(tone, 0.7, 1.0)
        cast = np.stack([light, a * rich + 0.03 * (1.0 - tone) * (b > 0.02), b * rich], axis=-1)
        return lab + amount * (cast - lab)

    return change_lab(picture, change)


def vignette(picture: Picture, operation: Operation, scene: Scene) -> Picture:
    """Darken towards the corners of what is visible."""
    return _vignette(picture, min(0.38 * operation.amount, 0.9))


def grain(picture: Picture, operation: Operation, scene: Scene) -> Picture:
    """Add film grain, the same for the same seed."""
    return _grain(picture, 0.035 * operation.amount, scene)


def posterize(picture: Picture, operation: Operation, scene: Scene) -> Picture:
    """Reduce every channel to a few even levels, like a screen print."""
    levels = operation.size or max(2.0, round(_PLAIN_LEVELS / operation.amount))
    for rows in strips(picture.alpha.shape[0]):
        picture.colors[rows] = np.rint(picture.colors[rows] * (levels - 1.0)) / (levels - 1.0)
    return picture


def _vignette(picture: Picture, depth: float) -> Picture:
    left, top, right, bottom = picture.box
    height, width = picture.alpha.shape
    across = (np.arange(width, dtype=np.float32) + 0.5 - (left + right) / 2) / ((right - left) / 2)
    down = (np.arange(height, dtype=np.float32) + 0.5 - (top + bottom) / 2) / ((bottom - top) / 2)

    def change(lab: Floats, rows: slice) -> Floats:
        distance = np.hypot(across[None, :], down[rows, None]) / np.float32(np.sqrt(2.0))
        return lab * (1.0 - depth * smoothstep(distance, 0.35, 1.0))[..., None]

    return change_lab(picture, change)


def _grain(picture: Picture, depth: float, scene: Scene) -> Picture:
    noise = scene.rng.standard_normal(picture.alpha.shape, dtype=np.float32)
    noise = 0.5 * noise + 1.1 * soften(noise, 0.9)

    def change(lab: Floats, rows: slice) -> Floats:
        # Grain shows in the midtones; black and white are clear film and full silver.
        lab[..., 0] += depth * noise[rows] * (0.35 + 2.6 * lab[..., 0] * (1.0 - lab[..., 0]))
        return lab

    return change_lab(picture, change)
