"""What the scenes show: each function lays layers on a stage that has its ground, as a designer would make them."""

import math
from collections.abc import Callable

import numpy as np

from tests.kit.scenes import textures
from tests.kit.scenes.outlines import (
    Outline,
    Point,
    blob,
    box,
    cut,
    join,
    lettering,
    oval,
    polygon,
    soften,
    star,
    stroke,
)
from tests.kit.scenes.stage import TONAL, Stage

HEADLINES = ("SUMMER", "JAZZ NIGHT", "HELLO", "Open Air", "MARKET", "Coffee", "DESIGN", "BLOOM", "ORBIT", "Festival")
LINES = ("live at the old harbour", "every friday from eight", "made by hand since 1987", "all welcome, no ticket")
BUTTONS = ("Sign up", "Play", "Buy now", "Continue", "Share", "Follow")


def logo(stage: Stage) -> None:
    """A single mark."""
    centre, radius = stage.at(0.5, 0.5, 0.08), stage.length(0.26, 0.34)
    outer = stage.shape(star(centre, radius, radius * 0.62, int(stage.rng.integers(5, 9))))
    mask = cut(outer, stage.shape(oval(centre, radius * 0.3, radius * 0.3)))
    stage.put(mask, stage.color(mask), "shape", "hole")


def poster(stage: Stage) -> None:
    """A big disc, a headline over it, a line of text below, a thin rule."""
    disc = stage.shape(oval(stage.at(0.5, 0.4, 0.06), *[stage.length(0.26, 0.33)] * 2))
    stage.put(disc, stage.color(disc), "shape")
    title = lettering(
        stage.size, _choice(stage, HEADLINES), stage.at(0.5, 0.42), stage.unit * 0.2, stage.size[0] * 0.86, 0.03
    )
    stage.put(title, stage.color(title), "text", "overlap")
    line = lettering(stage.size, _choice(stage, LINES), stage.at(0.5, 0.84), stage.unit * 0.07, stage.size[0] * 0.8)
    stage.put(line, stage.color(line), "text")
    rules = [np.array([stage.at(0.12, y), stage.at(0.88, y)]) for y in (0.77, 0.91)]
    rule = stroke(stage.size, stage.length(0.006, 0.011), *rules)
    stage.put(rule, stage.color(rule), "thin")


def icon_sheet(stage: Stage) -> None:
    """A grid of rounded tiles and a glyph on each."""
    columns, rows = (3, 2) if stage.size[0] > stage.size[1] else (2, 3)
    side = min(stage.size[0] / columns, stage.size[1] / rows) * 0.66
    centres = [stage.at((x + 0.5) / columns, (y + 0.5) / rows) for x in range(columns) for y in range(rows)]
    tiles = stage.shape(*[box(centre, side, side, side * 0.22) for centre in centres])
    stage.put(tiles, stage.color(tiles), "shape", "group", shadow=float(stage.rng.choice([0.0, 0.45])))
    glyphs = stage.shape(*[_glyph(stage, number, centre, side * 0.3) for number, centre in enumerate(centres)])
    stage.put(glyphs, stage.color(glyphs), "shape", "group", "nested")


def app_screen(stage: Stage) -> None:
    """A top bar with its title, a card with lines of text, and a button with its label."""
    width, height = stage.size
    bar = stage.shape(box((width / 2, height * 0.07), width, height * 0.14))
    stage.put(bar, stage.color(bar), "shape")
    card = stage.shape(box((width / 2, height * 0.45), width * 0.84, height * 0.46, stage.unit * 0.04))
    stage.put(card, stage.color(card), "shape", shadow=0.5)
    rows = "\n".join(str(word) for word in stage.rng.choice(LINES, 3, replace=False))
    text = lettering(stage.size, rows, (width / 2, height * 0.45), stage.unit * 0.06, width * 0.72)
    stage.put(text, stage.color(text), "text", "group", "nested")
    button = stage.shape(box(stage.at(0.5, 0.84, 0.02), width * 0.42, height * 0.13, height))
    stage.put(button, stage.color(button), "shape")
    label = lettering(stage.size, _choice(stage, BUTTONS), stage.at(0.5, 0.84), stage.unit * 0.075, width * 0.3)
    stage.put(label, stage.color(label), "text", "nested")
    title = lettering(
        stage.size, _choice(stage, HEADLINES), (width / 2, height * 0.07), stage.unit * 0.085, width * 0.5
    )
    stage.put(title, stage.color(title), "text", "nested")


