"""Lifting text and whole things off a picture, the topmost first, and filling behind each: found by the networks, or
given by the user as boxes and names."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

from llm_dit.classical.cutting import cut_out
from llm_dit.classical.layering.lifting import BAND, closed_form, continued, fill_behind, sticking_out
from llm_dit.classical.layering.paint import Plan, matte, paint
from llm_dit.classical.layering.regions import Bytes, Floats, Labels, Mask, Report, box_of, depth, grown, window_around
from llm_dit.classical.seeing.letters import find_letters, find_shadow
from llm_dit.classical.seeing.networks import find_text, spaced
from llm_dit.classical.seeing.things import find_things
from llm_dit.classical.selecting import select
from llm_dit.errors import InputError
from llm_dit.layer import Layer
from llm_dit.names import Vocabulary
from llm_dit.options import NamedBox

SUBJECT = 0.6
"""The overlap from which a layer is the subject."""
COVERED, HALF, LARGER = 0.8, 0.5, 2.0
"""The share of a detection that a group must cover to match it (the second for letters in a picture of few parts), and
how many times larger the group may be."""
SAME, AGAIN = 0.3, 0.5
"""The shares of the smaller one from which two lines of text have the same letters, and two boxes the same line."""
TELLING = 0.02
"""The share of the picture from which a detected thing overrides the groups on a known background."""
ALONE = 3.0
"""How many times larger than the next thing the subject must be."""
BESIDE = 32
"""The margin in pixels for matting a thing: its surroundings show their colors."""
FAINT = 0.06
"""The alpha below which a pixel belongs to what lies behind."""
AROUND = 0.5
"""The share of a thing's surroundings from which another thing is the one behind it."""
DEEP = 0.7
"""The darkness from which a shadow hides the background."""
HAIR = 0.012
"""The farthest that hairs may stick out, as a share of the picture's longer side."""


@dataclass(frozen=True, eq=False)
class Seen:
    """The detections in a picture: `lines` of text, each its letters (height, width) and its words, from top to bottom,
    and whole `things`, the largest first."""

    lines: list[tuple[Mask, str]]
    things: list[Mask]

    @property
    def anything(self) -> bool:
        """Whether there is something to lift off."""
        return bool(self.lines or self.things)


NOTHING = Seen([], [])
Words = tuple[Floats, str]
"""The corners (4, 2) of a box of text, and its words."""


def look(rgb: Bytes, report: Report, most: int, *, deep: bool) -> Seen:
    """Return what the networks detect in `rgb` (height, width, 3); nothing if they are not installed.

    The result is text and whole things, `most` in total; `most` 0 asks for text only. A look that is not `deep` finds
    only the subject.
    """
    lines = find_lines(rgb, report)
    if not most:
        return Seen(lines, [])
    text = np.logical_or.reduce([np.zeros(rgb.shape[:2], bool), *(mask for mask, _ in lines)])
    clean = continued(rgb, grown(text, BAND)) if text.any() else rgb
    things = find_things(clean, max(1, most - len(lines)), report, deep=deep)
    return Seen(lines, sorted(things, key=np.count_nonzero, reverse=True))


def peel(rgb: Bytes, seen: Seen, most: int, seed: int, report: Report) -> tuple[list[Bytes], Bytes]:
    """Return at most `most` layers (height, width, 4) of what is `seen` in `rgb` (height, width, 3), bottom first, and
    the picture behind them.

    Lines of text come off first, then things. If there are more than `most`, lines share layers, then things do, down
    to a single layer.
    """
    lifted: list[Bytes] = []
    rest = rgb
    lines = [mask for mask, _ in seen.lines]
    room = min(len(lines), max(1, most - len(seen.things)))
    for mask in _joined(lines, room):
        layer, rest = _lift_text(rest, mask, seed, report)
        lifted.append(layer)
    things = seen.things
    for mask in _joined(seen.things, max(most - room, min(1, len(things)))):
        things = [thing for thing in things if not (thing & mask).any()]
        layer, rest = _lift_thing(rest, mask, _apart(things, mask), seed, report)
        lifted.append(layer)
    if len(lifted) > most:
        whole = [Image.fromarray(layer, "RGBA") for layer in lifted]
        lifted = [np.asarray(Image.alpha_composite(whole[1], whole[0]))]
    return lifted[::-1], rest


