"""Reads layers of type as text: words, position, size, kind of font, and color."""

import unicodedata
from dataclasses import dataclass, replace
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from llm_dit.classical.seeing.networks import UPRIGHT, TextLine, find_text, spaced
from llm_dit.color import Rgb

Mask = NDArray[np.bool_]
Pixels = NDArray[np.uint8]
Align = Literal["left", "center", "right"]

SURE = 0.9
"""Least confidence in a line's words: a picture of a line is better than wrong words."""
FILLED = 0.7
"""From this share of its box up, a layer's content is a surface, not type."""
INSIDE, ROOM = 0.6, 0.15
"""The least share of a letter inside its line's box, and the enlargement of the network's box, relative to its
height."""
STRAY, SOFT = 0.03, 0.12
"""The largest shares of a line's ink that may belong to other things in its box, and to a glow or shadow."""
PURE, NEAR = 0.85, 60.0
"""The least share of the ink with one color, and the largest distance from that, in levels of RGB."""
LEVEL = 2.5
"""Degrees up to which a line counts as level."""
NARROW, WIDE = 0.55, 1.7
"""Limits of the words' width relative to the font's; outside of them, the words are misread."""
BOLD, SERIFS, SLANT = 0.125, 1.45, 0.2
"""The stem width from which letters are bold, relative to the font size; the ratio of stems to bars from which a font
has serifs; and the slant of italics."""
MOST_READ = 2_000_000
"""Pixels of a layer up to which it is read at full size; larger ones are downscaled."""
LOOKED_AT = 96
"""Least height of letters in pixels for measuring their strokes."""
PAD = 24
"""Clear pixels around the layer, because the network finds no line at a picture's edge."""
WORD_GAP, IN_ROW, ALIKE = 1.0, 0.1, 0.12
"""The largest gap between words of one line, and their largest differences in height and in size, relative to the font
size."""
IN_LINE = 0.25
"""The largest distance of the edges of aligned lines, relative to the font size."""

# Extents of Arial's letters above and below the baseline, relative to the font size; Times New Roman is `LARGER` by
# this for the same height. Advance widths in thousandths, from the space to the tilde; bold letters are wider.
CAPITALS, LOW_LETTERS, BELOW, MARKS = 0.72, 0.53, 0.21, 0.93
TALL, DEEP, POINTS = "bdfhklit|/()[]{}!?%&$#@\"'*", "gjpqy", ",;"
SANS = (
    "278 278 355 556 556 889 667 191 333 333 389 584 278 333 278 278 556 556 556 556 556 556 556 556 556 556 278 "
    "278 584 584 584 556 1015 667 667 722 722 667 611 778 722 278 500 667 556 833 722 778 667 778 722 667 611 722 "
    "667 944 667 667 611 278 278 278 469 556 333 556 556 500 556 556 278 556 556 222 222 500 222 833 556 556 556 "
    "556 333 500 278 556 500 722 500 500 500 334 260 334 584"
)
SERIF = (
    "250 333 408 500 500 833 778 180 333 333 500 564 250 333 250 278 500 500 500 500 500 500 500 500 500 500 278 "
    "278 564 564 564 444 921 722 667 667 722 611 556 722 722 333 389 722 611 889 722 722 556 722 667 556 611 722 "
    "722 944 722 722 611 333 278 333 469 500 333 444 500 444 500 444 333 500 500 278 278 500 278 778 500 500 500 "
    "500 333 389 278 500 500 722 500 500 444 480 200 480 541"
)
ADVANCES = [{chr(32 + place): int(width) / 1000 for place, width in enumerate(face.split())} for face in (SANS, SERIF)]
LARGER, WHEN_BOLD, BEARINGS = 1.05, 1.06, 0.1


