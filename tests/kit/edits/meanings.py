"""What an instruction means, as a measure of a layer before and after: true when it was done and nothing else was."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tests.kit.edits.measures import Look, oklab
from tests.kit.edits.pictured import Mask

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Trial:
    """A layer before and after, with the masks of its parts."""

    before: Look
    after: Look
    parts: dict[str, Mask]

    def part(self, name: str | None) -> Mask:
        """Return where a part surely is; what is visible for None, and with "-" before the name, all but it."""
        seen = self.before.alpha > 0.99
        if name is None:
            return seen
        if not name.startswith("-"):
            return self.parts[name]
        grown = cv2.dilate(self.parts[name[1:]].astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
        return seen & ~grown

    def mean(self, look: Look, part: str | None) -> Array:
        return look.lab[self.part(part)].mean(axis=0)

    def moved(self, part: str | None) -> float:
        """The mean distance in OKLab that the colors of a part moved."""
        where = self.part(part)
        return float(np.linalg.norm(self.after.lab[where] - self.before.lab[where], axis=-1).mean())


Meaning = Callable[[Trial], bool]
STILL = 0.012
"""A mean move in OKLab that nobody sees."""


def both(*meanings: Meaning) -> Meaning:
    return lambda trial: all(meaning(trial) for meaning in meanings)


def still(*parts: str | None) -> Meaning:
    """These parts look as they did."""
    return lambda trial: all(trial.moved(part) < STILL for part in parts)


def same_alpha(trial: Trial) -> bool:
    return bool((trial.after.alpha == trial.before.alpha).all())


def becomes(color: tuple[int, int, int], part: str | None = None) -> Meaning:
    """The colored or else all of a part has the color's hue, and comes near the color."""
    target = oklab(np.array(color) / 255.0)

    def holds(trial: Trial) -> bool:
        now = trial.mean(trial.after, part)
        if np.hypot(*target[1:]) > 0.03:
            turn = abs(np.angle(complex(now[1], now[2]) / complex(target[1], target[2])))
            return bool(turn < 0.35 and np.linalg.norm(now - target) < 0.2)
        return bool(np.linalg.norm(now - target) < 0.15)

    return holds


def lightness(way: int, part: str | None = None, by: tuple[float, float] = (0.015, 1.0)) -> Meaning:
    """The part's mean lightness rises (1) or falls (-1), by an amount in the range."""

    def holds(trial: Trial) -> bool:
        change = way * (trial.mean(trial.after, part)[0] - trial.mean(trial.before, part)[0])
        return bool(by[0] < change < by[1])

    return holds


def colorfulness(way: int, part: str | None = None, least: float = 0.05) -> Meaning:
    """The part's mean chroma rises or falls by this share at least."""

    def holds(trial: Trial) -> bool:
        before, after = (float(look.chroma[trial.part(part)].mean()) for look in (trial.before, trial.after))
        return way * (after - before) > least * before

    return holds


def grey(part: str | None = None) -> Meaning:
    return lambda trial: float(trial.after.chroma[trial.part(part)].mean()) < 0.01


def spread(way: int) -> Meaning:
    def holds(trial: Trial) -> bool:
        seen = trial.part(None)
        return bool(way * (trial.after.lab[seen][:, 0].std() - trial.before.lab[seen][:, 0].std()) > 0.003)

    return holds


def leans(hue: tuple[float, float], part: str | None = None, least: float = 0.01) -> Meaning:
    """The mean color moves along this direction of a and b."""

    def holds(trial: Trial) -> bool:
        moved = trial.mean(trial.after, part)[1:] - trial.mean(trial.before, part)[1:]
        return float(moved @ np.array(hue) / np.hypot(*hue)) > least

    return holds


def turns_hue(degrees: float) -> Meaning:
    def holds(trial: Trial) -> bool:
        where = trial.part(None) & (trial.before.chroma > 0.05)
        before, after = (look.lab[where][:, 1] + 1j * look.lab[where][:, 2] for look in (trial.before, trial.after))
        return bool(abs(np.rad2deg(np.angle((after * np.conj(before)).sum())) - degrees) < 15)

    return holds


def _detail(look: Look, where: Mask) -> float:
    return float(np.abs(cv2.Laplacian(look.lab[..., 0], cv2.CV_64F))[where].mean())