def called(seen: Seen, alphas: list[Mask], vocabulary: Vocabulary) -> dict[int, str]:
    """Return the names of the layers that show what is `seen`, by number, in the words of `vocabulary`.

    `alphas` (height, width) are those of the layers, bottom first.
    """
    names: dict[int, str] = {}
    for number, alpha in enumerate(alphas[1:], 1):
        mine = max(1, int(alpha.sum()))
        lines = [(mask, words) for mask, words in seen.lines if (mask & alpha).sum() > 0.5 * mask.sum()]
        if lines and (np.logical_or.reduce([mask for mask, _ in lines]) & alpha).sum() > 0.5 * mine:
            names[number] = vocabulary.text(" ".join(words for _, words in lines))
        elif _is_subject(seen.things) and (seen.things[0] & alpha).sum() > SUBJECT * (seen.things[0] | alpha).sum():
            names[number] = vocabulary.word("Subject")
    return names


def matches(seen: Seen, groups: Labels, *, many: bool) -> bool:
    """Return whether `groups` (height, width; 0 the background) neither cut through what is `seen` nor merge it.

    A thing may be part of a larger one, and lines of text may share a group that contains nothing else; in a picture
    without `many` parts the group may contain more, but not the surface behind the text.
    """
    things = [small for thing in seen.things if (small := _small(thing, groups.shape)).any()]
    for thing in things:
        home, share = _home(thing, groups)
        group = groups == home
        alone = not _lumped(thing, group) or thing.mean() <= TELLING or _is_part(thing, group, things)
        if share < COVERED * thing.sum() or not alone:
            return False
    lines = [small for mask, _ in seen.lines if (small := _small(mask, groups.shape)).any()]
    homes = [_home(line, groups) for line in lines]
    if sum(share for _, share in homes) < (COVERED if many else HALF) * sum(line.sum() for line in lines):
        return False
    if not many:
        # There groups find letters well, unless the letters joined the surface behind them.
        kept = [(line, home) for line, (home, share) in zip(lines, homes, strict=True) if share >= COVERED * line.sum()]
        return not any((groups[_ring(line)] == home).mean() > 0.5 for line, home in kept)
    together = {home: np.zeros(groups.shape, bool) for home, _ in homes}
    for line, (home, _) in zip(lines, homes, strict=True):
        together[home] |= line
    return not any(_lumped(text, groups == home) for home, text in together.items())


def _home(mask: Mask, groups: Labels) -> tuple[int, int]:
    """Return the group above the background that contains most of a mask, and the number of its pixels there."""
    shares = np.bincount(groups[mask & (groups >= 0)], minlength=int(groups.max()) + 1)
    shares[0] = 0
    return int(shares.argmax()), int(shares.max())


def _lumped(mask: Mask, group: Mask) -> bool:
    return bool(group.sum() > LARGER * mask.sum())


def _small(mask: Mask, shape: tuple[int, ...]) -> Mask:
    share = cv2.resize(mask.astype(np.float32), shape[::-1], interpolation=cv2.INTER_AREA)
    return np.asarray(share) > 0.5


def _is_part(thing: Mask, group: Mask, things: list[Mask]) -> bool:
    """Return whether a thing is part of a larger one: of a connected piece of `group` that does not touch the picture's
    edge and contains no other of `things`."""
    pieces = np.asarray(cv2.connectedComponents(group.astype(np.uint8))[1])
    piece = pieces == int(np.bincount(pieces[thing & group]).argmax())
    clear = not (piece[[0, -1]].any() or piece[:, [0, -1]].any())
    alone = sum((other & piece).sum() > 0.5 * other.sum() for other in things) < 2
    return clear and alone and bool(piece.sum() > LARGER * thing.sum())


def find_lines(rgb: Bytes, report: Report) -> list[tuple[Mask, str]]:
    """Return the letters (height, width) and the words of each line of text in `rgb`, top to bottom.

    There are none if the networks are not installed.
    """
    found: list[tuple[Mask, list[Words]]] = []
    lines = find_text(rgb)
    report("segmenting")
    for line in lines:
        mask = find_letters(rgb, line.corners) > 0.5
        if not mask.any():
            continue
        said = spaced(line, mask)
        # Two boxes of one line overlap after growing.
        for number, (other, parts) in enumerate(found):
            if (mask & other).sum() > SAME * min(mask.sum(), other.sum()):
                found[number] = (mask | other, _with(parts, (line.corners, said)))
                break
        else:
            found.append((mask, [(line.corners, said)]))
    return [(mask, _in_order(parts)) for mask, parts in found]


