"""Scales: brightness, exposure, contrast, saturation, vibrance, warmth, and hue. An amount of 1 changes nothing."""

import numpy as np

from llm_dit.classical.effects.oklab import Floats, chroma, from_linear, to_linear
from llm_dit.classical.effects.picture import Picture, Scene, change_lab, quantile, sample_lab, strips
from llm_dit.classical.operations import Operation


def brightness(picture: Picture, operation: Operation, scene: Scene) -> Picture:
    """Darken as less light would; brighten the middle most, and lift black only where there is nothing brighter."""
    factor = operation.amount
    if factor <= 1.0:
        return change_lab(picture, lambda lab, _: lab * factor**0.7)
    lab, weights = sample_lab(picture)
    lift = min(0.55 * (factor - 1.0) * (1.0 - quantile(lab[:, 0, 0], weights, 0.95)), 0.5)

    def change(lab: Floats, rows: slice) -> Floats:
        before = lab[..., :1].clip(1e-4, 1.0)
        after = before ** (1.0 / factor)
        after += lift * (1.0 - after)
        return np.concatenate([after, lab[..., 1:] * np.minimum(after / before, 1.5) ** 0.8], axis=-1)

    return change_lab(picture, change)


def exposure(picture: Picture, operation: Operation, scene: Scene) -> Picture:
    """Multiply the light; what would pass white rolls off towards it."""
    gain = operation.amount ** (1.0 / 3.0)
    knee = 0.85

    def change(lab: Floats, rows: slice) -> Floats:
        exposed = lab * gain
        light = exposed[..., 0]
        rolled = knee + (1.0 - knee) * (1.0 - np.exp(-np.maximum(light - knee, 0.0) / (1.0 - knee)))
        exposed[..., 0] = np.where(light > knee, np.maximum(rolled, np.minimum(lab[..., 0], light)), light)
        return exposed

    return change_lab(picture, change)


def contrast(picture: Picture, operation: Operation, scene: Scene) -> Picture:
    """Spread lightness around the layer's median with black and white pinned, or draw it together."""
    factor = operation.amount
    lab, weights = sample_lab(picture)
    middle = min(max(quantile(lab[:, 0, 0], weights, 0.5), 0.2), 0.8)

    def change(lab: Floats, rows: slice) -> Floats:
        away = lab[..., 0] - middle
        span = np.where(away > 0, 1.0 - middle, middle)
        share = np.abs(away) / span
        lab[..., 0] = middle + np.sign(away) * span * factor * share / (1.0 + max(factor - 1.0, 0.0) * share)
        lab[..., 1:] *= min(factor, 3.0) ** 0.25
        return lab

    return change_lab(picture, change)


def saturation(picture: Picture, operation: Operation, scene: Scene) -> Picture:
    """Multiply chroma."""

    def change(lab: Floats, rows: slice) -> Floats:
        lab[..., 1:] *= operation.amount
        return lab

    return change_lab(picture, change)


def vibrance(picture: Picture, operation: Operation, scene: Scene) -> Picture:
    """Multiply chroma, that of pale colors more."""

    def change(lab: Floats, rows: slice) -> Floats:
        weight = np.clip(1.2 - chroma(lab) / 0.3, 0.3, 1.2)
        lab[..., 1:] *= (max(operation.amount, 0.01) ** weight)[..., None]
        return lab

    return change_lab(picture, change)


def warmth(picture: Picture, operation: Operation, scene: Scene) -> Picture:
    """Shift the white balance by gains in linear light that keep the luminance of grey."""
    turns = float(np.clip(np.log2(max(operation.amount, 0.1)), -3.0, 3.0))
    gains = np.exp2(np.array([0.28, 0.04, -0.42], np.float32) * turns)
    gains /= np.dot(gains, np.array([0.2126, 0.7152, 0.0722], np.float32))
    for rows in strips(picture.alpha.shape[0]):
        linear = to_linear(picture.colors[rows]) * gains
        # What passes the brightest a screen has loses light, not color, or white would never turn warm.
        linear /= np.maximum(linear.max(axis=-1, keepdims=True), 1.0)
        picture.colors[rows] = from_linear(linear)
    return picture


def hue(picture: Picture, operation: Operation, scene: Scene) -> Picture:
    """Turn every hue by `amount` degrees."""
    angle = np.deg2rad(operation.amount)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]], np.float32)

    def change(lab: Floats, rows: slice) -> Floats:
        lab[..., 1:] = lab[..., 1:] @ turn
        return lab

    return change_lab(picture, change)