def house(stage: Stage) -> None:
    """A sun with its glow, a hill, a house of several parts, and a tree in front."""
    width, height = stage.size
    sun = stage.shape(oval(stage.at(0.8, 0.2, 0.04), stage.unit * 0.08, stage.unit * 0.08))
    stage.put(join(sun, soften(sun, stage.unit * 0.04) * 0.8), stage.color(sun), "soft")
    crest = np.linspace(0, width, 120)
    rise = height * (0.7 - 0.06 * np.sin(crest / width * math.pi * 2 + stage.rng.uniform(0, 6)))
    hill = stage.shape(np.concatenate([np.stack([crest, rise], -1), [[width, height], [0, height]]]))
    stage.put(hill, stage.color(hill), "shape")
    x, y, side = width * stage.rng.uniform(0.3, 0.42), height * 0.6, stage.length(0.3, 0.36)
    walls, roof = box((x, y), side, side * 0.8), polygon((x, y - side * 0.62), side * 0.72, 3)
    panes = [box((x + side * dx, y), side * 0.2, side * 0.22) for dx in (-0.26, 0.26)]
    body = stage.shape(walls, roof)
    colors = textures.flat(stage.size, stage.color(body))
    for part in (stage.shape(roof), stage.shape(*panes, box((x, y + side * 0.22), side * 0.18, side * 0.36))):
        colors = colors + (stage.color(body) - colors) * part[..., None]
    stage.put(body, colors, "shape", "many-colored", "overlap")
    foot, crown = stage.at(0.74, 0.86, 0.03), stage.length(0.13, 0.17)
    trunk = box((foot[0], foot[1] - crown * 0.5), crown * 0.26, crown * 1.4)
    leaves = blob((foot[0], foot[1] - crown * 1.7), crown, stage.rng)
    tree = stage.shape(trunk, leaves)
    brown, green = stage.color(tree), stage.color(tree)
    stage.put(tree, brown + (green - brown) * stage.shape(leaves)[..., None], "shape", "many-colored", "overlap")


def portrait(stage: Stage) -> None:
    """Shoulders, hair, a face, and what is in the face."""
    x, y = stage.at(0.5, 0.42, 0.04)
    head = stage.length(0.19, 0.23)
    shoulders = stage.shape(oval((x, stage.size[1] + head * 0.2), head * 2.1, head * 1.9))
    stage.put(shoulders, stage.color(shoulders), "shape")
    hair = stage.shape(blob((x, y - head * 0.15), head * 1.32, stage.rng, 0.12))
    stage.put(hair, stage.color(hair), "shape", "overlap")
    face = stage.shape(oval((x, y + head * 0.1), head * 0.86, head * 1.08))
    skin = stage.color(face)
    shade = textures.radial(stage.size, (x / stage.size[0], y / stage.size[1]), 0.35, skin, skin * 0.72)
    stage.put(face, shade, "gradient", "nested", "overlap")
    eyes = [oval((x + head * dx, y), head * 0.12, head * 0.15) for dx in (-0.34, 0.34)]
    smile = np.linspace(0.25, math.pi - 0.25, 40)
    mouth = np.stack([x + head * 0.42 * np.cos(smile), y + head * 0.35 + head * 0.25 * np.sin(smile)], -1)
    features = join(stage.shape(*eyes), stroke(stage.size, head * 0.09, mouth))
    stage.put(features, stage.color(features), "shape", "group", "nested")


