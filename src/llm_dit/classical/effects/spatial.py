"""Effects that depend on a pixel's place or neighbors: light, shadow, a line around a layer, turns, opacity, filters.

Those on the outline can reach beyond it with shape "new"; "keep" restricts them to it.
"""

from dataclasses import replace

import cv2
import numpy as np

from llm_dit.classical.operations import (
    Floats,
    Operation,
    Picture,
    Scene,
    change_lab,
    from_linear,
    from_oklab,
    quantile,
    sample_lab,
    smoothstep,
    soften,
    soften_visible,
    strips,
    to_linear,
    to_oklab,
)
from llm_dit.color import Rgb

_SUNSET_LIGHT: Rgb = (255, 138, 60)


def glow(picture: Picture, operation: Operation, scene: Scene) -> Picture:
    """Bloom the bright parts in light of the operation's color, beyond the edge as well."""
    assert operation.color
    amount = min(operation.amount, 3.0)
    lit = _bloom(picture, operation.color, amount)
    return _halo(lit, operation.color, amount) if scene.shape == "new" else lit


def sunset(picture: Picture, operation: Operation, scene: Scene) -> Picture:
    """Add low golden light from the upper right, rose in the midtones, violet in the shadows."""
    amount = min(operation.amount, 2.0)
    left, top, right, bottom = picture.box
    height, width = picture.alpha.shape
    across = (np.arange(width, dtype=np.float32) - (left + 0.72 * (right - left))) / picture.extent
    down = (np.arange(height, dtype=np.float32) - (top + 0.22 * (bottom - top))) / picture.extent

    def change(lab: Floats, rows: slice) -> Floats:
        light = lab[..., 0]
        near = np.exp(-(across[None, :] ** 2 + down[rows, None] ** 2) / 0.18)
        warm, shade = smoothstep(light, 0.15, 0.9), (1.0 - smoothstep(light, 0.0, 0.6)) * (0.3 + light)
        toned = np.stack(
            [
                light * (0.93 + 0.07 * near) + 0.05 * near * (1.0 - light),
                0.75 * lab[..., 1] + 0.022 + 0.026 * warm + 0.03 * shade,
                0.75 * lab[..., 2] + 0.014 + 0.036 * warm + 0.05 * near - 0.02 * shade,
            ],
            axis=-1,
        )
        return lab + amount * (toned - lab)

    lit = _bloom(change_lab(picture, change), _SUNSET_LIGHT, 0.6 * amount)
    return _halo(lit, _SUNSET_LIGHT, 0.7 * amount) if scene.shape == "new" else lit


def shadow(picture: Picture, operation: Operation, scene: Scene) -> Picture:
    """Deepen the dark tones; shade the inside away from the light, or with shape "new" cast a soft shadow."""
    amount = min(operation.amount, 3.0)
    deepened = _deepen(picture, 0.26 * amount)
    return _cast(deepened, amount) if scene.shape == "new" else _shade_edge(deepened, 0.3 * amount)


def cast(picture: Picture, operation: Operation, scene: Scene) -> Picture:
    """Cast a soft shadow on what lies behind the layer; the layer's own colors stay."""
    return _cast(picture, 1.2 * min(operation.amount, 2.0))


def _bloom(picture: Picture, color: Rgb, amount: float) -> Picture:
    """Screen the blurred highlights over the picture in linear light, like a diffusion filter in front of a lens."""
    light = to_linear(np.array([[color]], np.float32) / 255.0)[0, 0]
    light /= light.max()
    luminance = to_linear(picture.colors.mean(axis=-1)) * picture.alpha
    bright = luminance * smoothstep(luminance, 0.05, 0.6)
    bloom = 0.6 * soften(bright, 0.012 * picture.extent) + 0.6 * soften(bright, 0.05 * picture.extent)
    filtered = 1.0 - min(0.3 * amount, 0.8) * (1.0 - light)
    for rows in strips(picture.alpha.shape[0]):
        linear = to_linear(picture.colors[rows]) * filtered
        added = amount * (0.5 * bloom[rows, :, None] + 0.015) * light
        picture.colors[rows] = from_linear(1.0 - (1.0 - linear) * (1.0 - added.clip(0.0, 0.95)))
    return picture