def _with(parts: list[Words], new: Words) -> list[Words]:
    """Return the parts of a line with a new one; of two boxes around the same letters, the one with more text wins."""
    for number, part in enumerate(parts):
        shared = cv2.intersectConvexConvex(part[0], new[0])[0]
        if shared > AGAIN * min(cv2.contourArea(corners) for corners, _ in (part, new)):
            return [*parts[:number], max(part, new, key=lambda each: len(each[1])), *parts[number + 1 :]]
    return [*parts, new]


def _in_order(parts: list[Words]) -> str:
    """Return the words of a line's parts in reading order, from left to right or from top to bottom."""
    middles = np.array([corners.mean(axis=0) for corners, _ in parts])
    along = int(np.ptp(middles, axis=0).argmax())
    said = [parts[number][1] for number in np.argsort(middles[:, along], kind="stable")]
    return (" " if all(words.isascii() for words in said) else "").join(said)


def _is_subject(things: list[Mask]) -> bool:
    """Return whether the first thing is the picture's subject."""
    return bool(things) and (len(things) == 1 or int(things[0].sum()) > ALONE * int(things[1].sum()))


def _joined(masks: list[Mask], room: int) -> list[Mask]:
    """Return the masks, with the last two joined until there are `room`; none if `room` is 0."""
    masks = list(masks)
    while len(masks) > max(room, 1):
        last = masks.pop()
        masks[-1] = masks[-1] | last
    return masks[:room]


def _apart(things: list[Mask], mask: Mask) -> Mask:
    """Return the area of the things that do not lie behind `mask`: those that do not surround it."""
    ring = _ring(mask)
    others = [thing for thing in things if (thing & ring).sum() < AROUND * ring.sum()]
    return grown(np.logical_or.reduce([np.zeros_like(mask), *others]), 2 * BAND)


def _ring(mask: Mask) -> Mask:
    """Return the surroundings of a mask, without the pixels that may be mixed with it."""
    return grown(mask, 3 * BAND) & ~grown(mask, BAND)


def _lift_text(rgb: Bytes, mask: Mask, seed: int, report: Report) -> tuple[Bytes, Bytes]:
    """Return the letters at `mask`, with their shadow, as a layer, and the picture behind them."""
    dark = find_shadow(rgb, mask)
    hole, lit = grown(mask, BAND), rgb
    if dark is not None:
        # In a shadow the background is visible, but darker; where it is hardly visible, it is filled.
        lit = np.rint((rgb / (1 - np.minimum(dark, DEEP))[..., None]).clip(0, 255)).astype(np.uint8)
        hole |= grown(dark >= DEEP, BAND)
    below = fill_behind(lit, hole, seed, report)
    window = window_around(mask if dark is None else mask | (dark > 0), BESIDE)
    plan, under = _plan(rgb[window], mask[window]), below[window].astype(np.float32)
    if dark is not None:
        under *= 1 - dark[window][..., None]
    colors = paint(plan, 1, depth(plan.rank), under)
    report("matting")
    alpha, colors = matte(plan, 1, colors, under, None)
    report("matting")
    if dark is not None:
        # The letters are composited over black with the shadow's alpha.
        whole = alpha + dark[window] * (1 - alpha)
        colors = colors * (alpha / np.maximum(whole, 1e-3))[..., None]
        alpha = whole
    return _layer(colors, alpha, window, mask.shape), below


def _lift_thing(rgb: Bytes, thing: Mask, apart: Mask, seed: int, report: Report) -> tuple[Bytes, Bytes]:
    """Return a thing as a layer, and the picture behind it, filled without using `apart`."""
    thing = thing | (sticking_out(rgb, thing) & ~apart)
    reach = max(2 * BAND, round(HAIR * max(thing.shape)))
    window = window_around(thing, reach + BESIDE)
    part, guess = rgb[window], thing[window]
    alpha = closed_form(part, ~grown(~guess, BAND), ~grown(guess, reach), guess)
    # Faint pixels beside a thing belong to its edge, and must not be a source for the filling.
    hole = np.zeros_like(thing)
    hole[window] = grown(alpha > FAINT, 2 * BAND)
    alpha = np.where(alpha < FAINT, 0, alpha)
    report("matting")
    below = fill_behind(rgb, hole, seed, report, apart=apart)
    plan, under = _plan(part, alpha > 0.9), below[window].astype(np.float32)
    values = plan.rgb
    colors = paint(plan, 1, depth(plan.rank), under) if plan.rank.any() else values
    report("matting")
    solid = (alpha > 0.98)[..., None]
    # F = (I - (1 - alpha) B) / alpha, as far as the colors nearby allow.
    share = np.maximum(alpha, 0.1)[..., None]
    own_color = ((values - (1 - share) * under) / share).clip(0, 255)
    colors = np.where(solid, values, colors + (own_color - colors) * alpha[..., None])
    return _layer(colors, alpha, window, thing.shape), below