def product(stage: Stage) -> None:
    """A shaded bottle with its shadow, a label on it and a word on the label."""
    x, y = stage.at(stage.rng.uniform(0.38, 0.62), 0.55, 0.02)
    width, height = stage.length(0.32, 0.4), stage.length(0.56, 0.64)
    neck = box((x, y - height * 0.55), width * 0.36, height * 0.3, width * 0.06)
    bottle = stage.shape(box((x, y), width, height, width * 0.2), neck)
    color = stage.color(bottle)
    along = (np.arange(stage.size[0], dtype=np.float32) - x) / width
    light = 0.72 + 0.5 * np.exp(-(((along + 0.18) / 0.16) ** 2)) - 0.25 * np.abs(along)
    shaded = np.broadcast_to(color * light[None, :, None], (*stage.size[::-1], 3))
    stage.put(bottle, shaded, "gradient", shadow=0.55)
    label = stage.shape(box((x, y + height * 0.06), width * 0.86, height * 0.42, width * 0.04))
    stage.put(label, stage.color(label), "shape", "nested")
    word = lettering(stage.size, _choice(stage, HEADLINES), (x, y + height * 0.06), width * 0.34, width * 0.7, 0.02)
    stage.put(word, stage.color(word), "text", "nested")


def discs(stage: Stage) -> None:
    """Ellipses that lie over each other, four deep."""
    places = stage.rng.permutation([(0.34, 0.36), (0.62, 0.38), (0.4, 0.64), (0.64, 0.62)])
    for x, y in places.tolist():
        angle = stage.rng.uniform(0, math.pi)
        mask = stage.shape(oval(stage.at(x, y, 0.03), stage.length(0.2, 0.27), stage.length(0.16, 0.22), angle))
        stage.put(mask, stage.color(mask), "shape", "overlap")


def panes(stage: Stage) -> None:
    """A shape and a word seen through a tinted pane."""
    under = stage.shape(polygon(stage.at(0.36, 0.42, 0.03), stage.length(0.24, 0.3), int(stage.rng.integers(5, 9))))
    stage.put(under, stage.color(under), "shape")
    angle = stage.rng.uniform(-0.2, 0.2)
    pane = stage.shape(box(stage.at(0.6, 0.52, 0.03), stage.unit * 0.62, stage.unit * 0.5, stage.unit * 0.05, angle))
    stage.put(pane * np.float32(stage.rng.uniform(0.5, 0.7)), stage.color(pane), "see-through", "overlap")
    word = lettering(stage.size, _choice(stage, BUTTONS), stage.at(0.62, 0.56), stage.unit * 0.13, stage.unit * 0.5)
    stage.put(word, stage.color(word), "text", "nested")


def rings(stage: Stage) -> None:
    """Letters and rings, with the ground in their holes."""
    x, y = stage.at(0.36, 0.44, 0.04)
    radius = stage.length(0.22, 0.28)
    ring = cut(stage.shape(oval((x, y), radius, radius)), stage.shape(oval((x, y), radius * 0.62, radius * 0.62)))
    stage.put(ring, stage.color(ring), "hole")
    letters = "".join(stage.rng.choice(list("ABDOPQR80"), 3))
    word = lettering(stage.size, letters, stage.at(0.66, 0.66, 0.03), stage.unit * 0.32, stage.size[0] * 0.6, 0.05)
    stage.put(word, stage.color(word), "hole", "text", "overlap")
    centres = [stage.at(at, 0.14, 0.02) for at in (0.68, 0.82, 0.94)]
    outer = stage.shape(*[oval(centre, *[stage.unit * 0.05] * 2) for centre in centres])
    links = cut(outer, stage.shape(*[oval(centre, *[stage.unit * 0.025] * 2) for centre in centres]))
    stage.put(links, stage.color(links), "hole", "group")