def _halo(picture: Picture, color: Rgb, amount: float) -> Picture:
    """Add a soft rim of light behind the layer."""
    reach = 0.5 * soften(picture.alpha, 0.015 * picture.extent) + 0.6 * soften(picture.alpha, 0.045 * picture.extent)
    return behind(picture, np.array(color, np.float32) / 255.0, (reach * min(amount, 2.0) * 0.8).clip(0.0, 1.0))


def _cast(picture: Picture, amount: float) -> Picture:
    """Add a soft shadow behind the layer, for light from the upper left."""
    extent = picture.extent
    moved = _shift(soften(picture.alpha, 0.016 * extent), 0.014 * extent, 0.02 * extent)
    return behind(picture, np.zeros(3, np.float32), (0.5 * amount * moved).clip(0.0, 0.9))


def behind(picture: Picture, color: Floats, below: Floats) -> Picture:
    """Return the picture composited over one color with the alpha `below`."""
    alpha = picture.alpha + below * (1.0 - picture.alpha)
    for rows in strips(alpha.shape[0]):
        own = np.divide(picture.alpha[rows], alpha[rows], out=np.ones_like(alpha[rows]), where=alpha[rows] > 0)
        picture.colors[rows] = color + (picture.colors[rows] - color) * own[..., None]
    return replace(picture, alpha=alpha)


def _deepen(picture: Picture, depth: float) -> Picture:
    """Darken this layer's dark tones and keep its lights; a flat layer has no separate tones and darkens little."""
    lab, weights = sample_lab(picture)
    low, high = (quantile(lab[:, 0, 0], weights, share) for share in (0.05, 0.85))
    depth *= min(0.35 + 2.0 * (high - low), 1.0)
    low, high = low - 0.05, high + 0.05

    def change(lab: Floats, rows: slice) -> Floats:
        weight = 1.0 - smoothstep(lab[..., 0], low, high)
        return lab * (1.0 - min(depth, 0.6) * weight)[..., None]

    return change_lab(picture, change)


def _shade_edge(picture: Picture, depth: float) -> Picture:
    """Darken the inside along the edges that face the lower right; the canvas border does not count as an edge."""
    extent = picture.extent
    reach = _shift(soften(picture.alpha, 0.03 * extent), -0.022 * extent, -0.03 * extent)

    def change(lab: Floats, rows: slice) -> Floats:
        shade = 1.0 - np.minimum(reach[rows] / np.maximum(picture.alpha[rows], 1e-3), 1.0)
        return lab * (1.0 - min(depth, 0.8) * shade)[..., None]

    return change_lab(picture, change)


def _shift(plane: Floats, across: float, down: float) -> Floats:
    matrix = np.array([[1, 0, across], [0, 1, down]], np.float32)
    height, width = plane.shape
    return np.asarray(cv2.warpAffine(plane, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE), np.float32)


# Turning a layer in place, and its opacity.


def mirror(picture: Picture, operation: Operation, scene: Scene) -> Picture:
    """Swap left and right."""
    return _turn(picture, scene, down=1, across=-1)


def flip(picture: Picture, operation: Operation, scene: Scene) -> Picture:
    """Swap top and bottom."""
    return _turn(picture, scene, down=-1, across=1)


def turn(picture: Picture, operation: Operation, scene: Scene) -> Picture:
    """Turn upside down, by 180°."""
    return _turn(picture, scene, down=-1, across=-1)


def rotate(picture: Picture, operation: Operation, scene: Scene) -> Picture:
    """Rotate clockwise by degrees about the center; a layer that would leave the canvas is moved, or else shrunk."""
    left, top, right, bottom = picture.box
    width, height = right - left, bottom - top
    angle = np.deg2rad(operation.amount)
    cos, sin = float(np.cos(angle)), float(np.sin(angle))
    wide, high = width * abs(cos) + height * abs(sin), width * abs(sin) + height * abs(cos)
    rows, columns = picture.alpha.shape
    scale = min(1.0, (columns + 1e-3) / wide, (rows + 1e-3) / high)
    across = _inside((left + right) / 2, scale * wide / 2, columns)
    down = _inside((top + bottom) / 2, scale * high / 2, rows)
    # Pixels are areas: the center of the first one is at 0.5.
    x, y = (left + right) / 2 - 0.5, (top + bottom) / 2 - 0.5
    turn = np.array([[cos, -sin], [sin, cos]]) * scale
    shift = np.array([across - 0.5, down - 0.5]) - turn @ np.array([x, y])
    matrix = np.concatenate([turn, shift[:, None]], axis=1)
    how = cv2.INTER_LINEAR if scale < 1 else cv2.INTER_CUBIC
    size = (columns, rows)
    alpha = cv2.warpAffine(picture.alpha, matrix, size, flags=how, borderMode=cv2.BORDER_CONSTANT).clip(0.0, 1.0)
    colors = cv2.warpAffine(picture.colors, matrix, size, flags=how, borderMode=cv2.BORDER_REPLICATE)
    return Picture(colors=np.asarray(colors, np.float32), alpha=np.asarray(alpha, np.float32))