@dataclass(frozen=True, kw_only=True)
class TypeLine:
    """A line of type: `left` and `baseline` are its start, `width` its length, `size` its font size, all in pixels.
    `angle` rotates it about its start, in degrees, clockwise. `opacity` is 0–1."""

    words: str
    left: float
    baseline: float
    width: float
    size: float
    angle: float
    color: Rgb
    opacity: float
    serifs: bool
    bold: bool
    italic: bool
    align: Align = "left"

    @property
    def natural_width(self) -> float:
        """Its length in Arial or Times New Roman, in pixels."""
        letters = [unicodedata.normalize("NFD", letter)[0] for letter in self.words]
        advances = sum(ADVANCES[self.serifs].get(letter, 1.0) for letter in letters)
        return (advances * (WHEN_BOLD if self.bold else 1) - BEARINGS) * self.size

    @property
    def spacing(self) -> float:
        """Its extra letter spacing, in pixels."""
        return (self.width - self.natural_width) / max(1, len(self.words) - 1)

    def at_scale(self, times: float) -> "TypeLine":
        """Return the line in a picture scaled by `times`, without the clear pixels around it."""
        left, baseline = (times * (place - PAD) for place in (self.left, self.baseline))
        return replace(self, left=left, baseline=baseline, width=times * self.width, size=times * self.size)


def read_type(image: Image.Image, name: str, middle: float) -> tuple[list[TypeLine], Image.Image | None]:
    """Return the lines of type in a layer's RGBA picture, and its remaining content, None for nothing.

    A line counts only if its letters are separate from everything else, in one color, without a shadow, and as wide as
    the words read. `name` is the layer's name, whose spelling is used if it has the same words. A single line is
    centered if its center is near `middle`, in pixels from the left.
    """
    image = image.convert("RGBA")
    times = max(1.0, float(np.sqrt(image.width * image.height / MOST_READ)))
    # Pillow resamples RGBA premultiplied.
    small = image.resize([max(1, round(side / times)) for side in image.size], Image.Resampling.BOX)
    pixels = np.pad(np.asarray(small), ((PAD, PAD), (PAD, PAD), (0, 0)))
    ink = pixels[..., 3] > 127
    rows, columns = np.nonzero(ink.any(1))[0], np.nonzero(ink.any(0))[0]
    if not len(rows) or ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].mean() > FILLED:
        return [], image
    lines: list[TypeLine] = []
    read = np.zeros_like(ink)
    parts = np.asarray(cv2.connectedComponents(ink.astype(np.uint8), connectivity=8)[1], np.int32)
    for found in find_text(_on_gray(pixels, ink)):
        letters = _letters(found, parts)
        line = None if letters is None else _measured(found, letters, pixels)
        if letters is None or line is None or (read & letters).any():
            continue
        lines.append(line)
        read |= _around(letters, found) & (letters | (parts == 0))
    if not lines:
        return [], image
    lines = _aligned(_spelled(_joined(lines), name), middle / times + PAD)
    rest = None if (ink & ~read).sum() <= STRAY * ink.sum() else _without(image, read[PAD:-PAD, PAD:-PAD])
    return [line.at_scale(times) for line in lines], rest


def _without(image: Image.Image, read: Mask) -> Image.Image:
    """Return a picture without the content at `read`, a mask that may have a lower resolution."""
    gone = Image.fromarray(np.where(read, 255, 0).astype(np.uint8)).resize(image.size, Image.Resampling.NEAREST)
    rest = image.copy()
    rest.paste((0, 0, 0, 0), mask=gone)
    return rest


def _on_gray(pixels: Pixels, ink: Mask) -> Pixels:
    """Return the layer (height, width, 3) on black, white or gray, whichever differs most from its colors."""
    light = pixels[..., :3].mean(-1)[ink]
    grays = np.array([255, 0, 128], np.float32)
    ground = max(grays, key=lambda gray: float(np.percentile(np.abs(light - gray), 5)))
    alpha = pixels[..., 3:].astype(np.float32) / 255
    return np.rint(ground + (pixels[..., :3].astype(np.float32) - ground) * alpha).astype(np.uint8)


def _sides(line: TextLine) -> tuple[float, float]:
    """Return the width and height of a line's box."""
    across, down = (float(np.hypot(*(line.corners[end] - line.corners[0]))) for end in (1, 3))
    return across, down