def confetti(stage: Stage) -> None:
    """Dots, squares and triangles, scattered; each sort has its color and is a layer."""
    spots = _spread(stage, 42)
    for number, corners in enumerate((0, 4, 3)):
        radius = stage.length(0.024, 0.036)
        things = [
            polygon(spot, radius * 1.15, corners, stage.rng.uniform(0, 6)) if corners else oval(spot, radius, radius)
            for spot in spots[number::3]
        ]
        mask = stage.shape(*things)
        stage.put(mask, stage.color(mask), "shape", "group")


def words(stage: Stage) -> None:
    """A page of type: a headline, a paragraph, and a colored bar behind a last line."""
    width, height = stage.size
    head = lettering(stage.size, _choice(stage, HEADLINES), stage.at(0.5, 0.2), stage.unit * 0.17, width * 0.86, 0.04)
    stage.put(head, stage.color(head), "text")
    text = "\n".join(str(line) for line in stage.rng.permutation(LINES))
    body = lettering(stage.size, text, stage.at(0.5, 0.52), stage.unit * 0.062, width * 0.86)
    stage.put(body, stage.color(body), "text", "group")
    bar = stage.shape(box((width / 2, height * 0.86), width, height * 0.13))
    stage.put(bar, stage.color(bar), "shape")


def chart(stage: Stage) -> None:
    """A line chart: faint grid, bars, and a thin line over them."""
    width, height = stage.size
    levels = [np.array([(width * 0.1, height * y), (width * 0.9, height * y)]) for y in (0.2, 0.38, 0.56, 0.74)]
    grid = stroke(stage.size, stage.unit * 0.007, *levels)
    stage.put(grid, stage.color(grid), "thin", "group")
    steps = np.linspace(0.18, 0.82, 6)
    tops = stage.rng.uniform(0.3, 0.72, 6)
    bars = [
        box((width * x, height * (0.86 + top) / 2), width * 0.07, height * (0.86 - top))
        for x, top in zip(steps, tops, strict=True)
    ]
    columns = stage.shape(*bars)
    stage.put(columns, stage.color(columns), "shape", "group", "overlap")
    line = np.array([(width * x, height * y) for x, y in zip(steps, stage.rng.uniform(0.15, 0.6, 6), strict=True)])
    dots = stage.shape(*[oval((x, y), *[stage.unit * 0.02] * 2) for x, y in line.tolist()])
    curve = join(stroke(stage.size, stage.unit * 0.012, line), dots)
    stage.put(curve, stage.color(curve), "thin", "overlap")


def hair(stage: Stage) -> None:
    """A tuft of hair-thin strands on a ball."""
    x, y = stage.at(0.5, 0.62, 0.04)
    radius = stage.length(0.2, 0.25)
    ball = stage.shape(oval((x, y), radius, radius * 0.95))
    color = stage.color(ball)
    stage.put(ball, textures.radial(stage.size, (0.45, 0.5), 0.5, color, color * 0.65), "gradient")
    strands = [_strand(stage, (x, y - radius * 0.55), angle, radius * 1.7) for angle in np.linspace(-2.6, -0.5, 46)]
    tuft = stroke(stage.size, stage.unit * 0.0042, *strands)
    stage.put(tuft, stage.color(tuft), "thin", "overlap")


def glow(stage: Stage) -> None:
    """Lights with soft halos, and smoke that drifts over them."""
    for x, y in ((0.3, 0.34), (0.68, 0.42)):
        radius = stage.length(0.08, 0.12)
        orb = stage.shape(oval(stage.at(x, y, 0.05), radius, radius))
        stage.put(join(orb, soften(orb, radius * 0.6) * 0.85), stage.color(orb), "soft")
    drift = stage.shape(blob(stage.at(0.5, 0.74, 0.03), stage.length(0.2, 0.24), stage.rng, 0.5))
    smoke = soften(drift, stage.unit * 0.03) * (0.55 + 0.4 * textures.fractal(stage.size, stage.rng, 5))
    stage.put(smoke, stage.color(drift), "soft", "see-through")