def _inside(middle: float, half: float, length: int) -> float:
    """Return the nearest center with which a thing of this half size stays on the canvas."""
    return min(max(middle, half), max(length - half, half))


def opacity(picture: Picture, operation: Operation, scene: Scene) -> Picture:
    """Multiply the alpha."""
    return replace(picture, alpha=np.minimum(picture.alpha * np.float32(operation.amount), 1.0))


def _turn(picture: Picture, scene: Scene, *, down: int, across: int) -> Picture:
    """Turn the visible part inside its own box, so that a thing keeps its position on the canvas."""
    left, top, right, bottom = picture.box
    inside = np.s_[top:bottom, left:right]
    picture.colors[inside] = picture.colors[inside][::down, ::across].copy()
    if scene.shape == "new":
        picture.alpha[inside] = picture.alpha[inside][::down, ::across].copy()
    return picture


# A line around a layer.


_DARK: Floats = np.array([0.08, 0.08, 0.09], np.float32)
_LIGHT: Floats = np.ones(3, np.float32)


def outline(picture: Picture, operation: Operation, scene: Scene) -> Picture:
    """Draw a line of `size` pixels around the visible part, in the operation's color, or in one with contrast to it.

    A layer that fills its canvas gets a frame inside it.
    """
    width = operation.size or max(0.016 * picture.extent * operation.amount, 1.5)
    seen = picture.alpha > 0.5
    color = np.array(operation.color, np.float32) / np.float32(255.0) if operation.color else _against(picture)
    if seen.all():
        rows, columns = (np.minimum(np.arange(n) + 1, n - np.arange(n)) for n in seen.shape)
        inside = np.minimum(rows[:, None], columns[None, :]).astype(np.float32)
        frame = (width + 0.5 - inside).clip(0.0, 1.0)[..., None]
        picture.colors[:] += frame * (color - picture.colors)
        return picture
    off = cv2.distanceTransform((~seen).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    # Distances between pixel centers form steps; the blur smooths them.
    line = cv2.GaussianBlur((width + 1.0 - off).clip(0.0, 1.0), (0, 0), 0.6)
    return behind(picture, color, np.asarray(line, np.float32))


def _against(picture: Picture) -> Floats:
    """Return a dark color for a light layer and a light one for a dark layer."""
    light = float((picture.colors.mean(axis=-1) * picture.alpha).sum() / picture.alpha.sum())
    return _DARK if light > 0.4 else _LIGHT


# Filters: blur, sharpen, simplify, pixelate, old pictures, dark corners and grain.


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


def vintage(picture: Picture, operation: Operation, scene: Scene) -> Picture:
    """Fade the blacks, mute and warm the colors, darken the corners and add grain."""
    amount = min(operation.amount, 1.6)

    def change(lab: Floats, rows: slice) -> Floats:
        light = 0.15 + 0.8 * lab[..., 0] + 0.1 * smoothstep(lab[..., 0], 0.2, 0.8) - 0.06
        faded = np.stack([light, 0.7 * lab[..., 1] + 0.008, 0.68 * lab[..., 2] + 0.018 + 0.03 * light], axis=-1)
        return lab + amount * (faded - lab)

    toned = change_lab(picture, change)
    return _grain(_vignette(toned, 0.12 * amount), 0.016 * amount, scene)


def vignette(picture: Picture, operation: Operation, scene: Scene) -> Picture:
    """Darken towards the corners of what is visible."""
    return _vignette(picture, min(0.38 * operation.amount, 0.9))


def grain(picture: Picture, operation: Operation, scene: Scene) -> Picture:
    """Add film grain, the same for the same seed."""
    return _grain(picture, 0.035 * operation.amount, scene)


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