def sharpness(way: int, part: str | None = None) -> Meaning:
    """Fine detail grows, or falls to nine tenths at most."""

    def holds(trial: Trial) -> bool:
        inside = cv2.erode(trial.part(part).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
        before, after = _detail(trial.before, inside), _detail(trial.after, inside)
        return after > 1.05 * before if way > 0 else after < 0.9 * before

    return holds


def gone(part: str) -> Meaning:
    return lambda trial: float(trial.after.alpha[trial.part(part)].mean()) < 0.03


def stays(part: str) -> Meaning:
    return lambda trial: float(trial.after.alpha[trial.part(part)].mean()) > 0.97


def ring(color: tuple[int, int, int]) -> Meaning:
    """Right outside the outline, all around, there is this color; inside nothing changed."""
    target = oklab(np.array(color) / 255.0)

    def holds(trial: Trial) -> bool:
        shape = (trial.before.alpha > 0.5).astype(np.uint8)
        near = (cv2.dilate(shape, np.ones((5, 5), np.uint8)) > shape) & (trial.before.alpha < 0.02)
        off = np.linalg.norm(trial.after.lab[near] - target, axis=-1)
        return bool(((off < 0.1) & (trial.after.alpha[near] > 0.5)).mean() > 0.9)

    return holds


def falls(trial: Trial) -> bool:
    """A shadow lies outside the outline, dark, more of it below than above, and within nothing changed."""
    outside = trial.before.alpha < 0.02
    shade = np.where(outside, trial.after.alpha, 0.0)
    if shade.sum() < 0.02 * trial.before.alpha.sum():
        return False
    rows = np.arange(shade.shape[0])[:, None]
    own = float((rows * trial.before.alpha).sum() / trial.before.alpha.sum())
    dark = float((trial.after.lab[..., 0] * shade).sum() / shade.sum()) < 0.3
    return dark and bool(float((rows * shade).sum() / shade.sum()) > own + 2)


def reaches_out(trial: Trial) -> bool:
    """Light lies outside the outline."""
    outside = trial.before.alpha < 0.02
    return float(trial.after.alpha[outside].sum()) > 0.01 * float(trial.before.alpha.sum())


def grades(first: tuple[int, int, int], second: tuple[int, int, int]) -> Meaning:
    """One end of the layer has the first hue and the other the second, from top to bottom or from left to right."""

    def along(trial: Trial, axis: int, color: tuple[int, int, int], end: int) -> bool:
        seen = trial.part(None)
        places = np.nonzero(seen)[axis]
        cut = np.quantile(places, 0.15 if end < 0 else 0.85)
        chosen = places <= cut if end < 0 else places >= cut
        a, b = trial.after.lab[seen][chosen].mean(axis=0)[1:]
        ta, tb = oklab(np.array(color) / 255.0)[1:]
        return bool(abs(np.angle(complex(a, b) / complex(ta, tb))) < 0.6 and np.hypot(a, b) > 0.05)

    return lambda trial: any(along(trial, axis, first, -1) and along(trial, axis, second, 1) for axis in (0, 1))


def like_old_paper(trial: Trial) -> bool:
    """The colors come nearer to those of a faded print."""
    paper = np.array([0.012, 0.045])
    off = [
        np.linalg.norm(look.lab[trial.part(None)][:, 1:] - paper, axis=-1).mean()
        for look in (trial.before, trial.after)
    ]
    return bool(off[1] < 0.95 * off[0])


def negative(trial: Trial) -> bool:
    seen = trial.part(None)
    return float(np.abs(trial.after.rgb[seen] - (1.0 - trial.before.rgb[seen])).mean()) < 0.02


def _inside(look: Look) -> tuple[slice, slice]:
    rows, columns = np.nonzero(look.alpha)
    return slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)


def mirrored(trial: Trial) -> bool:
    box = _inside(trial.before)
    alpha, rgb = trial.before.alpha[box][:, ::-1], trial.before.rgb[box][:, ::-1]
    same = np.abs(trial.after.alpha[box] - alpha).mean() < 0.01
    return bool(same and np.abs((trial.after.rgb[box] - rgb)[alpha > 0.99]).mean() < 0.01)


def quarter_turned(trial: Trial) -> bool:
    """What is visible is that of before, turned clockwise by a quarter, wherever its middle came to lie."""
    turned = np.rot90(np.dstack([trial.before.rgb, trial.before.alpha])[_inside(trial.before)], -1)
    now = np.dstack([trial.after.rgb, trial.after.alpha])[_inside(trial.after)]
    fitted = cv2.resize(now, (turned.shape[1], turned.shape[0]), interpolation=cv2.INTER_AREA)
    sure = (turned[..., 3] > 0.99) & (fitted[..., 3] > 0.99)
    covers = np.abs(fitted[..., 3] - turned[..., 3]).mean() < 0.05
    return bool(covers and np.abs(fitted - turned)[..., :3][sure].mean() < 0.04)


def fades(share: float) -> Meaning:
    return lambda trial: bool(np.abs(trial.after.alpha - share * trial.before.alpha).max() < 0.01)