def _plan(rgb: Bytes, mask: Mask) -> Plan:
    """Return the inputs for matting one thing at `mask` over everything behind it."""
    values = rgb.astype(np.float32)
    return Plan(
        rgb=values,
        clean=values,
        traces=np.full(mask.shape, -1, np.int32),
        rank=mask.astype(np.int32),
        whole=[np.ones_like(mask), mask],
        scale=1.0,
    )


def _layer(colors: Floats, alpha: Floats, window: tuple[slice, slice], shape: tuple[int, ...]) -> Bytes:
    """Return a layer of a picture of `shape`, transparent outside a window of it."""
    layer = np.zeros((*shape[:2], 4), np.uint8)
    layer[window] = np.dstack([np.rint(colors.clip(0, 255)), np.rint(alpha * 255)])
    return layer


# What the user marks by a box and a name is lifted off before the rest is decomposed.

WITHIN = 0.8
"""The share of a line of text inside a box from which the line belongs to it."""
FILLED = 0.5
"""The share of a box from which lines of text are its content."""
Named = tuple[Image.Image, str]


def lift_named(
    picture: Image.Image, regions: Sequence[NamedBox], seed: int, report: Report
) -> tuple[list[Named], Image.Image]:
    """Return a layer and its name for each of `regions`, bottom first, and the rest of an RGBA `picture`.

    All have the picture's size. The content of a box is text if lines of text fill it, otherwise what `select` finds by
    the box. Text is lifted off first, then things, the smallest first: a hat lies above the head that wears it, and the
    head continues behind it. Raises `InputError` if a box contains nothing.
    """
    pixels = np.asarray(picture)
    opaque = bool((pixels[..., 3] == 255).all())
    lines = [mask for mask, _ in find_lines(pixels[..., :3], report)] if opaque else []
    texts: list[tuple[Mask, str]] = []
    things: list[tuple[Mask, str]] = []
    for number, region in enumerate(regions, 1):
        report("segmenting")
        text = _text_in(region, lines)
        if text is not None:
            texts.append((text, region.name))
        else:
            things.append((_thing_in(picture, region, number), region.name))
    things.sort(key=lambda each: int(each[0].sum()))
    if not opaque:
        return _cut(picture, things, report)
    names = [name for _, name in reversed(texts + things)]
    lifted, rest = peel(pixels[..., :3], Seen(texts, [mask for mask, _ in things]), len(regions), seed, report)
    layers = [Image.fromarray(layer, "RGBA") for layer in lifted]
    return list(zip(layers, names, strict=True)), Image.fromarray(rest, "RGB").convert("RGBA")


def _text_in(region: NamedBox, lines: Sequence[Mask]) -> Mask | None:
    """Return the lines of text that fill a box, or None if its content is something else."""
    left, top, right, bottom = (max(0, round(value)) for value in region.box)
    window = slice(top, bottom), slice(left, right)
    inside = [line for line in lines if line[window].sum() >= WITHIN * line.sum()]
    if not inside:
        return None
    text = np.logical_or.reduce(inside)
    x0, y0, x1, y1 = box_of(text)
    fills = (x1 - x0) * (y1 - y0) >= FILLED * (right - left) * (bottom - top)
    return text if fills else None


def _thing_in(picture: Image.Image, region: NamedBox, number: int) -> Mask:
    mask = np.asarray(select(picture, box=region.box)) > 127
    if not mask.any():
        what = f"The box of “{region.name}”" if region.name else f"Box {number}"
        raise InputError(f"{what} contains no thing: draw it around one.", param="regions")
    return mask


def _cut(picture: Image.Image, things: Sequence[tuple[Mask, str]], report: Report) -> tuple[list[Named], Image.Image]:
    """Cut things from a picture with transparency; their surroundings continue behind them."""
    lifted: list[Named] = []
    for mask, name in things:
        report("filling")
        below, above = cut_out([Layer(image=picture)], *picture.size, Image.fromarray(np.uint8(255) * mask, "L"))
        lifted.append((above.image, name))
        picture = below.image
    return lifted[::-1], picture