def tonal(stage: Stage) -> None:
    """Shapes close in tone to what they lie on."""
    big = stage.shape(blob(stage.at(0.4, 0.5, 0.04), stage.length(0.3, 0.36), stage.rng))
    stage.put(big, stage.color(big, TONAL), "shape", "low-contrast")
    corner = stage.at(0.74, 0.3, 0.03)
    plate = stage.shape(
        box(corner, stage.length(0.26, 0.32), stage.length(0.22, 0.26), 12, stage.rng.uniform(-0.5, 0.5))
    )
    stage.put(plate, stage.color(plate, TONAL), "shape", "low-contrast")
    word = lettering(
        stage.size, _choice(stage, HEADLINES), stage.at(0.42, 0.52), stage.unit * 0.13, stage.unit * 0.5, 0.03
    )
    stage.put(word, stage.color(word), "text", "nested")


def badge(stage: Stage) -> None:
    """A burst, a disc on it, a star on that, and a word over all."""
    centre, radius = stage.at(0.5, 0.47, 0.03), stage.length(0.36, 0.4)
    burst = stage.shape(star(centre, radius, radius * 0.86, 18))
    stage.put(burst, stage.color(burst), "shape", shadow=0.5)
    disc = stage.shape(oval(centre, radius * 0.72, radius * 0.72))
    stage.put(disc, stage.color(disc), "shape", "nested")
    tip = stage.shape(star((centre[0], centre[1] - radius * 0.08), radius * 0.58, radius * 0.25, 5))
    stage.put(tip, stage.color(tip), "shape", "nested")
    ribbon = stage.shape(box((centre[0], centre[1] + radius * 0.52), radius * 1.9, radius * 0.34, 6, 0.0))
    stage.put(ribbon, stage.color(ribbon), "shape", "overlap")
    word = lettering(
        stage.size, _choice(stage, HEADLINES), (centre[0], centre[1] + radius * 0.52), radius * 0.26, radius * 1.6
    )
    stage.put(word, stage.color(word), "text", "nested")


def materials(stage: Stage) -> None:
    """Things of wood, cloth and stone."""
    order = stage.rng.permutation(len(textures.OBJECTS))[:3]
    shapes = (
        blob(stage.at(0.3, 0.34, 0.03), stage.length(0.19, 0.23), stage.rng),
        box(
            stage.at(0.7, 0.4, 0.03),
            stage.length(0.32, 0.38),
            stage.length(0.3, 0.36),
            18,
            stage.rng.uniform(-0.4, 0.4),
        ),
        oval(stage.at(0.46, 0.74, 0.03), stage.length(0.26, 0.32), stage.length(0.15, 0.18)),
    )
    for number, outline in zip(order.tolist(), shapes, strict=True):
        mask = stage.shape(outline)
        first, second = stage.color(mask), stage.color(mask)
        stage.put(mask, textures.OBJECTS[number](stage.size, stage.rng, first, second), "textured", shadow=0.4)


def collage(stage: Stage) -> None:
    """Two framed photographs, one over the other, and a sticker."""
    for x, y, texture in ((0.36, 0.42, textures.landscape), (0.64, 0.58, textures.bokeh)):
        centre, angle = stage.at(x, y, 0.02), stage.rng.uniform(-0.3, 0.3)
        width, height = stage.unit * 0.5, stage.unit * 0.4
        frame = stage.shape(box(centre, width, height, 3, angle))
        inner = stage.shape(box(centre, width * 0.9, height * 0.87, 0, angle))
        photo = texture(stage.size, stage.rng, stage.color(frame), stage.color(frame))
        white = np.array([246, 244, 238], np.float32)
        stage.put(frame, white + (photo - white) * inner[..., None], "textured", "many-colored", "overlap", shadow=0.5)
    sticker = stage.shape(star(stage.at(0.82, 0.2, 0.02), stage.unit * 0.13, stage.unit * 0.1, 11))
    stage.put(sticker, stage.color(sticker), "shape")