def _letters(line: TextLine, parts: NDArray[np.int32]) -> Mask | None:
    """Return the letters of a line among the `parts` of the ink, None if they are not separate from everything else."""
    across, down = _sides(line)
    if line.certainty < SURE or down > UPRIGHT * across:
        return None
    middle, more = line.corners.mean(axis=0), 2 * ROOM * down
    along, aside = (line.corners[1] - line.corners[0]) / across, (line.corners[3] - line.corners[0]) / down
    ends = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * (across + more, down + more) / 2
    box = np.zeros(parts.shape, np.uint8)
    cv2.fillPoly(box, [np.rint(middle + ends @ np.array([along, aside])).astype(np.int32)], 1)
    inside = np.bincount(parts[box > 0], minlength=int(parts.max()) + 1)
    mine = inside >= INSIDE * np.bincount(parts.ravel(), minlength=len(inside))
    mine[0] = inside[0] = 0
    total = int(inside[mine].sum())
    return mine[parts] if total and inside.sum() - total <= STRAY * total else None


def _around(letters: Mask, line: TextLine, reach: float = 0.06) -> Mask:
    """Return the letters, dilated by `reach`, relative to the line's height."""
    side = 2 * max(2, round(reach * _sides(line)[1])) + 1
    return np.asarray(cv2.dilate(letters.astype(np.uint8), np.ones((side, side), np.uint8))) > 0


def _measured(line: TextLine, letters: Mask, pixels: Pixels) -> TypeLine | None:
    """Return a line measured from its letters; None if they are not in one color, not alone, or not these words."""
    alpha = pixels[..., 3]
    soft = alpha[_around(letters, line, 0.4) & ~_around(letters, line) & (alpha <= 127)]
    core = pixels[letters & (alpha >= np.percentile(alpha[letters], 40))]
    *color, opacity = np.median(core, axis=0).tolist()
    off = np.sqrt(((pixels[letters][:, :3] - color) ** 2).sum(-1))
    if soft.sum(dtype=np.float64) / 255 > SOFT * letters.sum() or (off < NEAR).mean() < PURE:
        return None
    words = unicodedata.normalize("NFC", spaced(line, letters))
    angle = _angle(line, letters)
    turn, (left, top, right, bottom) = _levelled(letters, angle)
    # Small letters are enlarged, because their strokes are only a pixel or two wide.
    times = max(1.0, LOOKED_AT / (bottom - top))
    around = ((right - left + 2) * times, (bottom - top + 2) * times)
    place = np.add(turn, [[0, 0, 1], [0, 0, 1]]) * times
    shown = cv2.warpAffine(np.where(_around(letters, line), alpha, 0), place, np.rint(around).astype(int).tolist())
    level = np.asarray(shown) > opacity / 2
    rows, columns = np.nonzero(level.any(1))[0], np.nonzero(level.any(0))[0]
    level = level[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    above, below = max(map(_above, words)), max(map(_below, words))
    stems, bars = (float(np.median(_runs(each))) for each in (level, level.T))
    serifs = stems > SERIFS * bars
    em = level.shape[0] / (above + below)
    size = em * (LARGER if serifs else 1)
    start = cv2.invertAffineTransform(place) @ (columns[0], rows[0] + above * em, 1)
    read = TypeLine(
        words=words,
        left=float(start[0]),
        baseline=float(start[1]),
        width=level.shape[1] / times,
        size=size / times,
        angle=angle,
        color=(int(color[0]), int(color[1]), int(color[2])),
        opacity=opacity / 255,
        serifs=serifs,
        bold=stems > BOLD * size,
        italic=_leans(level),
    )
    return read if NARROW < read.width / read.natural_width < WIDE else None


def _angle(line: TextLine, letters: Mask) -> float:
    """Return a line's angle, at which its letters have the least height; 0 if it is nearly level."""
    along = line.corners[1] - line.corners[0]
    angle = float(np.degrees(np.arctan2(along[1], along[0])))
    if abs(angle) < LEVEL:
        return 0.0

    def height(angle: float) -> int:
        _, (_, top, _, bottom) = _levelled(letters, angle)
        return bottom - top

    return min(np.arange(angle - 3, angle + 3.1, 0.5).tolist(), key=height)


def _levelled(letters: Mask, angle: float) -> tuple[NDArray[np.float64], tuple[int, int, int, int]]:
    """Return the matrix (2, 3) that levels a mask's letters, and their box before the move."""
    turn = np.asarray(cv2.getRotationMatrix2D((0, 0), angle, 1.0), np.float64)
    x, y = turn[:, :2] @ np.argwhere(letters).T[::-1]
    left, top = int(np.floor(x.min())), int(np.floor(y.min()))
    turn[:, 2] -= (left, top)
    return turn, (left, top, int(np.floor(x.max())) + 1, int(np.floor(y.max())) + 1)


def _runs(mask: Mask) -> NDArray[np.int64]:
    """Return the lengths of the runs in the rows of a mask (height, width)."""
    edges = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8).ravel())
    return np.flatnonzero(edges < 0) - np.flatnonzero(edges > 0)