def still_life(stage: Stage) -> None:
    """A table, a plate, and two shaded fruits with shadows."""
    width, height = stage.size
    table = stage.shape(box((width / 2, height * 0.84), width + 4, height * 0.36))
    color = stage.color(table)
    stage.put(
        table, textures.wood(stage.size, stage.rng, color, color) if stage.kind == "textured" else color, "textured"
    )
    plate = stage.shape(oval(stage.at(0.5, 0.76, 0.02), stage.unit * 0.42, stage.unit * 0.12))
    stage.put(plate, stage.color(plate), "shape", "overlap", shadow=0.4)
    for x in (0.4, 0.6):
        centre, radius = stage.at(x, 0.6, 0.02), stage.length(0.14, 0.18)
        fruit = stage.shape(oval(centre, radius, radius * stage.rng.uniform(0.9, 1.08)))
        skin = stage.color(fruit)
        lit = (centre[0] / width - 0.05, centre[1] / height - 0.06)
        shaded = textures.radial(stage.size, lit, 2.2 * radius / stage.unit, skin * 0.4 + 153, skin, skin * 0.45)
        stage.put(fruit, shaded, "gradient", "overlap")


def window(stage: Stage) -> None:
    """A frame around the picture: the ground lies in the middle, with a shape and a word on it."""
    width, height = stage.size
    shape = stage.shape(blob(stage.at(0.42, 0.44, 0.03), stage.length(0.16, 0.2), stage.rng))
    stage.put(shape, stage.color(shape), "shape")
    word = lettering(stage.size, _choice(stage, BUTTONS), stage.at(0.62, 0.7), stage.unit * 0.12, width * 0.44)
    stage.put(word, stage.color(word), "text")
    hole = stage.shape(box((width / 2, height / 2), width * 0.84, height * 0.82, stage.unit * 0.06))
    stage.put(1 - hole, stage.color(1 - hole), "hole", "shape")


COMPOSITIONS: tuple[Callable[[Stage], None], ...] = (
    logo,
    poster,
    icon_sheet,
    app_screen,
    house,
    portrait,
    product,
    discs,
    panes,
    rings,
    confetti,
    words,
    chart,
    hair,
    glow,
    tonal,
    badge,
    materials,
    collage,
    still_life,
    window,
)


def _choice(stage: Stage, texts: tuple[str, ...]) -> str:
    return str(stage.rng.choice(texts))


def _glyph(stage: Stage, number: int, centre: Point, radius: float) -> Outline:
    """Return one of the icons' outlines."""
    variant = number % 4
    if variant == 0:
        return star(centre, radius, radius * 0.45, 5)
    if variant == 1:
        return oval(centre, radius * 0.8, radius * 0.8)
    if variant == 2:
        return polygon(centre, radius, int(stage.rng.integers(3, 7)))
    return box(centre, radius * 1.6, radius * 0.6, radius * 0.2, stage.rng.uniform(-0.8, 0.8))


def _strand(stage: Stage, root: Point, angle: float, length: float) -> Outline:
    """Return a bent hair that grows from `root`."""
    along = np.linspace(0, 1, 24)
    bend = angle + stage.rng.uniform(-0.5, 0.5) * along
    reach = length * stage.rng.uniform(0.7, 1.0) * along
    return np.stack([root[0] + reach * np.cos(bend), root[1] + reach * np.sin(bend)], -1)


def _spread(stage: Stage, count: int) -> list[Point]:
    """Return points that keep a distance from each other, by best of many (Mitchell's candidates)."""
    spots = [stage.at(0.5, 0.5)]
    for _ in range(count - 1):
        tries = np.stack(
            [stage.rng.uniform(0.06, 0.94, 30) * stage.size[0], stage.rng.uniform(0.06, 0.94, 30) * stage.size[1]], -1
        )
        gaps = np.linalg.norm(tries[:, None] - np.array(spots)[None], axis=-1).min(axis=1)
        x, y = tries[int(np.argmax(gaps))].tolist()
        spots.append((x, y))
    return spots