def _leans(level: Mask) -> bool:
    """Return whether letters lean like italics: sheared back upright, their columns separate better."""

    def parted(lean: float) -> float:
        shear = np.array([[1, lean, 0], [0, 1, 0]], np.float32)
        size = (level.shape[1] + int(lean * level.shape[0]), level.shape[0])
        columns = cv2.warpAffine(level.astype(np.float32), shear, size).sum(axis=0)
        return float((np.diff(columns) ** 2).sum())

    return parted(SLANT) > parted(0.0)


def _above(letter: str) -> float:
    plain, *marks = unicodedata.normalize("NFD", letter)
    if not plain.isascii():
        return 0.85
    high = plain.isupper() or plain.isdigit() or plain in TALL
    return (MARKS if marks and plain.isupper() else CAPITALS) if high or marks else LOW_LETTERS


def _below(letter: str) -> float:
    if not unicodedata.normalize("NFD", letter)[0].isascii():
        return 0.07
    return BELOW if letter in DEEP else 0.14 if letter in POINTS or letter in "()[]{}|@Q" else 0.01


def _joined(lines: list[TypeLine]) -> list[TypeLine]:
    """Return the lines, with pieces of one line joined."""
    joined: list[TypeLine] = []
    for line in lines:
        last = joined[-1] if joined else None
        if last is not None and _goes_on(last, line):
            words, width = f"{last.words} {line.words}", line.left + line.width - last.left
            joined[-1] = replace(last, words=words, width=width)
        else:
            joined.append(line)
    return joined


def _goes_on(line: TypeLine, other: TypeLine) -> bool:
    """Return whether `other` continues a line: adjacent, of the same size and color."""
    gap, aside = other.left - line.left - line.width, abs(other.baseline - line.baseline)
    beside = line.angle == other.angle == 0.0 and 0 < gap < WORD_GAP * line.size and aside < IN_ROW * line.size
    colors = np.subtract(line.color, other.color)
    return beside and abs(other.size - line.size) < ALIKE * line.size and float(np.sqrt((colors**2).sum())) < NEAR


def _spelled(lines: list[TypeLine], name: str) -> list[TypeLine]:
    """Return the lines, spelled as the layer's name if that is equal without spaces, case and marks."""

    def bare(text: str) -> str:
        return "".join(filter(str.isalnum, unicodedata.normalize("NFKD", text))).casefold()

    named = unicodedata.normalize("NFC", name.strip())
    return [replace(line, words=named) if bare(line.words) == bare(named) != "" else line for line in lines]


def _aligned(lines: list[TypeLine], middle: float) -> list[TypeLine]:
    """Return the lines with their alignment, from the edges of lines of the same size below each other."""

    def align(line: TypeLine) -> Align:
        others = [other for other in lines if other is not line and other.angle == line.angle]
        shares: dict[Align, float] = {"left": 0.0, "center": 0.5, "right": 1.0}
        near: dict[Align, int] = {
            side: sum(abs(_along(line, share) - _along(other, share)) < IN_LINE * line.size for other in others)
            for side, share in shares.items()
        }
        if any(near.values()):
            return max(near, key=lambda side: near[side])
        return "center" if abs(_along(line, 0.5) - middle) < IN_LINE * line.size else "left"

    return [replace(line, align=align(line)) for line in lines]


def _along(line: TypeLine, share: float) -> float:
    return line.left + share * line.width
